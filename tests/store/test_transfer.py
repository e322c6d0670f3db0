"""
A library is transferred whole, whatever it is kept on, once, and goes on where it was interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._domain.sessions import SessionRecord
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._store.library import LibraryStore
from imagesession._store.ports import Key
from imagesession._store.transfer import transfer
from imagesession._store.view import IntentLease
from imagesession.errors import InvalidRequestError, StorageIOError
from tests.store.contract.implementations import IMPLEMENTATIONS, Implementation
from tests.store.test_rules import PNG, new_turn, settle

PAIRS = [
    (first, second)
    for first, second in itertools.permutations(IMPLEMENTATIONS, 2)
    if "memory" not in {first, second}
]


@pytest.fixture(params=PAIRS, ids=["-to-".join(pair) for pair in PAIRS])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Implementation, Implementation]]:
    """
    An empty library, and another one that is kept on something else.
    """
    with contextlib.ExitStack() as made:
        libraries: list[Any] = []
        for number, name in enumerate(request.param):
            folder = tmp_path / f"{number}"
            folder.mkdir()
            libraries.append(made.enter_context(contextlib.closing(IMPLEMENTATIONS[name](folder))))
        yield libraries[0], libraries[1]


def fill(store: LibraryStore) -> SessionRecord:
    """
    Make a session of two turns, a standalone image, a failed turn, and an unsettled request with a
    staged image.
    """
    record = SessionRecord(
        id=store.new_id().id, description="x", name="Tea", created=store.new_id().at
    )
    store.sessions.save(record)
    record = store.sessions.find(record.id)
    for session in (record.id, record.id, None):
        lease = store.intents.write(new_turn(store, session=session))
        assert isinstance(lease, IntentLease)
        settle(store, lease.turn)
        lease.release()
    failed = store.intents.add(new_turn(store))
    store.turns.commit(attrs.evolve(failed.turn, status="failed"), ())
    failed.release()
    open_request = store.intents.add(new_turn(store, idempotency_key="poster"))
    store.intents.record_response_id(open_request.turn, "resp_1")
    store.turns.stage(open_request.turn, PNG)
    open_request.release()
    return record


def test_everything_goes_along(pair: tuple[Implementation, Implementation]) -> None:
    """
    Sessions, turns, images, costs and requests are the same in the other library; a second
    transfer copies nothing.
    """
    source, target = LibraryStore(pair[0].open()), LibraryStore(pair[1].open())
    record = fill(source)
    report = transfer(source.ports, target.ports)
    assert (report.sessions, report.turns, report.images, report.copied) == (1, 4, 3, 4)
    assert (report.missing, report.damaged) == ((), ())
    assert target.sessions.find("Tea") == record
    old, new = (store.images.list(ImageQuery()) for store in (source, target))
    assert [turn.id for turn, _ in new] == [turn.id for turn, _ in old]
    assert all(target.images.read(turn.images[place]) == PNG.data for turn, place in new)
    assert target.images.spending(SpendingQuery(by="session")) == source.images.spending(
        SpendingQuery(by="session")
    )
    (request,) = target.intents.pending()
    assert (request.response_id, request.staged) == ("resp_1", True)
    lease = target.intents.acquire(request.turn)
    assert lease is not None
    settled = settle(target, request.turn)
    assert target.intents.completed_under("poster") == settled
    lease.release()
    with pytest.raises(InvalidRequestError, match="lacks"):  # the target has gone on
        transfer(source.ports, target.ports)


def test_twice_is_once(pair: tuple[Implementation, Implementation]) -> None:
    """
    A transfer that is done again copies what is new, and nothing else.
    """
    source, target = LibraryStore(pair[0].open()), LibraryStore(pair[1].open())
    fill(source)
    transfer(source.ports, target.ports)
    assert transfer(source.ports, target.ports).copied == 0
    lease = source.intents.write(new_turn(source))
    assert isinstance(lease, IntentLease)
    settle(source, lease.turn)
    lease.release()
    assert transfer(source.ports, target.ports).copied == 1
    assert len(target.images.list(ImageQuery())) == 4
    assert len(tuple(target.ports.blobs.keys())) == 5  # with the staged one


def test_interrupted_transfer_goes_on(
    pair: tuple[Implementation, Implementation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However often a transfer is interrupted, before or after any of its steps, the next one ends it,
    and each image is there once.
    """
    source = LibraryStore(pair[0].open())
    fill(source)
    target = pair[1].open()
    step = -1
    is_done = False
    while not is_done:
        step += 1
        steps = itertools.count()

        def interrupted(method: Any, step: int = step, steps: Any = steps) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                number = next(steps)
                if number == 2 * step:
                    raise KeyboardInterrupt
                done = method(*args, **kwargs)
                if number == 2 * step - 1:
                    raise KeyboardInterrupt
                return done

            return call

        with monkeypatch.context() as patch:
            patch.setattr(target.facts, "put_new", interrupted(target.facts.put_new))
            patch.setattr(type(target.blobs), "put_new", interrupted(type(target.blobs).put_new))
            try:
                transfer(source.ports, target)
                is_done = True
            except KeyboardInterrupt:
                continue
    assert step > 2
    store = LibraryStore(target)
    assert [turn.id for turn, _ in store.images.list(ImageQuery())] == [
        turn.id for turn, _ in source.images.list(ImageQuery())
    ]
    assert len(tuple(target.blobs.keys())) <= 6


def test_missing_and_damaged_images_are_named(pair: tuple[Implementation, Implementation]) -> None:
    """
    An image that is gone or changed in the source is named; all others are copied.
    """
    source, target = LibraryStore(pair[0].open()), LibraryStore(pair[1].open())
    fill(source)
    gone = source.images.list(ImageQuery())[0][0].images[0]
    source.ports.blobs.drop(gone.file)
    report = transfer(source.ports, target.ports)
    assert report.missing == (gone.id,)
    assert report.copied == 3


def test_requests_under_way_are_not_torn(pair: tuple[Implementation, Implementation]) -> None:
    """
    While a program works on a request, nothing is copied; nor into the library itself.
    """
    source, target = LibraryStore(pair[0].open()), LibraryStore(pair[1].open())
    lease = source.intents.add(new_turn(source))
    with pytest.raises(StorageIOError, match="End the programs"):
        transfer(source.ports, target.ports)
    lease.release()
    assert not target.ports.facts.has(Key("intent", lease.turn.id))
    with pytest.raises(InvalidRequestError, match="itself"):
        transfer(source.ports, pair[0].open())
