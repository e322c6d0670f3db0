"""
The index finds sessions by id and name as in their records, whichever program wrote them, and after
any damage to the index.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.store import SessionActivity
from imagesession._store import codec
from imagesession._store.disk import session_index_schema
from imagesession._store.disk.database import Database
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.disk.session_index import SessionIndex
from imagesession._store.ids import first_id
from imagesession._store.library import LibraryStore
from imagesession.errors import CorruptRecordError, NotFoundError, StorageIOError

NAMES = (None, "Tea", "Mug", "", "half \ud83d of a letter")
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
IDLE = dt.timedelta(days=30)

# Each makes sessions of one name, as fast as it can, once all are there.
PROGRAM = """
import sys, time
from pathlib import Path
from imagesession import Studio
library, me, count = sys.argv[1:]
with Studio.offline(library, max_active_sessions=100) as studio:
    Path(library, f"{me}.ready").touch()
    while len(list(Path(library).glob("*.ready"))) < 2:
        time.sleep(0.001)
    for number in range(int(count)):
        studio.session("x", name="Tea")
        assert len(studio.sessions.list()) > number
"""
# Dies between the record of a session and its row.
DYING = """
import os, sys
from imagesession import Studio
from imagesession._store.disk import session_index_schema
studio = Studio.offline(sys.argv[1])
studio.session("x", name="before")
session_index_schema.put = lambda *_: os._exit(7)
studio.session("x", name="Tea")
"""


class DeadError(BaseException):
    """
    Simulates that a process is killed.
    """


@pytest.fixture
def library(tmp_path: Path) -> LibraryStore:
    """
    An empty library.
    """
    return open_library(tmp_path)


def make(library: LibraryStore, name: str | None = None, created: dt.datetime | None = None) -> str:
    """
    Save a new session; return its id.
    """
    begun = library.new_id()
    record = SessionRecord(id=begun.id, description="x", name=name, created=created or begun.at)
    library.sessions.save(record)
    return record.id


def write_by_hand(library: LibraryStore, record: SessionRecord) -> None:
    """
    Write a record directly, as when a backup is restored.
    """
    Layout(Path(library.address)).session_file(record.id).write_bytes(codec.dump_session(record))


def by_records(library: LibraryStore) -> list[SessionRecord]:
    """
    Read all records that can be read, the latest first.
    """
    found: list[SessionRecord] = []
    for file in sorted(Layout(Path(library.address)).sessions.glob("*.json"), reverse=True):
        try:
            found.append(codec.read_session(file.read_bytes(), str(file)))
        except CorruptRecordError:
            continue
    return found


def check(library: LibraryStore) -> None:
    """
    Compare all that a library says of its sessions with their records.
    """
    known = by_records(library)
    assert [record.id for record in library.sessions.list()] == [record.id for record in known]
    assert library.sessions.list(2) == tuple(known[:2])
    for name in filter(None, NAMES):
        named = [record for record in known if record.name == name]
        assert list(library.sessions.named(name)) == named
    since = dt.datetime.now(dt.UTC) - IDLE
    expected = {record.id for record in known if not record.closed and record.created >= since}
    assert {
        active_session.session_id for active_session in library.sessions.active(since)
    } == expected


# --- concurrent writers -----------------------------------------------------------------------


def test_changes_of_another_program_are_visible_at_once(library: LibraryStore) -> None:
    """
    The next call sees a session that another program made, renamed, closed or deleted.
    """
    other = open_library(Layout(Path(library.address)).root)
    check(library)
    session = make(other, "Tea")
    assert [record.id for record in library.sessions.named("Tea")] == [session]
    other.sessions.update(session, lambda known: attrs.evolve(known, name="Mug"))
    assert library.sessions.named("Tea") == ()
    assert library.sessions.find("Mug").id == session
    other.sessions.update(session, lambda known: attrs.evolve(known, closed=known.created))
    check(library)
    Layout(Path(other.address)).session_file(session).unlink()
    check(library)
    assert library.sessions.count() == 0


def test_restored_record_is_found(library: LibraryStore) -> None:
    """
    A record from a backup is found by its name, even if it replaces a damaged one.
    """
    make(library, "Mug")
    check(library)
    lost = SessionRecord(id=library.new_id().id, description="x", name="Tea", created=LONG_AGO)
    write_by_hand(library, lost)
    assert library.sessions.find("Tea") == lost
    Layout(Path(library.address)).session_file(lost.id).unlink()
    Layout(Path(library.address)).session_file(lost.id).write_text("{")
    assert library.sessions.named("Tea") == ()
    assert library.sessions.count() == 2
    write_by_hand(library, lost)
    assert library.sessions.find("Tea") == lost
    check(library)


def test_two_programs_may_use_one_name(tmp_path: Path) -> None:
    """
    Sessions that two programs make concurrently under one name all exist, and each program sees
    them all; opening one by its name is then an error.
    """
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), me, "12"]) for me in "ab"
    ]
    assert [program.wait(timeout=120) for program in programs] == [0, 0]
    library = open_library(tmp_path)
    assert len(library.sessions.named("Tea")) == library.sessions.count() == 24
    with pytest.raises(NotFoundError, match="24 sessions are called 'Tea'"):
        library.sessions.find("Tea")
    check(library)


def test_threads_add_sessions_together(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Sessions that many threads make concurrently all exist; of two with one id, one is refused, and
    the others are not affected.
    """
    first = SessionRecord(id=library.new_id().id, description="x", created=LONG_AGO)
    refused: list[Exception] = []

    def make_first() -> None:
        try:
            library.sessions.save(first)
        except StorageIOError as error:
            refused.append(error)

    in_threads([make_first, *(lambda: make(library, "Tea") for _ in range(12)), make_first])
    assert len(refused) == 1
    assert library.sessions.count() == 13
    check(library)


