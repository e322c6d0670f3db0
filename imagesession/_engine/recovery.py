"""
Settle what was asked and not settled: by a program that was stopped, or by a call that gave up.

Nothing is ever sent again. What the provider accepted is looked up by its id, or in the
conversation in which it was asked, which costs nothing. What has neither cannot be looked up, and
is settled as a turn whose outcome is unknown.
"""

from __future__ import annotations

import datetime as dt

import attrs

from imagesession._domain.cost import Cost
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession.errors import (
    ImageSessionError,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    StorageError,
)

from . import payloads
from .conversation_lookup import LookupResult, find_outcome
from .effects import GetProviderName, MonotonicTime, NewId, Send, StoreCall, Workflow
from .generation import apply_response, commit_failure, commit_turn
from .http import TransportError
from .leases import Lease
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .poll import MIN_REQUEST_SECONDS, poll_response
from .prepare import image_model
from .provider_errors import PreviousResponseNotFoundError
from .request import StudioConfig
from .transmit import with_usage

ACCEPTANCE_TIMEOUT = dt.timedelta(minutes=15)
"""
When a request of which its conversation shows nothing was not taken up, counted from asking.

It is longer where pictures may take longer than usual.
"""
_USUAL_TIMEOUT, _LONGEST_TIMEOUT = 600.0, 86_400.0


@attrs.frozen(kw_only=True)
class RecoveredIntent:
    """
    What became of an intent.

    Attributes:
        turn: The turn: settled now, or still as it was asked.
        left: Why it could not be settled; empty if it was.
    """

    turn: Turn
    left: str = ""

    @property
    def has_image(self) -> bool:
        """
        Whether it is settled with a picture.
        """
        return not self.left and self.turn.has_image

    @property
    def failed(self) -> bool:
        """
        Whether it is settled without one.
        """
        return not self.left and not self.turn.has_image


def reconcile_all(
    config: StudioConfig, retry_timeout: float
) -> Workflow[tuple[RecoveredIntent, ...]]:
    """
    Settle all intents that nobody is at.

    Args:
        config: What holds for everything that is asked.
        retry_timeout: Seconds to look, in all, for pictures that are not finished yet.
    """
    end = (yield from MonotonicTime()) + retry_timeout
    found = yield from StoreCall(lambda store: store.pending())
    settled: list[RecoveredIntent] = []
    from .batches import poll  # noqa: PLC0415 - hardly ever needed

    lines = yield from poll.reconcile_all(found, config)
    settled += [RecoveredIntent(turn=turn, left=why) for turn, why in lines]
    for pending in found:
        if pending.turn.batch is not None:
            continue
        left = max(0.0, end - (yield from MonotonicTime()))
        settled.append((yield from _reconcile(pending, config, left)))
    return tuple(settled)


def cancel(turn_id: str, config: StudioConfig) -> Workflow[RecoveredIntent]:
    """
    Have the provider stop what is under way, and settle it if nobody else is at it.

    Args:
        turn_id: The turn's id.
        config: What holds for everything that is asked.

    Raises:
        NotFoundError: No such request is under way.
        ProviderUnavailableError: The provider cannot be reached.
    """
    found = yield from StoreCall(lambda store: store.pending())
    known = {item.turn.id: item for item in found}
    if turn_id not in known:
        raise NotFoundError(
            f"No request {turn_id!r} is under way; it may be settled. There are: "
            f"{', '.join(known) or 'none'}.",
            turn_id,
            tuple(known),
        )
    pending = known[turn_id]
    if pending.turn.batch is not None:
        raise InvalidRequestError(
            f"The request {turn_id} stands in a batch, which can only be stopped as a whole: "
            f"studio.batches.get({pending.turn.batch!r}).cancel()."
        )
    if pending.response_id is not None:
        yield from _stop(pending.response_id)
    return (yield from _reconcile(pending, config, 0.0))


