"""
Look at a library and the machine that it is on. Nothing is changed, and nothing is deleted.
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
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import attrs

from imagesession._model.checkup import Check
from imagesession._model.reports import Pending
from imagesession._model.turns import ImageRecord, Turn
from imagesession.errors import LibraryError

from . import machine, records, session_rows
from .beneath import open_beneath
from .durable import unnamed
from .ids import is_id
from .index import INDEX_VERSION, Index
from .journal import Entry, Journal
from .layout import ONE_SHOTS, Layout

_MB = 1_000_000
_FEW_MB = 1000
_NAMED = 5
_OLD_SCRATCH = dt.timedelta(hours=1)
_OTHERS = 0o077


@attrs.frozen
class _Found:
    """
    What the records of a library hold.
    """

    turns: dict[str, Turn] = attrs.field(factory=dict[str, Turn])
    damaged: list[str] = attrs.field(factory=list[str])
    orphans: list[str] = attrs.field(factory=list[str])
    sessions: int = 0


def examine(
    layout: Layout,
    index: Index,
    journal: Journal,
    pending: Callable[[], tuple[Pending, ...]],
    *,
    verify: bool,
    least_free: int,
) -> tuple[Check, ...]:
    """
    Look at all of a library.

    Args:
        layout: Its folders.
        index: Its index, which has caught up with the journal.
        journal: Its journal.
        pending: Tells what is not settled.
        verify: Whether to read every picture and compare it with its record.
        least_free: How many bytes have to be free for a picture to be asked for.
    """
    found: list[_Found] = []

    def records_() -> Check:
        found.append(_read_all(layout))
        return _records(found[0], layout)

    def turns() -> Iterable[Turn]:
        return found[0].turns.values() if found else ()

    looks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("library", lambda: _writable(layout)),
        ("disk", lambda: _room(layout, least_free)),
        ("permissions", lambda: _permissions(layout)),
        ("format", lambda: _format(layout)),
        ("records", records_),
        ("index", lambda: _index(layout, index, journal, {turn.id for turn in turns()})),
        ("pictures", lambda: _pictures(layout, turns(), verify=verify)),
        ("requests", lambda: _requests(layout, journal, pending())),
        ("replies", lambda: _replies(layout)),
        ("scratch", lambda: _scratch(layout)),
        ("sqlite", machine.look_at_sqlite),
        ("python", machine.look_at_python),
        ("pillow", lambda: machine.look_at_package("pillow")),
        ("openai", lambda: machine.look_at_package("openai")),
        ("heic", machine.look_at_heic),
    )
    return tuple(_guarded(name, look) for name, look in looks)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """
    Look at one thing; that it cannot be looked at is a finding too.
    """
    try:
        return look()
    except (LibraryError, OSError, sqlite3.Error) as error:
        return Check(
            name=name,
            state="problem",
            message=f"it cannot be looked at: {error}",
            remedy="Check the library's folder and its permissions.",
        )


# --- the folder -------------------------------------------------------------------------------


def _writable(layout: Layout) -> Check:
    with unnamed(b"probe", layout.tmp):
        return Check(name="library", message=f"{layout.root} can be written.")


def _room(layout: Layout, least: int) -> Check:
    free = shutil.disk_usage(layout.root).free
    few = free < _FEW_MB * _MB
    return Check(
        name="disk",
        state="problem" if free < least else "warning" if few else "ok",
        message=f"{free / _MB:,.0f} MB are free.",
        remedy=f"Make room; below {least / _MB:.0f} MB no picture is asked for." if few else "",
    )


def _permissions(layout: Layout) -> Check:
    if sys.platform == "win32" or not layout.root.stat().st_mode & _OTHERS:
        return Check(name="permissions", message="the folder is for you alone.")
    folders = (layout.inner, *(one for one in layout.root.iterdir() if one.is_dir()))
    opened = sorted({one.name for one in folders if one.stat().st_mode & _OTHERS})
    within = f", and so are {_some(opened)} in it" if opened else ""
    return Check(
        name="permissions",
        state="warning",
        message=f"{layout.root} is open to other users of this machine{within}.",
        remedy=f"If that is not wanted: chmod -R go= '{layout.root}'",
    )


def _format(layout: Layout) -> Check:
    try:
        mark = json.loads(layout.format.read_bytes())
        version = int(mark["format"])
    except (ValueError, LookupError, TypeError):
        return Check(
            name="format",
            state="problem",
            message=f"{layout.format} is damaged.",
            remedy="Put it back from a backup; the next release reads it to know the library.",
        )
    return Check(name="format", message=f"the library is of format {version}.")


# --- records, index, pictures -----------------------------------------------------------------


def _read_all(layout: Layout) -> _Found:
    found = _Found(sessions=sum(1 for _ in layout.sessions.glob("*.json")))
    for file in sorted(layout.sessions.glob("*.json")):
        with _noting(file, found.damaged):
            records.read_session(file.read_bytes(), str(file))
    for folder in sorted(layout.turns.iterdir()):
        files = sorted(folder.glob("*.json"))
        if files and folder.name != ONE_SHOTS and not layout.session_file(folder.name).exists():
            found.orphans.append(folder.name)
        for file in files:
            with _noting(file, found.damaged):
                turn = records.read_turn(file.read_bytes(), str(file))
                found.turns[turn.id] = turn
    return found


@contextlib.contextmanager
def _noting(file: Path, damaged: list[str]) -> Generator[None, None, None]:
    try:
        yield
    except (LibraryError, OSError):
        damaged.append(f"{file.parent.name}/{file.name}")


def _records(found: _Found, layout: Layout) -> Check:
    counted = f"sessions: {found.sessions:,}, turns: {len(found.turns):,}"
    if found.damaged:
        return Check(
            name="records",
            state="problem",
            message=f"{counted}; {len(found.damaged)} records are damaged: {_some(found.damaged)}.",
            remedy=f"Put them back from a backup of {layout.inner}. Their pictures are still in "
            "their folders.",
        )
    if found.orphans:
        return Check(
            name="records",
            state="warning",
            message=f"{counted}; turns have lost their session: {_some(found.orphans)}.",
            remedy="Import the session's export again, or put its record back from a backup of "
            f"{layout.sessions}.",
        )
    return Check(name="records", message=f"{counted}.")


def _index(layout: Layout, index: Index, journal: Journal, known: set[str]) -> Check:
    """
    Compare the index with the records. The journal is read in between: what is settled meanwhile
    is in there until the index has it.
    """
    waiting = {entry.turn_id for entry in journal.entries()}
    with index.locked() as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        rows = dict(connection.execute("SELECT id, session FROM turns").fetchall())
        sessions = session_rows.files(connection).keys()
        kept = {file.stem for file in layout.sessions.glob("*.json") if is_id(file.stem)}
    absent = known - rows.keys() - waiting
    beyond = [
        turn
        for turn, session in rows.items()
        if turn not in known and not layout.turn_file(session, turn).exists()
    ]
    beyond += sessions - kept
    if verdict == "ok" and not absent and not beyond and not kept - sessions:
        return Check(
            name="index",
            message=f"it knows all {len(rows):,} turns and {len(kept):,} sessions "
            f"(version {INDEX_VERSION}).",
        )
    damage = "" if verdict == "ok" else f" It is damaged: {verdict}."
    return Check(
        name="index",
        state="problem",
        message=f"it lacks {len(absent):,} turns and {len(kept - sessions):,} sessions that there "
        f"are, and has {len(beyond):,} that there are not.{damage}",
        remedy=f"Delete {index.path}: it is made anew from the records.",
    )


def _pictures(layout: Layout, turns: Iterable[Turn], *, verify: bool) -> Check:
    states: dict[str, list[str]] = {}
    for image in (image for turn in turns for image in turn.images):
        states.setdefault(_picture(layout, image, verify=verify), []).append(image.file)
    whole = len(states.pop("whole", []))
    if not states:
        how = "are as they came" if verify else "are there"
        return Check(name="pictures", message=f"all {whole:,} {how}.")
    told = (f"{len(files):,} {state}: {_some(files)}" for state, files in sorted(states.items()))
    return Check(
        name="pictures",
        state="problem",
        message=f"{whole:,} are well; {'; '.join(told)}.",
        remedy=f"Put them back under these names in {layout.root}, from a backup.",
    )


def _picture(layout: Layout, image: ImageRecord, *, verify: bool) -> str:
    """
    Return how a picture's file is: "whole", "missing", "damaged" or "unreadable".
    """
    try:
        with open_beneath(layout.root, image.file) as descriptor:
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


def _requests(layout: Layout, journal: Journal, pending: tuple[Pending, ...]) -> Check:
    """
    Tell what is not settled: what running programs are at, and what nobody is at any more.
    """
    known = {one.turn.id for one in pending}
    damaged = [
        layout.journal_file(entry.turn_id, entry.session_id).name
        for entry in journal.entries()
        if entry.turn_id not in known and not _is_settled(layout, entry)
    ]
    running = sum(one.running for one in pending)
    waiting = sum(one.turn.batch is not None for one in pending)
    left = [one for one in pending if not one.running and one.turn.batch is None]
    parts = [
        f"running programs are at {running}" if running else "",
        f"{waiting} wait for their batches" if waiting else "",
        _left(left) if left else "",
        f"{len(damaged)} cannot be read: {_some(damaged)}" if damaged else "",
    ]
    return Check(
        name="requests",
        state="warning" if left or damaged else "ok",
        message="; ".join(filter(None, parts)) + "." if any(parts) else "all are settled.",
        remedy="They may have been carried out and billed, and are never sent again by "
        "themselves; a budget counts what was set aside for them. studio.recover() looks up those "
        "with an id, which is free, and settles the others as unknown."
        if left or damaged
        else "",
    )


def _left(left: list[Pending]) -> str:
    now = dt.datetime.now(dt.UTC)
    ages = [now - one.turn.started for one in left]
    ids = [one.response_id for one in left if one.response_id is not None]
    span = _ago(max(ages)) if len(ages) == 1 else f"{_ago(min(ages))} to {_ago(max(ages))}"
    kept = f"the provider's ids of {len(ids)} are kept ({_some(ids)})" if ids else "no id is known"
    return f"{len(left)} interrupted, begun {span} ago; {kept}"


def _is_settled(layout: Layout, entry: Entry) -> bool:
    settled = layout.turn_file(entry.session_id, entry.turn_id)
    return settled.exists() or not layout.journal_file(entry.turn_id, entry.session_id).exists()


def _replies(layout: Layout) -> Check:
    names = sorted(file.name for file in layout.spill.iterdir())
    if not names:
        return Check(name="replies", message="none had to be put aside.")
    return Check(
        name="replies",
        state="warning",
        message=f"{len(names)} were paid for and could not be read: {_some(names)}.",
        remedy=f"Their bytes are in {layout.spill}; the pictures in them may be saved by hand.",
    )


def _scratch(layout: Layout) -> Check:
    now = dt.datetime.now(dt.UTC).timestamp()
    old: list[str] = []
    for file in layout.tmp.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if now - file.stat().st_mtime > _OLD_SCRATCH.total_seconds():
                old.append(file.name)
    return Check(
        name="scratch",
        state="warning" if old else "ok",
        message=f"{len(old)} unfinished files are left of processes that ended."
        if old
        else "no unfinished files are left.",
        remedy="They are removed when a studio is opened next." if old else "",
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _ago(age: dt.timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(seconds)} seconds"
