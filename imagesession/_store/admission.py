"""
The ledger of a library: what was spent, what is set aside, and whether another request may be.

It needs no book of its own. A turn's record says what it cost; its intent in the journal, written
before anything is sent, says what was set aside for it, and stays until it is settled. So what a
process that died had set aside counts as spent until its outcome is known.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from imagesession._domain.turn import Turn
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
    What an intent that is not in the index yet holds.

    Attributes:
        turn_id: The turn's id.
        session: Its session's id; None for a one-shot.
        amount: US dollars: what it cost if it is settled, else what was set aside.
        idempotency_key: The caller's own name for it.
        settled: The turn, if it is settled.
        batch: The id of the batch in which it is asked.
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
        The day (UTC) on which it was begun.
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
    Check that a turn may be asked for, while no other process can come in between.

    Args:
        turn: What is about to be asked.
        reservation: What it is allowed to cost.
        connection: The index, locked.
        journal: What is not settled.
        read: Reads a settled turn, by its session and id.

    Returns:
        What was made under the same intent's name before.

    Raises:
        BudgetExceededError: It may cost more than is left.
        OutcomeUnknownError: It was asked for under the same name, and is not settled, or nobody
            can tell what became of it.
    """
    claims = list(_claims(connection, journal))
    if turn.idempotency_key is not None:
        settled = (read(*item) for item in find_intent(connection, turn.idempotency_key))
        made = completed_under_key(turn.idempotency_key, settled) or _claimed(
            claims, turn.idempotency_key
        )
        if made is not None:
            return made
    if reservation is not None:
        _check(turn, reservation, connection, claims)
    return None


def admit_all(
    turns: Sequence[Turn],
    reservation: BudgetReservation | None,
    connection: sqlite3.Connection,
    journal: Journal,
    read: Callable[[str | None, str], Turn],
) -> dict[str, Turn]:
    """
    Check that all of some turns may be asked for, while no other process can come in between.

    Args:
        turns: What is about to be asked; each knows what would be set aside for it.
        reservation: What all of them are allowed to cost.
        connection: The index, locked.
        journal: What is not settled.
        read: Reads a settled turn, by its session and id.

    Returns:
        What was made under the same intents' names before, by the ids of the turns.

    Raises:
        BudgetExceededError: They may cost more than is left.
        OutcomeUnknownError: As of `allow`.
    """
    claims = list(_claims(connection, journal))
    named: dict[str | None, list[PendingReservation]] = {}
    for claim in claims:
        named.setdefault(claim.idempotency_key, []).append(claim)
    made: dict[str, Turn] = {}
    for turn in turns:
        if turn.idempotency_key is not None:
            settled = (read(*item) for item in find_intent(connection, turn.idempotency_key))
            before = completed_under_key(turn.idempotency_key, settled) or _claimed(
                named.get(turn.idempotency_key, []), turn.idempotency_key
            )
            if before is not None:
                made[turn.id] = before
    todo = [turn for turn in turns if turn.id not in made]
    if reservation is not None and todo:
        amounts = [turn.reserved for turn in todo]
        most = None if None in amounts else sum(amount or 0.0 for amount in amounts)
        estimate = attrs.evolve(reservation.estimate, high=most)
        _check(todo[0], attrs.evolve(reservation, estimate=estimate), connection, claims)
    return made


def completed_under_key(idempotency_key: str, settled: Iterable[Turn]) -> Turn | None:
    """
    Return the turn that was completed among those that were settled under a name.

    Raises:
        OutcomeUnknownError: There is none, but one of which nobody can tell what became.
    """
    turns = list(settled)
    made = next((turn for turn in turns if turn.has_image), None)
    lost = next((turn for turn in turns if turn.is_outcome_unknown), None)
    if made is None and lost is not None:
        raise OutcomeUnknownError(
            f"idempotency_key={idempotency_key!r} was sent on {lost.started:%Y-%m-%d %H:%M} UTC; "
            "its outcome is unknown, it may have been billed, and it is not sent twice. "
            "To pay for it again, use another key.",
            lost.id,
        )
    return made


def _claimed(claims: list[PendingReservation], idempotency_key: str) -> Turn | None:
    for claim in claims:
        if claim.idempotency_key != idempotency_key:
            continue
        if claim.settled is None and claim.batch is not None:
            raise OutcomeUnknownError(
                f"idempotency_key={idempotency_key!r} is in a batch that is not settled; it is not "
                f"sent twice. Collect it with studio.batches.get({claim.batch!r}).",
                claim.turn_id,
            )
        if claim.settled is None:
            raise OutcomeUnknownError(
                f"idempotency_key={idempotency_key!r} is in use and not settled: another program "
                "is at it, or was stopped while it waited. It is not sent twice.",
                claim.turn_id,
            )
        if claim.settled.has_image:
            return claim.settled
    return None


def _check(
    turn: Turn,
    reservation: BudgetReservation,
    connection: sqlite3.Connection,
    claims: list[PendingReservation],
) -> None:
    from imagesession._domain.budget import enforce  # noqa: PLC0415 - not everybody has a budget

    today = timestamp_of(turn.id).date()
    days = tally(connection, SpendingQuery(since=today, until=today))
    sessions = tally(connection, SpendingQuery(by="session", session=turn.session or ""))
    enforce(
        reservation.budget,
        reservation.estimate,
        day_spent=sum(day.spent for day in days)
        + sum(claim.amount for claim in claims if claim.day == today),
        session_spent=sum(session.spent for session in sessions)
        + sum(claim.amount for claim in claims if claim.session == turn.session),
        in_session=turn.session is not None,
    )


def _claims(connection: sqlite3.Connection, journal: Journal) -> Iterator[PendingReservation]:
    """
    Read the intents that the index does not know as settled.
    """
    for entry in journal.entries():
        if not has_turn(connection, entry.turn_id):
            yield _claim(entry, journal)


def _claim(entry: Entry, journal: Journal) -> PendingReservation:
    settled = _settled(journal.layout, entry)
    intent = journal.read(entry)
    asked = settled or (intent.turn if intent else None)
    reserved = (asked.reserved if asked else None) or 0.0
    return PendingReservation(
        turn_id=entry.turn_id,
        session=entry.session_id,
        amount=budget_cost(settled) if settled else reserved,
        idempotency_key=asked.idempotency_key if asked else None,
        settled=settled,
        batch=asked.batch if asked else None,
    )


def _settled(layout: Layout, entry: Entry) -> Turn | None:
    file: Path = layout.turn_file(entry.session_id, entry.turn_id)
    with contextlib.suppress(FileNotFoundError, StorageError):
        return codec.read_turn(file.read_bytes(), str(file))
    return None
