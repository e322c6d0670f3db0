"""
Convert images to formats that the provider accepts, or that every program can show.
"""

from __future__ import annotations

import io

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession._domain.wording import quote
from imagesession.errors import InvalidImageError, InvalidRequestError

from . import pillow
from .color import (
    apply_orientation,
    encode_jpeg,
    encode_png,
    has_alpha,
    has_orientation,
    icc_profile,
    to_8bit,
)
from .decode import decode_image, decode_upright
from .limits import MAX_BYTES, check_bytes
from .pillow import Picture
from .sniff import sniff_format
from .svg import natural_edge, render_svg
from .thumbnails import resize_to_fit

_PROVIDER_FORMATS = frozenset({"PNG", "JPEG", "WEBP"})
# Lossy formats: as PNG, these images would be several times as large.
_LOSSY_FORMATS = frozenset({"JPEG", "MPO", "HEIF", "AVIF"})
_WITHOUT_ALPHA = frozenset({"jpeg", "bmp"})
_SAVED_QUALITY = 95


def to_provider_format(
    data: bytes, name: str, *, limit: int | None = MAX_BYTES
) -> tuple[bytes, ImageHeader]:
    """
    Convert an image to a format that the provider accepts, if it is not in one already.

    A PNG, JPEG or WebP that needs no change is returned as the same bytes. Of any other image, the
    first frame is rotated upright and encoded with its colour profile and no other metadata: as
    JPEG if its format is lossy and it has no alpha, otherwise as PNG.
    """
    check_bytes(len(data), name, limit=limit)
    picture = decode_image(data, name)
    facts = parse_header(data)
    if facts is not None and _is_ready(picture):
        return data, facts
    encoded, facts = encode(picture, name)
    check_bytes(len(encoded), name, limit=limit, form=facts.format.upper())
    return encoded, facts


def as_png(data: bytes, name: str, *, max_side: int | None = None) -> bytes:
    """
    Convert any image to PNG: its first frame, upright, with its colour profile.

    The longer edge has `max_side` pixels: exactly for an SVG, at most for other images. None is the
    image's own size, or 1024 pixels for an SVG without a size.
    """
    if max_side is not None and (type(max_side) is not int or max_side < 1):
        raise InvalidRequestError(
            f"max_side={quote(max_side)} is not a whole number of pixels from 1 on."
        )
    if sniff_format(data) == "svg":
        return render_svg(data, name, max_side or natural_edge(data))
    picture = decode_image(data, name)
    within = max_side is None or max(picture.size) <= max_side
    if within and picture.format == "PNG" and _is_ready(picture):
        return data
    plain = to_8bit(apply_orientation(picture), name)
    icc = icc_profile(plain)
    return encode_png(resize_to_fit(plain, (max_side, max_side)) if max_side else plain, icc)


def to_format(data: bytes, name: str, format: str) -> bytes:
    """
    Convert an image to another format: its first frame, upright, with its colour profile; an SVG is
    rendered. A format without transparency gets white in its place.
    """
    if format == "png":
        return as_png(data, name)
    plain = pixels(data, name)
    if has_alpha(plain) and format in _WITHOUT_ALPHA:
        plain = _on_white(plain)
    icc = icc_profile(plain)
    if format == "jpeg":
        return encode_jpeg(plain, icc)
    buffer = io.BytesIO()
    try:
        plain.save(buffer, format.upper(), icc_profile=icc, quality=_SAVED_QUALITY)
    except (KeyError, OSError, ValueError) as error:
        raise InvalidImageError(
            f"{name} cannot be saved as {format.upper()} with this build of Pillow ({error}). "
            "Save it as PNG or JPEG."
        ) from error
    return buffer.getvalue()


def pixels(data: bytes, name: str) -> Picture:
    if sniff_format(data) == "svg":
        data = as_png(data, name)
    return decode_upright(data, name)


def show(picture: Picture, title: str) -> None:
    if not pillow.ImageShow.show(picture, title=title):
        raise InvalidRequestError(
            "No viewer for images was found on this computer. Open the file at image.path yourself."
        )


def _on_white(picture: Picture) -> Picture:
    layers = picture.convert("RGBA")
    white = pillow.Image.new("RGBA", picture.size, "white")
    flat = pillow.Image.alpha_composite(white, layers).convert("RGB")
    flat.info = {key: value for key, value in picture.info.items() if key == "icc_profile"}
    return flat


def encode(picture: Picture, name: str) -> tuple[bytes, ImageHeader]:
    plain = to_8bit(apply_orientation(picture), name)
    alpha = has_alpha(plain)
    as_photo = picture.format in _LOSSY_FORMATS and not alpha
    write = encode_jpeg if as_photo else encode_png
    encoded = write(plain, icc_profile(plain))
    return encoded, ImageHeader(
        format="jpeg" if as_photo else "png", width=plain.width, height=plain.height, alpha=alpha
    )


def _is_ready(picture: Picture) -> bool:
    return (
        picture.format in _PROVIDER_FORMATS
        and getattr(picture, "n_frames", 1) == 1
        and picture.mode != "CMYK"
        and not has_orientation(picture)
    )
