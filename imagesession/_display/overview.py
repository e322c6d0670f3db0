"""
An overview of a library: its latest sessions and images, and its costs.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from imagesession._domain.cost import format_usd
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._engine.store import Store

from . import formatting
from .filmstrip import thumbnail_url
from .templates import render

MAX_SESSIONS = 8
"""The most sessions that are shown, the latest first."""
MAX_IMAGES = 12
"""The most images that are shown, the latest first."""
_TILE_SIZE, _ROW_SIZE = (192, 192), (96, 96)


def page(store: Store, folder: str, provider: str) -> str:
    days = store.images.spending(SpendingQuery())
    today = [day for day in days if day.group == dt.datetime.now(dt.UTC).date().isoformat()]
    count = store.sessions.count()
    latest = ImageQuery(limit=MAX_IMAGES)
    return render(
        "overview.html",
        folder=formatting.sanitize_text(folder),
        provider=provider,
        figures=(
            (f"{count:,}", "session" if count == 1 else "sessions"),
            (f"{sum(day.images for day in days):,}", "images"),
            (_format_spending(days), "in all"),
            (_format_spending(today), "today (UTC)"),
        ),
        rows=[_session_row(store, record) for record in store.sessions.list(limit=MAX_SESSIONS)],
        more=max(0, count - MAX_SESSIONS),
        images=[_image_tile(store, *entry) for entry in store.images.list(latest)],
    )


def _format_spending(totals_list: tuple[CostTotals, ...] | list[CostTotals]) -> str:
    amount = format_usd(sum(totals.cost for totals in totals_list))
    return f"{amount} or more" if any(totals.uncertain for totals in totals_list) else amount


def _session_row(store: Store, record: SessionRecord) -> dict[str, Any]:
    turns = tuple(store.sessions.tree(record).turns.values())
    images = [image for turn in turns for image in turn.images]
    return {
        "image": thumbnail_url(images[-1], store.images.read, _ROW_SIZE) if images else None,
        "title": formatting.format_title(record, 60),
        "about": formatting.shorten(record.description, 80) if record.name else "",
        "counts": formatting.pluralize(len(images), "image"),
        "price": formatting.format_total_price(turns),
        "day": formatting.format_day(store.sessions.activity(record)),
        "closed": record.closed is not None,
    }


def _image_tile(store: Store, turn: Turn, position: int) -> dict[str, Any]:
    image = turn.images[position]
    return {
        "image": thumbnail_url(image, store.images.read, _TILE_SIZE),
        "prompt": formatting.shorten(formatting.display_prompt(turn), 200),
        "facts": formatting.format_size(image),
    }
