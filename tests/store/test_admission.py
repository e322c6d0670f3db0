"""
Admission: costs and reservations never exceed a budget, and idempotency keys are used once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._domain.budget import Budget
from imagesession._domain.cost import Cost
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.image_header import ImageHeader
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import SpendingQuery
from imagesession._engine.store import BudgetReservation
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.library import LibraryStore
from imagesession.errors import BudgetExceededError, OutcomeUnknownError
from imagesession.testing import tiny_image
from tests.clock import ago

DAY = dt.timedelta(days=1)
TODAY = dt.date(2026, 11, 24)
PNG = ReceivedImage(
    data=tiny_image(), facts=ImageHeader(format="png", width=64, height=64, alpha=False)
)


@pytest.fixture
def library(tmp_path: Path) -> LibraryStore:
    """
    An empty library.
    """
    return open_library(tmp_path / "library")


def request(
    library: LibraryStore,
    budget: Budget,
    needs: float = 1.0,
    *,
    session: str | None = None,
    idempotency_key: str | None = None,
) -> Turn:
    """
    Write an intent under a budget, as a workflow does; return its turn.
    """
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=session,
        prompt="a teapot",
        options=GenerateOptions(),
        started=begun.at,
        reserved=needs,
        idempotency_key=idempotency_key,
    )
    estimate = CostEstimate(low=needs / 2, high=needs)
    made = library.intents.write(turn, BudgetReservation(budget=budget, estimate=estimate))
    return made if isinstance(made, Turn) else turn


def settle(library: LibraryStore, turn: Turn, dollars: float | None, *, drew: bool = True) -> Turn:
    """
    Settle a turn at a cost in US dollars; None for an unknown price.
    """
    cost = Cost(mainline=0.0, image=dollars, prices=TODAY, unknown=() if dollars else ("why",))
    status: Any = "completed" if drew else "failed"
    done = attrs.evolve(turn, status=status, cost=cost)
    return library.turns.commit(done, (PNG,) if drew else ())


def room(library: LibraryStore, budget: Budget, session: str | None = None) -> int:
    """
    Count how many more requests of one dollar are admitted.
    """
    for count in range(50):
        try:
            request(library, budget, session=session)
        except BudgetExceededError:
            return count
    raise AssertionError


@pytest.mark.parametrize("again", [False, True])
def test_reservations_count_against_the_budget(library: LibraryStore, *, again: bool) -> None:
    """
    Requests under way count with their highest cost, here and in other programs.
    """
    budget = Budget(per_day=3.0)
    request(library, budget)
    request(library, budget, 1.5)
    here = open_library(Path(library.address)) if again else library
    with pytest.raises(BudgetExceededError) as caught:
        request(here, budget)
    assert (caught.value.spent, caught.value.needed) == (2.5, 1.0)
    assert request(here, budget, 0.5)


def test_settled_turns_count_their_real_cost(library: LibraryStore) -> None:
    """
    Once a turn is settled its real cost counts, whether it is indexed yet or not.
    """
    budget = Budget(per_day=4.0)
    settle(library, request(library, budget, 3.0), 0.5)
    settle(library, request(library, budget, 3.0), 0.5)
    list(library.images.spending(SpendingQuery()))
    settle(library, request(library, budget, 3.0), 1.0)
    assert room(library, budget) == 2


def test_discarded_intent_releases_its_reservation(library: LibraryStore) -> None:
    """
    An intent that is discarded, because nothing was sent or billed, reserves nothing any more.
    """
    budget = Budget(per_day=2.0)
    for _ in range(5):
        library.intents.discard(request(library, budget, 2.0))
    assert room(library, budget) == 2


@pytest.mark.parametrize("drew", [True, False])
def test_unknown_price_counts_the_reservation(library: LibraryStore, *, drew: bool) -> None:
    """
    If a turn's cost is unknown, its whole reservation stays counted.
    """
    budget = Budget(per_day=3.0)
    settle(library, request(library, budget, 2.0), None, drew=drew)
    assert room(library, budget) == 1
    assert room(open_library(Path(library.address)), budget) == 0


def test_cost_above_the_reservation_counts_in_full(library: LibraryStore) -> None:
    """
    A turn that cost more than its reservation counts with its cost.
    """
    budget = Budget(per_day=5.0)
    settle(library, request(library, budget, 1.0), 3.5)
    assert room(library, budget) == 1


def test_session_limits_are_separate(library: LibraryStore) -> None:
    """
    A session's limit counts its own turns only, and does not apply to standalone images.
    """
    budget = Budget(per_session=2.0)
    first, second = library.new_id().id, library.new_id().id
    assert room(library, budget, first) == 2
    assert room(library, budget, second) == 2
    settle(library, request(library, budget), 100.0)
    assert request(library, budget)


def test_daily_limit_starts_again_at_midnight(library: LibraryStore) -> None:
    """
    A day ends at midnight UTC: costs and reservations of yesterday do not count today.
    """
    budget = Budget(per_day=2.0, per_session=3.0)
    session = library.new_id().id
    with ago(DAY, Layout(Path(library.address)).root):
        old = open_library(Path(library.address))
        settle(old, request(old, budget, session=session), 1.0)
        request(old, budget, session=session)
        with pytest.raises(BudgetExceededError):
            request(old, budget)
    fresh = open_library(Path(library.address))
    assert room(fresh, Budget(per_day=2.0)) == 2
    with pytest.raises(BudgetExceededError) as caught:
        request(fresh, Budget(per_session=2.5), session=session)
    assert (caught.value.limit, caught.value.spent) == ("per_session", 2.0)


@pytest.mark.parametrize("limit", ["per_day", "per_session"])
def test_concurrent_threads_stay_within_the_limit(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None], limit: str
) -> None:
    """
    Of many concurrent requests, exactly as many are admitted as the limit allows.
    """
    budget = Budget(**{limit: 5.0})
    session = library.new_id().id
    passed: list[str] = []

    def try_one() -> None:
        own = open_library(Path(library.address))
        with contextlib.suppress(BudgetExceededError):
            passed.append(request(own, budget, session=session).id)

    in_threads([try_one] * 16)
    assert len(passed) == 5
    assert len(list(Layout(Path(library.address)).journal.iterdir())) == 5


RACING = """
import sys
from pathlib import Path
from imagesession._store.disk.library import open_library
from imagesession._store.library import LibraryStore
from imagesession._domain.budget import Budget
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.store import BudgetReservation
from imagesession.errors import BudgetExceededError
library, passed = open_library(Path(sys.argv[1])), 0
reservation = BudgetReservation(
    budget=Budget(per_session=4.0), estimate=CostEstimate(low=1.0, high=1.0)
)


