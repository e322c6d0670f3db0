"""
Reports of sessions and studios: status, statistics, spending and recovery.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast

import attrs

from .cost import Cost, format_usd
from .readable import readable
from .turn import Turn

State = Literal["active", "idle", "closed"]
Image = TypeVar("Image")
Grouping = Literal["day", "session", "model", "kind", "provider", "owner"]


@readable
@attrs.frozen(kw_only=True)
class SessionStatus:
    """
    The status of a session.

    Attributes:
        session_id: Its id.
        session_name: Its label.
        description: What it is about.
        state: "active"; "idle" after a period without activity (the next turn makes it active
            again); or "closed".
        created_at: When it was created.
        last_activity: When it was last used.
        model: The mainline model of its turns; "auto" if the choice is left open.
        options: The default options of its turns, by name.
        references: The roles of the images of its reference board.
        branch: The current branch.
        branches: All branches.
        head: The id of the image that the next prompt refines; None at the start.
        total_generations: How many images were made.
        turns: How many turns it has, by status.
        recent_images: Paths of the latest images, at most five, the latest first.
        cost: What it cost so far.
        conversation_summary: A summary of the conversation's extent, in words.
    """

    session_id: str
    session_name: str | None
    description: str
    state: State
    created_at: dt.datetime
    last_activity: dt.datetime
    model: str
    options: Mapping[str, Any]
    references: tuple[str, ...]
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
        Whether it counts towards the limit of active sessions.
        """
        return self.state == "active"

    def __str__(self) -> str:
        return _lines(self)


