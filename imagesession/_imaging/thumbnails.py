"""
Small pictures: light enough for a page, a notebook, or a result that is read.
"""

from __future__ import annotations

import bisect
import functools
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imagesession._domain.image_header import PictureFormat, parse_header
from imagesession._domain.previews import Preview

from .color import has_alpha, icc_profile, to_srgb
from .decode import decode_upright
from .pillow_typing import resize
from .sniff import sniff_format
from .svg import render_svg

if TYPE_CHECKING:
    from PIL import Image

Box: TypeAlias = "tuple[int, int]"
_READY = frozenset({"png", "jpeg", "webp"})
_OPAQUE = 255, 255
_JPEG_QUALITY, _WEBP_QUALITY = 84, 76
# WebP's method 4 is lighter by a twentieth, and takes two and a half times as long.
_METHOD = 2
# A PNG that is written in haste has at most so many times the bytes of one that is not.
_HASTE = 1.6
# The squares behind what is transparent, in pixels and as shades of grey.
_SQUARE, _SHADES = 8, (255, 229)
# Blocks are averaged as long as that leaves enough: what is between them is the filter's.
_GAP = 1.0
# Each has two thirds of the pixels of the one before.
_PREVIEW_SHARES = tuple((2 / 3) ** (step / 2) for step in range(20))
_PREVIEW_QUALITIES = (80, 60, 40)


@attrs.frozen
class EncodingStep:
    """
    How coarse a file may become.

    Attributes:
        side: The longer edge in pixels, at most.
        quality: As the format's encoder counts it, from 0 to 100.
    """

    side: int
    quality: int


def thumbnail(data: bytes, name: str, box: Box) -> Preview:
    """
    Make a small picture that every program shows: flat colours as PNG, others as JPEG, whichever
    is lighter. What is transparent lies on squares.

    Args:
        data: The file's bytes, of any format; of an animation the first frame is used.
        name: What to call it in errors.
        box: The most that it may be wide and high, in pixels; pixels are never enlarged.

    Raises:
        InvalidImageError: It is no picture that can be read, not whole, or has too many pixels.
    """
    picture = load_small(data, name, box, squares=True)
    photo = encode(picture, "jpeg", quality=_JPEG_QUALITY, optimize=True)
    # A good PNG of a photo takes a hundred times as long, and is thrown away.
    hasty = encode(picture, "png", compress_level=1)
    if len(hasty.data) > _HASTE * len(photo.data):
        return photo
    return min(photo, encode(picture, "png"), key=lambda item: len(item.data))


def page_thumbnail(data: bytes, name: str, box: Box) -> Preview:
    """
    Make a small picture for browsers, as WebP. All else as for `thumbnail`.
    """
    return encode(load_small(data, name, box, squares=True), "webp", quality=_WEBP_QUALITY)


def preview(data: bytes, name: str, *, max_side: int, max_bytes: int) -> Preview | None:
    """
    Make a small picture of at most so many bytes, as JPEG, or as WebP where pixels are
    transparent; what is small enough as it is stays as it is.

    Args:
        data: As for `thumbnail`.
        name: As for `thumbnail`.
        max_side: The longer edge in pixels, at most.
        max_bytes: The file, at most.

    Returns:
        The picture; None if so few bytes hold none.

    Raises:
        InvalidImageError: As for `thumbnail`.
    """
    facts = parse_header(data)
    if facts is not None and facts.format in _READY and len(data) <= max_bytes:
        width, height = facts.width, facts.height
        if max(width, height) <= max_side:
            return Preview(data=data, format=facts.format, width=width, height=height)
    picture = load_small(data, name, (max_side, max_side))
    sides = (max(1, round(max(picture.size) * share)) for share in _PREVIEW_SHARES)
    steps = [EncodingStep(side, quality) for side in sides for quality in _PREVIEW_QUALITIES]
    made = encode_within(picture, "webp" if has_alpha(picture) else "jpeg", steps, max_bytes)
    return made if len(made.data) <= max_bytes else None


