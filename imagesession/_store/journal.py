"""
The journal: intents that are not settled yet, written before anything is paid for.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from imagesession._domain.turn import ImageRecord, Turn
from imagesession.errors import StorageError

from . import codec
from .atomic_write import append_line, write_lines
from .layout import STANDALONE, Layout

_STALE_SECONDS = 3600.0


@attrs.frozen(kw_only=True)
class Entry:
    """
    An intent in the journal, as its file's name tells it.

    Attributes:
        turn_id: The turn's id.
        session_id: Its session's id; None for a standalone image.
    """

    turn_id: str
    session_id: str | None


@attrs.frozen(kw_only=True)
class Intent:
    """
    The content of an intent.

    Attributes:
        turn: The pending turn.
        owner: The name of the library that works on it; None once it was released.
        response_id: The provider's id, if it is known.
        staged: The staged images.
    """

    turn: Turn
    owner: str | None
    response_id: str | None
    staged: tuple[ImageRecord, ...] = ()


@attrs.frozen
class Journal:
    """
    A folder with a file for each intent: the first line is the turn, later lines are updates.
    """

    layout: Layout

    def append_intent(self, turn: Turn, owner: str) -> None:
        """
        Write an intent durably; if this fails, nothing is left.

        Args:
            turn: The turn that is about to be requested.
            owner: The name of the requesting library, which tells whether it is still alive.
        """
        line = {"owner": owner, "turn": codec.turn_to_dict(turn)}
        file = self.layout.journal_file(turn.id, turn.session)
        try:
            append_line(file, json.dumps(line).encode(), new=True)
        except FileExistsError:
            raise
        except OSError:
            # Nothing is sent then, so there must be no intent to reconcile.
            with contextlib.suppress(OSError):
                file.unlink()
            raise

    def append_intents(self, turns: Iterable[Turn]) -> None:
        """
        Write the intents of a batch durably, without owners: all of them, or none.
        """
        lines = {
            self.layout.journal_file(turn.id, turn.session): json.dumps(
                {"owner": None, "turn": codec.turn_to_dict(turn)}
            ).encode()
            for turn in turns
        }
        write_lines(lines)

    def append_owner(self, turn: Turn, owner: str | None) -> None:
        """
        Record the new owner of an intent; None if it is released.
        """
        line = json.dumps({"owner": owner}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def append_response_id(self, turn: Turn, response_id: str) -> None:
        """
        Add the provider's ids of the response and of its request to an intent.
        """
        line = json.dumps({"response_id": response_id, "request_id": turn.request_id}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def append_staged(self, turn: Turn, images: Iterable[ImageRecord]) -> None:
        """
        Record the staged images of an intent.
        """
        line = json.dumps({"staged": [attrs.asdict(image) for image in images]}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def append_conversation(self, turn: Turn, conversation: str | None) -> None:
        """
        Record that a turn is sent in another conversation than was planned.
        """
        line = json.dumps({"conversation": conversation}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def remove(self, turn_id: str, session_id: str | None) -> None:
        """
        Remove an intent that is settled.
        """
        self.layout.journal_file(turn_id, session_id).unlink(missing_ok=True)

    def read(self, entry: Entry) -> Intent | None:
        """
        Read an intent; None if its file is missing or damaged. A line that a power cut left
        unfinished is ignored.
        """
        file = self.layout.journal_file(entry.turn_id, entry.session_id)
        facts: dict[str, Any] = {}
        try:
            for line in file.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    facts.update(json.loads(line))
            turn_facts = {**facts["turn"], **_updated_facts(facts)}
            turn = codec.read_turn(json.dumps(turn_facts).encode(), str(file))
            staged = codec.read_images(facts, str(file))
        except (OSError, StorageError, LookupError, TypeError):
            return None
        owner, response_id = facts.get("owner"), facts.get("response_id")
        return Intent(
            turn=turn,
            owner=owner if isinstance(owner, str) else None,
            response_id=response_id if isinstance(response_id, str) else None,
            staged=staged,
        )

    def remove_stale(self) -> None:
        """
        Remove intents whose first line was not finished, an hour ago or more. Nothing is sent
        before an intent is complete.
        """
        for entry in self.entries():
            file = self.layout.journal_file(entry.turn_id, entry.session_id)
            with contextlib.suppress(OSError):
                old = time.time() - file.stat().st_mtime > _STALE_SECONDS
                if old and b"\n" not in file.read_bytes():
                    file.unlink()

    def entries(self) -> Iterator[Entry]:
        """
        Yield the intents in the journal, without reading their files.
        """
        for name in sorted(os.listdir(self.layout.journal)):  # noqa: PTH208 - names will do
            turn_id, _, remainder = name.partition(".")
            session, _, suffix = remainder.partition(".")
            if suffix == "jsonl":
                yield Entry(turn_id=turn_id, session_id=None if session == STANDALONE else session)


def _updated_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in ("conversation", "request_id") if name in facts}
