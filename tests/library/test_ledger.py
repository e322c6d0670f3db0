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

from imagesession._library.library import Library
from imagesession._model.budgets import Budget
from imagesession._model.costs import Cost
from imagesession._model.estimates import Estimate
from imagesession._model.options import Options
from imagesession._model.pictures import PictureFacts
from imagesession._model.turns import Turn
from imagesession._plan.leases import Reservation
from imagesession._plan.store import SpendingQuery
from imagesession._plan.wire import Received
from imagesession.errors import BudgetError, OutcomeUnknownError
from imagesession.testing import tiny_image
from tests.clock import ago

DAY = dt.timedelta(days=1)
TODAY = dt.date(2026, 11, 24)
PNG = Received(
    data=tiny_image(), facts=PictureFacts(format="png", width=64, height=64, alpha=False)
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """
    An empty library.
    """
    return Library(tmp_path / "library")


def ask(
    library: Library,
    budget: Budget,
    needs: float = 1.0,
    *,
    session: str | None = None,
    intent_id: str | None = None,
) -> Turn:
    """
    Write an intent down under a budget, as a flow does; return what was asked.
    """
    begun = library.begin()
    turn = Turn(
        id=begun.id,
        session=session,
        prompt="a teapot",
        options=Options(),
        started=begun.at,
        reserved=needs,
        intent_id=intent_id,
    )
    estimate = Estimate(low=needs / 2, high=needs)
    made = library.intend(turn, Reservation(budget=budget, estimate=estimate))
    return made if isinstance(made, Turn) else turn


def settle(library: Library, turn: Turn, dollars: float | None, *, drew: bool = True) -> Turn:
    """
    Settle a turn that cost so much; None for a price that is not known.
    """
    cost = Cost(mainline=0.0, image=dollars, prices=TODAY, unknown=() if dollars else ("why",))
    status: Any = "completed" if drew else "failed"
    done = attrs.evolve(turn, status=status, cost=cost)
    return library.commit(done, (PNG,) if drew else ())


def room(library: Library, budget: Budget, session: str | None = None) -> int:
    """
    Count how many calls of a dollar are still let through.
    """
    for count in range(50):
        try:
            ask(library, budget, session=session)
        except BudgetError:
            return count
    raise AssertionError


@pytest.mark.parametrize("again", [False, True])
def test_what_is_set_aside_counts(library: Library, *, again: bool) -> None:
    """
    Calls that are under way count with the most that they could cost, here and in other programs.
    """
    budget = Budget(per_day=3.0)
    ask(library, budget)
    ask(library, budget, 1.5)
    here = Library(library.layout.root) if again else library
    with pytest.raises(BudgetError) as caught:
        ask(here, budget)
    assert (caught.value.spent, caught.value.needed) == (2.5, 1.0)
    assert ask(here, budget, 0.5)


def test_what_is_settled_counts_what_it_cost(library: Library) -> None:
    """
    Once a call is settled its real cost counts, whether it is indexed already or not.
    """
    budget = Budget(per_day=4.0)
    settle(library, ask(library, budget, 3.0), 0.5)
    settle(library, ask(library, budget, 3.0), 0.5)
    list(library.spending(SpendingQuery()))
    settle(library, ask(library, budget, 3.0), 1.0)
    assert room(library, budget) == 2


def test_what_was_not_taken_up_is_given_back(library: Library) -> None:
    """
    An intent that is dropped, because nothing was sent or billed, holds nothing any more.
    """
    budget = Budget(per_day=2.0)
    for _ in range(5):
        library.forget(ask(library, budget, 2.0))
    assert room(library, budget) == 2


@pytest.mark.parametrize("drew", [True, False])
def test_an_unknown_price_counts_what_was_set_aside(library: Library, *, drew: bool) -> None:
    """
    Where nobody can tell what a call cost, all that was set aside for it stays counted.
    """
    budget = Budget(per_day=3.0)
    settle(library, ask(library, budget, 2.0), None, drew=drew)
    assert room(library, budget) == 1
    assert room(Library(library.layout.root), budget) == 0


def test_more_than_was_set_aside_counts_in_full(library: Library) -> None:
    """
    A call that cost more than was thought counts what it cost.
    """
    budget = Budget(per_day=5.0)
    settle(library, ask(library, budget, 1.0), 3.5)
    assert room(library, budget) == 1


def test_sessions_are_held_apart(library: Library) -> None:
    """
    A session's limit counts its own turns, and a one-shot is not held to it.
    """
    budget = Budget(per_session=2.0)
    one, two = library.begin().id, library.begin().id
    assert room(library, budget, one) == 2
    assert room(library, budget, two) == 2
    settle(library, ask(library, budget), 100.0)
    assert ask(library, budget)


def test_yesterday_does_not_count_today(library: Library) -> None:
    """
    A day ends at midnight UTC: what was spent and what is set aside since yesterday is yesterday's.
    """
    budget = Budget(per_day=2.0, per_session=3.0)
    session = library.begin().id
    with ago(DAY, library.layout.root):
        old = Library(library.layout.root)
        settle(old, ask(old, budget, session=session), 1.0)
        ask(old, budget, session=session)
        with pytest.raises(BudgetError):
            ask(old, budget)
    fresh = Library(library.layout.root)
    assert room(fresh, Budget(per_day=2.0)) == 2
    with pytest.raises(BudgetError) as caught:
        ask(fresh, Budget(per_session=2.5), session=session)
    assert (caught.value.limit, caught.value.spent) == ("per_session", 2.0)


@pytest.mark.parametrize("limit", ["per_day", "per_session"])
def test_a_race_is_not_won_twice(
    library: Library, in_threads: Callable[[list[Callable[[], Any]]], None], limit: str
) -> None:
    """
    However many ask at the same moment, exactly as many are let through as the limit holds.
    """
    budget = Budget(**{limit: 5.0})
    session = library.begin().id
    passed: list[str] = []

    def try_one() -> None:
        own = Library(library.layout.root)
        with contextlib.suppress(BudgetError):
            passed.append(ask(own, budget, session=session).id)

    in_threads([try_one] * 16)
    assert len(passed) == 5
    assert len(list(library.layout.journal.iterdir())) == 5


RACING = """
import sys
from pathlib import Path
from imagesession._library.library import Library
from imagesession._model.budgets import Budget
from imagesession._model.estimates import Estimate
from imagesession._model.options import Options
from imagesession._model.turns import Turn
from imagesession._plan.leases import Reservation
from imagesession.errors import BudgetError
library, passed = Library(Path(sys.argv[1])), 0
wanted = Reservation(budget=Budget(per_session=4.0), estimate=Estimate(low=1.0, high=1.0))


def ask(session):
    begun = library.begin()
    turn = Turn(
        id=begun.id, session=session, prompt="x", options=Options(), started=begun.at, reserved=1.0
    )
    library.intend(turn, wanted)


print("ready", flush=True)
sys.stdin.readline()
for session in map(str, range(10)):
    try:
        while True:
            ask(session)
            passed += 1
    except BudgetError:
        pass
print(passed, flush=True)
"""


def test_processes_do_not_win_a_race_twice(library: Library) -> None:
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


def test_a_refusal_leaves_nothing(library: Library) -> None:
    """
    What is refused is not written down.
    """
    with pytest.raises(BudgetError):
        ask(library, Budget(per_call=0.5))
    assert list(library.layout.journal.iterdir()) == []


def test_a_name_is_made_once(
    library: Library, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Of many who ask under one name at the same moment one is let through; the others are told that
    it is under way, and once it is made they are given it.
    """
    budget = Budget(per_day=100.0)
    passed: list[Turn] = []
    told: list[OutcomeUnknownError] = []

    def try_one() -> None:
        try:
            passed.append(ask(Library(library.layout.root), budget, intent_id="poster"))
        except OutcomeUnknownError as error:
            told.append(error)

    in_threads([try_one] * 8)
    assert (len(passed), len(told)) == (1, 7)
    assert {error.turn_id for error in told} == {passed[0].id}
    made = settle(library, passed[0], 1.0)
    assert ask(library, budget, intent_id="poster").images == made.images
    library.find_intent("poster")
    assert ask(library, budget, intent_id="poster").images == made.images
    assert ask(library, budget, intent_id="another").images == ()


def test_a_name_that_failed_may_be_asked_again(library: Library) -> None:
    """
    A call that brought no picture does not use its name up, indexed or not.
    """
    budget = Budget(per_day=100.0)
    for _ in range(2):
        settle(library, ask(library, budget, intent_id="poster"), 1.0, drew=False)
    library.find_intent("poster")
    assert ask(library, budget, intent_id="poster").status == "pending"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]\n", b'{"turn": 7}\n', b"\xff\xfe\n"])
def test_a_damaged_intent_does_not_stop_the_others(library: Library, damage: bytes) -> None:
    """
    An intent whose file cannot be read holds nothing that anybody could know, and the rest counts.
    """
    budget = Budget(per_day=3.0)
    ask(library, budget)
    broken = ask(library, budget)
    library.layout.journal_file(broken.id, None).write_bytes(damage)
    assert room(library, budget) == 2
