"""
Marks in a library: stars, tags, and what is deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from imagesession._domain.marks import UNMARKED, Mark, Marks
from imagesession.errors import StorageError

from . import codec
from .ports import Key
from .records import StorePart, read_marks


class MarkStore(StorePart):
    """
    The part of a library that stores marks.
    """

    def marks(self, owner: str) -> Marks:
        return read_marks(self.facts, owner)

    def all_marks(self) -> dict[str, Marks]:
        found: dict[str, Marks] = {}
        for key in self.facts.scan("marks"):
            with contextlib.suppress(StorageError):
                found[key.id] = self.marks(key.id)
        return found

    def change_marks(self, owner: str, ids: Iterable[str], change: Callable[[Mark], Mark]) -> None:
        """
        Change marks of one owner durably, all at once and without interference by other programs.

        Args:
            owner: The session, the batch, or the turn of a standalone image.
            ids: What is marked: images, turns without images, or the owner itself.
            change: Returns the new mark.
        """
        with self.facts.transaction(f"marks {owner}"):
            known = self.marks(owner)
            changed = {item: change(known.get(item, UNMARKED)) for item in ids}
            marks = {item: mark for item, mark in {**known, **changed}.items() if mark != UNMARKED}
            if marks == known:
                return
            if marks:
                self.facts.replace(Key("marks", owner), codec.dump_marks(marks))
            else:
                self.facts.drop(Key("marks", owner))
