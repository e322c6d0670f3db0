"""
The journal: what was asked and is not settled yet, written down before it is paid for.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator

import attrs

from imagesession._model.turns import Turn

from . import records
from .durable import append_line
from .layout import Layout


@attrs.frozen(kw_only=True)
class Intent:
    """
    One entry of the journal.

    Attributes:
        turn: What was asked.
        response_id: The provider's id, if it was known.
    """

    turn: Turn
    response_id: str | None = None


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
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        line = {"owner": owner, "turn": records.plain_turn(turn)}
        append_line(self.layout.journal_file(turn.id), json.dumps(line).encode(), new=True)

    def note(self, turn_id: str, response_id: str) -> None:
        """
        Add the provider's id to an intent.
        """
        line = json.dumps({"response_id": response_id}).encode()
        append_line(self.layout.journal_file(turn_id), line, new=False)

    def drop(self, turn_id: str) -> None:
        """
        Remove an intent that is settled.
        """
        self.layout.journal_file(turn_id).unlink(missing_ok=True)

    def count(self) -> int:
        """
        Return how many intents there are.
        """
        return len(os.listdir(self.layout.journal))  # noqa: PTH208 - names will do

    def entries(self) -> Iterator[Intent]:
        """
        Yield the intents that are not settled. A file that was cut while it was being made is
        passed over: nothing was sent for it.
        """
        for file in sorted(self.layout.journal.glob("*.jsonl")):
            with contextlib.suppress(FileNotFoundError):
                intent = _read_intent(file.read_bytes(), str(file))
                if intent is not None:
                    yield intent


def _read_intent(data: bytes, where: str) -> Intent | None:
    # A line without its end was being written when the process died.
    lines = [json.loads(line) for line in data.split(b"\n")[:-1]]
    if not lines:
        return None
    turn = records.read_turn(json.dumps(lines[0]["turn"]).encode(), where)
    ids = [line["response_id"] for line in lines[1:]]
    return Intent(turn=turn, response_id=ids[-1] if ids else None)
