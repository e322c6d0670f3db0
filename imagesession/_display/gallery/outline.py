"""
What a library holds, without reading the records of its turns.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

import attrs

from imagesession._domain.marks import Marks, without_deleted
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord
from imagesession._engine.image_store import ImageQuery
from imagesession._engine.store import Store
from imagesession._store.ids import timestamp_of
from imagesession.errors import NotFoundError

from .payload import SessionView

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


def of_session(store: Store, session_id: str) -> tuple[Outline, ...]:
    record = store.sessions.find(session_id)
    located = store.images.locate(ImageQuery(session=record.id, limit=_UNLIMITED))
    return (
        Outline(
            record=record,
            turns=store.images.turn_ids(record.id),
            images=tuple((turn, image) for _, turn, image in located),
            marks=store.marks.of(record.id),
            board=tuple(_board(store, record)),
        ),
    )


def of_library(store: Store) -> tuple[Outline, ...]:
    """
    Return the outlines of all sessions, the latest first, then those of sessions whose record is
    lost, and of the standalone images.
    """
    return tuple(_outlines(store))


def _outlines(store: Store) -> Iterator[Outline]:
    located: defaultdict[str | None, list[tuple[str, str]]] = defaultdict(list)
    for session, turn, image in store.images.locate(ImageQuery(limit=_UNLIMITED)):
        located[session].append((turn, image))
    marks = store.marks.all()
    for record in store.sessions.list():
        yield Outline(
            record=record,
            turns=store.images.turn_ids(record.id),
            images=tuple(located.pop(record.id, ())),
            marks=marks.get(record.id, {}),
            board=tuple(_board(store, record)),
        )
    for session, pairs in located.items():
        turns = tuple(sorted({turn for turn, _ in pairs}))
        owners = turns if session is None else (session,)
        yield Outline(
            record=None if session is None else _placeholder_record(session, turns[0]),
            has_record=False,
            turns=turns,
            images=tuple(pairs),
            marks={key: mark for owner in owners for key, mark in marks.get(owner, {}).items()},
        )


def _board(store: Store, record: SessionRecord) -> Iterator[tuple[str, ImageRecord]]:
    for reference in record.references:
        with contextlib.suppress(NotFoundError):
            turn, position = store.images.find(reference.image_id or "")
            yield reference.role, turn.images[position]


def _placeholder_record(session_id: str, first: str) -> SessionRecord:
    return SessionRecord(id=session_id, description="", created=timestamp_of(first))


def read(store: Store, outlines: Iterable[Outline]) -> Iterator[SessionView]:
    for outline in outlines:
        record = outline.record
        turns = store.images.read_turns(record.id if record else None, outline.turns)
        tree = Tree(moves=record.moves if record else {}).with_turn(
            without_deleted(turn, outline.marks) for turn in turns
        )
        yield SessionView(
            record=record,
            tree=tree,
            marks=outline.marks,
            board=outline.board,
            has_record=outline.has_record,
        )
