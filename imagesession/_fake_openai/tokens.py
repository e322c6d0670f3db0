"""
Token counts for responses: plausible, not exact.

The counts of output images are the catalogue's; those of input images are scaled from two bills.
"""

import attrs

from imagesession._domain.model_catalog import load_catalogue
from imagesession._fake_openai.http import Json
from imagesession._fake_openai.image_tool import ImageToolParams

_CATALOGUE = load_catalogue()
_PER_PARTIAL = 100
# An input image of 128x128 was billed as 64 tokens, one of 1024x1024 as 1,024, none as more than
# 1,536: patches of 32 pixels within limits.
_PATCH, _FEWEST, _MOST = 32, 64, 1536
_CHARACTERS_PER_TOKEN = 4


@attrs.frozen(kw_only=True)
class Usage:
    input: int
    cached: int
    output: int
    reasoning: int

    def as_json(self) -> Json:
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }


@attrs.frozen(kw_only=True)
class ImageUsage:
    text_in: int = 0
    image_in: int = 0
    image_out: int = 0

    def __add__(self, other: "ImageUsage") -> "ImageUsage":
        return ImageUsage(
            text_in=self.text_in + other.text_in,
            image_in=self.image_in + other.image_in,
            image_out=self.image_out + other.image_out,
        )

    def as_json(self) -> Json:
        sent = self.text_in + self.image_in
        return {
            "input_tokens": sent,
            "input_tokens_details": {"image_tokens": self.image_in, "text_tokens": self.text_in},
            "output_tokens": self.image_out,
            "output_tokens_details": {"image_tokens": self.image_out, "text_tokens": 0},
            "total_tokens": sent + self.image_out,
        }


def text_tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def picture_tokens(size: tuple[int, int]) -> int:
    across, down = (-(-edge // _PATCH) for edge in size)
    return min(max(across * down, _FEWEST), _MOST)


def drawn_tokens(tool: ImageToolParams, size: tuple[int, int], partials: int) -> int:
    drawn = _CATALOGUE.output_tokens(tool.model.id, tool.drawn_quality, size)
    if drawn is None:
        raise AssertionError(f"The catalogue has no output tokens for {tool.model.id}.")
    return drawn + partials * _PER_PARTIAL
