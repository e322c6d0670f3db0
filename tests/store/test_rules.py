"""
The store's rules hold whatever a library is kept on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._domain.budget import Budget
from imagesession._domain.cost import Cost
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.image_header import parse_header
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import ImageQuery
from imagesession._engine.store import BudgetReservation
from imagesession._store.library import LibraryStore
from imagesession._store.view import IntentLease
from imagesession.errors import BudgetExceededError, OutcomeUnknownError
from imagesession.testing import tiny_image
from tests.store.contract.implementations import IMPLEMENTATIONS, Implementation
from tests.store.contract.promises import together

FACTS = parse_header(tiny_image())
assert FACTS is not None
PNG = ReceivedImage(data=tiny_image(), facts=FACTS)
ESTIMATE = CostEstimate(low=1.0, high=1.0, assumptions=())
COST = Cost(mainline=0.0, image=1.0, prices=dt.date(2026, 11, 24))


@pytest.fixture(params=IMPLEMENTATIONS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Implementation]:
    """
    An empty library, kept on each implementation of the ports in turn.
    """
    with contextlib.closing(IMPLEMENTATIONS[request.param](tmp_path)) as made:
        yield made


def new_turn(store: LibraryStore, **changes: Any) -> Turn:
    """
    Return a turn that is about to be requested.
    """
    begun = store.new_id()
    turn = Turn(
        id=begun.id, prompt="a teapot", options=GenerateOptions(), started=begun.at,
        status="pending", reserved=1.0,
    )  # fmt: skip
    return attrs.evolve(turn, **changes)


def settle(store: LibraryStore, turn: Turn) -> Turn:
    """
    Commit a turn with an image.
    """
    return store.turns.commit(attrs.evolve(turn, status="completed", cost=COST), (PNG,))


def test_racing_programs_stay_within_the_budget(kept: Implementation) -> None:
    """
    Programs that ask at the same time are granted no more than the budget, settled or not.
    """
    granted: list[IntentLease] = []
    reservation = BudgetReservation(budget=Budget(per_day=5.0), estimate=ESTIMATE)

    def ask(number: int) -> None:
        store = LibraryStore(kept.open())
        for _ in range(3):
            try:
                lease = store.intents.write(new_turn(store), reservation)
            except BudgetExceededError:
                continue
            assert isinstance(lease, IntentLease)
            granted.append(lease)
            if number % 2:
                settle(store, lease.turn)

    together(ask)
    assert len(granted) == 5


def test_idempotency_key_is_used_once(kept: Implementation) -> None:
    """
    A second request with an idempotency key is refused while the first is under way, and gets its
    image afterwards.
    """
    here, there = LibraryStore(kept.open()), LibraryStore(kept.open())
    lease = here.intents.write(new_turn(here, idempotency_key="poster"))
    assert isinstance(lease, IntentLease)
    with pytest.raises(OutcomeUnknownError):
        there.intents.write(new_turn(there, idempotency_key="poster"))
    settled = settle(here, lease.turn)
    assert there.intents.write(new_turn(there, idempotency_key="poster")) == settled
    assert there.intents.completed_under("poster") == settled


def test_orphaned_intent_is_taken_over_once(kept: Implementation) -> None:
    """
    The intent of a program that ended is taken over by one other, with its response id and image.
    """
    here, there, third = (LibraryStore(kept.open()) for _ in range(3))
    lease = here.intents.write(new_turn(here))
    assert isinstance(lease, IntentLease)
    turn = lease.turn
    here.intents.record_response_id(turn, "resp_1")
    here.turns.stage(turn, PNG)
    (request,) = there.intents.pending()
    assert (request.response_id, request.staged, request.running) == ("resp_1", True, True)
    assert there.intents.acquire(turn) is None
    lease.release()
    mine = there.intents.acquire(turn)
    assert mine is not None
    assert third.intents.acquire(turn) is None
    settled = settle(there, turn)
    mine.release()
    assert there.intents.pending() == ()
    assert third.intents.acquire(turn) is None
    assert third.images.find(settled.images[0].id) == (settled, 0)
    assert third.images.read(settled.images[0]) == PNG.data
    assert len(third.images.list(ImageQuery())) == 1


@pytest.mark.parametrize("name", ["session", "session.zip"])
def test_sessions_move_between_implementations(
    kept: Implementation, tmp_path: Path, name: str
) -> None:
    """
    An exported session is the same in a library that is kept elsewhere.
    """
    store = LibraryStore(kept.open())
    record = SessionRecord(
        id=store.new_id().id, description="x", name="Tea", created=store.new_id().at
    )
    store.sessions.save(record)
    lease = store.intents.write(new_turn(store, session=record.id))
    assert isinstance(lease, IntentLease)
    settled = settle(store, lease.turn)
    path, _ = store.exports.export_session(record.id, tmp_path / name)
    for kind, implementation in IMPLEMENTATIONS.items():
        folder = tmp_path / f"other {kind}"
        folder.mkdir()
        with contextlib.closing(implementation(folder)) as made:
            other = LibraryStore(made.open())
            imported = other.exports.import_session(path)
            assert imported == store.sessions.find("Tea") == other.sessions.find("Tea")
            (turn,) = other.sessions.tree(record).turns.values()
            assert turn.id == settled.id
            assert other.images.read(turn.images[0]) == PNG.data
            assert other.images.find(turn.images[0].id) == (turn, 0)
