"""
Quarantine what was paid for and cannot be read, so that a person can look at it.
"""

from __future__ import annotations

import attrs

from imagesession._model.turns import Turn
from imagesession.errors import ReplyError

from .outcomes import Outcome
from .steps import Flow, OnDisk


def quarantine_if_unreadable(turn: Turn, outcome: Outcome, body: bytes) -> Flow[Outcome]:
    """
    Keep the bytes of a finished response in which something that was paid for cannot be read.
    """
    if not outcome.spoilt:
        return outcome
    error = outcome.error if isinstance(outcome.error, ReplyError) else ReplyError("")
    told = yield from quarantine(turn, body, error)
    return attrs.evolve(outcome, error=told if outcome.error else None)


def quarantine(turn: Turn, body: bytes, error: ReplyError) -> Flow[ReplyError]:
    """
    Keep the bytes of a response that makes no sense; return the error that names their file.
    """
    file = yield from OnDisk(lambda store: store.spill(turn.id, body))
    return ReplyError(f"{error.message} Its bytes are kept in {file}.", error.status, error.code)
