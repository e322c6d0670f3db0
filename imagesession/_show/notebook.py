"""
Pictures as notebooks show them: small, still light when the notebook is saved, and safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from imagesession._model.partials import PartialImage
from imagesession._model.pictures import MIME_TYPES, PictureFormat
from imagesession._model.turns import ImageRecord
from imagesession._pixels.thumbnails import drawing, thumbnail
from imagesession._plan.store import Store
from imagesession.errors import ImageSessionError

from . import filmstrip, overview, painting
from .embedding import address, encoded

Shown: TypeAlias = "dict[str, Any]"
"""What is shown, by its MIME type."""
Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""What is shown, by its MIME type, and what is said of it, by its MIME type."""
WIDEST = 512
"""How wide and high a picture is shown at most, in pixels."""
_HEAVIEST = 400_000
_SQUARES = (
    "background: conic-gradient(#e5e5e5 25%, #fff 0 50%, #e5e5e5 0 75%, #fff 0) 0 0 / 16px 16px"
)


def kept(image: ImageRecord, words: str, read: Callable[[], bytes]) -> Bundle:
    """
    Show a picture of the library; in words alone if it was shown just now, or cannot be shown.

    Args:
        image: The picture.
        words: What it is, where only text is shown.
        read: Reads its file.
    """
    if painting.take_painted(image.id):
        return {"text/plain": words}, {}
    return picture(read, f"Picture {image.id}", image.format, (image.width, image.height), words)


def picture(
    read: Callable[[], bytes],
    name: str,
    form: PictureFormat,
    size: tuple[int, int],
    words: str,
) -> Bundle:
    """
    Show a picture at most 512 pixels wide and high. A light animation moves; a heavy one stands
    still. An SVG is shown in its safe form, from which nothing runs.

    Args:
        read: Gives its bytes.
        name: What to call it in errors.
        form: Its format.
        size: Its width and height in pixels; zeros where an SVG leaves them open.
        words: What it is, where only text is shown.
    """
    try:
        data = read()
        shown, told = _shown(data, name, form, size)
    except ImageSessionError as error:
        return {"text/plain": f"{words}\n({error})"}, {}
    return {**shown, "text/plain": words}, told


def partial(image: PartialImage) -> Bundle:
    """
    Show an unfinished picture.
    """
    name = f"Unfinished picture {image.index + 1}"
    return picture(lambda: image.data, name, image.format, image.size, repr(image))


def session(store: Store, session_id: str, branch: str, words: str) -> Shown:
    """
    Show a session as a filmstrip; in words alone where its records cannot be read.

    Args:
        store: The library, which is asked at once: what is shown cannot await.
        session_id: Which session.
        branch: The line that one is on.
        words: What it is, where only text is shown.
    """
    try:
        record = store.find_session(session_id)
        page = filmstrip.page(record, store.tree(record), branch, store.read)
    except ImageSessionError as error:
        return {"text/plain": f"{words}\n({error})"}
    return {"text/html": page, "text/plain": words}


def studio(store: Store, folder: str, provider: str, words: str) -> Shown:
    """
    Show a library: its latest pictures and sessions, and what was spent.

    Args:
        store: As for `session`.
        folder: Where the library is.
        provider: Who makes the pictures, in words.
        words: As for `session`.
    """
    try:
        page = overview.page(store, folder, provider)
    except ImageSessionError as error:
        return {"text/plain": f"{words}\n({error})"}
    return {"text/html": page, "text/plain": words}


def _shown(data: bytes, name: str, form: PictureFormat, size: tuple[int, int]) -> Bundle:
    if form == "svg":
        return _vector(data, name, size), {}
    width, height = _within(size)
    if form == "gif" and len(data) <= _HEAVIEST:
        mime = MIME_TYPES[form]
        return {mime: encoded(data)}, {mime: {"width": width, "height": height}}
    small = thumbnail(data, name, (WIDEST, WIDEST))
    return {small.mime_type: encoded(small.data)}, {}


def _vector(data: bytes, name: str, size: tuple[int, int]) -> dict[str, Any]:
    safe = drawing(data, name, _HEAVIEST)
    if safe is None:
        return {}
    width, height = _within(size) if all(size) else (WIDEST, WIDEST)
    style = f"max-width: 100%; height: auto; {_SQUARES}"
    return {
        "text/html": f'<img src="{address(safe, "svg")}" width="{width}" height="{height}" alt="" '
        f'style="{style}">'
    }


def _within(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, WIDEST / max(*size, 1))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
