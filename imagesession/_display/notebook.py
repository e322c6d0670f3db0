"""
Images, sessions and studios as notebooks show them: small, safe, and light when saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from imagesession._domain.image_header import MIME_TYPES, ImageFormat
from imagesession._domain.turn import ImageRecord
from imagesession._engine.store import Store
from imagesession._imaging.thumbnails import thumbnail
from imagesession.errors import ImageSessionError

from . import filmstrip, live_display, overview
from .data_url import encoded

MimeData: TypeAlias = "dict[str, Any]"
"""The data to show, by MIME type."""
Bundle: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"
"""The data to show and its metadata, each by MIME type."""
MAX_SIDE = 512
"""The maximum width and height of an image, in pixels."""
_MAX_GIF_BYTES = 400_000


def saved_image(image: ImageRecord, text: str, read: Callable[[], bytes]) -> Bundle:
    """
    Show an image of the library; as text only if it was just displayed or cannot be read.
    """
    if live_display.was_displayed(image.id):
        return {"text/plain": text}, {}
    return image_bundle(read, f"Image {image.id}", image.format, (image.width, image.height), text)


def image_bundle(
    read: Callable[[], bytes],
    name: str,
    format: ImageFormat,
    size: tuple[int, int],
    text: str,
) -> Bundle:
    """
    Show an image at most 512 pixels wide and high. A small GIF stays animated, a large one becomes
    a still image; an SVG is rendered, and its size is zeros if it declares none.
    """
    try:
        data = read()
        mime_data, metadata = _encode(data, name, format, size)
    except ImageSessionError as error:
        return {"text/plain": f"{text}\n({error})"}, {}
    return {**mime_data, "text/plain": text}, metadata


def session(store: Store, session_id: str, branch: str, text: str) -> MimeData:
    """
    Show a session as a filmstrip; as text only if its records cannot be read. The store is read
    synchronously: IPython's display methods cannot await.
    """
    try:
        record = store.sessions.find(session_id)
        page = filmstrip.page(record, store.sessions.tree(record), branch, store.images.read)
    except ImageSessionError as error:
        return {"text/plain": f"{text}\n({error})"}
    return {"text/html": page, "text/plain": text}


def studio(store: Store, folder: str, provider: str, text: str) -> MimeData:
    try:
        page = overview.page(store, folder, provider)
    except ImageSessionError as error:
        return {"text/plain": f"{text}\n({error})"}
    return {"text/html": page, "text/plain": text}


def _encode(data: bytes, name: str, format: ImageFormat, size: tuple[int, int]) -> Bundle:
    display_size = _display_size(size)
    if format == "gif" and len(data) <= _MAX_GIF_BYTES:
        mime = MIME_TYPES[format]
        return {mime: encoded(data)}, {mime: display_size}
    small = thumbnail(data, name, (MAX_SIDE, MAX_SIDE))
    # A small SVG is rendered larger than it is shown, so that it is sharp.
    metadata = {small.mime_type: display_size} if format == "svg" and all(size) else {}
    return {small.mime_type: encoded(small.data)}, metadata


def _display_size(size: tuple[int, int]) -> dict[str, int]:
    scale = min(1.0, MAX_SIDE / max(*size, 1))
    width, height = (max(1, round(side * scale)) for side in size)
    return {"width": width, "height": height}
