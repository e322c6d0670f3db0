"""
What every implementation of the store's ports promises. Each function is given an empty library.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from imagesession._domain.cost import Cost
from imagesession._domain.image_header import ImageHeader
from imagesession._domain.marks import Mark, to_tombstone
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._store import codec
from imagesession._store.ids import UlidFactory, first_id
from imagesession._store.ports import FactExistsError, Key, LeaseLostError, Ports
from imagesession._store.records import intent_fact, intent_key, turn_key
from tests.store.contract.implementations import Implementation

PROGRAMS = 4
COST = Cost(mainline=0.0, image=0.25, prices=dt.date(2026, 11, 24))
IDS = UlidFactory()
PNG = ImageHeader(format="png", width=1, height=1, alpha=False)
NOW = dt.datetime.now(dt.UTC)


def new_turn(session: str | None = None, **changes: Any) -> Turn:
    """
    Return a completed turn with an image that is nowhere.
    """
    image = ImageRecord(
        id=IDS.new(), file="x.png", format="png", width=1, height=1, bytes=1, sha256="0"
    )
    turn = Turn(
        id=IDS.new(), session=session, prompt="a teapot", options=GenerateOptions(), started=NOW,
        status="completed", images=(image,), finished=NOW,
    )  # fmt: skip
    return attrs.evolve(turn, **changes)


def settle(program: Ports, turn: Turn) -> Turn:
    """
    Write an intent and settle it, as a workflow does.
    """
    program.facts.put_new(dict([intent_fact(attrs.evolve(turn, status="pending", images=()))]))
    program.facts.settle(turn)
    return turn


def new_session(program: Ports, name: str | None = None, **changes: Any) -> str:
    """
    Write a session.
    """
    record = SessionRecord(id=IDS.new(), description="x", name=name, created=NOW)
    data = codec.dump_session(attrs.evolve(record, **changes))
    program.facts.put_new({Key("session", record.id): data})
    return record.id


def together(work: Callable[[int], None], count: int = PROGRAMS) -> None:
    """
    Run something in threads at the same time.
    """
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- facts ------------------------------------------------------------------------------------


def new_facts_are_seen_by_all(library: Implementation) -> None:
    """
    What was written new is there for every program, in the order of its ids, until it is dropped.
    """
    here, there = library.open(), library.open()
    turns = [new_turn() for _ in range(3)]
    facts = {intent_key(turn): intent_fact(turn)[1] for turn in turns}
    here.facts.put_new(facts)
    assert list(there.facts.scan("intent")) == [intent_key(turn) for turn in turns]
    assert all(there.facts.has(key) for key in facts)
    assert (
        codec.turn_to_dict(turns[0])
        == json.loads(there.facts.get(intent_key(turns[0])) or b"")["turn"]
    )
    here.facts.drop(intent_key(turns[1]))
    here.facts.drop(intent_key(turns[1]))
    assert there.facts.get(intent_key(turns[1])) is None
    assert not there.facts.has(intent_key(turns[1]))
    assert list(there.facts.scan("intent")) == [intent_key(turns[0]), intent_key(turns[2])]


def new_facts_are_written_together_or_not_at_all(library: Implementation) -> None:
    """
    If one of several new facts exists, none is written, and the existing one is as it was.
    """
    program = library.open()
    first, second = new_turn(), new_turn()
    program.facts.put_new(dict([intent_fact(second)]))
    known = program.facts.get(intent_key(second))
    changed = attrs.evolve(second, prompt="other")
    with pytest.raises(FactExistsError):
        program.facts.put_new(dict([intent_fact(first), intent_fact(changed)]))
    assert program.facts.get(intent_key(second)) == known
    assert not program.facts.has(intent_key(first))


def new_fact_is_written_once(library: Implementation) -> None:
    """
    Of programs that write the same new fact at the same time, one succeeds.
    """
    programs = [library.open() for _ in range(PROGRAMS)]
    session, batch = Key("session", IDS.new()), Key("batch", IDS.new())
    for key in (session, batch):
        won: list[str] = []

        def write(number: int, key: Key = key, won: list[str] = won) -> None:
            record = SessionRecord(id=key.id, description="x", name=f"{number}", created=NOW)
            with contextlib.suppress(FactExistsError):
                programs[number].facts.put_new({key: codec.dump_session(record)})
                won.append(f"{number}")

        together(write)
        assert [json.loads(programs[0].facts.get(key) or b"")["name"]] == won


def replaced_facts_are_seen_whole(library: Implementation) -> None:
    """
    A fact is replaced, or written if there is none, and others see its latest content.
    """
    here, there = library.open(), library.open()
    name = "0" * 26
    for key in (Key("upload", name), Key("provider", name), Key("quarantine", name)):
        for content in (b'{"a": 1}', b'{"b": 2}'):
            here.facts.replace(key, content)
            assert there.facts.get(key) == content


def extended_facts_keep_their_members(library: Implementation) -> None:
    """
    Members are added to a fact, or get other values; the others stay.
    """
    here, there = library.open(), library.open()
    for key in (Key("intent", IDS.new()), Key("batch", IDS.new())):
        here.facts.put_new({key: b'{"a": 1, "b": 1}'})
        there.facts.extend(key, {"b": 2, "c": None})
        here.facts.extend(key, {"c": "é\U0001f600"})
        assert json.loads(there.facts.get(key) or b"") == {"a": 1, "b": 2, "c": "é\U0001f600"}


def turns_are_listed_by_session(library: Implementation) -> None:
    """
    The turns of a session are listed apart from those of others and standalone images.
    """
    program = library.open()
    sessions = [new_session(program), new_session(program), None]
    turns = {
        session: [settle(program, new_turn(session)) for _ in range(2)] for session in sessions
    }
    for session in sessions:
        keys = [turn_key(turn) for turn in turns[session]]
        assert list(library.open().facts.scan("turn", session)) == keys
    assert list(program.facts.scan("turn", IDS.new())) == []


def turn_is_settled_once(library: Implementation) -> None:
    """
    A turn is settled once; a later attempt changes nothing.
    """
    here, there = library.open(), library.open()
    turn = settle(here, new_turn())
    with pytest.raises(FactExistsError):
        there.facts.settle(attrs.evolve(turn, prompt="other"))
    assert here.facts.get(turn_key(turn)) == codec.dump_turn(turn)


def lost_lease_settles_nothing(library: Implementation) -> None:
    """
    A program whose lease was given to another one is fenced off: it cannot settle the turn.
    """
    here, there = library.open(), library.open()
    turn = new_turn()
    here.facts.put_new(dict([intent_fact(turn)]))
    lost = here.rights.hold("x")
    assert lost is not None
    lost.release()
    held = there.rights.hold("x")
    assert held is not None
    with pytest.raises(LeaseLostError):
        here.facts.settle(turn, lost)
    assert not there.facts.has(turn_key(turn))
    there.facts.settle(turn, held)
    assert here.facts.has(turn_key(turn))


def transactions_exclude_each_other(library: Implementation) -> None:
    """
    No other thread or program is in a transaction of the same name, so no change is lost.
    """
    key, each = Key("provider", "count"), 10
    library.open().facts.replace(key, b"0")

    def count(_: int) -> None:
        facts = library.open().facts
        for _ in range(each):
            with facts.transaction("count"):
                known = int(facts.get(key) or b"")
                time.sleep(0)  # let another thread go on
                facts.replace(key, b"%d" % (known + 1))

    together(count)
    assert library.open().facts.get(key) == b"%d" % (each * PROGRAMS)


def failed_transaction_lets_others_in(library: Implementation) -> None:
    """
    A transaction that fails keeps what it wrote, and others may start theirs.
    """
    here, there = library.open(), library.open()
    key = Key("provider", "x")

    def fail() -> None:
        with here.facts.transaction("x"):
            here.facts.replace(key, b"1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with there.facts.transaction("x"):
        assert there.facts.get(key) == b"1"


def clock_is_right(library: Implementation) -> None:
    """
    The clock gives the time in UTC.
    """
    difference = library.open().facts.now() - dt.datetime.now(dt.UTC)
    assert abs(difference) < dt.timedelta(minutes=1)


# --- rights -----------------------------------------------------------------------------------


def right_is_held_by_one(library: Implementation) -> None:
    """
    A right is held by one call in all programs, until it is released, once.
    """
    here, there = library.open(), library.open()
    assert not there.rights.is_held("x")
    lease = here.rights.hold("x")
    assert lease is not None
    assert lease.is_held
    assert here.rights.is_held("x")
    assert there.rights.is_held("x")
    assert here.rights.hold("x") is None
    assert there.rights.hold("x") is None
    assert there.rights.hold("y") is not None
    lease.release()
    assert not lease.is_held
    second = there.rights.hold("x")
    lease.release()
    assert second is not None
    assert second.is_held
    assert here.rights.is_held("x")


def places_are_limited(library: Implementation) -> None:
    """
    Whatever programs do at the same time, no more leases are held than there are places.
    """
    programs = [library.open() for _ in range(PROGRAMS)]
    places, most, held = 3, list[int](), list[object]()

    def work(number: int) -> None:
        for _ in range(20):
            lease = programs[number].rights.hold("slot", places)
            if lease is not None:
                held.append(lease)
                most.append(len(held))
                held.remove(lease)
                lease.release()

    together(work)
    assert 1 <= max(most) <= places
    leases = [programs[number % 2].rights.hold("slot", places) for number in range(places + 1)]
    assert [lease is None for lease in leases] == [False] * places + [True]


def unreachable_lease_is_free(library: Implementation) -> None:
    """
    A lease that an interrupted call never received is free.
    """
    here, there = library.open(), library.open()
    assert here.rights.hold("x") is not None
    gc.collect()
    assert there.rights.hold("x") is not None


def rights_of_a_dead_program_are_free(library: Implementation) -> None:
    """
    What a program held when it ended is free at once, for one other program.
    """
    here, there = library.open(), library.open()
    library.hold_and_die("x")
    assert not here.rights.is_held("x")
    lease = here.rights.hold("x")
    assert lease is not None
    assert there.rights.hold("x") is None


def fences_differ(library: Implementation) -> None:
    """
    No two leases of a right have the same number.
    """
    fences: set[int] = set()
    for program, _ in itertools.product((library.open(), library.open()), range(3)):
        lease = program.rights.hold("x")
        assert lease is not None
        fences.add(lease.fence)
        lease.release()
    assert len(fences) == 6


def turns_are_spaced(library: Implementation) -> None:
    """
    Turns come at an interval, whoever takes them; one that comes too late is not taken, and asking
    takes none.
    """
    programs = [library.open() for _ in range(2)]
    waits = [programs[number % 2].rights.next_time("x", 100, 1000) for number in range(4)]
    assert [round(wait, -1) for wait in waits] == [0, 100, 200, 300]
    assert programs[0].rights.next_time("x", 100, 1) > 300
    assert 300 < programs[1].rights.next_time("x") < 401
    assert programs[1].rights.next_time("y") == 0


def postponed_turns_come_later(library: Implementation) -> None:
    """
    A turn that was postponed comes later for every program, and never earlier again.
    """
    here, there = library.open(), library.open()
    here.rights.postpone("x", 100)
    here.rights.postpone("x", 10)
    assert 90 < there.rights.next_time("x") <= 100
    there.rights.postpone("x", 200)
    assert 190 < here.rights.next_time("x") <= 200


# --- blobs ------------------------------------------------------------------------------------


def images_are_kept_unchanged(library: Implementation) -> None:
    """
    Images have the bytes that were written, for every program; nothing replaces them, and each has
    an address.
    """
    here, there = library.open(), library.open()
    turn = new_turn()
    here.blobs.check_room((turn,), 1)
    contents = [b"first", b"second", b""]
    keys = [
        program.blobs.put_new(turn, NOW, ReceivedImage(data=data, facts=PNG))
        for program, data in zip((here, there, here), contents, strict=True)
    ]
    assert len(set(keys)) == len(contents)
    assert [there.blobs.get(key) for key in keys] == contents
    assert len({here.blobs.address(key) for key in keys}) == len(contents)
    for key in keys:
        assert there.blobs.annotation(key) is None
        here.blobs.annotate(key, {"prompt": f"é\U0001f600 {key}"})
        assert there.blobs.annotation(key) == {"prompt": f"é\U0001f600 {key}"}
    assert [here.blobs.get(key) for key in keys] == contents
    assert sorted(there.blobs.keys()) == sorted(keys)


def unrecorded_image_is_used_again(library: Implementation) -> None:
    """
    An image that an interrupted program wrote but did not record is not written again.
    """
    program, turn = library.open(), new_turn()
    image = ReceivedImage(data=b"x", facts=PNG)
    key = program.blobs.put_new(turn, NOW, image)
    assert library.open().blobs.put_new(turn, NOW, image, recorded=set()) == key


def missing_image_is_an_error(library: Implementation) -> None:
    """
    An image that was dropped cannot be read, and the error says why; other images stay.
    """
    program, turn = library.open(), new_turn()
    dropped, kept = (
        program.blobs.put_new(turn, NOW, ReceivedImage(data=data, facts=PNG))
        for data in (b"1", b"2")
    )
    program.blobs.drop(dropped)
    program.blobs.drop(dropped)
    program.blobs.annotate(dropped, {})
    with pytest.raises(FileNotFoundError) as caught:
        program.blobs.get(dropped)
    assert caught.value.strerror
    assert program.blobs.get(kept) == b"2"


# --- index ------------------------------------------------------------------------------------


def settled_turns_are_found_at_once(library: Implementation) -> None:
    """
    Every program finds the images of a turn as soon as it is settled, and still after the index was
    rebuilt.
    """
    here, there = library.open(), library.open()
    session = new_session(here)
    for rounds in range(2):
        turns = [settle(here, new_turn(session)), settle(here, new_turn())]
        for program in (here, there):
            page = program.index.page(ImageQuery(limit=2))
            assert [row.turn for row in page] == [turns[1].id, turns[0].id]
            own = program.index.page(ImageQuery(session=session))
            assert len(own) == rounds + 1
            found = program.index.find(turns[0].images[0].id)
            assert found is not None
            assert found == own[0]
            assert (found.turn, found.session, found.position) == (turns[0].id, session, 0)
            assert program.index.find(IDS.new()) is None
        there.index.rebuild()


def costs_are_summed(library: Implementation) -> None:
    """
    The costs of all settled turns are in the sums, and a budget counts each once.
    """
    here, there = library.open(), library.open()
    session, today = new_session(here), NOW.date()
    costs = [new_turn(each, cost=COST) for each in (session, None, session)]
    for turn in costs:
        settle(here, turn)
    assert [each.cost for each in there.index.tally(SpendingQuery())] == [0.75]
    assert there.index.spent(today, session, None) == (0.75, 0.5, 0)
    assert there.index.spent(today, session, None, without={costs[0].id}) == (0.5, 0.25, 0)
    assert there.index.spent(today - dt.timedelta(days=1), None, None) == (0, 0, 0)
    assert there.index.spent(today, None, None) == (0.75, 0, 0)
    there.index.rebuild()
    assert here.index.spent(today, session, None) == (0.75, 0.5, 0)


def idempotency_keys_are_found(library: Implementation) -> None:
    """
    Every turn that was settled under an idempotency key is found under it, the latest first.
    """
    here, there = library.open(), library.open()
    turns = [settle(here, new_turn(idempotency_key=key)) for key in ("a", "b", "a")]
    found = there.index.settled_under({"a", "b", "c"}, None)
    assert found == {
        "a": [turn_key(turns[2]), turn_key(turns[0])],
        "b": [turn_key(turns[1])],
        "c": [],
    }


def ids_have_owners(library: Implementation) -> None:
    """
    The ids that turns and images have are known, with their sessions.
    """
    program = library.open()
    session = new_session(program)
    own, standalone = settle(program, new_turn(session)), settle(program, new_turn())
    wanted = (own.id, own.images[0].id, standalone.id, IDS.new())
    assert library.open().index.sessions_of(wanted) == {
        own.id: session, own.images[0].id: session, standalone.id: None,
    }  # fmt: skip


def owners_see_what_is_theirs(library: Implementation) -> None:
    """
    The index of an owner knows what belongs to this owner and nothing else, however it was made; a
    budget counts a day's costs of an owner, and idempotency keys are an owner's own.
    """
    here, there = library.open(), library.open()
    whose, today = (None, "ann", "bob"), NOW.date()
    sessions = {owner: new_session(here, "tea", owner=owner) for owner in whose}
    keyed: dict[str, Any] = {"idempotency_key": "poster", "cost": COST}
    turns = {
        owner: [
            settle(here, new_turn(sessions[owner], owner=owner, cost=COST)),
            settle(here, new_turn(owner=owner, **keyed)),
        ]
        for owner in whose
    }
    for _ in range(2):
        for owner, own in turns.items():
            assert there.index.settled_under({"poster"}, owner) == {"poster": [turn_key(own[1])]}
            assert there.index.spent(today, sessions[owner], owner) == (
                1.5, 0.25, 0.5 if owner else 0,
            )  # fmt: skip
        assert there.index.spent(today, None, "bob", without={turns["bob"][0].id})[2] == 0.25
        for owner in ("ann", "bob"):
            own, seen = turns[owner], there.index.of(owner)
            ids = [turn.images[0].id for turn in own]
            assert [row.image for row in seen.page(ImageQuery())] == ids[::-1]
            assert [row.image for row in seen.page(ImageQuery(kind="general", limit=1))] == ids[1:]
            assert seen.turns() == [turn_key(turn) for turn in own]
            assert seen.turns(before=own[1].id) == [turn_key(own[0])]
            assert seen.sessions() == seen.sessions(name="tea") == [sessions[owner]]
            assert seen.count_sessions() == 1
            assert [item for item, _ in seen.active("")] == [sessions[owner]]
            assert [each.cost for each in seen.tally(SpendingQuery())] == [0.5]
            for other, theirs in turns.items():
                used = [turn.id for turn in theirs] + [turn.images[0].id for turn in theirs]
                is_own = other == owner
                assert bool(seen.sessions_of(used)) == is_own
                assert all((seen.find(item) is not None) == is_own for item in used[2:])
        assert len(there.index.turns()) == 6
        assert there.index.count_sessions() == 3
        there.index.rebuild()
    ann = turns["ann"][0]
    here.facts.replace(turn_key(ann), codec.dump_turn(to_tombstone(ann, NOW)))
    assert there.index.of("ann").turns(before=IDS.new()) == [turn_key(turns["ann"][1])]
    assert len(there.index.of("ann").turns()) == 2
    here.facts.replace(turn_key(ann), codec.dump_turn(attrs.evolve(ann, owner="bob")))
    assert len(there.index.of("bob").turns()) == 3


def sessions_are_listed(library: Implementation) -> None:
    """
    Sessions are listed as soon as they are written, the latest first, and by the names they have.
    """
    here, there = library.open(), library.open()
    ids = [new_session(here, name) for name in ("tea", "mug", "tea")]
    assert there.index.sessions() == ids[::-1]
    assert there.index.sessions(limit=1) == ids[2:]
    assert there.index.sessions(limit=5, before=ids[2]) == [ids[1], ids[0]]
    assert there.index.sessions(name="tea") == [ids[2], ids[0]]
    assert there.index.count_sessions() == 3
    renamed = SessionRecord(id=ids[0], description="x", name="cup", created=NOW)
    there.facts.replace(Key("session", ids[0]), codec.dump_session(renamed))
    assert here.index.sessions(name="tea") == [ids[2]]
    assert here.index.sessions(name="cup") == [ids[0]]


def active_sessions_are_found(library: Implementation) -> None:
    """
    Open sessions with a turn since a time are found with the turn's id; closed and idle ones not.
    """
    here, there = library.open(), library.open()
    long_ago = NOW - dt.timedelta(days=9)
    touched, _, closed = (
        new_session(here, created=long_ago, closed=moment) for moment in (None, None, NOW)
    )
    turns = [settle(here, new_turn(session)) for session in (touched, closed)]
    since = first_id(NOW - dt.timedelta(days=1))
    assert there.index.active(since) == [(touched, turns[0].id)]


def marks_are_obeyed_at_once(library: Implementation) -> None:
    """
    Images and sessions are found by the marks that are kept now, in pages, names and counts, for
    every program and after the index was rebuilt.
    """
    here, there = library.open(), library.open()
    session = new_session(here, "tea")
    turns = [settle(here, new_turn(session)) for _ in range(3)] + [settle(here, new_turn())]
    images = [turn.images[0].id for turn in turns]
    own = {images[0]: Mark(deleted=NOW), images[1]: Mark(starred=True, tags=("Red", "big one"))}
    here.facts.replace(Key("marks", session), codec.dump_marks(own))
    here.facts.put_new(
        {Key("marks", turns[3].id): codec.dump_marks({images[3]: Mark(tags=("red",))})}
    )

    def page(**query: Any) -> list[str]:
        return [row.image for row in there.index.page(ImageQuery(**query))]

    for _ in range(2):
        assert page() == images[:0:-1]
        assert page(deleted=True) == images[:1]
        assert page(starred=True) == [images[1]]
        assert page(starred=False) == [images[3], images[2]]
        assert page(tags=("RED",)) == [images[3], images[1]]
        assert page(tags=("RED", "big one")) == [images[1]]
        assert page(tags=("big",)) == []
        there.index.rebuild()
    there.facts.drop(Key("marks", turns[3].id))
    assert [row.image for row in here.index.page(ImageQuery(tags=("red",)))] == [images[1]]


def deleted_sessions_are_apart(library: Implementation) -> None:
    """
    A deleted session is in no list but that of deleted ones, with its images; an erased one in
    none.
    """
    here, there = library.open(), library.open()
    sessions = [new_session(here, "tea") for _ in range(3)]
    turns = [settle(here, new_turn(session)) for session in sessions]
    for session, mark in zip(
        sessions, (Mark(deleted=NOW), Mark(deleted=NOW, erased=True)), strict=False
    ):
        here.facts.put_new({Key("marks", session): codec.dump_marks({session: mark})})
    assert there.index.sessions() == there.index.sessions(name="tea") == sessions[2:]
    assert there.index.sessions(deleted=True) == sessions[:1]
    assert there.index.count_sessions() == 1
    assert [row[0] for row in there.index.active(first_id(NOW - dt.timedelta(days=1)))] == sessions[
        2:
    ]
    assert [row.turn for row in there.index.page(ImageQuery())] == [turns[2].id]
    here.facts.drop(Key("marks", sessions[0]))
    assert there.index.sessions() == [sessions[2], sessions[0]]


def replaced_turns_are_indexed_anew(library: Implementation) -> None:
    """
    If another record is written in place of a turn's, every program finds what that one says.
    """
    here, there = library.open(), library.open()
    turn = settle(here, new_turn(idempotency_key="a", cost=COST))
    image = turn.images[0].id
    assert there.index.find(image) is not None
    here.facts.replace(turn_key(turn), codec.dump_turn(to_tombstone(turn, NOW)))
    for program in (here, there):
        assert program.index.find(image) is None
        assert program.index.settled_under({"a"}, None) == {"a": []}
        assert program.index.page(ImageQuery()) == []
        assert program.index.spent(NOW.date(), None, None)[0] == COST.known
    there.index.rebuild()
    assert here.index.find(image) is None


def _read(program: Ports, key: str) -> bytes | None:
    """
    Read an image; None if it is gone.
    """
    try:
        return program.blobs.get(key)
    except FileNotFoundError:
        return None


def images_set_aside_stay_readable(library: Implementation) -> None:
    """
    An image that is set aside is read by its key as before, also when it was put back again; to do
    either twice changes nothing. When it is dropped, the metadata beside it goes too.
    """
    here, there = library.open(), library.open()
    key = here.blobs.put_new(new_turn(), NOW, ReceivedImage(data=b"first", facts=PNG))
    here.blobs.annotate(key, {"a": 1})
    for change in (here.blobs.set_aside, there.blobs.put_back):
        for _ in range(2):
            change(key)
            assert _read(there, key) == _read(here, key) == b"first"
    assert there.blobs.annotation(key) == {"a": 1}
    here.blobs.set_aside(key)
    there.blobs.drop(key)
    here.blobs.put_back(key)
    assert _read(here, key) is None
    assert here.blobs.annotation(key) is None


def image_in_its_place_is_not_taken_for_a_moved_one(library: Implementation) -> None:
    """
    An image whose file is gone is not found in that of another image, even if they are equal.
    """
    here, there = library.open(), library.open()
    keys = [
        here.blobs.put_new(new_turn(), NOW, ReceivedImage(data=b"same", facts=PNG))
        for _ in range(2)
    ]
    for key in keys:
        here.blobs.annotate(key, {"image_path": key})
    here.blobs.drop(keys[0])
    lost = ImageRecord(
        id=IDS.new(), file=keys[0], format="png", width=1, height=1, bytes=4,
        sha256=hashlib.sha256(b"same").hexdigest(),
    )  # fmt: skip
    assert there.blobs.find_moved([lost]) == {}


PROMISES: tuple[Callable[[Implementation], None], ...] = (
    new_facts_are_seen_by_all,
    new_facts_are_written_together_or_not_at_all,
    new_fact_is_written_once,
    replaced_facts_are_seen_whole,
    extended_facts_keep_their_members,
    turns_are_listed_by_session,
    turn_is_settled_once,
    lost_lease_settles_nothing,
    transactions_exclude_each_other,
    failed_transaction_lets_others_in,
    clock_is_right,
    right_is_held_by_one,
    places_are_limited,
    unreachable_lease_is_free,
    rights_of_a_dead_program_are_free,
    fences_differ,
    turns_are_spaced,
    postponed_turns_come_later,
    images_are_kept_unchanged,
    unrecorded_image_is_used_again,
    missing_image_is_an_error,
    settled_turns_are_found_at_once,
    costs_are_summed,
    idempotency_keys_are_found,
    ids_have_owners,
    owners_see_what_is_theirs,
    sessions_are_listed,
    active_sessions_are_found,
    marks_are_obeyed_at_once,
    deleted_sessions_are_apart,
    replaced_turns_are_indexed_anew,
    images_set_aside_stay_readable,
    image_in_its_place_is_not_taken_for_a_moved_one,
)
