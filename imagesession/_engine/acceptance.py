"""
Whether a request was accepted at all, of which the provider shows nothing.

A clock may be wrong by minutes or days, on this machine or on another one that shares the library,
so ours decides nothing: something counts as absent when the provider shows nothing of it twice, 15
minutes apart by the dates of its own replies. What was settled so is looked up again for a day.
"""

from __future__ import annotations

import datetime as dt

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import NotFoundError, StorageError

from .conversation_lookup import LookupResult, find_outcome
from .effects import GetProviderName, MonotonicTime, StoreCall, Workflow
from .outcomes import ResponseOutcome
from .poll import MIN_REQUEST_TIMEOUT
from .store import Lease

ACCEPTANCE_TIMEOUT = dt.timedelta(minutes=15)
"""
How long something has to be absent at the provider until it counts as not accepted.

It is longer where the configured timeout is longer than usual.
"""
_USUAL_TIMEOUT, _LONGEST_TIMEOUT = 600.0, 86_400.0
_A_MOMENT = dt.timedelta(seconds=1)


def absence_left(turn: Turn, date: dt.datetime | None, timeout: float) -> Workflow[dt.timedelta]:
    """
    Return how much longer the provider has to show nothing of a request until it counts as not
    accepted; 0 if it does. Without the date of the reply that shows nothing, that proves nothing.
    """
    longest = ACCEPTANCE_TIMEOUT * max(1.0, min(timeout, _LONGEST_TIMEOUT) / _USUAL_TIMEOUT)
    if date is None:
        return longest + _A_MOMENT
    since = yield from StoreCall(lambda store: store.intents.absent_since(turn, date))
    return max(dt.timedelta(0), longest - (date - since))


def look_up(turn: Turn, until: float, least: float) -> Workflow[LookupResult]:
    if turn.conversation is None:
        return LookupResult()
    try:
        past = yield from ancestor_turns(turn)
    except (StorageError, NotFoundError):
        return LookupResult()  # without its ancestors, its place in the conversation is unknown
    return (yield from find_outcome(turn, past, until, least=least))


def ancestor_turns(turn: Turn) -> Workflow[tuple[Turn, ...]]:
    session_id = turn.session
    if session_id is None or turn.parent is None:
        return ()
    record = yield from StoreCall(lambda store: store.sessions.find(session_id))
    tree = yield from StoreCall(lambda store: store.sessions.tree(record, deleted=True))
    return tree.lineage(tree.turns.get(turn.parent))


def late_outcomes() -> Workflow[list[tuple[Lease, Turn, ResponseOutcome]]]:
    """
    Look up once more what was settled as not accepted within a day. What turned up is pending
    again, and this program has the right to it.
    """
    found: list[tuple[Lease, Turn, ResponseOutcome]] = []
    provider = yield from GetProviderName()
    for turn in (yield from StoreCall(lambda store: store.intents.unaccepted())):
        if turn.provider != provider:
            continue
        result = yield from look_up(turn, (yield from MonotonicTime()), MIN_REQUEST_TIMEOUT)
        if result.outcome is not None and result.outcome.images:
            pending = attrs.evolve(turn, status="pending", failure=None, finished=None)
            lease = yield from _reopen(pending)
            if lease is not None:
                found.append((lease, pending, result.outcome))
    return found


def _reopen(turn: Turn) -> Workflow[Lease | None]:
    return (yield from StoreCall(lambda store: store.intents.reopen(turn)))