def _stop(response_id: str) -> Workflow[None]:
    """
    Ask the provider to stop. What it answers does not matter: a look tells what became of it.
    """
    try:
        yield from Send(payloads.cancel_response(response_id))
    except TransportError as error:
        raise ProviderUnavailableError(
            f"The provider cannot be reached ({error.reason}), so nothing was stopped. Try again."
        ) from error


def reconcile_orphans(config: StudioConfig) -> Workflow[None]:
    """
    Settle what programs that were stopped have left, the first time that a library is used: what
    can be settled by one look. Whatever goes wrong, it is left for later.
    """
    for pending in (yield from StoreCall(lambda store: store.orphaned_intents())):
        if pending.turn.batch is not None:
            continue  # a batch goes on by itself, and is collected by whoever asks for it
        try:
            yield from _reconcile(pending, config, 0.0)
        except ImageSessionError:
            continue


def _reconcile(
    pending: PendingRequest, config: StudioConfig, retry_timeout: float
) -> Workflow[RecoveredIntent]:
    turn = pending.turn
    if pending.running:
        return RecoveredIntent(turn=turn, left="a running program is at it")
    provider = yield from GetProviderName()
    if turn.provider != provider:
        return RecoveredIntent(
            turn=turn, left=f"it was asked of {turn.provider}, not of {provider}"
        )
    lease = yield from _claim(turn)
    if lease is None:
        return RecoveredIntent(turn=turn, left="another program has just taken it up")
    try:
        if pending.staged:
            return RecoveredIntent(turn=(yield from _commit_staged(pending, config)))
        if turn.provider_state == "none":
            return RecoveredIntent(turn=(yield from _mark_outcome_unknown(turn, config)))
        if pending.response_id is not None:
            return (yield from _poll_response(turn, pending.response_id, config, retry_timeout))
        if turn.conversation is not None:
            return (yield from _search(turn, config, retry_timeout))
        return RecoveredIntent(turn=(yield from _mark_outcome_unknown(turn, config)))
    finally:
        lease.release()


def _claim(turn: Turn) -> Workflow[Lease | None]:
    return (yield from StoreCall(lambda store: store.acquire_lease(turn)))


def _commit_staged(pending: PendingRequest, config: StudioConfig) -> Workflow[Turn]:
    """
    Commit a turn whose picture is on the disk. One look tells what it used; if it cannot be told,
    its cost is not known.
    """
    outcome = ResponseOutcome(response_id=pending.response_id, finished=True)
    if pending.response_id is not None:
        outcome = yield from with_usage(outcome, pending.response_id, (yield from MonotonicTime()))
    return (yield from _commit(pending.turn, outcome, config))


def _poll_response(
    turn: Turn, response_id: str, config: StudioConfig, retry_timeout: float
) -> Workflow[RecoveredIntent]:
    """
    Look for a response by its id. However short the patience, a picture that comes may take its
    time.
    """
    now = yield from MonotonicTime()
    age = ((yield from NewId()).at - turn.started).total_seconds()
    try:
        outcome = yield from poll_response(
            turn, response_id, now + retry_timeout, age=age, least=MIN_REQUEST_SECONDS
        )
    except OutcomeUnknownError as error:
        # A conversation keeps longer than its responses what was said in it.
        came = (yield from _look_up(turn, now)).outcome
        gone = isinstance(error.__cause__, PreviousResponseNotFoundError)
        if came is None and (error.finished or (gone and age >= _acceptance_timeout(config))):
            return RecoveredIntent(
                turn=(yield from commit_failure(_uncertain(turn, config), error))
            )
        if came is None:
            return RecoveredIntent(turn=turn, left=error.message)
        outcome = came
    except InvalidResponseError as error:
        return RecoveredIntent(turn=(yield from commit_failure(turn, error)))
    return RecoveredIntent(turn=(yield from _commit(turn, outcome, config)))


