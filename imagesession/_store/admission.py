"""
Admission: check budgets and idempotency keys before intents are written.

There is no separate ledger. A turn's record holds its cost. Its intent, which is written before
anything is sent, holds its reservation and is there until the turn is settled. So the reservation
of a process that died counts as spent until the outcome is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine.store import BudgetReservation
from imagesession.errors import KeyReusedError, OutcomeUnknownError

from .ids import timestamp_of
from .ports import Ports
from .records import open_intents, read_current_turn


def admit(
    ports: Ports, turns: Sequence[Turn], reservation: BudgetReservation | None
) -> dict[str, Turn]:
    """
    Check that turns of one owner may be requested, within a transaction that keeps other programs
    from doing so. `reservation` is the estimated cost of all of them.

    Return the turns that were completed under the same idempotency keys before, by the ids of the
    new turns.
    """
    # Read before the index is asked: a turn that is settled meanwhile is found there, or here.
    pending = [intent.turn for _, intent in open_intents(ports.facts)]
    completed = _completed_before(ports, turns, pending)
    new = [turn for turn in turns if turn.id not in completed]
    if reservation is not None and new:
        if len(turns) > 1:
            amounts = [turn.reserved for turn in new]
            total = None if None in amounts else sum(amount or 0.0 for amount in amounts)
            estimate = attrs.evolve(reservation.estimate, high=total)
            reservation = attrs.evolve(reservation, estimate=estimate)
        _enforce_budget(ports, new[0], reservation, pending)
    return completed


def _completed_before(
    ports: Ports, turns: Sequence[Turn], pending: Sequence[Turn]
) -> dict[str, Turn]:
    keys = {turn.id: turn.idempotency_key for turn in turns if turn.idempotency_key is not None}
    if not keys:
        return {}
    owner = turns[0].owner
    under_way = {turn.idempotency_key: turn for turn in reversed(pending) if turn.owner == owner}
    settled = ports.index.settled_under(set(keys.values()), owner)
    completed: dict[str, Turn] = {}
    for turn_id, key in keys.items():
        records = (read_current_turn(ports.facts, record) for record in settled[key])
        earlier = completed_under_key(key, records)
        if earlier is not None:
            completed[turn_id] = earlier
        elif key in under_way:
            raise _in_use(under_way[key])
    return completed


def completed_under_key(idempotency_key: str, settled: Iterable[Turn]) -> Turn | None:
    turns = list(settled)
    completed = next((turn for turn in turns if turn.has_image), None)
    unknown = next((turn for turn in turns if turn.is_outcome_unknown), None)
    deleted = next((turn for turn in turns if turn.deleted is not None), None)
    if completed is None and deleted is not None:
        raise KeyReusedError(
            f"What was made with idempotency_key={quote(idempotency_key)} is in the bin. Bring it "
            f"back with studio.images.restore({deleted.id!r}), or use another key."
        )
    if completed is None and unknown is not None:
        raise OutcomeUnknownError(
            f"idempotency_key={quote(idempotency_key)} was sent on {unknown.started:%Y-%m-%d %H:%M}"
            " UTC; its outcome is unknown, it may have been billed, and it is not sent twice. "
            "To pay for it again, use another key.",
            unknown.id,
        )
    return completed


def _in_use(turn: Turn) -> OutcomeUnknownError:
    key = turn.idempotency_key
    if turn.batch is not None:
        return OutcomeUnknownError(
            f"idempotency_key={quote(key)} is in a batch that is not settled; it is not sent "
            f"twice. Collect it with studio.batches.get({turn.batch!r}).",
            turn.id,
        )
    return OutcomeUnknownError(
        f"idempotency_key={quote(key)} is in use and not settled: another program is "
        "working on it, or was stopped while it waited. It is not sent twice.",
        turn.id,
    )


def _enforce_budget(
    ports: Ports, turn: Turn, reservation: BudgetReservation, pending: Sequence[Turn]
) -> None:
    from imagesession._domain.budget import enforce  # noqa: PLC0415 - not everybody has a budget

    today = timestamp_of(turn.id).date()
    day_spent, session_spent, owner_spent = ports.index.spent(
        today, turn.session, turn.owner, without={item.id for item in pending}
    )
    of_day = [item for item in pending if timestamp_of(item.id).date() == today]
    of_owner = [item for item in of_day if item.owner == turn.owner]
    enforce(
        reservation.budget,
        reservation.estimate,
        day_spent=day_spent + _reserved(of_day),
        session_spent=session_spent
        + _reserved(item for item in pending if item.session == turn.session),
        owner_spent=None if turn.owner is None else owner_spent + _reserved(of_owner),
        in_session=turn.session is not None,
    )


def _reserved(turns: Iterable[Turn]) -> float:
    return sum(turn.reserved or 0.0 for turn in turns)
