"""
Budgets, and the check whether one more call fits into them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from imagesession.errors import BudgetExceededError, InvalidOptionError

from .cost import format_usd, is_amount
from .wording import quote

if TYPE_CHECKING:
    from .estimate import CostEstimate

_MEANINGS = {
    "per_call": "for one call",
    "per_session": "for one session",
    "per_day": "for one day, midnight to midnight UTC",
    "per_owner_per_day": "for one owner and day, midnight to midnight UTC",
}
_SLACK = 1e-9


def _check_amount(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not is_amount(value) or not value:
        raise InvalidOptionError(
            f"{attribute.name}={quote(value)} is not an amount of US dollars above zero, such as "
            "0.5; None sets no limit.",
            attribute.name,
            value,
        )


@attrs.frozen(kw_only=True)
class Budget:
    """
    How much may be spent, in US dollars. A call that could exceed a limit is not sent.

    Attributes:
        per_call: The most that one call may cost.
        per_session: The most that all turns of one session may cost.
        per_day: The most that may be spent on a library from midnight to midnight UTC.
        per_owner_per_day: The most that each owner may spend in that time; it does not bind what is
            nobody's.
    """

    per_call: float | None = attrs.field(default=None, validator=_check_amount)
    per_session: float | None = attrs.field(default=None, validator=_check_amount)
    per_day: float | None = attrs.field(default=None, validator=_check_amount)
    per_owner_per_day: float | None = attrs.field(default=None, validator=_check_amount)

    @property
    def is_limited(self) -> bool:
        """
        Whether any limit is set.
        """
        return any(limit is not None for limit in attrs.astuple(self))


def enforce(
    budget: Budget,
    estimate: CostEstimate,
    *,
    session_spent: float,
    day_spent: float,
    in_session: bool,
    owner_spent: float | None = None,
) -> None:
    """
    Refuse a call that could exceed a limit, or whose cost has no upper bound, before it is sent.

    What was spent is in US dollars, with what is reserved for pending requests; `per_session` binds
    no calls outside of a session, and `per_owner_per_day` none whose `owner_spent` is None.
    """
    limits = (
        ("per_call", budget.per_call, 0.0),
        ("per_session", budget.per_session if in_session else None, session_spent),
        ("per_day", budget.per_day, day_spent),
        (
            "per_owner_per_day",
            None if owner_spent is None else budget.per_owner_per_day,
            owner_spent or 0.0,
        ),
    )
    for name, allowed, spent in limits:
        if allowed is not None:
            _check_limit(name, float(allowed), spent, estimate)


def _check_limit(name: str, allowed: float, spent: float, estimate: CostEstimate) -> None:
    if estimate.high is None:
        raise BudgetExceededError(
            _unbounded_message(name, allowed, estimate), name, allowed, spent, math.inf
        )
    # Sums of floats may be off in the last bit.
    if spent + estimate.high - allowed > _SLACK * allowed:
        raise BudgetExceededError(
            _over_limit_message(name, allowed, spent, estimate.high),
            name,
            allowed,
            spent,
            estimate.high,
        )


def _unbounded_message(name: str, allowed: float, estimate: CostEstimate) -> str:
    why = " ".join(estimate.assumptions) or "Nothing is known of its price."
    return (
        f"Not sent: the budget allows {format_usd(allowed)} {_MEANINGS[name]}, and what this call "
        f"could cost has no upper bound. {why} Name models whose prices are known, give "
        f"theirs with prices=, or leave {name} out of the Budget."
    )


def _over_limit_message(name: str, allowed: float, spent: float, high: float) -> str:
    state = "."
    if name != "per_call":
        left = format_usd(max(allowed - spent, 0.0))
        state = f", of which {format_usd(spent)} is spent or reserved: {left} is left."
    return (
        f"Not sent: this call could cost up to {format_usd(high)}, and the budget allows "
        f"{format_usd(allowed)} {_MEANINGS[name]}{state} Choose a lower quality or a smaller "
        f"size by name, or raise the Budget's {name} to {_round_up(spent + high)} or more."
    )


def _round_up(amount: float) -> str:
    """
    Format an amount rounded up, so that a budget of the printed amount is sufficient.
    """
    per_dollar = 100 if amount >= 1 else 10_000
    return format_usd(math.ceil(round(amount * per_dollar, 6)) / per_dollar)


Budget.__module__ = "imagesession"
