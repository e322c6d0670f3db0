"""
The ledger: what is spent and set aside is never more than a budget allows, whoever asks.
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
from imagesession._engine.leases import BudgetReservation
from imagesession._engine.store import SpendingQuery
from imagesession._store.repository import LibraryStore
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
    return LibraryStore(tmp_path / "library")


def ask(
    library: LibraryStore,
    budget: Budget,
    needs: float = 1.0,
    *,
    session: str | None = None,
    idempotency_key: str | None = None,
) -> Turn:
    """
    Write an intent down under a budget, as a flow does; return what was asked.
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
    made = library.write_intent(turn, BudgetReservation(budget=budget, estimate=estimate))
    return made if isinstance(made, Turn) else turn


def settle(library: LibraryStore, turn: Turn, dollars: float | None, *, drew: bool = True) -> Turn:
    """
    Settle a turn that cost so much; None for a price that is not known.
    """
    cost = Cost(mainline=0.0, image=dollars, prices=TODAY, unknown=() if dollars else ("why",))
    status: Any = "completed" if drew else "failed"
    done = attrs.evolve(turn, status=status, cost=cost)
    return library.commit(done, (PNG,) if drew else ())


def room(library: LibraryStore, budget: Budget, session: str | None = None) -> int:
    """
    Count how many calls of a dollar are still let through.
    """
    for count in range(50):
        try:
            ask(library, budget, session=session)
        except BudgetExceededError:
            return count
    raise AssertionError


@pytest.mark.parametrize("again", [False, True])
def test_what_is_set_aside_counts(library: LibraryStore, *, again: bool) -> None:
    """
    Calls that are under way count with the most that they could cost, here and in other programs.
    """
    budget = Budget(per_day=3.0)
    ask(library, budget)
    ask(library, budget, 1.5)
    here = LibraryStore(library.layout.root) if again else library
    with pytest.raises(BudgetExceededError) as caught:
        ask(here, budget)
    assert (caught.value.spent, caught.value.needed) == (2.5, 1.0)
    assert ask(here, budget, 0.5)


def test_what_is_settled_counts_what_it_cost(library: LibraryStore) -> None:
    """
    Once a call is settled its real cost counts, whether it is indexed already or not.
    """
    budget = Budget(per_day=4.0)
    settle(library, ask(library, budget, 3.0), 0.5)
    settle(library, ask(library, budget, 3.0), 0.5)
    list(library.spending(SpendingQuery()))
    settle(library, ask(library, budget, 3.0), 1.0)
    assert room(library, budget) == 2


def test_what_was_not_taken_up_is_given_back(library: LibraryStore) -> None:
    """
    An intent that is dropped, because nothing was sent or billed, holds nothing any more.
    """
    budget = Budget(per_day=2.0)
    for _ in range(5):
        library.discard_intent(ask(library, budget, 2.0))
    assert room(library, budget) == 2


@pytest.mark.parametrize("drew", [True, False])
def test_an_unknown_price_counts_what_was_set_aside(library: LibraryStore, *, drew: bool) -> None:
    """
    Where nobody can tell what a call cost, all that was set aside for it stays counted.
    """
    budget = Budget(per_day=3.0)
    settle(library, ask(library, budget, 2.0), None, drew=drew)
    assert room(library, budget) == 1
    assert room(LibraryStore(library.layout.root), budget) == 0


def test_more_than_was_set_aside_counts_in_full(library: LibraryStore) -> None:
    """
    A call that cost more than was thought counts what it cost.
    """
    budget = Budget(per_day=5.0)
    settle(library, ask(library, budget, 1.0), 3.5)
    assert room(library, budget) == 1


def test_sessions_are_held_apart(library: LibraryStore) -> None:
    """
    A session's limit counts its own turns, and a one-shot is not held to it.
    """
    budget = Budget(per_session=2.0)
    text, two = library.new_id().id, library.new_id().id
    assert room(library, budget, text) == 2
    assert room(library, budget, two) == 2
    settle(library, ask(library, budget), 100.0)
    assert ask(library, budget)


