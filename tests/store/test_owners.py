"""
Owners and quotas, whatever a library is kept on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import random
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from imagesession._domain.budget import Budget
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._engine.store import BudgetReservation
from imagesession._store import admission
from imagesession._store.intents import IntentStore
from imagesession._store.library import LibraryStore
from imagesession._store.ports import Key
from imagesession._store.view import IntentLease
from imagesession.errors import BudgetExceededError, NotFoundError
from tests.store.contract.implementations import IMPLEMENTATIONS, Implementation
from tests.store.contract.promises import together
from tests.store.test_rules import ESTIMATE, new_turn, settle

OWNERS = (None, "ann", "Ann", "čeněk 🐟")
VERBS: tuple[Any, ...] = ("delete", "restore", "erase")
GROUPS: tuple[Any, ...] = ("day", "session", "owner", "kind")
LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
RESERVATION = BudgetReservation(budget=Budget(per_owner_per_day=5.0), estimate=ESTIMATE)
# Prints how many requests of two owners were granted to this process.
PROCESS = """
import sys
from imagesession.errors import BudgetExceededError
from imagesession._store.library import LibraryStore
from tests.store.test_owners import RESERVATION
from tests.store.test_rules import new_turn
if sys.argv[1] == "disk":
    from pathlib import Path
    from imagesession._store.disk.library import DiskLibrary as Library
    ports = Library(Path(sys.argv[2]))
else:
    from imagesession._store.team.library import TeamLibrary as Library
    ports = Library(sys.argv[2])
granted = []
print("ready", flush=True)
sys.stdin.readline()
for number in range(12):
    store = LibraryStore(ports).seen_by(("ann", "Ann")[number % 2])
    try:
        granted.append(store.intents.write(new_turn(store, owner=store.owner), RESERVATION))
    except BudgetExceededError:
        pass
print(sum(lease.turn.owner == "ann" for lease in granted), len(granted), flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=IMPLEMENTATIONS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Implementation]:
    """
    An empty library, kept on each implementation of the ports in turn.
    """
    with contextlib.closing(IMPLEMENTATIONS[request.param](tmp_path)) as made:
        yield made


def new_session(store: LibraryStore, name: str) -> SessionRecord:
    """
    Save a session of a store's owner.
    """
    new = store.new_id()
    record = SessionRecord(
        id=new.id, owner=new.owner, description="x", name=name, created=new.at, version="x"
    )
    store.sessions.save(record)
    return record


def settled(store: LibraryStore, session: str | None = None) -> Turn:
    """
    Make a turn of a store's owner, from its intent to its record.
    """
    lease = store.intents.write(new_turn(store, owner=store.owner, session=session))
    assert isinstance(lease, IntentLease)
    turn = settle(store, lease.turn)
    lease.release()
    return turn


@attrs.define
class Model:
    """
    What an owner has, as a test knows it.
    """

    sessions: set[str] = attrs.field(factory=set[str])
    images: set[str] = attrs.field(factory=set[str])
    in_bin: set[str] = attrs.field(factory=set[str])
    turns: int = 0


@attrs.define
class World:
    """
    A library, stores of several owners, and what each of them should have.
    """

    stores: dict[str | None, LibraryStore]
    choose: random.Random
    models: defaultdict[str | None, Model] = attrs.field(factory=lambda: defaultdict(Model))

    def act(self) -> None:
        """
        Do something at random as some owner.
        """
        owner = self.choose.choice(OWNERS)
        store, model = self.stores[owner], self.models[owner]
        verb = self.choose.choice((self.draw, self.draw, self.draw, self.remove, self.begin))
        verb(store, model)

    def begin(self, store: LibraryStore, model: Model) -> None:
        """
        Begin a session, under a name that others use too.
        """
        model.sessions.add(new_session(store, self.choose.choice("xy")).id)

    def draw(self, store: LibraryStore, model: Model) -> None:
        """
        Settle a turn in a session of the owner, or a standalone one.
        """
        session = self.choose.choice([None, *sorted(model.sessions)])
        model.images.add(settled(store, session).images[0].id)
        model.turns += 1

    def remove(self, store: LibraryStore, model: Model) -> None:
        """
        Delete, restore or erase an image of the owner, and fail to do so to another owner's.
        """
        verb = self.choose.choice(VERBS)
        of_others = [
            image for other, theirs in self.models.items() if other != store.owner
            for image in theirs.images | theirs.in_bin
        ]  # fmt: skip
        if store.owner is not None and of_others:
            with pytest.raises(NotFoundError):
                store.targets.find(verb, images=[self.choose.choice(sorted(of_others))])
        source = model.in_bin if verb == "restore" else model.images
        if source:
            image = self.choose.choice(sorted(source))
            store.removals.begin(verb, store.targets.find(verb, images=[image]))
            source.discard(image)
            target = {"delete": model.in_bin, "restore": model.images}.get(verb, set())
            target.add(image)

    def check(self) -> None:
        """
        Compare what each store shows with what its owner should have.
        """
        whole = Model()
        for each in self.models.values():
            whole.sessions |= each.sessions
            whole.images |= each.images
            whole.in_bin |= each.in_bin
            whole.turns += each.turns
        for owner, store in self.stores.items():
            model = whole if owner is None else self.models[owner]
            assert see(store) == model
            for image in sorted(whole.images - model.images)[:2]:
                with pytest.raises(NotFoundError):
                    store.images.find(image)
            for session in sorted(whole.sessions - model.sessions):
                assert store.sessions.read(session) is None