def load_small(
    data: bytes, name: str, box: Box, *, squares: bool = False, enlarged: float = 1.0
) -> Image.Image:
    """
    Open a picture and make it small, in sRGB and 8 bits a channel.

    Args:
        data: As for `thumbnail`.
        name: What to call it in errors.
        box: The most that it may be wide and high, in pixels; an SVG is drawn as large as that.
        squares: Whether what is transparent lies on squares, or is left transparent.
        enlarged: How many times as large pixels may become at most, where they are fewer than that.

    Returns:
        The picture, upright, without a profile: in RGBA where it has transparent pixels and no
        squares, else in RGB.

    Raises:
        InvalidImageError: As for `thumbnail`.
    """
    if sniff_format(data) == "svg":
        data = render_svg(data, name, max(box))
    picture = decode_upright(data, name, edge=max(box))
    if has_alpha(picture) and picture.getchannel("A").getextrema() == _OPAQUE:
        picture = picture.convert(picture.mode.removesuffix("A"))
    shown = _to_srgb(resize_to_fit(picture, box, enlarged=enlarged))
    return _on_squares(shown) if squares and has_alpha(shown) else shown


def resize_to_fit(picture: Image.Image, box: Box, *, enlarged: float = 1.0) -> Image.Image:
    """
    Scale a plain picture until it fits into a box, and no further.

    Args:
        picture: The picture.
        box: As for `load_small`.
        enlarged: As for `load_small`.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    scale = min(box[0] / picture.width, box[1] / picture.height, enlarged)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size == picture.size:
        return picture
    if scale > 1:
        return resize(picture, size, Image.Resampling.LANCZOS)
    return resize(picture, size, Image.Resampling.HAMMING, _GAP)


def encode_within(
    picture: Image.Image, format: PictureFormat, steps: Sequence[EncodingStep], max_bytes: int
) -> Preview:
    """
    Write a picture as finely as so many bytes allow.

    Args:
        picture: In RGB, or RGBA where the format has transparency.
        format: The format.
        steps: How it may be written, from the finest to the coarsest.
        max_bytes: As many bytes as it may have.

    Returns:
        The file; it has more bytes only if the coarsest step has.
    """

    @functools.cache
    def encoded(step: EncodingStep) -> Preview:
        shown = resize_to_fit(picture, (step.side, step.side))
        return encode(shown, format, quality=step.quality)

    def fits(step: EncodingStep) -> bool:
        return len(encoded(step).data) <= max_bytes

    # Mostly the first step does.
    last = len(steps) - 1
    at = (
        0
        if fits(steps[0])
        else bisect.bisect_left(steps, x=True, lo=min(1, last), hi=last, key=fits)
    )
    return encoded(steps[at])


def encode(picture: Image.Image, format: PictureFormat, **how: Any) -> Preview:  # noqa: ANN401 - Pillow's own options
    """
    Write a picture as a file with nothing in it but pixels.

    Args:
        picture: In RGB, or RGBA where the format has transparency.
        format: The format.
        how: What its encoder is told beside what it is told always.
    """
    buffer = io.BytesIO()
    method = {"method": _METHOD} if format == "webp" else {}
    picture.save(buffer, format.upper(), exif=b"", icc_profile=None, **method, **how)
    width, height = picture.size
    return Preview(data=buffer.getvalue(), format=format, width=width, height=height)


def _on_squares(picture: Image.Image) -> Image.Image:
    ground = _checkerboard(picture.size)
    ground.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return ground


def _checkerboard(size: Box) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    columns, rows = (-(-side // _SQUARE) for side in size)
    shades = bytes(_SHADES[(x + y) % 2] for y in range(rows) for x in range(columns))
    few = Image.frombytes("L", (columns, rows), shades)
    whole = resize(few, (columns * _SQUARE, rows * _SQUARE), Image.Resampling.NEAREST)
    return whole.crop((0, 0, *size)).convert("RGB")


def _to_srgb(picture: Image.Image) -> Image.Image:
    """
    Follow a picture's profile, if it has a good one, and leave it behind.
    """
    icc, alpha = icc_profile(picture), picture.getchannel("A") if has_alpha(picture) else None
    body = picture if alpha is None else picture.convert(picture.mode.removesuffix("A"))
    shown = (to_srgb(body, icc) if icc else None) or body
    shown = shown if shown.mode == "RGB" else shown.convert("RGB")
    if alpha is not None:
        shown.putalpha(alpha)
    shown.info = {}
    return shown
