"""
From any picture that can be read to one that the wire takes, or that every program shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession.errors import InvalidRequestError

from .color import (
    apply_orientation,
    encode_jpeg,
    encode_png,
    has_alpha,
    has_orientation,
    icc_profile,
    to_8bit,
)
from .decode import decode_image
from .limits import MAX_BYTES, check_bytes
from .sniff import sniff_format
from .svg import own_edge, render_svg
from .thumbnails import resize_to_fit

if TYPE_CHECKING:
    from PIL import Image

_ON_THE_WIRE = frozenset({"PNG", "JPEG", "WEBP"})
# Formats whose pixels were pressed together already; as PNG they would be several times as large.
_PHOTOS = frozenset({"JPEG", "MPO", "HEIF", "AVIF"})


def to_provider_format(
    data: bytes, name: str, *, limit: int | None = MAX_BYTES
) -> tuple[bytes, ImageHeader]:
    """
    Convert a picture to what the wire takes, if it is not that already.

    A PNG, JPEG or WebP that needs nothing comes back as the very same bytes. All else is its
    first frame, upright, as JPEG when it came as one or alike and has no alpha, otherwise as PNG;
    with its colour profile and no other metadata.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        limit: At most so many bytes, before and after; None for no limit.

    Raises:
        InvalidImageError: It is no picture, not whole, an SVG, or too large.
    """
    check_bytes(len(data), name, limit=limit)
    picture = decode_image(data, name)
    facts = parse_header(data)
    if facts is not None and _needs_nothing(picture):
        return data, facts
    encoded, facts = encode(picture, name)
    check_bytes(len(encoded), name, limit=limit, form=facts.format.upper())
    return encoded, facts


def as_png(data: bytes, name: str, *, max_side: int | None = None) -> bytes:
    """
    Convert any picture to PNG: its first frame, upright, with its colour profile.

    Args:
        data: The file's bytes; an SVG is drawn.
        name: What to call it in errors.
        max_side: The longer edge in pixels: of an SVG exactly, of others at most. None for its own
            size, which an SVG that leaves it open has at 1024 pixels.

    Raises:
        InvalidRequestError: `max_side` is not a whole number of pixels.
        InvalidImageError: It is no picture that can be read or drawn, not whole, or too large.
    """
    if max_side is not None and (type(max_side) is not int or max_side < 1):
        raise InvalidRequestError(
            f"max_side={max_side!r} is not a whole number of pixels from 1 on."
        )
    if sniff_format(data) == "svg":
        return render_svg(data, name, max_side or own_edge(data))
    picture = decode_image(data, name)
    within = max_side is None or max(picture.size) <= max_side
    if within and picture.format == "PNG" and _needs_nothing(picture):
        return data
    shown = to_8bit(apply_orientation(picture), name)
    icc = icc_profile(shown)
    return encode_png(resize_to_fit(shown, (max_side, max_side)) if max_side else shown, icc)


def encode(picture: Image.Image, name: str) -> tuple[bytes, ImageHeader]:
    """
    Encode a picture for the wire: turned upright, its profile kept.

    Raises:
        InvalidImageError: Its pixels are numbers without a known range.
    """
    shown = to_8bit(apply_orientation(picture), name)
    alpha = has_alpha(shown)
    as_photo = picture.format in _PHOTOS and not alpha
    write = encode_jpeg if as_photo else encode_png
    encoded = write(shown, icc_profile(shown))
    return encoded, ImageHeader(
        format="jpeg" if as_photo else "png", width=shown.width, height=shown.height, alpha=alpha
    )


def _needs_nothing(picture: Image.Image) -> bool:
    return (
        picture.format in _ON_THE_WIRE
        and getattr(picture, "n_frames", 1) == 1
        and picture.mode != "CMYK"
        and not has_orientation(picture)
    )
