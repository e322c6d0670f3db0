"""
The gallery: a page of a library or a session that opens by itself, from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagesession._engine.store import Store


def write(store: Store, path: object, session_id: str | None = None) -> str:
    """
    Write a gallery; see `writing.write`, which is loaded no sooner than this is called.
    """
    from . import writer  # noqa: PLC0415 - loads Jinja and Pillow, and few write a gallery

    return writer.write(store, path, session_id)
