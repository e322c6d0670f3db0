"""
Whether a request in a conversation was accepted at all, by the provider's clock as well as by ours.

A clock may be wrong by minutes or days, on this machine or on another one that shares the library.
So our own alone decides nothing, and what was settled as not accepted is looked up again for a day.
"""

from __future__ import annotations

import email.utils
import urllib.parse

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError, NotFoundError, StorageError

from .conversation_lookup import LookupResult, find_outcome
from .effects import GetProviderName, MonotonicTime, Send, StoreCall, Workflow
from .http import HttpRequest, TransportError
from .leases import Lease
from .outcomes import ResponseOutcome
from .poll import MIN_REQUEST_TIMEOUT
from .responses import is_success, parse_json_object

# Both times of the provider are whole seconds.
_RESOLUTION = 1.0


def look_up(turn: Turn, until: float, least: float) -> Workflow[LookupResult]:
    """
    Look for a turn's outcome in its conversation; see `find_outcome`.
    """
    if turn.conversation is None:
        return LookupResult()
    try:
        past = yield from ancestor_turns(turn)
    except (StorageError, NotFoundError):
        return LookupResult()  # without its ancestors, its place in the conversation is unknown
    return (yield from find_outcome(turn, past, until, least=least))


def ancestor_turns(turn: Turn) -> Workflow[tuple[Turn, ...]]:
    """
    Return the turns that a turn continues, the oldest first.
    """
    session_id = turn.session
    if session_id is None or turn.parent is None:
        return ()
    record = yield from StoreCall(lambda store: store.find_session(session_id))
    tree = yield from StoreCall(lambda store: store.tree(record, deleted=True))
    return tree.lineage(tree.turns.get(turn.parent))


def is_older(turn: Turn, seconds: float) -> Workflow[bool]:
    """
    Tell whether a turn's conversation is older than some seconds by the provider's own clock, from
    the two times in one reply. If it does not tell, the answer is no.

    Source: https://developers.openai.com/api/reference/resources/conversations/methods/retrieve
    """
    conversation = urllib.parse.quote(turn.conversation or "", safe="", errors="replace")
    request = HttpRequest(
        method="GET", path=f"/conversations/{conversation}", timeout=10 * MIN_REQUEST_TIMEOUT
    )
    try:
        reply = yield from Send(request)
        created = parse_json_object(reply).get("created_at") if is_success(reply) else None
        now = email.utils.parsedate_to_datetime(reply.headers.get("date", ""))
    except (TransportError, InvalidResponseError, ValueError):
        return False
    if isinstance(created, bool) or not isinstance(created, (int, float)):
        return False
    return now.timestamp() - created + _RESOLUTION >= seconds


def late_outcomes() -> Workflow[list[tuple[Lease, Turn, ResponseOutcome]]]:
    """
    Look up once more what was settled as not accepted within a day. What turned up is pending
    again, and this program has the right to it.
    """
    found: list[tuple[Lease, Turn, ResponseOutcome]] = []
    provider = yield from GetProviderName()
    for turn in (yield from StoreCall(lambda store: store.unaccepted())):
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
    return (yield from StoreCall(lambda store: store.reopen(turn)))