def test_session_without_a_row_is_found(tmp_path: Path) -> None:
    """
    If a program is killed between writing a session's record and its row, others find the session
    by its name.
    """
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert died.returncode == 7
    library = open_library(tmp_path)
    assert library.sessions.find("Tea").name == "Tea"
    check(library)


def test_failed_row_does_not_undo_the_session(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If a session's record is written but its row is not, the session exists anyway.
    """

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(session_index_schema, "put", fail)
        session = make(library, "Tea")
    assert library.sessions.find("Tea").id == session
    check(library)


def test_sessions_are_found_in_a_read_only_library(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In a library that cannot be written, sessions that the index lacks are found.
    """
    make(library, "Mug")
    record = SessionRecord(id=library.new_id().id, description="x", name="Tea", created=LONG_AGO)
    write_by_hand(library, record)

    def refuse(_: Database, **_ways: object) -> Any:
        raise StorageIOError("attempt to write a readonly database")

    monkeypatch.setattr(Database, "locked", refuse)
    assert library.sessions.find("Tea") == record
    check(library)


# --- cost -------------------------------------------------------------------------------------


def test_lookup_reads_only_matching_records(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Opening a session by its name, making one and listing a page read no other session's record.
    """
    for number in range(30):
        make(library, f"session {number}", LONG_AGO)
    read: list[str] = []
    real = codec.read_session

    def counting(data: bytes, where: str) -> SessionRecord:
        read.append(where)
        return real(data, where)

    monkeypatch.setattr(codec, "read_session", counting)
    assert library.sessions.find("session 7").name == "session 7"
    assert len(read) == 1
    assert len(library.sessions.active(dt.datetime.now(dt.UTC) - IDLE)) == 0
    tea = make(library, "Tea")
    assert [tea in where for where in read] == [False, True]
    assert len(library.sessions.list(5)) == 5
    assert len(read) == 7


def test_pages_continue(library: LibraryStore) -> None:
    """
    The last session of a page is where the next page begins.
    """
    made = [make(library) for _ in range(5)]
    first = library.sessions.list(2)
    second = library.sessions.list(2, first[-1].id)
    assert [record.id for record in (*first, *second)] == made[:0:-1]


def test_activity_includes_unindexed_turns(library: LibraryStore) -> None:
    """
    An old session with a recently settled turn is active, before the turn is indexed and after.
    """
    old, idle = make(library, "Tea", LONG_AGO), make(library, "Mug", LONG_AGO)
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=old,
        status="failed",
        prompt="x",
        options=GenerateOptions(),
        started=begun.at,
    )
    lease = library.intents.write(turn)
    library.turns.commit(turn, ())
    assert not isinstance(lease, Turn)
    lease.release()
    since = begun.at - IDLE
    for _ in range(2):
        (active,) = library.sessions.active(since)
        assert active == SessionActivity(session_id=old, last=active.last)
        assert abs(active.last - begun.at) < dt.timedelta(seconds=1)
        library.check_health(verify=False)  # indexes the turn
    assert idle not in {
        active_session.session_id for active_session in library.sessions.active(since)
    }


# --- damage -----------------------------------------------------------------------------------


def damage(path: Path, chance: random.Random) -> None:
    """
    Delete, truncate or overwrite the index, or give it an older version.
    """
    if not path.exists():
        return
    match chance.randrange(4):
        case 0:
            path.unlink()
        case 1:
            path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        case 2:
            path.write_bytes(chance.randbytes(5000))
        case _:
            data = bytearray(path.read_bytes())
            data[60:64] = (3).to_bytes(4)  # https://sqlite.org/fileformat.html, the user version
            path.write_bytes(data)


@attrs.define
class Scenario:
    """
    Two programs on one library, and random events.
    """

    library: LibraryStore
    other: LibraryStore
    chance: random.Random

    def run_event(self, event: str) -> None:
        """
        Run one event.
        """
        by = self.chance.choice((self.library, self.other))
        name = self.chance.choice(NAMES)
        ids = [record.id for record in by_records(by)]
        session = self.chance.choice(ids) if ids else make(by, name)
        created = self.chance.choice((None, LONG_AGO))
        match event:
            case "make":
                make(by, name, created)
            case "name":
                by.sessions.update(session, lambda known: attrs.evolve(known, name=name))
            case "close":
                by.sessions.update(session, lambda known: attrs.evolve(known, closed=LONG_AGO))
            case "open":
                by.sessions.update(session, lambda known: attrs.evolve(known, closed=None))
            case "write":
                record = SessionRecord(
                    id=by.new_id().id, description="x", name=name, created=created or LONG_AGO
                )
                write_by_hand(by, record)
            case "lose":
                Layout(Path(by.address)).session_file(session).unlink()
            case "spoil":
                Layout(Path(by.address)).session_file(session).unlink()
                Layout(Path(by.address)).session_file(session).write_text("{")
            case "die":
                self.die(lambda: make(by, name, created))
            case "die changing":
                self.die(
                    lambda: by.sessions.update(
                        session, lambda known: attrs.evolve(known, name=name)
                    )
                )
            case _:
                damage(Layout(Path(by.address)).index, self.chance)

    def die(self, work: Callable[[], object]) -> None:
        """
        Simulate a kill between record and row.
        """

        def stop(*_: object) -> None:
            raise DeadError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session_index_schema, "put", stop)
            try:
                work()
            except DeadError:
                return


def restarted(library: LibraryStore) -> Iterator[LibraryStore]:
    """
    Yield the open library, and a newly opened one.
    """
    yield library
    yield open_library(Layout(Path(library.address)).root)


EVENTS = (
    "make", "name", "close", "open", "write", "lose", "spoil", "die", "die changing", "damage",
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(EVENTS), max_size=12), st.randoms(use_true_random=False))
def test_index_matches_the_records_after_any_events(
    events: list[str], chance: random.Random
) -> None:
    """
    After any sequence of changes, kills, manual edits and damage, all lookups agree with the
    records, in running programs and in new ones.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = open_library(Path(folder))
        scenario = Scenario(library, open_library(Path(folder)), chance)
        for event in events:
            scenario.run_event(event)
            for opened in restarted(library):
                check(opened)


# --- broken twins -----------------------------------------------------------------------------


def test_trusting_stale_rows_is_caught(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the folder's time is not checked, changes of others are missed, and the check fails.
    """
    check(library)

    def always_fresh(*_: object) -> bool:
        return True

    monkeypatch.setattr(SessionIndex, "_is_fresh", always_fresh)
    write_by_hand(
        library, SessionRecord(id=first_id(LONG_AGO), description="x", name="Tea", created=LONG_AGO)
    )
    with pytest.raises(AssertionError):
        check(library)


def test_using_the_system_time_as_stamp_is_caught(
    library: LibraryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the stamp is the folder's own modification time, which two changes may share, a session of a
    program that died is missed, and the check fails.
    """
    folder = Layout(Path(library.address)).sessions
    then = folder.stat().st_mtime_ns

    def own_time(_: SessionIndex) -> int:
        return folder.stat().st_mtime_ns

    monkeypatch.setattr(SessionIndex, "_set_stamp", own_time)
    make(library)
    os.utime(folder, ns=(then, then))
    check(library)
    write_by_hand(
        library, SessionRecord(id=first_id(LONG_AGO), description="x", name="Tea", created=LONG_AGO)
    )
    os.utime(folder, ns=(then, then))
    with pytest.raises(AssertionError):
        check(library)
