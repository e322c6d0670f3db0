"""
Quarantine paid replies that cannot be read, so that a person can examine them.
"""

from __future__ import annotations

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .effects import StoreCall, Workflow
from .outcomes import ResponseOutcome


def quarantine_if_unreadable(
    turn: Turn, outcome: ResponseOutcome, body: bytes
) -> Workflow[ResponseOutcome]:
    if not outcome.unreadable:
        return outcome
    error = (
        outcome.error
        if isinstance(outcome.error, InvalidResponseError)
        else InvalidResponseError("")
    )
    quarantined = yield from quarantine(turn, body, error)
    return attrs.evolve(outcome, error=quarantined if outcome.error else None)


def quarantine(
    turn: Turn, body: bytes, error: InvalidResponseError
) -> Workflow[InvalidResponseError]:
    """
    Quarantine the bytes of an unreadable response; return the error that names their file.
    """
    file = yield from StoreCall(lambda store: store.turns.quarantine(turn.id, body))
    return InvalidResponseError(
        f"{error.message} Its bytes are kept in {file}.", error.status, error.code
    )
