"""
From any picture that can be read to one that the wire takes, or that every program shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagesession._model.pictures import PictureFacts, read_facts
from imagesession.errors import CallError

from .door import open_picture
from .forms import encode_jpeg, encode_png, has_alpha, is_turned, plain, profile, upright
from .kinds import recognise
from .limits import MAX_BYTES, check_bytes
from .svg import own_edge, render_svg
from .thumbnails import resize_to_fit

if TYPE_CHECKING:
    from PIL import Image

_ON_THE_WIRE = frozenset({"PNG", "JPEG", "WEBP"})
# Formats whose pixels were pressed together already; as PNG they would be several times as large.
_PHOTOS = frozenset({"JPEG", "MPO", "HEIF", "AVIF"})


def to_wire(data: bytes, name: str, *, limit: int | None = MAX_BYTES) -> tuple[bytes, PictureFacts]:
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
        PictureError: It is no picture, not whole, an SVG, or too large.
    """
    check_bytes(len(data), name, limit=limit)
    picture = open_picture(data, name)
    facts = read_facts(data)
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
        CallError: `max_side` is not a whole number of pixels.
        PictureError: It is no picture that can be read or drawn, not whole, or too large.
    """
    if max_side is not None and (type(max_side) is not int or max_side < 1):
        raise CallError(f"max_side={max_side!r} is not a whole number of pixels from 1 on.")
    if recognise(data) == "svg":
        return render_svg(data, name, max_side or own_edge(data))
    picture = open_picture(data, name)
    within = max_side is None or max(picture.size) <= max_side
    if within and picture.format == "PNG" and _needs_nothing(picture):
        return data
    shown = plain(upright(picture), name)
    icc = profile(shown)
    return encode_png(resize_to_fit(shown, (max_side, max_side)) if max_side else shown, icc)


def encode(picture: Image.Image, name: str) -> tuple[bytes, PictureFacts]:
    """
    Encode a picture for the wire: turned upright, its profile kept.

    Raises:
        PictureError: Its pixels are numbers without a known range.
    """
    shown = plain(upright(picture), name)
    alpha = has_alpha(shown)
    as_photo = picture.format in _PHOTOS and not alpha
    write = encode_jpeg if as_photo else encode_png
    encoded = write(shown, profile(shown))
    return encoded, PictureFacts(
        format="jpeg" if as_photo else "png", width=shown.width, height=shown.height, alpha=alpha
    )


def _needs_nothing(picture: Image.Image) -> bool:
    return (
        picture.format in _ON_THE_WIRE
        and getattr(picture, "n_frames", 1) == 1
        and picture.mode != "CMYK"
        and not is_turned(picture)
    )
