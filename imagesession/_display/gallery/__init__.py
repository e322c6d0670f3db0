"""
The gallery: a self-contained HTML page of a library or a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagesession._engine.store import Store


def write(store: Store, path: object, session_id: str | None = None) -> str:
    """
    Write a gallery; see `writer.write`, which is imported only when this is called.
    """
    from . import writer  # noqa: PLC0415 - imports Jinja and Pillow, and is rarely needed

    return writer.write(store, path, session_id)
