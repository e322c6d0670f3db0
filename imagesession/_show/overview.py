"""
A library at a glance: its latest sessions and pictures, and what was spent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import attrs

from imagesession._model.costs import dollars
from imagesession._model.sessions import SessionRecord
from imagesession._plan.store import ImageQuery, SpendingQuery, Store, Tally

from . import words
from .filmstrip import address
from .templates import render

SESSIONS = 8
"""How many sessions are shown, the latest ones."""
PICTURES = 12
"""How many pictures are shown, the latest ones."""
_SMALL, _TINY = (192, 192), (96, 96)


@attrs.frozen(kw_only=True)
class Row:
    """
    A session as it is shown.

    Attributes:
        image: The address of its latest picture; None where there is none.
        title: Its label, or what it is about.
        about: What it is about, where it has a label too.
        counts: How many pictures it brought.
        price: What it cost.
        day: When something last happened in it.
        closed: Whether it is closed.
    """

    image: str | None
    title: str
    about: str
    counts: str
    price: str
    day: str
    closed: bool


@attrs.frozen(kw_only=True)
class Picture:
    """
    A picture as it is shown.

    Attributes:
        image: Its address; None where it cannot be shown.
        prompt: What was said.
        facts: Its size and format.
    """

    image: str | None
    prompt: str
    facts: str


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
    today = [one for one in days if one.group == dt.datetime.now(dt.UTC).date().isoformat()]
    count = store.count_sessions()
    return render(
        "overview.html",
        folder=words.readable(folder),
        provider=provider,
        figures=(
            (f"{count:,}", "session" if count == 1 else "sessions"),
            (f"{sum(one.images for one in days):,}", "pictures"),
            (_spent(days), "in all"),
            (_spent(today), "today (UTC)"),
        ),
        rows=tuple(_rows(store, store.list_sessions(limit=SESSIONS))),
        more=max(0, count - SESSIONS),
        pictures=tuple(_pictures(store)),
    )


def _spent(tallies: tuple[Tally, ...] | list[Tally]) -> str:
    amount = dollars(sum(one.cost for one in tallies))
    return f"{amount} or more" if any(one.uncertain for one in tallies) else amount


def _rows(store: Store, records: tuple[SessionRecord, ...]) -> Iterator[Row]:
    for record in records:
        turns = tuple(store.tree(record).turns.values())
        images = [image for turn in turns for image in turn.images]
        yield Row(
            image=address(images[-1], store.read, _TINY) if images else None,
            title=words.shortened(record.name or record.description, 60) or "Untitled session",
            about=words.shortened(record.description, 80) if record.name else "",
            counts=words.counted(len(images), "picture"),
            price=words.total_price(turns),
            day=words.day(store.activity(record)),
            closed=record.closed is not None,
        )


def _pictures(store: Store) -> Iterator[Picture]:
    for turn, position in store.list_images(ImageQuery(limit=PICTURES)):
        image = turn.images[position]
        yield Picture(
            image=address(image, store.read, _SMALL),
            prompt=words.shortened(words.said(turn), 200),
            facts=words.size_of(image),
        )
