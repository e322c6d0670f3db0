"""
Token counts for replies: plausible, not exact.

Output tokens of the older image models are those of the guide, matched by recorded replies.
For GPT Image 2 a few were measured; the rest is scaled from the published prices per image.
"""

import attrs

from imagesession._offline.exchange import Json
from imagesession._offline.tool import Tool

_OLDER = {
    "low": (272, 408, 400),
    "medium": (1056, 1584, 1568),
    "high": (4160, 6240, 6208),
}
# Tokens at 1024x1024, and per million pixels at other shapes.
_NEWER = {
    "low": (196, 106),
    "medium": (1767, 870),
    "high": (7033, 3500),
    "xhigh": (14066, 7000),
    "max": (28132, 14000),
}
_MEASURED = {
    ("low", (1024, 1024)): 196,
    ("low", (1280, 720)): 106,
    ("low", (1536, 864)): 120,
}
_PER_PARTIAL = 100
_PATCH = 16 * 16  # an input picture of 128x128 was billed as 64 tokens
_CHARACTERS_PER_TOKEN = 4


@attrs.frozen(kw_only=True)
class Usage:
    """
    Hold the counts of the mainline model.
    """

    input: int
    cached: int
    output: int
    reasoning: int

    def as_json(self) -> Json:
        """
        Write the counts as `usage`.
        """
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }


@attrs.frozen(kw_only=True)
class ImageUsage:
    """
    Hold the counts of the image model.
    """

    text_in: int = 0
    image_in: int = 0
    image_out: int = 0

    def plus(self, other: "ImageUsage") -> "ImageUsage":
        """
        Add up two pictures' counts.
        """
        return ImageUsage(
            text_in=self.text_in + other.text_in,
            image_in=self.image_in + other.image_in,
            image_out=self.image_out + other.image_out,
        )

    def as_json(self) -> Json:
        """
        Write the counts as `tool_usage`.
        """
        return {
            "image_gen": {
                "input_tokens": self.text_in + self.image_in,
                "input_tokens_details": {
                    "image_tokens": self.image_in,
                    "text_tokens": self.text_in,
                },
                "output_tokens": self.image_out,
                "output_tokens_details": {"image_tokens": self.image_out, "text_tokens": 0},
                "total_tokens": self.text_in + self.image_in + self.image_out,
            },
            "web_search": {"num_requests": 0},
        }


def text_tokens(text: str) -> int:
    """
    Estimate how many tokens a text is.
    """
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def picture_tokens(size: tuple[int, int]) -> int:
    """
    Estimate how many input tokens a picture is.
    """
    return max(1, size[0] * size[1] // _PATCH)


def drawn_tokens(tool: Tool, size: tuple[int, int], partials: int) -> int:
    """
    Estimate how many output tokens drawing a picture takes, with its partial images.
    """
    return _drawn(tool, size) + partials * _PER_PARTIAL


def _drawn(tool: Tool, size: tuple[int, int]) -> int:
    quality = tool.drawn_quality
    if tool.model.sizes.fixed:
        square, tall, wide = _OLDER[quality]
        return square if size[0] == size[1] else tall if size[0] < size[1] else wide
    measured = _MEASURED.get((quality, size))
    if measured is not None:
        return measured
    square, per_megapixel = _NEWER[quality]
    if size[0] == size[1]:
        return round(square * size[0] * size[1] / 1024**2)
    return round(per_megapixel * size[0] * size[1] / 1e6)
