"""
Admission: check budgets and idempotency keys before an intent is written.

There is no separate ledger. A turn's record holds its cost. Its intent, which is written before
anything is sent, holds its reservation and stays in the journal until the turn is settled. So the
reservation of a process that died counts as spent until the outcome is known.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine.leases import BudgetReservation
from imagesession._engine.store import SpendingQuery
from imagesession.errors import OutcomeUnknownError, StorageError

from . import codec
from .ids import timestamp_of
from .index_schema import budget_cost, find_intent, has_turn, tally
from .journal import Entry, Journal
from .layout import Layout


@attrs.frozen
class PendingReservation:
    """
    What an intent that is not in the index yet sets aside from a budget.

    Attributes:
        turn_id: The turn's id.
        session: Its session's id; None for a standalone image.
        amount: US dollars: the cost if the turn is settled, else the reserved amount.
        idempotency_key: The caller's name for the request.
        settled: The turn, if it is settled.
        batch: The id of the batch that the turn belongs to.
    """

    turn_id: str
    session: str | None
    amount: float
    idempotency_key: str | None
    settled: Turn | None
    batch: str | None = None

    @property
    def day(self) -> dt.date:
        """
        The day (UTC) on which the turn was started.
        """
        return timestamp_of(self.turn_id).date()


def admit(
    turn: Turn,
    reservation: BudgetReservation | None,
    connection: sqlite3.Connection,
    journal: Journal,
    read: Callable[[str | None, str], Turn],
) -> Turn | None:
    """
    Check that a turn may be requested, while the index lock keeps other processes out.

    Args:
        turn: The turn that is about to be requested.
        reservation: The budget and the estimated cost.
        connection: The index, locked.
        journal: The intents that are not settled.
        read: Reads a settled turn, by its session and id.

    Returns:
        The turn that was completed under the same idempotency key before.

    Raises:
        BudgetExceededError: The turn may cost more than is left.
        OutcomeUnknownError: A request with the same key is not settled, or its outcome is unknown.
    """
    pending = list(_pending_reservations(connection, journal))
    if turn.idempotency_key is not None:
        settled = (read(*item) for item in find_intent(connection, turn.idempotency_key))
        completed = completed_under_key(turn.idempotency_key, settled) or _pending_under_key(
            pending, turn.idempotency_key
        )
        if completed is not None:
            return completed
    if reservation is not None:
        _enforce_budget(turn, reservation, connection, pending)
    return None


def admit_all(
    turns: Sequence[Turn],
    reservation: BudgetReservation | None,
    connection: sqlite3.Connection,
    journal: Journal,
    read: Callable[[str | None, str], Turn],
) -> dict[str, Turn]:
    """
    Check that several turns may be requested, while the index lock keeps other processes out.

    Args:
        turns: The turns that are about to be requested, each with its reserved amount.
        reservation: The budget and the estimated cost of all of them.
        connection: The index, locked.
        journal: The intents that are not settled.
        read: Reads a settled turn, by its session and id.

    Returns:
        The turns that were completed under the same idempotency keys before, by the ids of the
        new turns.

    Raises:
        BudgetExceededError: The turns may cost more than is left.
        OutcomeUnknownError: As for `admit`.
    """
    pending = list(_pending_reservations(connection, journal))
    pending_by_key: dict[str | None, list[PendingReservation]] = {}
    for item in pending:
        pending_by_key.setdefault(item.idempotency_key, []).append(item)
    completed: dict[str, Turn] = {}
    for turn in turns:
        if turn.idempotency_key is not None:
            settled = (read(*item) for item in find_intent(connection, turn.idempotency_key))
            earlier = completed_under_key(turn.idempotency_key, settled) or _pending_under_key(
                pending_by_key.get(turn.idempotency_key, []), turn.idempotency_key
            )
            if earlier is not None:
                completed[turn.id] = earlier
    new = [turn for turn in turns if turn.id not in completed]
    if reservation is not None and new:
        amounts = [turn.reserved for turn in new]
        total = None if None in amounts else sum(amount or 0.0 for amount in amounts)
        estimate = attrs.evolve(reservation.estimate, high=total)
        _enforce_budget(new[0], attrs.evolve(reservation, estimate=estimate), connection, pending)
    return completed


def completed_under_key(idempotency_key: str, settled: Iterable[Turn]) -> Turn | None:
    """
    Return the completed turn among those that were settled under an idempotency key.

    Raises:
        OutcomeUnknownError: None was completed, and the outcome of one of them is unknown.
    """
    turns = list(settled)
    completed = next((turn for turn in turns if turn.has_image), None)
    unknown = next((turn for turn in turns if turn.is_outcome_unknown), None)
    if completed is None and unknown is not None:
        raise OutcomeUnknownError(
            f"idempotency_key={quote(idempotency_key)} was sent on {unknown.started:%Y-%m-%d %H:%M}"
            " UTC; its outcome is unknown, it may have been billed, and it is not sent twice. "
            "To pay for it again, use another key.",
            unknown.id,
        )
    return completed


def _pending_under_key(pending: list[PendingReservation], idempotency_key: str) -> Turn | None:
    for item in pending:
        if item.idempotency_key != idempotency_key:
            continue
        if item.settled is None and item.batch is not None:
            raise OutcomeUnknownError(
                f"idempotency_key={quote(idempotency_key)} is in a batch that is not settled; it "
                f"is not sent twice. Collect it with studio.batches.get({item.batch!r}).",
                item.turn_id,
            )
        if item.settled is None:
            raise OutcomeUnknownError(
                f"idempotency_key={quote(idempotency_key)} is in use and not settled: another "
                "program is working on it, or was stopped while it waited. It is not sent twice.",
                item.turn_id,
            )
        if item.settled.has_image:
            return item.settled
    return None


def _enforce_budget(
    turn: Turn,
    reservation: BudgetReservation,
    connection: sqlite3.Connection,
    pending: list[PendingReservation],
) -> None:
    from imagesession._domain.budget import enforce  # noqa: PLC0415 - not everybody has a budget

    today = timestamp_of(turn.id).date()
    days = tally(connection, SpendingQuery(since=today, until=today))
    sessions = tally(connection, SpendingQuery(by="session", session=turn.session or ""))
    enforce(
        reservation.budget,
        reservation.estimate,
        day_spent=sum(day.spent for day in days)
        + sum(item.amount for item in pending if item.day == today),
        session_spent=sum(session.spent for session in sessions)
        + sum(item.amount for item in pending if item.session == turn.session),
        in_session=turn.session is not None,
    )


def _pending_reservations(
    connection: sqlite3.Connection, journal: Journal
) -> Iterator[PendingReservation]:
    """
    Read the reservations of the intents whose turns are not in the index.
    """
    for entry in journal.entries():
        if not has_turn(connection, entry.turn_id):
            yield _reservation_of(entry, journal)


def _reservation_of(entry: Entry, journal: Journal) -> PendingReservation:
    settled = _read_settled(journal.layout, entry)
    intent = journal.read(entry)
    turn = settled or (intent.turn if intent else None)
    reserved = (turn.reserved if turn else None) or 0.0
    return PendingReservation(
        turn_id=entry.turn_id,
        session=entry.session_id,
        amount=budget_cost(settled) if settled else reserved,
        idempotency_key=turn.idempotency_key if turn else None,
        settled=settled,
        batch=turn.batch if turn else None,
    )


def _read_settled(layout: Layout, entry: Entry) -> Turn | None:
    file: Path = layout.turn_file(entry.session_id, entry.turn_id)
    with contextlib.suppress(FileNotFoundError, StorageError):
        return codec.read_turn(file.read_bytes(), str(file))
    return None
