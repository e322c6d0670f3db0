"""
A budget refuses calls that could exceed it before they are sent, and says by how much.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.budget import Budget, enforce
from imagesession._domain.estimate import CostEstimate
from imagesession.errors import BudgetExceededError, InvalidOptionError

CALL = CostEstimate(low=0.03, high=0.06)
money = st.floats(0.001, 1e6)
limits = st.none() | money
budgets = st.builds(
    Budget, per_call=limits, per_session=limits, per_day=limits, per_owner_per_day=limits
)
spent = st.fixed_dictionaries(
    {
        "session_spent": st.floats(0, 1e6),
        "day_spent": st.floats(0, 1e6),
        "in_session": st.booleans(),
        "owner_spent": st.none() | st.floats(0, 1e6),
    }
)


def refusal(budget: Budget, estimate: CostEstimate = CALL, **changes: Any) -> BudgetExceededError:
    """
    Return the error of a budget that refuses a call.
    """
    facts: dict[str, Any] = {"session_spent": 0.0, "day_spent": 0.0, "in_session": True, **changes}
    with pytest.raises(BudgetExceededError) as caught:
        enforce(budget, estimate, **facts)
    return caught.value


@given(budgets, money, spent)
def test_call_passes_only_within_every_limit(
    budget: Budget, high: float, facts: dict[str, Any]
) -> None:
    """
    A call passes if and only if its upper bound is within the rest of every limit.
    """
    used = {
        "per_call": 0.0,
        "per_session": facts["session_spent"] if facts["in_session"] else -math.inf,
        "per_day": facts["day_spent"],
        "per_owner_per_day": -math.inf if facts["owner_spent"] is None else facts["owner_spent"],
    }
    over = [
        name
        for name, amount in used.items()
        if (limit := getattr(budget, name)) is not None and amount + high > limit * (1 + 1e-9)
    ]
    call = CostEstimate(low=0.0, high=high)
    if not over:
        enforce(budget, call, **facts)
        return
    error = refusal(budget, call, **facts)
    assert error.limit == over[0]
    assert error.allowed == getattr(budget, over[0])
    assert (error.spent, error.needed) == (used[over[0]], high)


def test_call_above_the_limit_is_refused() -> None:
    """
    The error names the limit, the upper bound, and what to do.
    """
    error = refusal(Budget(per_call=0.05), session_spent=9.0, day_spent=9.0)
    assert (error.limit, error.allowed, error.spent, error.needed) == ("per_call", 0.05, 0.0, 0.06)
    assert str(error) == (
        "Not sent: this call could cost up to $0.0600, and the budget allows $0.0500 for one call. "
        "Choose a lower quality or a smaller size by name, or raise the Budget's per_call to "
        "$0.0600 or more."
    )


def test_spent_amounts_count() -> None:
    """
    The error says how much is spent and how much is left.
    """
    error = refusal(Budget(per_session=1.0), session_spent=0.95)
    assert (error.limit, error.spent) == ("per_session", 0.95)
    assert "$0.9500 is spent or reserved: $0.0500 is left." in str(error)
    assert "per_session to $1.01 or more" in str(error)
    day = refusal(Budget(per_day=1.0, per_session=1.0), day_spent=1.5)
    assert day.limit == "per_day"
    assert "midnight UTC" in str(day)
    assert "$0.0000 is left" in str(day)


@given(money, money)
def test_amount_in_the_error_is_sufficient(allowed: float, high: float) -> None:
    """
    A budget with the amount that the error names lets the call through.
    """
    if high <= allowed:
        return
    call = CostEstimate(low=0.0, high=high)
    named = re.search(
        r"per_call to \$([\d,.]+\d) or more", str(refusal(Budget(per_call=allowed), call))
    )
    assert named is not None
    enough = Budget(per_call=float(named[1].replace(",", "")))
    enforce(enough, call, session_spent=0.0, day_spent=0.0, in_session=False)


def test_session_limit_does_not_bind_standalone_images() -> None:
    """
    `per_session` does not limit calls outside of sessions.
    """
    enforce(Budget(per_session=0.01), CALL, session_spent=0.0, day_spent=0.0, in_session=False)


def test_unbounded_cost_is_refused_under_any_limit() -> None:
    """
    A call with an unknown price is refused, and the error says why.
    """
    open_end = CostEstimate(low=0.0, high=None, assumptions=("The price of x is not known.",))
    error = refusal(Budget(per_day=1_000.0), open_end)
    assert (error.limit, error.needed) == ("per_day", math.inf)
    assert "no upper bound. The price of x is not known. Name models" in str(error)
    enforce(Budget(), open_end, session_spent=0.0, day_spent=0.0, in_session=True)


def test_limit_can_be_reached_exactly() -> None:
    """
    Amounts that add up to the limit fit, despite float rounding.
    """
    tenth = CostEstimate(low=0.1, high=0.1)
    enforce(Budget(per_day=0.3), tenth, session_spent=0.0, day_spent=0.1 + 0.1, in_session=False)


@pytest.mark.parametrize("name", ["per_call", "per_session", "per_day"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "1", 10**400])
def test_invalid_limit_is_refused(name: str, value: object) -> None:
    """
    A limit that is not an amount above zero is refused by name.
    """
    with pytest.raises(InvalidOptionError, match=f"^{name}=") as caught:
        Budget(**{name: value})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - wrong on purpose
    assert caught.value.option == name


def test_budget_without_limits_is_unlimited() -> None:
    """
    A budget is limited if any limit is set.
    """
    assert not Budget().is_limited
    assert Budget(per_day=1).is_limited


def test_budget_error_pickles() -> None:
    """
    The error's attributes survive pickling.
    """
    error = refusal(Budget(per_call=0.05))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.limit, again.allowed, again.spent, again.needed) == ("per_call", 0.05, 0.0, 0.06)
