"""
Check a library on PostgreSQL and S3. Records are not changed; the bucket is tried with a small
object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import sqlalchemy as sa

from imagesession._domain.health import Health, HealthCheck
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import ImageRecord
from imagesession._domain.wording import list_some
from imagesession._store import codec
from imagesession.errors import StorageError

from .blobs import TeamBlobs
from .database import Database
from .schema import facts, sessions, totals, turns

_PAGE = 1000
_MAY_WRITE = """
    SELECT current_setting('server_version'),
        has_table_privilege('facts', 'INSERT') AND NOT pg_is_in_recovery()
        AND current_setting('transaction_read_only') = 'off'
"""
Finding: TypeAlias = tuple[Health, str, str]
"""A state, a message and a remedy."""
_BACKUP = (
    "Restore the database from a backup; studio.doctor(repair=True) brings back what is newer."
)


def run_checks(
    database: Database,
    blobs: TeamBlobs,
    pending: Callable[[], tuple[PendingRequest, ...]],
    *,
    verify: bool,
) -> tuple[HealthCheck, ...]:
    checks: dict[str, Callable[[], Finding]] = {
        "library": lambda: _check_writable(database),
        "bucket": lambda: _check_bucket(blobs),
        "records": lambda: _check_records(database),
        "index": lambda: _check_index(database),
        "images": lambda: _check_images(database, blobs, verify=verify),
        "requests": lambda: _check_requests(pending()),
    }
    return tuple(_run(name, check) for name, check in checks.items())


def _run(name: str, check: Callable[[], Finding]) -> HealthCheck:
    try:
        state, message, remedy = check()
    except (StorageError, OSError) as error:
        state, message = "problem", f"it cannot be checked: {error}"
        remedy = "Check the database, the bucket and their permissions."
    return HealthCheck(name=name, state=state, message=message, remedy=remedy)


def _check_writable(database: Database) -> Finding:
    statement = sa.text(_MAY_WRITE)
    ((version, writable),) = database.all(statement)
    if not writable:
        remedy = "What is there can be listed and read; nothing new can be made."
        return "problem", f"{database.name} is read-only for this role.", remedy
    return "ok", f"{database.name} can be written (PostgreSQL {version}).", ""


def _check_bucket(blobs: TeamBlobs) -> Finding:
    if blobs.honours_conditions():
        return "ok", f"{blobs.name} can be written, and honours conditions.", ""
    message = f"{blobs.name} can be written, and ignores conditions such as If-None-Match."
    return "ok", f"{message} Nothing here rests on them.", ""


def _check_records(database: Database) -> Finding:
    damaged: list[str] = []
    count = 0
    for row in _rows(database, ("turn", "session")):
        read: codec.Reader = codec.read_turn if row.kind == "turn" else codec.read_session
        count += 1
        try:
            read(bytes(row.data), row.id)
        except StorageError:
            damaged.append(f"{row.kind} {row.id}")
    if damaged:
        return "problem", f"{len(damaged)} records are damaged: {list_some(damaged)}.", _BACKUP
    return "ok", f"all {count:,} can be read.", ""


def _check_index(database: Database) -> Finding:
    of_turns = sa.select(sa.func.count()).select_from(turns).scalar_subquery()
    of_sessions = sa.select(sa.func.count()).select_from(sessions).scalar_subquery()
    summed = sa.select(sa.func.coalesce(sa.func.sum(totals.c.turns), 0)).scalar_subquery()
    records = [
        sa.select(sa.func.count()).where(facts.c.kind == kind).scalar_subquery()
        for kind in ("turn", "session")
    ]
    statement = sa.select(of_turns, summed, of_sessions, *records)
    (found,) = database.all(statement)
    if found[0] == found[1] == found[3] and found[2] == found[4]:
        return "ok", f"it knows all {found[0]:,} turns and {found[2]:,} sessions.", ""
    message = f"it has {found[0]:,} of {found[3]:,} turns and {found[2]:,} of {found[4]:,} sessions"
    return "problem", f"{message}, and {found[1]:,} in its sums.", "studio.doctor(repair=True)"


def _check_images(database: Database, blobs: TeamBlobs, *, verify: bool) -> Finding:
    sizes = {name: size for name, size, _ in blobs.objects()}
    missing: list[str] = []
    damaged: list[str] = []
    count = 0
    for image in _images(database):
        count += 1
        if image.file not in sizes:
            missing.append(image.file)
        elif sizes[image.file] != image.bytes or (verify and not _is_whole(blobs, image)):
            damaged.append(image.file)
    found = ((missing, "missing"), (damaged, "damaged"))
    parts = [f"{len(names):,} {state}: {list_some(names)}" for names, state in found if names]
    if not parts:
        return "ok", f"all {count:,} {'are unchanged' if verify else 'are there'}.", ""
    remedy = f"Put them back under these names in {blobs.name}, from a backup or an older version."
    return "problem", f"of {count:,}, {'; '.join(parts)}.", remedy


def _is_whole(blobs: TeamBlobs, image: ImageRecord) -> bool:
    return hashlib.sha256(blobs.get(image.file)).hexdigest() == image.sha256


def _images(database: Database) -> Iterator[ImageRecord]:
    for row in _rows(database, ("turn",)):
        try:
            yield from codec.read_turn(bytes(row.data), row.id).images
        except StorageError:
            continue  # its record is reported


def _rows(database: Database, kinds: tuple[str, ...]) -> Iterator[Any]:
    """
    Read facts in pages, so that they need not be in memory all at once.
    """
    name = sa.tuple_(facts.c.kind, facts.c.session, facts.c.id)
    last: tuple[str, str, str] = ("", "", "")
    while True:
        statement = (
            sa.select(facts)
            .where(facts.c.kind.in_(kinds), name > last)
            .order_by(facts.c.kind, facts.c.session, facts.c.id)
            .limit(_PAGE)
        )
        found = database.all(statement)
        yield from found
        if len(found) < _PAGE:
            return
        last = found[-1].kind, found[-1].session, found[-1].id


def _check_requests(pending: tuple[PendingRequest, ...]) -> Finding:
    running = sum(item.running for item in pending)
    waiting = sum(item.turn.batch is not None for item in pending)
    left = len(pending) - sum(item.running or item.turn.batch is not None for item in pending)
    counts = (
        (running, "belong to running programs"),
        (waiting, "wait for their batches"),
        (left, "were interrupted"),
    )
    parts = [f"{count} {state}" for count, state in counts if count]
    message = f"{'; '.join(parts)}." if parts else "all are settled."
    if not left:
        return "ok", message, ""
    remedy = "studio.recover() looks up what became of them, which is free."
    return "warning", message, remedy
