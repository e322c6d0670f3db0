"""
What sessions and studios tell of themselves: status, statistics, spending.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import attrs

from .cost import Cost
from .turn import Turn

State = Literal["active", "idle", "closed"]
Image = TypeVar("Image")
Grouping = Literal["day", "session", "model", "kind", "provider"]


@attrs.frozen(kw_only=True)
class SessionStatus:
    """
    Where a session stands.

    Attributes:
        session_id: Its id.
        session_name: Its label.
        description: What it is about.
        state: Active; idle, when nothing happened for a while (going on makes it active); closed.
        created_at: When it was started.
        last_activity: When something last happened in it.
        model: The mainline model that its turns ask, "auto" if that is left open.
        options: What its turns ask for unless they say otherwise, by name.
        branch: The line that is looked at.
        branches: All lines.
        head: The id of the picture that the next prompt refines; None at the start.
        total_generations: How many pictures came.
        turns: How many turns there were, by how they ended.
        recent_images: Paths of the latest pictures, at most five, the latest first.
        cost: What it cost so far.
        conversation_summary: How much was said, in words.
    """

    session_id: str
    session_name: str | None
    description: str
    state: State
    created_at: dt.datetime
    last_activity: dt.datetime
    model: str
    options: Mapping[str, Any]
    branch: str
    branches: tuple[str, ...]
    head: str | None
    total_generations: int
    turns: Mapping[str, int]
    recent_images: tuple[str, ...]
    cost: Cost
    conversation_summary: str

    @property
    def active(self) -> bool:
        """
        Whether it counts among the active ones.
        """
        return self.state == "active"


@attrs.frozen(kw_only=True)
class LibraryStats:
    """
    A library and its studio in numbers.

    Attributes:
        version: Of imagesession.
        provider: Who makes the pictures, in words.
        library: The library's folder.
        active_sessions: How many sessions are active.
        max_active_sessions: How many may be.
        total_sessions: How many there are in all.
        session_timeout_hours: After how many hours a session in which nothing happens is idle.
        total_images: How many pictures came from providers.
        total_turns: How many requests were settled, failed ones among them.
        models_in_use: The mainline models of the active sessions.
        spent_today: US dollars since midnight UTC, as far as prices are known.
        spent: US dollars in all, as far as prices are known.
    """

    version: str
    provider: str
    library: str
    active_sessions: int
    max_active_sessions: int
    total_sessions: int
    session_timeout_hours: float
    total_images: int
    total_turns: int
    models_in_use: tuple[str, ...]
    spent_today: float
    spent: float


@attrs.frozen(kw_only=True)
class CostGroup:
    """
    What a group of turns came to.

    Attributes:
        dollars: US dollars, as far as the prices are known.
        uncertain: In how many turns a price is not known; they cost more than nothing.
        images: How many pictures came.
        turns: How many turns there were.
    """

    dollars: float
    uncertain: int
    images: int
    turns: int


@attrs.frozen(kw_only=True)
class CostReport:
    """
    What was spent on a library, from what its providers reported.

    Attributes:
        group_by: What the groups share.
        groups: What each came to, by the value that its turns share; "" for those without one.
        provider: Who makes the pictures, in words: offline, nothing was billed.
        remaining: US dollars that the studio's budget leaves today, and in the session that was
            named, whichever is less; what is set aside for requests on their way is not left.
            None if no such limit is set.
    """

    group_by: Grouping
    groups: Mapping[str, CostGroup]
    provider: str
    remaining: float | None = None

    @property
    def total(self) -> CostGroup:
        """
        All groups together.
        """
        every = self.groups.values()
        return CostGroup(
            dollars=sum(item.dollars for item in every),
            uncertain=sum(item.uncertain for item in every),
            images=sum(item.images for item in every),
            turns=sum(item.turns for item in every),
        )

    def __str__(self) -> str:
        rows = [*self.groups.items(), ("total", self.total)]
        width = max(len(name) for name, _ in rows)
        lines = [
            f"{name or '-':<{width}}  ${item.dollars:>9.4f}  {item.images:>5} pictures"
            + (f"  and {item.uncertain} turns at an unknown price" if item.uncertain else "")
            for name, item in rows
        ]
        return "\n".join([*lines, f"({self.provider})"])


@attrs.frozen(kw_only=True)
class PendingRequest:
    """
    A request that is under way, or was left without an end.

    Attributes:
        turn: What was asked.
        response_id: The provider's id of it, if it became known.
        running: Whether a program that lives is at it.
        staged: Whether its picture is on the disk already.
    """

    turn: Turn
    response_id: str | None
    running: bool
    staged: bool = False


@attrs.frozen(kw_only=True)
class RecoveryReport(Generic[Image]):
    """
    What became of requests that had been left without an end.

    Attributes:
        images: The pictures that were fetched and kept.
        failed: The turns that were settled without a picture; their failures say why.
        left: Why a request could not be settled yet, by its turn's id; of a batch, by its id.
    """

    images: tuple[Image, ...] = ()
    failed: tuple[Turn, ...] = ()
    still_pending: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __str__(self) -> str:
        counts = len(self.images), len(self.failed), len(self.still_pending)
        text = "{} pictures recovered, {} requests settled without one, {} left".format(*counts)
        reasons = [f"- left: {turn_id}: {why}" for turn_id, why in self.still_pending.items()]
        return "\n".join([text, *reasons])


for _public in (PendingRequest, RecoveryReport, SessionStatus, LibraryStats, CostGroup, CostReport):
    _public.__module__ = "imagesession"
