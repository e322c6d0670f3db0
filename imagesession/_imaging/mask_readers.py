"""
Read openings out of pictures: by their brightness, or by their transparency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from imagesession.errors import InvalidImageError

from .color import has_alpha, to_8bit
from .pillow_typing import apply_lut

if TYPE_CHECKING:
    from PIL import Image

Side: TypeAlias = Literal["white", "black"]
Read: TypeAlias = "tuple[Image.Image, str]"
# JPEG colours greys a little, and a painter's brush its edges; a photo is coloured all over.
_COLOURFUL = 48
_MOST_COLOURFUL = 0.02


def from_luminance(read: Read, opens: Side, threshold: int | None = None) -> Image.Image:
    """
    Return what a picture's brightness opens.

    Args:
        read: The picture, and what to call it in errors.
        opens: Whether white or black does; transparent pixels do not.
        threshold: What is at least as bright is white, and the rest black; None keeps greys.
    """
    from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

    picture = to_8bit(*read)
    grey = picture.convert("L")
    if threshold is not None:
        grey = apply_lut(grey, [0] * threshold + [255] * (256 - threshold))
    opening = grey if opens == "white" else ImageChops.invert(grey)
    return ImageChops.multiply(opening, picture.getchannel("A")) if has_alpha(picture) else opening


def from_alpha(read: Read) -> Image.Image:
    """
    Return what a picture's transparency opens.

    Raises:
        InvalidImageError: It has no alpha channel.
    """
    from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

    picture, name = to_8bit(*read), read[1]
    if not has_alpha(picture):
        raise InvalidImageError(
            f"{name} has no alpha channel, so no pixel of it is transparent. If its white may "
            "change, use Mask.from_luminance(picture)."
        )
    return ImageChops.invert(picture.getchannel("A"))


def from_alpha_or_luminance(read: Read, opens: Side) -> Image.Image:
    """
    Return what a picture opens by its transparency, if it has any, else by its brightness.

    Raises:
        InvalidImageError: It is opaque and coloured, so most likely no mask at all.
    """
    picture, name = to_8bit(*read), read[1]
    if has_alpha(picture) and picture.getchannel("A").getextrema() != (255, 255):
        return from_alpha((picture, name))
    opaque = picture.convert("RGB")
    if _colourful(opaque) > _MOST_COLOURFUL:
        raise InvalidImageError(
            f"{name} is no mask: it has no transparent pixel in an alpha channel, and is neither "
            "black nor white but coloured. Give a black-and-white picture, or say "
            "Mask.from_luminance(picture) to go by its brightness."
        )
    return from_luminance((opaque, name), opens)


def _colourful(picture: Image.Image) -> float:
    """
    Return the share of pixels that are clearly coloured.
    """
    from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

    red, green, blue = picture.split()
    highest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    lowest = ImageChops.darker(ImageChops.darker(red, green), blue)
    spread = ImageChops.subtract(highest, lowest)
    return sum(spread.histogram()[_COLOURFUL:]) / (picture.width * picture.height)
