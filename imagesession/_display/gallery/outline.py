"""
What a library holds, without reading the records of its turns.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import attrs

from imagesession._domain.marks import Marks, without_deleted
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord
from imagesession._engine.image_queries import ImageQuery
from imagesession._engine.store import Store
from imagesession._store.ids import timestamp_of
from imagesession.errors import NotFoundError

_UNLIMITED = 2**62


@attrs.frozen(kw_only=True)
class Outline:
    """
    A session, or some of the standalone images, which have no record.

    Attributes:
        has_record: Whether the session's record exists, and not only turns that refer to it.
        turns: The ids of its turns, the oldest first.
        images: The ids of the turn and of the image, of each of its images that is not deleted.
        board: The images of its reference board by their roles, as far as the library has them.
    """

    record: SessionRecord | None
    has_record: bool = True
    turns: tuple[str, ...]
    images: tuple[tuple[str, str], ...]
    marks: Marks
    board: tuple[tuple[str, ImageRecord], ...] = ()


View: TypeAlias = tuple[Outline, Tree]
"""An outline with its turns."""


def of_session(store: Store, session_id: str) -> Outline:
    record = store.sessions.find(session_id)
    located = store.images.locate(ImageQuery(session=record.id, limit=_UNLIMITED))
    pairs = [(turn, image) for _, turn, image in located]
    return _of_record(store, record, pairs, store.marks.of(record.id))


def of_library(store: Store) -> Iterator[Outline]:
    """
    Yield the outlines of all sessions, the latest first, then those of sessions whose record is
    lost, and of the standalone images.
    """
    located: defaultdict[str | None, list[tuple[str, str]]] = defaultdict(list)
    for session, turn, image in store.images.locate(ImageQuery(limit=_UNLIMITED)):
        located[session].append((turn, image))
    marks = store.marks.all()
    for record in store.sessions.list():
        pairs = located.pop(record.id, [])
        yield _of_record(store, record, pairs, marks.get(record.id, {}))
    for session, pairs in located.items():
        turns = tuple(sorted({turn for turn, _ in pairs}))
        owners = turns
        lost: SessionRecord | None = None
        if session is not None:
            owners = (session,)
            lost = SessionRecord(id=session, description="", created=timestamp_of(turns[0]))
        yield Outline(
            record=lost,
            has_record=False,
            turns=turns,
            images=tuple(pairs),
            marks={key: mark for owner in owners for key, mark in marks.get(owner, {}).items()},
        )


def _of_record(
    store: Store, record: SessionRecord, images: Iterable[tuple[str, str]], marks: Marks
) -> Outline:
    return Outline(
        record=record,
        turns=store.images.turn_ids(record.id),
        images=tuple(images),
        marks=marks,
        board=tuple(_board(store, record)),
    )


def _board(store: Store, record: SessionRecord) -> Iterator[tuple[str, ImageRecord]]:
    for reference in record.references:
        with contextlib.suppress(NotFoundError):
            turn, position = store.images.find(reference.image_id or "")
            yield reference.role, turn.images[position]


def read(store: Store, outlines: Iterable[Outline]) -> Iterator[View]:
    for outline in outlines:
        record = outline.record
        turns = store.images.read_turns(record.id if record else None, outline.turns)
        tree = Tree(moves=record.moves if record else {}).with_turn(
            without_deleted(turn, outline.marks) for turn in turns
        )
        yield outline, tree
