"""
From any picture that can be read to one that the wire takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagesession._model.pictures import PictureFacts, read_facts

from .door import open_picture
from .forms import encode_jpeg, encode_png, has_alpha, is_turned, plain, profile, upright
from .limits import MAX_BYTES, check_bytes

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
