"""
Batches: many images that a provider makes within 24 hours, at half the price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from .readable import readable

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
"""`BatchStatus` says what each means."""
ENDED: frozenset[BatchState] = frozenset({"completed", "failed", "expired", "cancelled", "unsent"})
NOT_EXECUTED: frozenset[BatchState] = frozenset({"failed", "unsent"})
"""A batch that ended in one of these states processed no requests."""
MAX_LINES = 50_000  # https://developers.openai.com/api/docs/guides/batch
MAX_BYTES = 200_000_000


@attrs.frozen(kw_only=True)
class BatchItem:
    """
    One image of a batch.

    Attributes:
        turn: The id of its turn, which is also the `custom_id` of its line.
        key: The caller's name for it.
        asked: Whether the batch requests it; False if the library had the image before.
        session: The session of an image that the library had before.
    """

    turn: str
    key: str | None = None
    asked: bool = True
    session: str | None = None


@attrs.frozen(kw_only=True)
class BatchRecord:
    """
    A batch as the library records it.

    Attributes:
        endpoint: The API path to which each line is sent.
        items: Its images, in the order of the requests.
        digest: A digest of its requests; batches with equal requests have the same one.
        running: Whether a program works on it.
        submitted_at: When the request to create it was sent.
        absent_since: When the provider first did not list it, by the provider's own clock.
        provider_id: The provider's id of the batch, if it is known.
        completed: How many lines were completed, as last reported; likewise `failed`.
        problem: Why it failed as a whole; otherwise empty.
        settled: Whether all of its turns are settled.
    """

    id: str
    owner: str | None = None
    name: str | None = None
    provider: str
    endpoint: str
    model: str
    items: tuple[BatchItem, ...]
    digest: str
    estimate: CostEstimate
    created: dt.datetime
    running: bool = False
    submitted_at: dt.datetime | None = None
    absent_since: dt.datetime | None = None
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
        return tuple(item.turn for item in self.items if item.asked)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(item.key for item in self.items if item.key is not None)

    @property
    def ended(self) -> bool:
        return self.state in ENDED


BatchUpdate = Mapping[str, Any]
"""Changes to a batch: fields of its record by name."""


@readable
@attrs.frozen(kw_only=True)
class BatchStatus:
    """
    The status of a batch; `str()` of it is one readable line.

    Attributes:
        id: Its id in the library; `studio.batches.get` takes it.
        name: Your own name for it.
        provider_id: The provider's id of it; None while it is unknown.
        state: "preparing", "submitting" (sent, but the provider's id is unknown), "validating",
            "in_progress", "finalizing", "completed", "failed", "expired", "cancelling",
            "cancelled" or "unsent" (the provider did not accept it).
        total: How many images it has.
        completed: How many the provider has made.
        failed: How many failed.
        saved: How many are in the library.
        created: When it was prepared.
        expires: When the provider gives up on images that are not made yet, if it said so.
        estimate: What it could cost, at half the price.
        cost: What its settled images and failures cost.
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
        Whether the provider has stopped working on it.
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
