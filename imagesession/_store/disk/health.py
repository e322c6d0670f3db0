"""
Check a library: its folder, records, index, images and unsettled requests. Nothing is changed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Collection, Generator
from pathlib import Path
from typing import TypeAlias

import attrs

from imagesession._domain.health import Health, HealthCheck
from imagesession._domain.marks import is_deleted
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import ImageRecord, Turn, is_id
from imagesession._domain.wording import list_some
from imagesession._store import codec, sidecar
from imagesession._store.files.atomic_write import translate_os_errors, write_temp
from imagesession._store.files.modes import PRIVATE_FILE, library_mode
from imagesession._store.records import open_intents, turn_key
from imagesession._store.repair import read_descriptions
from imagesession._store.strict_reader import parse_object
from imagesession.errors import StorageError

from . import session_index_schema
from .blobs import MIN_FREE_BYTES, DiskBlobs
from .database import INDEX_VERSION
from .facts import DiskFacts
from .index import DiskIndex
from .layout import STANDALONE, Layout

_MB = 1_000_000
_LOW_MB = 1000
_STALE_AFTER = dt.timedelta(hours=1)
_OTHER_USERS = 0o077
_RESTORE = (
    "studio.doctor(repair=True) brings back what images and the metadata beside them tell; put "
    "the rest back from a backup of {}. Images that are there are kept in any case."
)

Finding: TypeAlias = tuple[Health, str, str]
"""A state, a message and a remedy."""


def run_checks(
    layout: Layout,
    index: DiskIndex,
    pending: Callable[[], tuple[PendingRequest, ...]],
    *,
    verify: bool,
) -> tuple[HealthCheck, ...]:
    """
    Run all checks of a library, whose index is up to date with its journal.
    """
    records = _Records(layout, index, verify)
    checks: dict[str, Callable[[], Finding]] = {
        "library": lambda: _check_writable(layout),
        "disk": lambda: _check_free_space(layout),
        "permissions": lambda: _check_permissions(layout),
        "format": lambda: _check_format(layout),
        "records": records.check,
        "index": lambda: _check_index(layout, index, set(records.turns)),
        "images": lambda: _check_images(layout, records.turns, records.deleted, verify=verify),
        "requests": lambda: _check_requests(layout, index, pending()),
        "replies": lambda: _check_replies(layout),
        "scratch": lambda: _check_scratch(layout),
    }
    return tuple(_run(name, check) for name, check in checks.items())


def _run(name: str, check: Callable[[], Finding]) -> HealthCheck:
    try:
        state, message, remedy = check()
    except (StorageError, OSError, sqlite3.Error) as error:
        state, message = "problem", f"it cannot be checked: {error}"
        remedy = "Check the library's folder and its permissions."
    return HealthCheck(name=name, state=state, message=message, remedy=remedy)


def _ok(message: str) -> Finding:
    return "ok", message, ""


# --- the folder -------------------------------------------------------------------------------


def _check_writable(layout: Layout) -> Finding:
    try:
        with translate_os_errors(layout.root), write_temp(b"probe", layout.tmp):
            return _ok(f"{layout.root} can be written.")
    except StorageError as error:
        remedy = "What is there can be listed and read; nothing new can be made."
        return "problem", error.message, remedy


def _check_free_space(layout: Layout) -> Finding:
    free = shutil.disk_usage(layout.root).free
    message = f"{free / _MB:,.0f} MB are free."
    if free >= _LOW_MB * _MB:
        return _ok(message)
    remedy = f"Make room; below {MIN_FREE_BYTES / _MB:.0f} MB no image is requested."
    return "problem" if free < MIN_FREE_BYTES else "warning", message, remedy


def _check_permissions(layout: Layout) -> Finding:
    wanted = layout.folder_mode
    others = _OTHER_USERS & ~wanted
    if sys.platform == "win32" or not layout.root.stat().st_mode & others:
        mode = library_mode(str(layout.root))
        alone = mode == PRIVATE_FILE
        return _ok("the folder is for you alone." if alone else f"files have the mode {mode:#o}.")
    folders = (path for path in layout.root.iterdir() if path.is_dir())
    shared = sorted({folder.name for folder in folders if folder.stat().st_mode & others})
    within = f", and so are {list_some(shared)} in it" if shared else ""
    message = f"{layout.root} is open to other users of this machine{within}."
    return "warning", message, f"If that is not wanted: chmod -R go= '{layout.root}'"


def _check_format(layout: Layout) -> Finding:
    try:
        version = int(parse_object(layout.format.read_bytes())["format"])
    except (ValueError, LookupError, TypeError, OverflowError):
        remedy = "Put it back from a backup; the next release reads it to know the library."
        return "problem", f"{layout.format} is damaged.", remedy
    return _ok(f"the library is of format {version}.")


# --- records, index, images -----------------------------------------------------------------


@attrs.define
class _Records:
    layout: Layout
    index: DiskIndex
    verify: bool
    turns: dict[str, Turn] = attrs.field(factory=dict[str, Turn])
    damaged: list[str] = attrs.field(factory=list[str])
    orphans: list[str] = attrs.field(factory=list[str])
    deleted: set[str] = attrs.field(factory=set[str])

    def check(self) -> Finding:
        blobs, facts = DiskBlobs(self.layout), DiskFacts(self.layout, self.index)
        # Images, then intents, then records: so what is settled meanwhile is not missed.
        files = tuple(blobs.keys())
        pending = [intent.turn for _, intent in open_intents(facts)]
        counts = self._read()
        recorded = {image.file for turn in self.turns.values() for image in turn.images}
        described = read_descriptions(blobs, (file for file in files if file not in recorded))
        lost = [turn.id for turn in described.turns if not facts.has(turn_key(turn))]
        unknown = [
            file
            for file in described.unknown
            if not any(self.layout.may_be_of(file, turn) for turn in pending)
        ]
        parents = {turn.parent for turn in self.turns.values() if turn.parent is not None}
        changed = self._differing(blobs) if self.verify else []
        findings = (
            (self.damaged, "{} records are damaged: {}"),
            (changed, "{} records differ from the metadata beside their images: {}"),
            (lost, "{} records are missing, whose images are there: {}"),
            (sorted(parents - self.turns.keys()), "{} turns are missing that others continue: {}"),
            (self.orphans, "{} sessions have turns and no record: {}"),
            (unknown, "{} images are in no record: {}"),
        )
        parts = [text.format(len(names), list_some(names)) for names, text in findings if names]
        if not parts:
            return _ok(f"{counts}.")
        state: Health = "problem" if self.damaged or lost or changed else "warning"
        return state, f"{counts}; {'; '.join(parts)}.", _RESTORE.format(self.layout.inner)

    def _differing(self, blobs: DiskBlobs) -> list[str]:
        """
        Return the turns of which the metadata beside an image says other than their records: one of
        them was changed, and is no less valid for that.
        """
        return [
            turn.id
            for turn in self.turns.values()
            for position, image in enumerate(turn.images)
            if sidecar.contradicts(blobs.annotation(image.file) or {}, turn, position)
        ]

    def _read(self) -> str:
        sessions = sorted(self.layout.sessions.glob("*.json"))
        for file in sessions:
            with self._noting_damage(file):
                codec.read_session(file.read_bytes(), str(file))
        for file in sorted(self.layout.sessions.glob("*.marks")):
            with self._noting_damage(file):
                marks = codec.read_marks(file.read_bytes(), str(file))
                self.deleted.update(item for item in marks if is_deleted(marks, item))
        for folder in sorted(self.layout.turns.iterdir()):
            self._read_turns(folder)
        return f"sessions: {len(sessions):,}, turns: {len(self.turns):,}"

    def _read_turns(self, folder: Path) -> None:
        files = sorted(folder.glob("*.json"))
        has_record = folder.name == STANDALONE or self.layout.session_file(folder.name).exists()
        if files and not has_record:
            self.orphans.append(folder.name)
        for file in files:
            with self._noting_damage(file):
                turn = codec.read_turn(file.read_bytes(), str(file))
                self.turns[turn.id] = turn

    @contextlib.contextmanager
    def _noting_damage(self, file: Path) -> Generator[None]:
        try:
            yield
        except (StorageError, OSError):
            self.damaged.append(f"{file.parent.name}/{file.name}")


def _check_index(layout: Layout, index: DiskIndex, known: set[str]) -> Finding:
    """
    Compare the index with the records. Turns that are settled meanwhile are in the journal until
    they are indexed.
    """
    unindexed = {key.id for key in index.entries()}
    try:
        with index.database.locked() as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            rows = dict(connection.execute("SELECT id, session FROM turns").fetchall())
            rows_of = session_index_schema.files(connection).keys()
            sessions = {name for name in rows_of if name.endswith(".json")}
            recorded = {file.name for file in layout.sessions.glob("*.json") if is_id(file.stem)}
    except (StorageError, OSError) as error:
        message = f"it cannot be written, so lists are made in memory: {error}"
        return "warning", message, "What the checks above say of the folder is the cause."
    absent = known - rows.keys() - unindexed
    extra = [
        turn
        for turn, session in rows.items()
        if turn not in known and not layout.turn_file(session, turn).exists()
    ]
    extra += sessions - recorded
    if verdict == "ok" and not absent and not extra and not recorded - sessions:
        counts = f"it knows all {len(rows):,} turns and {len(recorded):,} sessions"
        return _ok(f"{counts} (version {INDEX_VERSION}).")
    damage = "" if verdict == "ok" else f" It is damaged: {verdict}."
    message = (
        f"it lacks {len(absent):,} turns and {len(recorded - sessions):,} sessions, and has "
        f"{len(extra):,} entries without a record.{damage}"
    )
    return "problem", message, f"Delete {index.database.path}: it is rebuilt from the records."


def _check_images(
    layout: Layout, turns: dict[str, Turn], deleted: Collection[str], *, verify: bool
) -> Finding:
    states: dict[str, list[ImageRecord]] = {}
    for turn in turns.values():
        for image in turn.images:
            states.setdefault(_image_state(layout, image, verify=verify), []).append(image)
    missing = [image for image in states.pop("missing", []) if image.id not in deleted]
    moved = DiskBlobs(layout).find_moved(missing) if missing else {}
    gone = [image for image in missing if image.id not in moved]
    whole = len(states.pop("whole", []))
    damaged = [
        f"{len(images):,} {state}: {list_some([image.file for image in images])}"
        for state, images in sorted(states.items())
    ]
    if gone:
        damaged.append(f"{len(gone):,} missing: {list_some([image.file for image in gone])}")
    renamed = [f"{image.file} is now {moved[image.id]}" for image in missing if image.id in moved]
    if not damaged and not renamed:
        return _ok(f"all {whole:,} {'are unchanged' if verify else 'are there'}.")
    if renamed:
        damaged.append(f"{len(renamed):,} moved or renamed: {list_some(renamed)}")
    message = f"{whole:,} are sound; {'; '.join(damaged)}."
    remedies = [
        "studio.doctor(repair=True) records the new names." if renamed else "",
        "Put what is damaged back from a backup." if states else "",
        f"Put what is missing back under these names in {layout.root}; or, if it was removed on "
        f"purpose, delete it: studio.images.delete({', '.join(repr(item.id) for item in gone[:3])}"
        f"{', …' if len(gone) > 3 else ''})."  # noqa: PLR2004 - as many as are listed
        if gone
        else "",
    ]
    state: Health = "problem" if gone or states else "warning"
    return state, message, " ".join(filter(None, remedies))


def _image_state(layout: Layout, image: ImageRecord, *, verify: bool) -> str:
    """
    Return the state of an image's file: "whole", "missing", "damaged" or "unreadable".
    """
    try:
        with DiskBlobs(layout).open(image.file) as descriptor:
            sound = os.fstat(descriptor).st_size == image.bytes and (
                not verify or _digest(descriptor) == image.sha256
            )
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"
    return "whole" if sound else "damaged"


def _digest(descriptor: int) -> str:
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- unsettled requests -----------------------------------------------------------------------


def _check_requests(
    layout: Layout, index: DiskIndex, pending: tuple[PendingRequest, ...]
) -> Finding:
    damaged = _unreadable_entries(layout, index, {item.turn.id for item in pending})
    running = sum(item.running for item in pending)
    waiting = sum(item.turn.batch is not None for item in pending)
    interrupted = [item for item in pending if not item.running and item.turn.batch is None]
    parts = [
        f"{running} belong to running programs" if running else "",
        f"{waiting} wait for their batches" if waiting else "",
        _describe_interrupted(interrupted) if interrupted else "",
        f"{len(damaged)} cannot be read: {list_some(damaged)}" if damaged else "",
    ]
    message = "; ".join(filter(None, parts)) + "." if any(parts) else "all are settled."
    if not interrupted and not damaged:
        return _ok(message)
    remedy = (
        "They may have been executed and billed, are never sent again automatically, and count "
        "against budgets. studio.recover() looks up those with an id, which is free, and settles "
        "the others as unknown."
    )
    return "warning", message, remedy


def _unreadable_entries(layout: Layout, index: DiskIndex, known: set[str]) -> list[str]:
    unreadable: list[str] = []
    for key in index.entries():
        file = layout.journal_file(key.id, key.session)
        settled = layout.turn_file(key.session, key.id).exists() or not file.exists()
        if key.id not in known and not settled:
            unreadable.append(file.name)
    return unreadable


def _describe_interrupted(requests: list[PendingRequest]) -> str:
    now = dt.datetime.now(dt.UTC)
    ages = [now - pending.turn.started for pending in requests]
    ids = [pending.response_id for pending in requests if pending.response_id is not None]
    age = (
        _format_age(max(ages))
        if len(ages) == 1
        else f"{_format_age(min(ages))} to {_format_age(max(ages))}"
    )
    id_text = (
        f"the provider's ids of {len(ids)} are kept ({list_some(ids)})" if ids else "no id is known"
    )
    return f"{len(requests)} interrupted, started {age} ago; {id_text}"


def _check_replies(layout: Layout) -> Finding:
    # A damaged record that was brought back is kept there too, and is neither.
    names = sorted(file.name for file in layout.quarantine.iterdir())
    findings = (
        (
            [name for name in names if name.count(".") == 1],
            "{} were paid for and could not be read",
        ),
        (
            [name for name in names if name.endswith((".intent.bin", ".batch.bin"))],
            "{} records of requests that may have been billed are damaged",
        ),
        (
            [name for name in names if name.endswith(".removal.bin")],
            "{} records of removals that may be half done are damaged",
        ),
    )
    parts = [f"{text.format(len(kept))}: {list_some(kept)}" for kept, text in findings if kept]
    if not parts:
        return _ok("none are in quarantine.")
    remedy = (
        f"Their bytes are in {layout.quarantine}; images and ids in them may be saved by hand. "
        "Remove what is not needed any more."
    )
    return "warning", f"{'; '.join(parts)}.", remedy


def _check_scratch(layout: Layout) -> Finding:
    now, old = dt.datetime.now(dt.UTC).timestamp(), 0
    for file in layout.tmp.iterdir():
        with contextlib.suppress(FileNotFoundError):
            old += now - file.stat().st_mtime > _STALE_AFTER.total_seconds()
    if not old:
        return _ok("no unfinished files are left.")
    message = f"{old} unfinished files are left from processes that ended."
    return "warning", message, "They are removed when a studio is next opened."


def _format_age(age: dt.timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(seconds)} seconds"