def request(session):
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=session,
        prompt="x",
        options=GenerateOptions(),
        started=begun.at,
        reserved=1.0,
    )
    library.intents.write(turn, reservation)


print("ready", flush=True)
sys.stdin.readline()
for session in map(str, range(10)):
    try:
        while True:
            request(session)
            passed += 1
    except BudgetExceededError:
        pass
print(passed, flush=True)
"""


def test_concurrent_processes_stay_within_the_limit(library: LibraryStore) -> None:
    """
    Of the requests of several processes, exactly as many are admitted as the limit allows.
    """
    with contextlib.ExitStack() as stack:
        racing = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACING, str(Layout(Path(library.address)).root)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        pipes = [(process.stdin, process.stdout) for process in racing]
        assert [out.readline() for _, out in pipes if out] == ["ready\n"] * 4
        for into, _ in pipes:
            assert into is not None
            into.write("go\n")
            into.flush()
        passed = [int(out.readline()) for _, out in pipes if out]
    assert sum(passed) == 40
    assert len(list(Layout(Path(library.address)).journal.glob("*.jsonl"))) == 40


def test_refused_turn_writes_no_intent(library: LibraryStore) -> None:
    """
    A refused turn leaves no intent.
    """
    with pytest.raises(BudgetExceededError):
        request(library, Budget(per_call=0.5))
    assert list(Layout(Path(library.address)).journal.iterdir()) == []


def test_idempotency_key_is_admitted_once(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Of many concurrent requests with one idempotency key, one is admitted. The others get an error
    that it is under way, and once it is completed they get its image.
    """
    budget = Budget(per_day=100.0)
    passed: list[Turn] = []
    reported: list[OutcomeUnknownError] = []

    def try_one() -> None:
        try:
            passed.append(
                request(
                    open_library(Path(library.address)),
                    budget,
                    idempotency_key="poster",
                )
            )
        except OutcomeUnknownError as error:
            reported.append(error)

    in_threads([try_one] * 8)
    assert (len(passed), len(reported)) == (1, 7)
    assert {error.turn_id for error in reported} == {passed[0].id}
    made = settle(library, passed[0], 1.0)
    assert request(library, budget, idempotency_key="poster").images == made.images
    library.intents.completed_under("poster")
    assert request(library, budget, idempotency_key="poster").images == made.images
    assert request(library, budget, idempotency_key="another").images == ()


def test_idempotency_key_of_a_failed_turn_is_free(library: LibraryStore) -> None:
    """
    A call that brought no image does not use its name up, indexed or not.
    """
    budget = Budget(per_day=100.0)
    for _ in range(2):
        settle(library, request(library, budget, idempotency_key="poster"), 1.0, drew=False)
    library.intents.completed_under("poster")
    assert request(library, budget, idempotency_key="poster").status == "pending"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]\n", b'{"turn": 7}\n', b"\xff\xfe\n"])
def test_damaged_intent_is_ignored(library: LibraryStore, damage: bytes) -> None:
    """
    An intent whose file cannot be read reserves nothing, and the others count.
    """
    budget = Budget(per_day=3.0)
    request(library, budget)
    broken = request(library, budget)
    Layout(Path(library.address)).journal_file(broken.id, None).write_bytes(damage)
    assert room(library, budget) == 2
