"""
Pictures as notebooks show them: small, still light when the notebook is saved, and safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from imagesession._domain.image_header import MIME_TYPES, PictureFormat
from imagesession._domain.turn import ImageRecord
from imagesession._engine.store import Store
from imagesession._imaging.thumbnails import thumbnail
from imagesession.errors import ImageSessionError

from . import filmstrip, live_display, overview
from .data_url import encoded

Shown: TypeAlias = "dict[str, Any]"
"""What is shown, by its MIME type."""
Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""What is shown, by its MIME type, and what is said of it, by its MIME type."""
WIDEST = 512
"""How wide and high a picture is shown at most, in pixels."""
_HEAVIEST = 400_000


def kept(image: ImageRecord, words: str, read: Callable[[], bytes]) -> Bundle:
    """
    Show a picture of the library; in words alone if it was shown just now, or cannot be shown.

    Args:
        image: The picture.
        words: What it is, where only text is shown.
        read: Reads its file.
    """
    if live_display.was_displayed(image.id):
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
    still. An SVG is shown as pixels.

    Args:
        read: Gives its bytes.
        name: What to call it in errors.
        form: Its format.
        size: Its width and height in pixels; zeros where an SVG leaves them open.
        words: What it is, where only text is shown.
    """
    try:
        data = read()
        shown, payload = _shown(data, name, form, size)
    except ImageSessionError as error:
        return {"text/plain": f"{words}\n({error})"}, {}
    return {**shown, "text/plain": words}, payload


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
    shown_at = _within(size)
    if form == "gif" and len(data) <= _HEAVIEST:
        mime = MIME_TYPES[form]
        return {mime: encoded(data)}, {mime: shown_at}
    small = thumbnail(data, name, (WIDEST, WIDEST))
    # An icon that is an SVG is drawn larger than it is, so that it is sharp.
    payload = {small.mime_type: shown_at} if form == "svg" and all(size) else {}
    return {small.mime_type: encoded(small.data)}, payload


def _within(size: tuple[int, int]) -> dict[str, int]:
    scale = min(1.0, WIDEST / max(*size, 1))
    width, height = (max(1, round(side * scale)) for side in size)
    return {"width": width, "height": height}
