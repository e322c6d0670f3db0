"""
Small pictures as files: light enough for a page, a notebook, or a result that is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagesession._model.pictures import read_facts
from imagesession._model.previews import Preview

from .forms import has_alpha
from .shrinking import Box, small
from .squeezing import Step, squeezed, write
from .svg import sanitise

if TYPE_CHECKING:
    from PIL import Image

_READY = frozenset({"png", "jpeg", "webp"})
_JPEG_QUALITY, _WEBP_QUALITY = 84, 76
# A PNG that is written in haste has at most so many times the bytes of one that is not.
_HASTE = 1.6
_PREVIEWED = (80, 60, 40)
# Twice makes two thirds, as from 768 pixels to 512.
_SHRINK = (2 / 3) ** 0.5
_LEAST_SIDE = 16


def thumbnail(data: bytes, name: str, box: Box) -> Preview:
    """
    Make a small picture that every program shows: flat colours as PNG, others as JPEG, whichever
    is lighter. What is transparent lies on squares.

    Args:
        data: The file's bytes, of any format with pixels; of an animation the first frame is used.
        name: What to call it in errors.
        box: The most that it may be wide and high, in pixels; it is never made larger.

    Raises:
        PictureError: It is no picture that can be read, not whole, or has too many pixels.
    """
    picture = small(data, name, box, ground="squares")
    photo = write(picture, "jpeg", quality=_JPEG_QUALITY, optimize=True)
    # A good PNG of a photo takes a hundred times as long, and is thrown away.
    hasty = write(picture, "png", compress_level=1)
    if len(hasty.data) > _HASTE * len(photo.data):
        return photo
    return min(photo, write(picture, "png"), key=lambda one: len(one.data))


def page_thumbnail(data: bytes, name: str, box: Box) -> Preview:
    """
    Make a small picture for browsers, as WebP. All else as for `thumbnail`.
    """
    return write(small(data, name, box, ground="squares"), "webp", quality=_WEBP_QUALITY)


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
        PictureError: As for `thumbnail`.
    """
    facts = read_facts(data)
    if facts is not None and facts.format in _READY and len(data) <= max_bytes:
        width, height = facts.width, facts.height
        if max(width, height) <= max_side:
            return Preview(data=data, format=facts.format, width=width, height=height)
    picture = small(data, name, (max_side, max_side))
    steps = tuple(Step(side, one) for side in _sides(picture) for one in _PREVIEWED)
    made = squeezed(picture, "webp" if has_alpha(picture) else "jpeg", steps, max_bytes)
    return made if len(made.data) <= max_bytes else None


def drawing(data: bytes, name: str, max_bytes: int) -> bytes | None:
    """
    Return an SVG in its safe form, from which nothing runs; None where that is too large.

    Args:
        data: The document.
        name: As for `thumbnail`.
        max_bytes: The safe form, at most.

    Raises:
        PictureError: It is no SVG that can be made safe.
    """
    safe = sanitise(data, name)
    return safe if len(safe) <= max_bytes else None


def _sides(picture: Image.Image) -> Iterator[int]:
    """
    Yield the longer edges that are tried, in pixels, down to a dot.
    """
    edge = max(picture.size)
    yield edge
    while (edge := round(edge * _SHRINK)) >= _LEAST_SIDE:
        yield edge
