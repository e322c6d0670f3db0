"""
Pictures made small: at most so large, in pixels and in bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagesession._model.pictures import read_facts
from imagesession._model.previews import Preview

from .door import open_picture
from .forms import has_alpha, plain, profile, upright

if TYPE_CHECKING:
    from PIL import Image

_READY = frozenset({"png", "jpeg", "webp"})
_QUALITIES = (80, 60, 40)
_SHRINK = 0.75
_LEAST_SIDE = 16


def shrink(data: bytes, name: str, *, max_side: int, max_bytes: int) -> Preview | None:
    """
    Make a picture small: its first frame, upright.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        max_side: The longer edge, at most.
        max_bytes: The file, at most.

    Returns:
        The picture; None if so few bytes hold none.

    Raises:
        PictureError: It is no picture that can be read.
    """
    facts = read_facts(data)
    if facts is not None and facts.format in _READY and len(data) <= max_bytes:
        small = max(facts.width, facts.height) <= max_side
        if small:
            return Preview(data=data, format=facts.format, width=facts.width, height=facts.height)
    picture = plain(upright(open_picture(data, name)), name)
    sides = _sides(min(max_side, max(picture.size)))
    tries = (one for side in sides for one in _encodings(_scaled(picture, side)))
    return next((one for one in tries if len(one.data) <= max_bytes), None)


def _sides(side: int) -> Iterator[int]:
    while side >= _LEAST_SIDE:
        yield side
        side = int(side * _SHRINK)


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    # Averages whole blocks of pixels first, which takes a fraction of the time.
    factor = max(picture.size) // side
    small = picture.reduce(factor) if factor > 1 else picture.copy()
    small.thumbnail((side, side))
    return small


def _encodings(picture: Image.Image) -> Iterator[Preview]:
    alpha = has_alpha(picture)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(
            buffer,
            "WEBP" if alpha else "JPEG",
            quality=quality,
            icc_profile=profile(picture),
            exif=b"",
        )
        yield Preview(
            data=buffer.getvalue(),
            format="webp" if alpha else "jpeg",
            width=picture.width,
            height=picture.height,
        )
