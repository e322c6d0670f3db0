"""
A library at a glance: its latest sessions and pictures, and what was spent.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from imagesession._domain.cost import format_usd
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.store import CostTotals, ImageQuery, SpendingQuery, Store

from . import formatting
from .filmstrip import address
from .templates import render

SESSIONS = 8
"""How many sessions are shown, the latest ones."""
PICTURES = 12
"""How many pictures are shown, the latest ones."""
_SMALL, _TINY = (192, 192), (96, 96)


def page(store: Store, folder: str, provider: str) -> str:
    """
    Show a library.

    Args:
        store: The library.
        folder: Where it is.
        provider: Who makes the pictures, in words.

    Returns:
        A piece of HTML.
    """
    days = store.spending(SpendingQuery())
    today = [day for day in days if day.group == dt.datetime.now(dt.UTC).date().isoformat()]
    count = store.count_sessions()
    latest = ImageQuery(limit=PICTURES)
    return render(
        "overview.html",
        folder=formatting.sanitize_text(folder),
        provider=provider,
        figures=(
            (f"{count:,}", "session" if count == 1 else "sessions"),
            (f"{sum(day.images for day in days):,}", "pictures"),
            (_spent(days), "in all"),
            (_spent(today), "today (UTC)"),
        ),
        rows=[_row(store, record) for record in store.list_sessions(limit=SESSIONS)],
        more=max(0, count - SESSIONS),
        pictures=[_picture(store, *found) for found in store.list_images(latest)],
    )


def _spent(tallies: tuple[CostTotals, ...] | list[CostTotals]) -> str:
    amount = format_usd(sum(totals.cost for totals in tallies))
    return f"{amount} or more" if any(totals.uncertain for totals in tallies) else amount


def _row(store: Store, record: SessionRecord) -> dict[str, Any]:
    turns = tuple(store.tree(record).turns.values())
    images = [image for turn in turns for image in turn.images]
    return {
        "image": address(images[-1], store.read, _TINY) if images else None,
        "title": formatting.shortened(record.name or record.description, 60) or "Untitled session",
        "about": formatting.shortened(record.description, 80) if record.name else "",
        "counts": formatting.pluralize(len(images), "picture"),
        "price": formatting.total_price(turns),
        "day": formatting.day(store.activity(record)),
        "closed": record.closed is not None,
    }


def _picture(store: Store, turn: Turn, position: int) -> dict[str, Any]:
    image = turn.images[position]
    return {
        "image": address(image, store.read, _SMALL),
        "prompt": formatting.shortened(formatting.display_prompt(turn), 200),
        "facts": formatting.size_of(image),
    }
