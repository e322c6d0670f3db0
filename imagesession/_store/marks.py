"""
Marks in a library: stars, tags, and what is deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from imagesession._domain.marks import UNMARKED, Mark, Marks
from imagesession.errors import StorageError

from . import codec
from .batches import BatchStore
from .ports import Key
from .records import read_marks
from .sessions import SessionStore
from .view import StorePart, View


class MarkStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._sessions = SessionStore(view)
        self._batches = BatchStore(view)

    def of(self, owner: str) -> Marks:
        return read_marks(self.facts, owner)

    def all(self) -> dict[str, Marks]:
        found: dict[str, Marks] = {}
        for key in self.facts.scan("marks"):
            with contextlib.suppress(StorageError):
                found[key.id] = self.of(key.id)
        if self.owner is None:
            return found
        turns = self.index.sessions_of(found)
        return {
            marked: marks
            for marked, marks in found.items()
            if marked in turns or self._sessions.read(marked) or self._batches.read(marked)
        }

    def change(self, owner: str, ids: Iterable[str], change: Callable[[Mark], Mark]) -> None:
        """
        Change marks of one owner durably, all at once and without interference by other programs.
        """
        with self.facts.transaction(f"marks {owner}"):
            known = self.of(owner)
            changed = {item: change(known.get(item, UNMARKED)) for item in ids}
            marks = {item: mark for item, mark in {**known, **changed}.items() if mark != UNMARKED}
            if marks == known:
                return
            if marks:
                self.facts.replace(Key("marks", owner), codec.dump_marks(marks))
            else:
                self.facts.drop(Key("marks", owner))
