"""
Check a library: its folder, records, index and pictures, and what is not settled. Nothing is
changed, and nothing is deleted.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from imagesession._domain.health import Health, HealthCheck
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import ImageRecord, Turn
from imagesession.errors import StorageError

from . import codec, session_index_schema
from .atomic_write import write_temp
from .ids import is_id
from .index import INDEX_VERSION, Index
from .journal import Journal
from .layout import STANDALONE, Layout
from .safe_open import open_within

_MB = 1_000_000
_FEW_MB = 1000
_NAMED = 5
_OLD_SCRATCH = dt.timedelta(hours=1)
_OTHERS = 0o077

Finding: TypeAlias = tuple[Health, str, str]
"""A state, what was found, and what to do about it."""


def run_checks(
    layout: Layout,
    index: Index,
    journal: Journal,
    pending: Callable[[], tuple[PendingRequest, ...]],
    *,
    verify: bool,
    least_free: int,
) -> tuple[HealthCheck, ...]:
    """
    Check all of a library.

    Args:
        layout: Its folders.
        index: Its index, which has caught up with the journal.
        journal: Its journal.
        pending: Lists the requests that are not settled.
        verify: Whether to read every picture and compare it with its record.
        least_free: How many bytes have to be free for a picture to be requested.
    """
    known = _Records()
    checks: dict[str, Callable[[], Finding]] = {
        "library": lambda: _check_writable(layout),
        "disk": lambda: _check_room(layout, least_free),
        "permissions": lambda: _check_permissions(layout),
        "format": lambda: _check_format(layout),
        "records": lambda: known.read(layout),
        "index": lambda: _check_index(layout, index, journal, set(known.turns)),
        "pictures": lambda: _check_pictures(layout, known.turns, verify=verify),
        "requests": lambda: _check_requests(layout, journal, pending()),
        "replies": lambda: _check_replies(layout),
        "scratch": lambda: _check_scratch(layout),
    }
    return tuple(_run(name, check) for name, check in checks.items())


def _run(name: str, check: Callable[[], Finding]) -> HealthCheck:
    """
    Run one check; that it fails is a finding too.
    """
    try:
        state, message, remedy = check()
    except (StorageError, OSError, sqlite3.Error) as error:
        state, message = "problem", f"it cannot be looked at: {error}"
        remedy = "Check the library's folder and its permissions."
    return HealthCheck(name=name, state=state, message=message, remedy=remedy)


def _ok(message: str) -> Finding:
    return "ok", message, ""


# --- the folder -------------------------------------------------------------------------------


def _check_writable(layout: Layout) -> Finding:
    with write_temp(b"probe", layout.tmp):
        return _ok(f"{layout.root} can be written.")


def _check_room(layout: Layout, least: int) -> Finding:
    free = shutil.disk_usage(layout.root).free
    message = f"{free / _MB:,.0f} MB are free."
    if free >= _FEW_MB * _MB:
        return _ok(message)
    remedy = f"Make room; below {least / _MB:.0f} MB no picture is asked for."
    return "problem" if free < least else "warning", message, remedy


def _check_permissions(layout: Layout) -> Finding:
    if sys.platform == "win32" or not layout.root.stat().st_mode & _OTHERS:
        return _ok("the folder is for you alone.")
    folders = (layout.inner, *(path for path in layout.root.iterdir() if path.is_dir()))
    opened = sorted({folder.name for folder in folders if folder.stat().st_mode & _OTHERS})
    within = f", and so are {_some(opened)} in it" if opened else ""
    message = f"{layout.root} is open to other users of this machine{within}."
    return "warning", message, f"If that is not wanted: chmod -R go= '{layout.root}'"


def _check_format(layout: Layout) -> Finding:
    try:
        version = int(json.loads(layout.format.read_bytes())["format"])
    except (ValueError, LookupError, TypeError):
        remedy = "Put it back from a backup; the next release reads it to know the library."
        return "problem", f"{layout.format} is damaged.", remedy
    return _ok(f"the library is of format {version}.")


# --- records, index, pictures -----------------------------------------------------------------


@attrs.define
class _Records:
    """
    What the records of a library hold, once they are read.
    """

    turns: dict[str, Turn] = attrs.field(factory=dict[str, Turn])
    damaged: list[str] = attrs.field(factory=list[str])
    orphans: list[str] = attrs.field(factory=list[str])

    def read(self, layout: Layout) -> Finding:
        """
        Read all records.
        """
        sessions = sorted(layout.sessions.glob("*.json"))
        for file in sessions:
            with self._reading(file):
                codec.read_session(file.read_bytes(), str(file))
        for folder in sorted(layout.turns.iterdir()):
            self._read_turns(folder, layout)
        counts = f"sessions: {len(sessions):,}, turns: {len(self.turns):,}"
        if self.damaged:
            message = f"{counts}; {len(self.damaged)} records are damaged: {_some(self.damaged)}."
            remedy = f"Put them back from a backup of {layout.inner}."
            return "problem", message, f"{remedy} Their pictures are still in their folders."
        if self.orphans:
            message = f"{counts}; turns have lost their session: {_some(self.orphans)}."
            remedy = "Import the session's export again, or put its record back from a backup of "
            return "warning", message, f"{remedy}{layout.sessions}."
        return _ok(f"{counts}.")

    def _read_turns(self, folder: Path, layout: Layout) -> None:
        files = sorted(folder.glob("*.json"))
        if files and folder.name != STANDALONE and not layout.session_file(folder.name).exists():
            self.orphans.append(folder.name)
        for file in files:
            with self._reading(file):
                turn = codec.read_turn(file.read_bytes(), str(file))
                self.turns[turn.id] = turn

    @contextlib.contextmanager
    def _reading(self, file: Path) -> Generator[None]:
        try:
            yield
        except (StorageError, OSError):
            self.damaged.append(f"{file.parent.name}/{file.name}")


def _check_index(layout: Layout, index: Index, journal: Journal, known: set[str]) -> Finding:
    """
    Compare the index with the records. The journal is read in between: what is settled meanwhile
    is in there until the index has it.
    """
    waiting = {entry.turn_id for entry in journal.entries()}
    with index.locked() as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        rows = dict(connection.execute("SELECT id, session FROM turns").fetchall())
        sessions = session_index_schema.files(connection).keys()
        kept = {file.stem for file in layout.sessions.glob("*.json") if is_id(file.stem)}
    absent = known - rows.keys() - waiting
    beyond = [
        turn
        for turn, session in rows.items()
        if turn not in known and not layout.turn_file(session, turn).exists()
    ]
    beyond += sessions - kept
    if verdict == "ok" and not absent and not beyond and not kept - sessions:
        known_all = f"it knows all {len(rows):,} turns and {len(kept):,} sessions"
        return _ok(f"{known_all} (version {INDEX_VERSION}).")
    damage = "" if verdict == "ok" else f" It is damaged: {verdict}."
    message = (
        f"it lacks {len(absent):,} turns and {len(kept - sessions):,} sessions that there are, and "
        f"has {len(beyond):,} that there are not.{damage}"
    )
    return "problem", message, f"Delete {index.path}: it is made anew from the records."


def _check_pictures(layout: Layout, turns: dict[str, Turn], *, verify: bool) -> Finding:
    states: dict[str, list[str]] = {}
    for image in (image for turn in turns.values() for image in turn.images):
        states.setdefault(_picture(layout, image, verify=verify), []).append(image.file)
    whole = len(states.pop("whole", []))
    if not states:
        return _ok(f"all {whole:,} {'are as they came' if verify else 'are there'}.")
    reported = (
        f"{len(files):,} {state}: {_some(files)}" for state, files in sorted(states.items())
    )
    remedy = f"Put them back under these names in {layout.root}, from a backup."
    return "problem", f"{whole:,} are well; {'; '.join(reported)}.", remedy


def _picture(layout: Layout, image: ImageRecord, *, verify: bool) -> str:
    """
    Return how a picture's file is: "whole", "missing", "damaged" or "unreadable".
    """
    try:
        with open_within(layout.root, image.file) as descriptor:
            whole = os.fstat(descriptor).st_size == image.bytes and (
                not verify or _digest(descriptor) == image.sha256
            )
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    return "whole" if whole else "damaged"


def _digest(descriptor: int) -> str:
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- what is not settled ----------------------------------------------------------------------


def _check_requests(
    layout: Layout, journal: Journal, pending: tuple[PendingRequest, ...]
) -> Finding:
    """
    Count what running programs are at, and what no program is at any more.
    """
    damaged = _unreadable_entries(layout, journal, {item.turn.id for item in pending})
    running = sum(item.running for item in pending)
    waiting = sum(item.turn.batch is not None for item in pending)
    left = [item for item in pending if not item.running and item.turn.batch is None]
    parts = [
        f"running programs are at {running}" if running else "",
        f"{waiting} wait for their batches" if waiting else "",
        _interrupted(left) if left else "",
        f"{len(damaged)} cannot be read: {_some(damaged)}" if damaged else "",
    ]
    message = "; ".join(filter(None, parts)) + "." if any(parts) else "all are settled."
    if not left and not damaged:
        return _ok(message)
    remedy = (
        "They may have been carried out and billed, and are never sent again by themselves; a "
        "budget counts what was set aside for them. studio.recover() looks up those with an id, "
        "which is free, and settles the others as unknown."
    )
    return "warning", message, remedy


def _unreadable_entries(layout: Layout, journal: Journal, known: set[str]) -> list[str]:
    """
    Return the files of the journal that are neither settled nor pending.
    """
    found: list[str] = []
    for entry in journal.entries():
        file = layout.journal_file(entry.turn_id, entry.session_id)
        settled = layout.turn_file(entry.session_id, entry.turn_id).exists() or not file.exists()
        if entry.turn_id not in known and not settled:
            found.append(file.name)
    return found


def _interrupted(left: list[PendingRequest]) -> str:
    now = dt.datetime.now(dt.UTC)
    ages = [now - pending.turn.started for pending in left]
    ids = [pending.response_id for pending in left if pending.response_id is not None]
    span = _ago(max(ages)) if len(ages) == 1 else f"{_ago(min(ages))} to {_ago(max(ages))}"
    kept = f"the provider's ids of {len(ids)} are kept ({_some(ids)})" if ids else "no id is known"
    return f"{len(left)} interrupted, begun {span} ago; {kept}"


def _check_replies(layout: Layout) -> Finding:
    names = sorted(file.name for file in layout.quarantine.iterdir())
    if not names:
        return _ok("none had to be put aside.")
    message = f"{len(names)} were paid for and could not be read: {_some(names)}."
    remedy = f"Their bytes are in {layout.quarantine}; the pictures in them may be saved by hand."
    return "warning", message, remedy


def _check_scratch(layout: Layout) -> Finding:
    now, old = dt.datetime.now(dt.UTC).timestamp(), 0
    for file in layout.tmp.iterdir():
        with contextlib.suppress(FileNotFoundError):
            old += now - file.stat().st_mtime > _OLD_SCRATCH.total_seconds()
    if not old:
        return _ok("no unfinished files are left.")
    message = f"{old} unfinished files are left of processes that ended."
    return "warning", message, "They are removed when a studio is opened next."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _ago(age: dt.timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(seconds)} seconds"
