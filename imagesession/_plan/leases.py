"""
What a library grants: the right to be at something, and what it may cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from imagesession._model.budgets import Budget
    from imagesession._model.estimates import Estimate


@attrs.frozen(kw_only=True)
class Reservation:
    """
    What a paid request is allowed to cost.

    Attributes:
        budget: The limits.
        estimate: What it is expected to cost.
    """

    budget: Budget
    estimate: Estimate


class Lease(Protocol):
    """
    The right to be at something that is to be done once: an intent, or an upload.
    """

    def release(self) -> None:
        """Let go of it; if it is not done, somebody else may take it over."""
        ...