def see(store: LibraryStore) -> Model:
    """
    Look at all that lists or finds something.
    """
    listed = [turn.images[at].id for turn, at in store.images.list(ImageQuery(limit=500))]
    assert {image for _, _, image in store.images.locate(ImageQuery(limit=500))} == set(listed)
    assert all(store.images.find(image)[0].images for image in listed)
    binned = store.images.list(ImageQuery(limit=500, deleted=True))
    in_bin = {turn.images[at].id for turn, at in binned}
    assert {item for ids in store.targets.in_bin(None).values() for item in ids} == in_bin
    sessions = {record.id for record in store.sessions.list()}
    named = {record.id for name in "xy" for record in store.sessions.named(name)}
    active = {
        item.session_id for item in store.sessions.active(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    }
    assert named == active == sessions
    assert store.sessions.count() == len(sessions)
    totals = [store.images.spending(SpendingQuery(by=by)) for by in GROUPS]
    counts = {sum(each.turns for each in groups) for groups in totals}
    assert len(counts) == 1
    return Model(sessions=sessions, images=set(listed), in_bin=in_bin, turns=counts.pop())


def test_no_owner_sees_what_is_anothers(
    kept: Implementation, request: pytest.FixtureRequest
) -> None:
    """
    Whatever several owners do, each sees and finds exactly what is theirs, and who owns nothing
    sees everything.
    """
    whole = LibraryStore(kept.open())
    world = World({owner: whole.seen_by(owner) for owner in OWNERS}, random.Random(19))  # noqa: S311
    for owner, store in world.stores.items():
        world.begin(store, world.models[owner])
        world.draw(store, world.models[owner])
    for _ in range(20 if request.config.getoption("--faults") else 8):
        world.act()
    world.check()
    kept.open().index.rebuild()
    world.check()


def test_requests_under_way_are_seen_by_their_owner(kept: Implementation) -> None:
    """
    Requests that are not settled, or may have been carried out after all, are recovered by their
    owner and by who sees everything, even if another owner looks first.
    """
    whole = LibraryStore(kept.open())
    ann, bob = whole.seen_by("ann"), whole.seen_by("bob")
    turn, failed = (new_turn(ann, owner="ann") for _ in range(2))
    lease = ann.intents.write(turn)
    assert isinstance(lease, IntentLease)
    ann.turns.commit(attrs.evolve(failed, status="failed"), ())
    long_ago = json.dumps({"session": None, "at": 0.0}).encode()
    whole.ports.facts.replace(Key("provider", f"unaccepted.{failed.id}"), long_ago)
    assert bob.intents.pending() == ()
    assert bob.intents.unaccepted() == bob.intents.unsettled([turn.id]) == ()
    assert bob.images.read_turns(None, [failed.id]) == ()
    assert [request.turn.id for request in whole.intents.pending()] == [turn.id]
    assert ann.intents.unsettled([turn.id]) == (turn,)
    assert [item.id for item in ann.intents.unaccepted()] == [failed.id]
    assert whole.intents.unaccepted() == ()
    assert bob.intents.knows(turn.id)
    lease.release()
    assert bob.intents.orphans() == ()
    assert [request.turn.id for request in ann.intents.orphans()] == [turn.id]


class KilledError(BaseException):
    """
    The end of a program.
    """


@attrs.frozen
class Dying:
    """
    Facts or blobs of a program that ends before one of its writes.
    """

    inner: Any
    steps: Iterator[int]
    last: int

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.inner, name)
        if name not in {"put_new", "replace", "drop", "annotate"}:
            return attribute

        def write(*args: Any, **keywords: Any) -> Any:
            if next(self.steps) == self.last:
                raise KilledError
            return attribute(*args, **keywords)

        return write


