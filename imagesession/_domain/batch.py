"""
A batch: many pictures that a provider makes within a day, at half the price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from .cost import Cost
    from .estimate import CostEstimate

BatchState = Literal[
    "preparing",
    "submitting",
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
    "unsent",
]
"""
Where a batch stands: being put together; sent, and the provider's id of it is not known; the rest
is the provider's word, but for "unsent", of a batch that it has not taken up.
"""
ENDED: frozenset[BatchState] = frozenset({"completed", "failed", "expired", "cancelled", "unsent"})
NOT_EXECUTED: frozenset[BatchState] = frozenset({"failed", "unsent"})
"""Of a batch that ended so, nothing was carried out."""
MAX_LINES = 50_000  # https://developers.openai.com/api/docs/guides/batch
MAX_BYTES = 200_000_000


@attrs.frozen(kw_only=True)
class BatchItem:
    """
    One picture of a batch.

    Attributes:
        turn: The id of its turn, which is also the name of its line.
        key: The caller's name for it; None where it has none.
        asked: Whether the batch asks for it; otherwise it was there before.
        session: The session of one that was there before.
    """

    turn: str
    key: str | None = None
    asked: bool = True
    session: str | None = None


@attrs.frozen(kw_only=True)
class BatchRecord:
    """
    All that a library knows of a batch.

    Attributes:
        id: Its id in the library.
        name: The caller's name for it.
        provider: Who makes the pictures.
        endpoint: Where each line goes.
        model: The model that draws.
        items: Its pictures, in the order in which they were asked.
        digest: Tells whether another batch asks for the same.
        estimate: What it could cost.
        created: When it was put together.
        owner: Who puts it together; None once it was let go of.
        running: Whether that program lives.
        posted: When the provider was asked to make it, with which file.
        file_id: The provider's id of the file with its lines.
        provider_id: The provider's id of the batch, if it is known.
        state: Where it stands, as was last heard.
        completed: How many lines were carried out, as was last heard.
        failed: How many of them failed, as was last heard.
        output_file_id: Where the pictures are.
        error_file_id: Where it says what failed.
        expires: When the provider gives up.
        problem: Why it failed as a whole.
        settled: Whether all of its turns are.
    """

    id: str
    name: str | None = None
    provider: str
    endpoint: str
    model: str
    items: tuple[BatchItem, ...]
    digest: str
    estimate: CostEstimate
    created: dt.datetime
    owner: str | None = None
    running: bool = False
    submitted_at: dt.datetime | None = None
    file_id: str | None = None
    provider_id: str | None = None
    state: BatchState = "preparing"
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    expires: dt.datetime | None = None
    problem: str = ""
    settled: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """
        The ids of the turns that it asks for.
        """
        return tuple(item.turn for item in self.items if item.asked)

    @property
    def keys(self) -> tuple[str, ...]:
        """
        The names of its pictures, if they have any.
        """
        return tuple(item.key for item in self.items if item.key is not None)

    @property
    def ended(self) -> bool:
        """
        Whether the provider does no more for it.
        """
        return self.state in ENDED


BatchUpdate = Mapping[str, Any]
"""What became known of a batch: fields of its record by their names."""


@attrs.frozen(kw_only=True)
class BatchStatus:
    """
    Where a batch stands. Its text is fit to be shown.

    Attributes:
        id: Its id in the library; `studio.batches.get` takes it.
        name: Your own name for it.
        provider_id: The provider's id of it; None while it is not known.
        state: "preparing", "submitting" (sent, and the provider's id of it is not known),
            "validating", "in_progress", "finalizing", "completed", "failed", "expired",
            "cancelling", "cancelled" or "unsent" (the provider has not taken it up).
        total: How many pictures it is about.
        completed: How many the provider has made.
        failed: How many failed.
        saved: How many are in the library.
        created: When it was submitted.
        expires: When the provider gives up on what is not made yet, if it said.
        estimate: What it could cost, at half the price.
        cost: What the pictures and failures that are settled came to.
        problem: Why it failed as a whole; otherwise empty.
    """

    id: str
    name: str | None
    provider_id: str | None
    state: BatchState
    total: int
    completed: int
    failed: int
    saved: int
    created: dt.datetime
    expires: dt.datetime | None
    estimate: CostEstimate
    cost: Cost
    problem: str = ""

    @property
    def ended(self) -> bool:
        """
        Whether the provider does no more for it.
        """
        return self.state in ENDED

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        problem = f": {self.problem}" if self.problem else ""
        return (
            f"{self.state}, {self.completed} of {self.total} made{failed}, {self.saved} saved"
            f"{problem}"
        )


BatchStatus.__module__ = "imagesession"