def test_yesterday_does_not_count_today(library: LibraryStore) -> None:
    """
    A day ends at midnight UTC: what was spent and what is set aside since yesterday is yesterday's.
    """
    budget = Budget(per_day=2.0, per_session=3.0)
    session = library.new_id().id
    with ago(DAY, library.layout.root):
        old = LibraryStore(library.layout.root)
        settle(old, ask(old, budget, session=session), 1.0)
        ask(old, budget, session=session)
        with pytest.raises(BudgetExceededError):
            ask(old, budget)
    fresh = LibraryStore(library.layout.root)
    assert room(fresh, Budget(per_day=2.0)) == 2
    with pytest.raises(BudgetExceededError) as caught:
        ask(fresh, Budget(per_session=2.5), session=session)
    assert (caught.value.limit, caught.value.spent) == ("per_session", 2.0)


@pytest.mark.parametrize("limit", ["per_day", "per_session"])
def test_a_race_is_not_won_twice(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None], limit: str
) -> None:
    """
    However many ask at the same moment, exactly as many are let through as the limit holds.
    """
    budget = Budget(**{limit: 5.0})
    session = library.new_id().id
    passed: list[str] = []

    def try_one() -> None:
        own = LibraryStore(library.layout.root)
        with contextlib.suppress(BudgetExceededError):
            passed.append(ask(own, budget, session=session).id)

    in_threads([try_one] * 16)
    assert len(passed) == 5
    assert len(list(library.layout.journal.iterdir())) == 5


RACING = """
import sys
from pathlib import Path
from imagesession._store.repository import LibraryStore
from imagesession._domain.budget import Budget
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.leases import BudgetReservation
from imagesession.errors import BudgetExceededError
library, passed = LibraryStore(Path(sys.argv[1])), 0
wanted = BudgetReservation(
    budget=Budget(per_session=4.0), estimate=CostEstimate(low=1.0, high=1.0)
)


def ask(session):
    begun = library.new_id()
    turn = Turn(
        id=begun.id,
        session=session,
        prompt="x",
        options=GenerateOptions(),
        started=begun.at,
        reserved=1.0,
    )
    library.write_intent(turn, wanted)


print("ready", flush=True)
sys.stdin.readline()
for session in map(str, range(10)):
    try:
        while True:
            ask(session)
            passed += 1
    except BudgetExceededError:
        pass
print(passed, flush=True)
"""


def test_processes_do_not_win_a_race_twice(library: LibraryStore) -> None:
    """
    Processes that ask as fast as they can are let through exactly as often as the limit holds.
    """
    with contextlib.ExitStack() as stack:
        racing = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACING, str(library.layout.root)],
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
    assert len(list(library.layout.journal.glob("*.jsonl"))) == 40


def test_a_refusal_leaves_nothing(library: LibraryStore) -> None:
    """
    What is refused is not written down.
    """
    with pytest.raises(BudgetExceededError):
        ask(library, Budget(per_call=0.5))
    assert list(library.layout.journal.iterdir()) == []


def test_a_name_is_made_once(
    library: LibraryStore, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Of many who ask under one name at the same moment one is let through; the others are told that
    it is under way, and once it is made they are given it.
    """
    budget = Budget(per_day=100.0)
    passed: list[Turn] = []
    reported: list[OutcomeUnknownError] = []

    def try_one() -> None:
        try:
            passed.append(ask(LibraryStore(library.layout.root), budget, idempotency_key="poster"))
        except OutcomeUnknownError as error:
            reported.append(error)

    in_threads([try_one] * 8)
    assert (len(passed), len(reported)) == (1, 7)
    assert {error.turn_id for error in reported} == {passed[0].id}
    made = settle(library, passed[0], 1.0)
    assert ask(library, budget, idempotency_key="poster").images == made.images
    library.find_intent("poster")
    assert ask(library, budget, idempotency_key="poster").images == made.images
    assert ask(library, budget, idempotency_key="another").images == ()


def test_a_name_that_failed_may_be_asked_again(library: LibraryStore) -> None:
    """
    A call that brought no picture does not use its name up, indexed or not.
    """
    budget = Budget(per_day=100.0)
    for _ in range(2):
        settle(library, ask(library, budget, idempotency_key="poster"), 1.0, drew=False)
    library.find_intent("poster")
    assert ask(library, budget, idempotency_key="poster").status == "pending"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]\n", b'{"turn": 7}\n', b"\xff\xfe\n"])
def test_a_damaged_intent_does_not_stop_the_others(library: LibraryStore, damage: bytes) -> None:
    """
    An intent whose file cannot be read holds nothing that anybody could know, and the rest counts.
    """
    budget = Budget(per_day=3.0)
    ask(library, budget)
    broken = ask(library, budget)
    library.layout.journal_file(broken.id, None).write_bytes(damage)
    assert room(library, budget) == 2
