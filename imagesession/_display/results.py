"""
Several results side by side: images with their prompts and costs, and errors in their places.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from imagesession._domain.turn import ImageRecord, Turn

from . import formatting
from .filmstrip import Read, thumbnail_url
from .templates import render

MAX_TILES = 24
"""The most results that are shown."""
_TILE_SIZE = (384, 384)  # twice as large as it is shown, so that it is sharp


@attrs.frozen(kw_only=True)
class Tile:
    """
    An image, or in its place the message of an error.
    """

    key: str = ""
    turn: Turn | None = None
    image: ImageRecord | None = None
    read: Read | None = None
    problem: str = ""


def page(title: str, tiles: Iterable[Tile]) -> str:
    shown = list(tiles)
    return render(
        "results.html",
        title=title,
        tiles=[_facts(tile) for tile in shown[:MAX_TILES]],
        more=max(0, len(shown) - MAX_TILES),
    )


def _facts(tile: Tile) -> dict[str, Any]:
    key = formatting.shorten(tile.key, 60)
    if tile.turn is None or tile.image is None or tile.read is None:
        problem = formatting.shorten(tile.problem, 300)
        return {"key": key, "image": None, "problem": problem, "text": "", "facts": ""}
    return {
        "key": key,
        "image": thumbnail_url(tile.image, tile.read, _TILE_SIZE),
        "problem": "no file",
        "text": formatting.shorten(formatting.display_prompt(tile.turn), 120),
        "facts": formatting.format_facts(tile.image, tile.turn.cost),
    }
