"""
The journal: what was asked and is not settled yet, written down before it is paid for.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import attrs

from imagesession._model.turns import Turn

from . import records
from .durable import append_line
from .layout import ONE_SHOTS, Layout


@attrs.frozen(kw_only=True)
class Entry:
    """
    An intent in the journal, by what its file's name tells.

    Attributes:
        turn_id: The turn's id.
        session_id: Its session's id; None for a one-shot.
    """

    turn_id: str
    session_id: str | None


@attrs.frozen
class Journal:
    """
    A folder with a file for each intent; the first line is the turn, later ones what became known.
    """

    layout: Layout

    def intend(self, turn: Turn) -> None:
        """
        Write an intent down; it is on the disk when this returns.
        """
        # Who wrote it, so that an intent of a process that lives can be told from a dead one's.
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        line = {"owner": owner, "turn": records.plain_turn(turn)}
        file = self.layout.journal_file(turn.id, turn.session)
        append_line(file, json.dumps(line).encode(), new=True)

    def note(self, turn: Turn, response_id: str) -> None:
        """
        Add the provider's id to an intent.
        """
        line = json.dumps({"response_id": response_id}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def drop(self, turn_id: str, session_id: str | None) -> None:
        """
        Remove an intent that is settled.
        """
        self.layout.journal_file(turn_id, session_id).unlink(missing_ok=True)

    def intent(self, entry: Entry) -> dict[str, Any]:
        """
        Return the facts of a turn as they were written down before it was asked; none if its
        file is gone or damaged.
        """
        try:
            with self.layout.journal_file(entry.turn_id, entry.session_id).open("rb") as file:
                line: dict[str, Any] = json.loads(file.readline())
            facts: dict[str, Any] = line["turn"]
        except (OSError, ValueError, LookupError, TypeError):
            return {}
        return facts

    def entries(self) -> Iterator[Entry]:
        """
        Yield what is in the journal, without opening it.
        """
        for name in sorted(os.listdir(self.layout.journal)):  # noqa: PTH208 - names will do
            turn_id, _, rest = name.partition(".")
            session, _, suffix = rest.partition(".")
            if suffix == "jsonl":
                yield Entry(turn_id=turn_id, session_id=None if session == ONE_SHOTS else session)
