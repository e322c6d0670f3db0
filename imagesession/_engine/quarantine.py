"""
Quarantine what was paid for and cannot be read, so that a person can look at it.
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
    """
    Keep the bytes of a finished response in which something that was paid for cannot be read.
    """
    if not outcome.unreadable:
        return outcome
    error = (
        outcome.error
        if isinstance(outcome.error, InvalidResponseError)
        else InvalidResponseError("")
    )
    reported = yield from quarantine(turn, body, error)
    return attrs.evolve(outcome, error=reported if outcome.error else None)


def quarantine(
    turn: Turn, body: bytes, error: InvalidResponseError
) -> Workflow[InvalidResponseError]:
    """
    Keep the bytes of a response that makes no sense; return the error that names their file.
    """
    file = yield from StoreCall(lambda store: store.quarantine(turn.id, body))
    return InvalidResponseError(
        f"{error.message} Its bytes are kept in {file}.", error.status, error.code
    )
