"""
The journal: what was asked and is not settled yet, written down before it is paid for.
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

_OLD_SECONDS = 3600.0


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


@attrs.frozen(kw_only=True)
class Intent:
    """
    All that the journal says of an intent.

    Attributes:
        turn: What was asked.
        owner: The library that is at it; None once it was let go of.
        response_id: The provider's id, if it became known.
        staged: The pictures that are on the disk already.
    """

    turn: Turn
    owner: str | None
    response_id: str | None
    staged: tuple[ImageRecord, ...] = ()


@attrs.frozen
class Journal:
    """
    A folder with a file for each intent; the first line is the turn, later ones what became known.
    """

    layout: Layout

    def append_intent(self, turn: Turn, owner: str) -> None:
        """
        Write an intent down; it is on the disk when this returns, and not there when this fails.

        Args:
            turn: What is about to be asked.
            owner: The library that asks, so that its intents can be told from a dead one's.
        """
        line = {"owner": owner, "turn": codec.turn_to_dict(turn)}
        file = self.layout.journal_file(turn.id, turn.session)
        try:
            append_line(file, json.dumps(line).encode(), new=True)
        except FileExistsError:
            raise
        except OSError:
            # Nothing is asked for then, so nobody should look for what came of it.
            with contextlib.suppress(OSError):
                file.unlink()
            raise

    def intend_all(self, turns: Iterable[Turn]) -> None:
        """
        Write many intents down, which nobody is at by himself: all of them, or none.
        """
        lines = {
            self.layout.journal_file(turn.id, turn.session): json.dumps(
                {"owner": None, "turn": codec.turn_to_dict(turn)}
            ).encode()
            for turn in turns
        }
        write_lines(lines)

    def claim(self, turn: Turn, owner: str | None) -> None:
        """
        Write down who is at an intent from now on; None when nobody is.
        """
        line = json.dumps({"owner": owner}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def append_response_id(self, turn: Turn, response_id: str) -> None:
        """
        Add the provider's id to an intent.
        """
        line = json.dumps({"response_id": response_id}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def stage(self, turn: Turn, images: Iterable[ImageRecord]) -> None:
        """
        Write down which pictures of an intent are on the disk already.
        """
        line = json.dumps({"staged": [attrs.asdict(image) for image in images]}).encode()
        append_line(self.layout.journal_file(turn.id, turn.session), line, new=False)

    def append_conversation(self, turn: Turn, conversation: str | None) -> None:
        """
        Write down that a turn is asked in another conversation than was intended.
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
        Return what the journal says of an intent; None if its file is gone or damaged. A last
        line that was cut short by a power cut counts for nothing.
        """
        file = self.layout.journal_file(entry.turn_id, entry.session_id)
        known: dict[str, Any] = {}
        try:
            for line in file.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    known.update(json.loads(line))
            asked = {**known["turn"], **_moved(known)}
            turn = codec.read_turn(json.dumps(asked).encode(), str(file))
            staged = codec.read_images(known, str(file))
        except (OSError, StorageError, LookupError, TypeError):
            return None
        owner, response_id = known.get("owner"), known.get("response_id")
        return Intent(
            turn=turn,
            owner=owner if isinstance(owner, str) else None,
            response_id=response_id if isinstance(response_id, str) else None,
            staged=staged,
        )

    def remove_stale(self) -> None:
        """
        Remove intents that were still being written down when their program died, an hour ago or
        more. Nothing is asked for before an intent is whole.
        """
        for entry in self.entries():
            file = self.layout.journal_file(entry.turn_id, entry.session_id)
            with contextlib.suppress(OSError):
                old = time.time() - file.stat().st_mtime > _OLD_SECONDS
                if old and b"\n" not in file.read_bytes():
                    file.unlink()

    def entries(self) -> Iterator[Entry]:
        """
        Yield what is in the journal, without opening it.
        """
        for name in sorted(os.listdir(self.layout.journal)):  # noqa: PTH208 - names will do
            turn_id, _, rest = name.partition(".")
            session, _, suffix = rest.partition(".")
            if suffix == "jsonl":
                yield Entry(turn_id=turn_id, session_id=None if session == STANDALONE else session)


def _moved(known: dict[str, Any]) -> dict[str, Any]:
    return {"conversation": known["conversation"]} if "conversation" in known else {}