def _search(turn: Turn, config: StudioConfig, retry_timeout: float) -> Workflow[RecoveredIntent]:
    """
    Look for a reply whose id nobody learned in the conversation in which it was asked.

    Items appear there when a reply is complete, so that there are none yet proves nothing; that
    there are none after a quarter of an hour does.
    """
    result = yield from _look_up(turn, (yield from MonotonicTime()) + retry_timeout)
    if result.outcome is not None:
        return RecoveredIntent(turn=(yield from _commit(turn, result.outcome, config)))
    due = turn.started + dt.timedelta(seconds=_acceptance_timeout(config))
    if (yield from NewId()).at >= due:
        if result.gone:
            return RecoveredIntent(turn=(yield from _mark_outcome_unknown(turn, config)))
        if result.whole:
            return RecoveredIntent(turn=(yield from _abort_unaccepted(turn)))
    if not result.whole:
        return RecoveredIntent(turn=turn, left="its conversation does not show what became of it")
    return RecoveredIntent(
        turn=turn,
        left=f"its conversation shows nothing of it yet; if that is so after {due:%H:%M} UTC, it "
        "was not taken up",
    )


def _acceptance_timeout(config: StudioConfig) -> float:
    longer = min(config.timeout, _LONGEST_TIMEOUT) / _USUAL_TIMEOUT
    return ACCEPTANCE_TIMEOUT.total_seconds() * max(1.0, longer)


def _look_up(turn: Turn, until: float) -> Workflow[LookupResult]:
    if turn.conversation is None:
        return LookupResult()
    try:
        past = yield from _ancestor_turns(turn)
    except (StorageError, NotFoundError):
        return LookupResult()  # where it begins in its conversation cannot be told
    return (yield from find_outcome(turn, past, until, least=MIN_REQUEST_SECONDS))


def _ancestor_turns(turn: Turn) -> Workflow[tuple[Turn, ...]]:
    """
    Return the turns that a turn continues, the oldest first.
    """
    session_id = turn.session
    if session_id is None or turn.parent is None:
        return ()
    record = yield from StoreCall(lambda store: store.find_session(session_id))
    tree = yield from StoreCall(lambda store: store.tree(record))
    return tree.lineage(tree.turns.get(turn.parent))


def _abort_unaccepted(turn: Turn) -> Workflow[Turn]:
    """
    Settle a turn that the provider has not taken up.
    """
    error = ProviderUnavailableError(
        "The request was not taken up: a quarter of an hour later, its conversation shows no "
        "picture. The program was stopped before it was sent, or no picture could be made. Ask "
        "for it again."
    )
    return (yield from commit_failure(turn, error))


def _commit(turn: Turn, outcome: ResponseOutcome, config: StudioConfig) -> Workflow[Turn]:
    """
    Keep what came, as it would have been kept then.
    """
    mainline = config.catalogue.mainline if turn.options.model == "auto" else turn.options.model
    prepared = PreparedRequest(
        turn=turn, mainline=mainline, image_model=image_model(turn.options, config)
    )
    reported = apply_response(prepared, outcome, config)
    if outcome.error is not None:
        return (yield from commit_failure(reported, outcome.error))
    settled = attrs.evolve(reported, status="completed")
    return (yield from commit_turn(settled, outcome.pictures))


def _mark_outcome_unknown(turn: Turn, config: StudioConfig) -> Workflow[Turn]:
    """
    Settle a turn of which nobody can ever tell what became. A budget goes on counting what was set
    aside for it, as it may have been billed.
    """
    error: ImageSessionError = OutcomeUnknownError(
        "The request may have been sent, but its answer was lost before the provider's id of it "
        "was known. It may have been carried out and billed; nobody can tell any more.",
        turn.id,
    )
    return (yield from commit_failure(_uncertain(turn, config), error))


def _uncertain(turn: Turn, config: StudioConfig) -> Turn:
    unknown = Cost(prices=config.catalogue.dated, unknown=("what became of it is not known",))
    return attrs.evolve(turn, cost=unknown)