@readable
@attrs.frozen(kw_only=True)
class LibraryStats:
    """
    Statistics of a library and its studio.

    Attributes:
        version: The version of imagesession.
        provider: A description of the provider.
        library: The library's folder.
        active_sessions: How many sessions are active.
        max_active_sessions: How many sessions may be active.
        total_sessions: How many sessions there are in all.
        session_timeout_hours: The hours without activity after which a session is idle.
        total_images: How many images were made by providers.
        total_turns: How many turns are settled, including failed ones.
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

    def __str__(self) -> str:
        return _lines(self)


@readable
@attrs.frozen(kw_only=True)
class CostGroup:
    """
    The spending of a group of turns.

    Attributes:
        dollars: US dollars, as far as prices are known.
        uncertain: How many turns have an unknown price; they are not fully part of `dollars`.
        images: How many images were made.
        turns: How many turns there are.
        context_dollars: US dollars, within `dollars`, for input that earlier turns of sessions took
            again.
        context_tokens: How many input tokens that were.
    """

    dollars: float
    uncertain: int
    images: int
    turns: int
    context_dollars: float = 0.0
    context_tokens: int = 0

    def __str__(self) -> str:
        text = f"${self.dollars:>9.4f}  {self.images:>5} image{'s' * (self.images != 1)}"
        if self.context_tokens:
            text += (
                f"  (earlier turns again: {self.context_tokens:,} tokens, "
                f"{format_usd(self.context_dollars)})"
            )
        if self.uncertain:
            text += f"  and {self.uncertain} turns at an unknown price"
        return text


@readable
@attrs.frozen(kw_only=True)
class CostReport:
    """
    The spending on a library, from the usage that its providers reported.

    Attributes:
        group_by: The property by which turns are grouped.
        groups: The groups by the value of this property; "" for turns without one.
        provider: A description of the provider; with the offline one nothing was billed.
        remaining: US dollars that are left of the studio's daily budget, or of the budget of the
            given session if that is less; reservations of pending requests are subtracted. None if
            no such limit is set.
    """

    group_by: Grouping
    groups: Mapping[str, CostGroup]
    provider: str
    remaining: float | None = None

    @property
    def total(self) -> CostGroup:
        """
        The sum of all groups.
        """
        groups = self.groups.values()
        names = [field.name for field in attrs.fields(CostGroup)]
        return CostGroup(**{name: sum(getattr(group, name) for group in groups) for name in names})

    def __str__(self) -> str:
        rows = [*self.groups.items(), ("total", self.total)]
        nameless = "standalone" if self.group_by == "session" else "-"
        width = max(len(name or nameless) for name, _ in rows)
        lines = [f"{name or nameless:<{width}}  {group}" for name, group in rows]
        if self.remaining is not None:
            lines.append(f"{'left':<{width}}  ${self.remaining:>9.4f}  of the budget")
        return "\n".join([*lines, f"({self.provider})"])


@readable
@attrs.frozen(kw_only=True)
class PendingRequest:
    """
    A request that is under way, or whose program ended before it was settled.

    Attributes:
        turn: The pending turn.
        response_id: The provider's response id, if it is known.
        running: Whether a running program works on it.
        staged: Whether its image is already on the disk.
    """

    turn: Turn
    response_id: str | None
    running: bool
    staged: bool = False

    def __str__(self) -> str:
        state = "ready to be saved" if self.staged else "running" if self.running else "waiting"
        return f"{self.turn.id}: {' '.join(self.turn.prompt.split())[:60]!r}, {state}"


@readable
@attrs.frozen(kw_only=True)
class QueueStatus:
    """
    How far a queue is. `str()` of it reads "200 of 300 images made, 4 under way".

    Attributes:
        total: How many images it has.
        waiting: How many no worker has begun, or will be tried again.
        running: How many workers are making.
        made: How many are in the library.
        failed: How many will not be made.
        cancelled: How many were cancelled before a worker began them.
    """

    total: int
    waiting: int
    running: int
    made: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, states: Iterable[str]) -> QueueStatus:
        """
        Count the states of a queue's jobs.
        """
        count = Counter(states)
        made, failed, cancelled = count["succeeded"], count["failed"], count["cancelled"]
        waiting, total = count["todo"], count.total()
        running = total - waiting - made - failed - cancelled
        return cls(
            total=total, waiting=waiting, running=running,
            made=made, failed=failed, cancelled=cancelled,
        )  # fmt: skip

    @property
    def finished(self) -> int:
        """
        How many images nothing more will happen to.
        """
        return self.made + self.failed + self.cancelled

    @property
    def ended(self) -> bool:
        """
        Whether nothing more will happen.
        """
        return self.finished == self.total

    def __str__(self) -> str:
        others = {"under way": self.running, "failed": self.failed, "cancelled": self.cancelled}
        more = "".join(f", {count} {what}" for what, count in others.items() if count)
        return f"{self.made} of {self.total} images made{more}"


@readable
@attrs.frozen(kw_only=True)
class RecoveryReport(Generic[Image]):
    """
    The result of a recovery of pending requests.

    Attributes:
        images: The images that were recovered and saved.
        failed: The turns that were settled without an image; their `failure` says why.
        still_pending: Why a request could not be settled yet, by its turn's id or its batch's id.
        quarantined: Where the record of a request or batch was set aside because it is damaged, by
            its id. It may have been billed; this is reported once, and by `studio.doctor()`.
    """

    images: tuple[Image, ...] = ()
    failed: tuple[Turn, ...] = ()
    still_pending: Mapping[str, str] = attrs.field(factory=dict[str, str])
    quarantined: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __str__(self) -> str:
        counts = len(self.images), len(self.failed), len(self.still_pending)
        text = "{} images recovered, {} requests settled without an image, {} still pending".format(
            *counts
        )
        reasons = [
            f"- still pending: {turn_id}: {why}" for turn_id, why in self.still_pending.items()
        ]
        damaged = [
            f"- damaged, and may have been billed: {request_id}: its record is now {where}"
            for request_id, where in self.quarantined.items()
        ]
        return "\n".join([text, *reasons, *damaged])


@readable
@attrs.frozen(kw_only=True)
class TransferReport:
    """
    What the transfer of a library has copied.

    Attributes:
        sessions: How many sessions the source has.
        turns: How many turns it has, including failed ones.
        images: How many images its turns have.
        copied: How many images this call has written; the others were there.
        missing: The ids of images whose files are missing in the source; their records are copied.
        damaged: The ids of images that are not what was made; their bytes are copied as they are.
    """

    sessions: int
    turns: int
    images: int
    copied: int
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def __str__(self) -> str:
        return _lines(self)


def _lines(facts: attrs.AttrsInstance) -> str:
    members = ((field.name, getattr(facts, field.name)) for field in attrs.fields(type(facts)))
    return "\n".join(f"{name.replace('_', ' ')}: {_words(name, value)}" for name, value in members)


def _words(name: str, value: object) -> str:
    if name.startswith("spent") and isinstance(value, float):
        return format_usd(value)
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, tuple):
        return ", ".join(map(str, cast("tuple[object, ...]", value))) or "none"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return ", ".join(f"{key} {member}" for key, member in pairs) or "none"
    return "none" if value is None else str(value)


for _public in (
    PendingRequest,
    QueueStatus,
    RecoveryReport,
    SessionStatus,
    LibraryStats,
    CostGroup,
    CostReport,
    TransferReport,
):
    _public.__module__ = "imagesession"
