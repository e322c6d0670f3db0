"""
Images, sessions and studios as notebooks show them: small, safe, and light when saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pybase64

from imagesession._domain.image_header import MIME_TYPES
from imagesession._domain.turn import ImageRecord
from imagesession._engine.store import Store
from imagesession._imaging.thumbnails import thumbnail
from imagesession.errors import ImageSessionError

from . import filmstrip, live_display, overview

MimeData: TypeAlias = "dict[str, Any]"
"""The data to show, by MIME type."""
Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""The data to show and its metadata, each by MIME type."""
MAX_SIDE = 512
"""The maximum width and height of an image, in pixels."""
_MAX_GIF_BYTES = 400_000


def saved_image(image: ImageRecord, text: str, read: Callable[[], bytes]) -> Bundle:
    """
    Show an image of the library at most 512 pixels wide and high; as text only if it was just
    displayed or cannot be read. A small GIF stays animated, a large one becomes a still image; an
    SVG is rendered.
    """
    if live_display.was_displayed(image.id):
        return {"text/plain": text}, {}
    try:
        mime_data, metadata = _encode(image, read())
    except ImageSessionError as error:
        return {"text/plain": f"{text}\n({error})"}, {}
    return {**mime_data, "text/plain": text}, metadata


def session(store: Store, session_id: str, branch: str, text: str) -> MimeData:
    """
    Show a session as a filmstrip; as text only if its records cannot be read. The store is read
    synchronously: IPython's display methods cannot await.
    """

    def page() -> str:
        record = store.sessions.find(session_id)
        return filmstrip.page(record, store.sessions.tree(record), branch, store.images.read)

    return _as_html(page, text)


def studio(store: Store, folder: str, provider: str, text: str) -> MimeData:
    return _as_html(lambda: overview.page(store, folder, provider), text)


def _as_html(page: Callable[[], str], text: str) -> MimeData:
    try:
        return {"text/html": page(), "text/plain": text}
    except ImageSessionError as error:
        return {"text/plain": f"{text}\n({error})"}


def _encode(image: ImageRecord, data: bytes) -> Bundle:
    display_size = _display_size((image.width, image.height))
    if image.format == "gif" and len(data) <= _MAX_GIF_BYTES:
        mime = MIME_TYPES[image.format]
        return {mime: pybase64.b64encode_as_string(data)}, {mime: display_size}
    small = thumbnail(data, f"Image {image.id}", (MAX_SIDE, MAX_SIDE))
    # A small SVG is rendered larger than it is shown, so that it is sharp.
    is_sized_svg = image.format == "svg" and image.width and image.height
    metadata = {small.mime_type: display_size} if is_sized_svg else {}
    return {small.mime_type: pybase64.b64encode_as_string(small.data)}, metadata


def _display_size(size: tuple[int, int]) -> dict[str, int]:
    scale = min(1.0, MAX_SIDE / max(*size, 1))
    width, height = (max(1, round(side * scale)) for side in size)
    return {"width": width, "height": height}
