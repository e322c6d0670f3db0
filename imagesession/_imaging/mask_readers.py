"""
Read masks from images: by brightness, or by transparency.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from imagesession.errors import InvalidImageError

from . import pillow
from .color import has_alpha, to_8bit
from .pillow import Picture, apply_lut

OpenSide: TypeAlias = Literal["white", "black"]
NamedImage: TypeAlias = "tuple[Picture, str]"
# JPEG tints greys a little, and a brush tints edges; a photo is coloured all over.
_COLORED_SPREAD = 48
_MAX_COLORED_FRACTION = 0.02
_OPAQUE = 255
# A mask's white is white, even after a JPEG or as a soft brush; labels count from 1.
_BRIGHT = 64
_MIN_SPREAD = 16
# How much of what is visible may not be white, for it to count as white.
_MAX_APART = 0.05


def from_luminance(source: NamedImage, opens: OpenSide, threshold: int | None = None) -> Picture:
    """
    Return which pixels may change by an image's brightness; transparent pixels never do. With a
    threshold, pixels at least this bright count as white, others as black.
    """
    picture = to_8bit(*source)
    grey = picture.convert("L")
    if threshold is not None:
        grey = apply_lut(grey, [0] * threshold + [255] * (256 - threshold))
    alpha = grey if opens == "white" else pillow.ImageChops.invert(grey)
    return (
        pillow.ImageChops.multiply(alpha, picture.getchannel("A")) if has_alpha(picture) else alpha
    )


def from_alpha(source: NamedImage) -> Picture:
    picture, name = to_8bit(*source), source[1]
    if not has_alpha(picture):
        raise InvalidImageError(
            f"{name} has no alpha channel, so no pixel of it is transparent. If its white may "
            "change, use Mask.from_luminance(image)."
        )
    return pillow.ImageChops.invert(picture.getchannel("A"))


def from_alpha_or_luminance(source: NamedImage, opens: OpenSide) -> Picture:
    """
    Read a mask by the image's transparency if it has any, otherwise by its brightness. It is
    refused if it is opaque and coloured, so most likely not a mask, or if what it opens is not
    certain.
    """
    picture, name = to_8bit(*source), source[1]
    if has_alpha(picture) and picture.getchannel("A").getextrema() != (_OPAQUE, _OPAQUE):
        _check_transparency(picture, name)
        return from_alpha((picture, name))
    opaque = picture.convert("RGB")
    if _colored_fraction(opaque) > _MAX_COLORED_FRACTION:
        raise InvalidImageError(
            f"{name} is no mask: it has no transparent pixel in an alpha channel, and is neither "
            "black nor white but coloured. Give a black-and-white image, or say "
            "Mask.from_luminance(image) to go by its brightness."
        )
    _check_brightness(opaque.convert("L"), name)
    return from_luminance((opaque, name), opens)


def _check_brightness(grey: Picture, name: str) -> None:
    """
    Reject a mask that looks black and is not, such as one whose values are numbers of segments.
    """
    brightest = cast("tuple[int, int]", grey.getextrema())[1]
    if 0 < brightest < _BRIGHT:
        raise InvalidImageError(
            f"{name} looks black: its brightest pixel is {brightest} of 255, which would open next "
            "to nothing. If all that is not black may change, use "
            "Mask.from_luminance(image, threshold=1)."
        )


def _check_transparency(picture: Picture, name: str) -> None:
    """
    Reject a mask whose transparency says hardly anything, or the opposite of its brightness.
    """
    alpha = picture.getchannel("A")
    lowest, highest = cast("tuple[int, int]", alpha.getextrema())
    if lowest and highest - lowest < _MIN_SPREAD:
        raise InvalidImageError(
            f"{name} is nearly as transparent everywhere: its alpha is from {lowest} to {highest}. "
            "To go by that, use Mask.from_alpha(image); to go by its brightness, "
            "Mask.from_luminance(image)."
        )
    white = pillow.ImageChops.multiply(picture.convert("L"), alpha)
    apart = pillow.ImageStat.Stat(pillow.ImageChops.difference(white, alpha)).mean[0]
    if highest and apart < _MAX_APART * pillow.ImageStat.Stat(alpha).mean[0]:
        raise InvalidImageError(
            f"{name} is white where it is visible, and transparent elsewhere: its brightness and "
            "its alpha open opposite parts. Use Mask.from_luminance(image) to change the white "
            "part, or Mask.from_alpha(image) to change the transparent one."
        )


def _colored_fraction(picture: Picture) -> float:
    red, green, blue = picture.split()
    highest = pillow.ImageChops.lighter(pillow.ImageChops.lighter(red, green), blue)
    lowest = pillow.ImageChops.darker(pillow.ImageChops.darker(red, green), blue)
    spread = pillow.ImageChops.subtract(highest, lowest)
    return sum(spread.histogram()[_COLORED_SPREAD:]) / (picture.width * picture.height)