def erase_and_die(kept: Implementation, last: int) -> bool:
    """
    Erase an owner in a program that ends before a write; tell whether it came to its end.
    """
    ports, steps = cast("Any", kept.open()), itertools.count(1)
    ports.facts = Dying(ports.facts, steps, last)
    ports.blobs = Dying(ports.blobs, steps, last)
    store = LibraryStore(ports)
    try:
        store.removals.begin("erase", store.targets.of_owner("ann"), forgets_owner=True)
    except KilledError:
        return False
    return True


@pytest.mark.faults
def test_interrupted_erasure_of_an_owner_is_finished(kept: Implementation) -> None:
    """
    Wherever a program ends that erases an owner, the next one finds all that is the owner's, or
    finishes; the totals stay, and so does what others have.
    """
    whole = LibraryStore(kept.open())
    ann, bob = whole.seen_by("ann"), whole.seen_by("bob")
    settled(bob)
    theirs = see(bob)
    left: list[bool] = []
    for last in itertools.count(1):
        session = new_session(ann, "x").id
        settled(ann, session)
        settled(ann)
        binned = settled(ann).images[0].id
        ann.removals.begin("delete", ann.targets.find("delete", images=[binned]))
        before, spent = see(ann), whole.images.spending(SpendingQuery())
        is_whole = erase_and_die(kept, last)
        LibraryStore(kept.open()).removals.finish_all()
        left.append(see(ann) != Model())
        assert see(ann) == (before if left[-1] else Model())
        assert whole.images.spending(SpendingQuery()) == spent
        assert see(bob) == theirs
        assert list(whole.ports.facts.scan("removal")) == []
        if is_whole:
            break
        whole.removals.begin("erase", whole.targets.of_owner("ann"), forgets_owner=True)
    assert left[0]
    assert not left[-1]
    assert len(left) > 12


def granted_together(kept: Implementation) -> list[Turn]:
    """
    Let twenty threads ask for requests of two owners and of nobody; return what was granted.
    """
    granted: list[IntentLease] = []
    whole = LibraryStore(kept.open())

    def ask(number: int) -> None:
        store = whole.seen_by((None, "ann", "Ann")[number % 3])
        for _ in range(2):
            with contextlib.suppress(BudgetExceededError):
                lease = store.intents.write(new_turn(store, owner=store.owner), RESERVATION)
                assert isinstance(lease, IntentLease)
                granted.append(lease)
                if number % 2:
                    settle(store, lease.turn)

    together(ask, 20)
    return [lease.turn for lease in granted]


def test_quota_is_exact_under_threads(kept: Implementation) -> None:
    """
    Twenty threads are granted exactly what each owner may spend in a day; it binds nobody else.
    """
    turns = granted_together(kept)
    assert [sum(turn.owner == owner for turn in turns) for owner in OWNERS[:3]] == [14, 5, 5]


def test_quota_that_is_checked_before_it_is_reserved_is_exceeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The test works: if budgets are checked outside the transaction that writes the intent, an owner
    gets more than the quota.
    """

    def write(store: IntentStore, turn: Turn, reservation: Any = None) -> IntentLease:
        admission.admit(store.ports, (turn,), reservation)
        barrier.wait()
        return store.add(turn)

    barrier = threading.Barrier(20, timeout=30)
    monkeypatch.setattr(IntentStore, "write", write)
    granted: list[Turn] = []
    whole = LibraryStore(IMPLEMENTATIONS["memory"](tmp_path).open()).seen_by("ann")

    def ask(_: int) -> None:
        lease = whole.intents.write(new_turn(whole, owner="ann"), RESERVATION)
        assert isinstance(lease, IntentLease)
        granted.append(lease.turn)

    together(ask, 20)
    assert len(granted) > 5


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["disk", "team"])
def test_quota_is_exact_under_processes(tmp_path: Path, kind: str) -> None:
    """
    Three processes that ask at the same time are granted exactly what each owner may spend.
    """
    with contextlib.closing(IMPLEMENTATIONS[kind](tmp_path)) as kept:
        kept.open()
        where = getattr(kept, "url", str(tmp_path / "library"))
        command = [sys.executable, "-c", PROCESS, kind, where]
        start = contextlib.ExitStack()
        with start:
            processes = [
                start.enter_context(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                    )
                )
                for _ in range(3)
            ]
            assert all(process.stdout and process.stdout.readline() for process in processes)
            for process in processes:
                print(file=process.stdin, flush=True)
            lines = [process.stdout.readline() for process in processes if process.stdout]
            for process in processes:
                print(file=process.stdin, flush=True)
        counts = [tuple(map(int, line.split())) for line in lines]
        assert [sum(count) for count in zip(*counts, strict=True)] == [5, 10]
