"""
From a picture's file to few pixels, which are right on any screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from .door import open_plain
from .forms import has_alpha, in_srgb, profile
from .typed import resized

if TYPE_CHECKING:
    from PIL import Image

Box: TypeAlias = "tuple[int, int]"
Ground: TypeAlias = Literal["squares"] | None
_OPAQUE = 255, 255
# The squares behind what is transparent, in pixels and as shades of grey.
_SQUARE = 8
_SHADES = (255, 229)
# Blocks are averaged as long as that leaves enough: what is between them is the filter's.
_GAP = 1.0


def small(
    data: bytes, name: str, box: Box, *, ground: Ground = None, enlarged: float = 1.0
) -> Image.Image:
    """
    Open a picture and make it small, in sRGB and 8 bits a channel.

    Args:
        data: The file's bytes, of any format with pixels; of an animation the first frame is used.
        name: What to call it in errors.
        box: The most that it may be wide and high, in pixels.
        ground: What transparent pixels lie on; None to leave them transparent.
        enlarged: How many times as large it may become at most, where it is smaller than that.

    Returns:
        The picture, upright, without a profile: in RGBA where it has transparent pixels and no
        ground, else in RGB.

    Raises:
        PictureError: It is no picture that can be read, not whole, or has too many pixels.
    """
    picture = open_plain(data, name, edge=max(box))
    if has_alpha(picture) and picture.getchannel("A").getextrema() == _OPAQUE:
        picture = picture.convert(picture.mode.removesuffix("A"))
    shown = _in_srgb(fitted(picture, box, enlarged=enlarged))
    return _on_squares(shown) if ground and has_alpha(shown) else shown


def fitted(picture: Image.Image, box: Box, *, enlarged: float = 1.0) -> Image.Image:
    """
    Scale a plain picture until it fits into a box, and no further.

    Args:
        picture: The picture.
        box: As for `small`.
        enlarged: As for `small`.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    scale = min(box[0] / picture.width, box[1] / picture.height, enlarged)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size == picture.size:
        return picture
    if scale > 1:
        return resized(picture, size, Image.Resampling.LANCZOS)
    return resized(picture, size, Image.Resampling.HAMMING, _GAP)


def squares(size: tuple[int, int], square: int = _SQUARE) -> Image.Image:
    """
    Draw the squares that stand for nothing.

    Args:
        size: Width and height in pixels.
        square: The side of a square, in pixels.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    light, dark = _SHADES
    few = Image.new("L", (2, 2), light)
    few.putpixel((1, 0), dark)
    few.putpixel((0, 1), dark)
    tile = resized(few, (2 * square, 2 * square), Image.Resampling.NEAREST)
    ground = Image.new("L", size)
    for left in range(0, size[0], tile.width):
        for top in range(0, size[1], tile.height):
            ground.paste(tile, (left, top))
    return ground.convert("RGB")


def _on_squares(picture: Image.Image) -> Image.Image:
    ground = squares(picture.size)
    ground.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return ground


def _in_srgb(picture: Image.Image) -> Image.Image:
    """
    Follow a picture's profile, if it has a good one, and leave it behind.
    """
    icc, alpha = profile(picture), picture.getchannel("A") if has_alpha(picture) else None
    body = picture if alpha is None else picture.convert(picture.mode.removesuffix("A"))
    shown = (in_srgb(body, icc) if icc else None) or body
    shown = shown if shown.mode == "RGB" else shown.convert("RGB")
    if alpha is not None:
        shown.putalpha(alpha)
    shown.info = {}
    return shown
