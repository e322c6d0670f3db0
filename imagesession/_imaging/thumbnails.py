"""
Small images: light enough for a page, a notebook or a tool result.
"""

from __future__ import annotations

import bisect
import functools
import io
from collections.abc import Sequence
from typing import Any, TypeAlias

from imagesession._domain.image_header import ImageFormat, parse_header
from imagesession._domain.previews import Preview

from . import pillow
from .color import convert_profile, has_alpha, icc_profile
from .decode import decode_upright
from .pillow import Picture, resize
from .sniff import sniff_format
from .svg import render_svg

Box: TypeAlias = "tuple[int, int]"
EncodingStep: TypeAlias = "tuple[int, int]"
"""The most pixels of the longer edge, and the encoder's quality from 0 to 100."""
_PREVIEW_FORMATS = frozenset({"png", "jpeg", "webp"})
_OPAQUE_EXTREMA = 255, 255
_JPEG_QUALITY, _WEBP_QUALITY = 84, 76
# WebP's method 4 saves 5 % of the bytes, and takes two and a half times as long.
_WEBP_METHOD = 2
# A PNG with fast compression has at most this many times the bytes of a well compressed one.
_MAX_FAST_PNG_RATIO = 1.6
# The checkerboard behind transparent pixels: its squares' side in pixels, and their greys.
_SQUARE_PX, _SQUARE_SHADES = 8, (255, 229)
# Blocks of pixels are averaged down to the final size; see `resize`.
_REDUCING_GAP = 1.0
# Each step has two thirds of the pixels of the previous one.
_PREVIEW_SHARES = tuple((2 / 3) ** (step / 2) for step in range(20))
_PREVIEW_QUALITIES = (80, 60, 40)


def thumbnail(data: bytes, name: str, box: Box) -> Preview:
    """
    Make a thumbnail that every program can show: a PNG or a JPEG, whichever has fewer bytes.
    Transparent pixels show a checkerboard; of an animation, the first frame is used.
    """
    picture = load_small(data, name, box, squares=True)
    jpeg = encode(picture, "jpeg", quality=_JPEG_QUALITY, optimize=True)
    # A well compressed PNG of a photo takes a hundred times as long, and is discarded.
    fast_png = encode(picture, "png", compress_level=1)
    if len(fast_png.data) > _MAX_FAST_PNG_RATIO * len(jpeg.data):
        return jpeg
    return min(jpeg, encode(picture, "png"), key=lambda preview: len(preview.data))


def page_thumbnail(data: bytes, name: str, box: Box) -> Preview:
    return encode(load_small(data, name, box, squares=True), "webp", quality=_WEBP_QUALITY)


def preview(data: bytes, name: str, *, max_side: int, max_bytes: int) -> Preview | None:
    """
    Make a small image of at most `max_bytes`, whose longer edge has at most `max_side` pixels: a
    JPEG, or a WebP if it has transparent pixels. A PNG, JPEG or WebP that is small enough already
    is returned unchanged; None if it cannot be made that small.
    """
    header = parse_header(data)
    if header is not None and header.format in _PREVIEW_FORMATS and len(data) <= max_bytes:
        width, height = header.width, header.height
        if max(width, height) <= max_side:
            return Preview(data=data, format=header.format, width=width, height=height)
    picture = load_small(data, name, (max_side, max_side))
    sides = (max(1, round(max(picture.size) * share)) for share in _PREVIEW_SHARES)
    steps = [(side, quality) for side in sides for quality in _PREVIEW_QUALITIES]
    made = encode_within(picture, "webp" if has_alpha(picture) else "jpeg", steps, max_bytes)
    return made if len(made.data) <= max_bytes else None


def load_small(
    data: bytes, name: str, box: Box, *, squares: bool = False, enlarged: float = 1.0
) -> Picture:
    """
    Decode an image upright, and scale it down into a maximum width and height, in sRGB and 8 bits a
    channel: in RGBA if it has transparent pixels and no checkerboard, otherwise in RGB. An SVG is
    rendered as large as the box, another image at most enlarged by the factor `enlarged`.

    Raises:
        InvalidImageError: The image cannot be read, is truncated, or has too many pixels.
    """
    if sniff_format(data) == "svg":
        data = render_svg(data, name, max(box))
    picture = decode_upright(data, name, edge=max(box))
    if has_alpha(picture) and picture.getchannel("A").getextrema() == _OPAQUE_EXTREMA:
        picture = picture.convert(picture.mode.removesuffix("A"))
    shown = _to_srgb(resize_to_fit(picture, box, enlarged=enlarged))
    return _over_checkerboard(shown) if squares and has_alpha(shown) else shown


def resize_to_fit(picture: Picture, box: Box, *, enlarged: float = 1.0) -> Picture:
    scale = min(box[0] / picture.width, box[1] / picture.height, enlarged)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size == picture.size:
        return picture
    if scale > 1:
        return resize(picture, size, pillow.Image.Resampling.LANCZOS)
    return resize(picture, size, pillow.Image.Resampling.HAMMING, _REDUCING_GAP)


def encode_within(
    picture: Picture, format: ImageFormat, steps: Sequence[EncodingStep], max_bytes: int
) -> Preview:
    """
    Encode an image at the first of these steps, from the finest to the coarsest, that fits into
    `max_bytes`; at the coarsest if none does.
    """

    @functools.cache
    def encoded(step: EncodingStep) -> Preview:
        side, quality = step
        return encode(resize_to_fit(picture, (side, side)), format, quality=quality)

    def fits(step: EncodingStep) -> bool:
        return len(encoded(step).data) <= max_bytes

    # The first step usually fits.
    last = len(steps) - 1
    index = (
        0
        if fits(steps[0])
        else bisect.bisect_left(steps, x=True, lo=min(1, last), hi=last, key=fits)
    )
    return encoded(steps[index])


def encode(picture: Picture, format: ImageFormat, **options: Any) -> Preview:  # noqa: ANN401 - Pillow's own options
    """
    Encode an image in RGB, or in RGBA if the format has transparency, without any metadata.
    """
    buffer = io.BytesIO()
    method = {"method": _WEBP_METHOD} if format == "webp" else {}
    picture.save(buffer, format.upper(), exif=b"", icc_profile=None, **method, **options)
    width, height = picture.size
    return Preview(data=buffer.getvalue(), format=format, width=width, height=height)


def _over_checkerboard(picture: Picture) -> Picture:
    columns, rows = (-(-side // _SQUARE_PX) for side in picture.size)
    shades = bytes(_SQUARE_SHADES[(x + y) % 2] for y in range(rows) for x in range(columns))
    small = pillow.Image.frombytes("L", (columns, rows), shades)
    scaled = resize(
        small, (columns * _SQUARE_PX, rows * _SQUARE_PX), pillow.Image.Resampling.NEAREST
    )
    background = scaled.crop((0, 0, *picture.size)).convert("RGB")
    background.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return background


def _to_srgb(picture: Picture) -> Picture:
    icc, alpha = icc_profile(picture), picture.getchannel("A") if has_alpha(picture) else None
    opaque = picture if alpha is None else picture.convert(picture.mode.removesuffix("A"))
    shown = (convert_profile(opaque, icc, None) if icc else None) or opaque
    shown = shown if shown.mode == "RGB" else shown.convert("RGB")
    if alpha is not None:
        shown.putalpha(alpha)
    shown.info = {}
    return shown
