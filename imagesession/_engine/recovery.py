"""
Settle the intents that a stopped program, or a call that gave up, has left pending.

Nothing is ever sent again. A request that the provider accepted is looked up for free: by its
response id, or in its conversation. One that has neither cannot be looked up, and is settled as a
turn whose outcome is unknown.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Sequence

import attrs

from imagesession._domain.cost import Cost
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession.errors import (
    AuthenticationError,
    ImageSessionError,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    StorageError,
)

from . import acceptance, payloads, removal
from .effects import GetProviderName, MonotonicTime, NewId, Send, StoreCall, Workflow
from .generation import commit_answer, commit_failure
from .http import TransportError
from .image_urls import fetch_images, split_urls
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .poll import IMAGE_POLL_TIMEOUT, MIN_REQUEST_TIMEOUT, poll_response
from .provider_errors import PreviousResponseNotFoundError
from .request import StudioConfig, image_model
from .transmit import with_usage

_NO_OUTCOME = "its conversation does not show its outcome"
_LONG_AGO = 86_400.0  # seconds


@attrs.frozen(kw_only=True)
class RecoveredIntent:
    """
    The result of reconciling an intent.

    Attributes:
        turn: The turn: settled now, or still pending.
        pending_reason: Why it could not be settled; empty if it was.
    """

    turn: Turn
    pending_reason: str = ""

    @property
    def has_image(self) -> bool:
        return not self.pending_reason and self.turn.has_image

    @property
    def failed(self) -> bool:
        return not self.pending_reason and not self.turn.has_image


def reconcile_all(
    config: StudioConfig, retry_timeout: float
) -> Workflow[tuple[list[RecoveredIntent], dict[str, str]]]:
    """
    Settle all intents that no running program holds, and set damaged ones aside; return the
    outcomes, and where the damaged ones are, by their ids.
    """
    start = yield from MonotonicTime()
    yield from removal.finish_removals()
    damaged = yield from StoreCall(lambda store: store.repairs.quarantine_damaged())
    intents = yield from StoreCall(lambda store: store.intents.pending())
    settled: list[RecoveredIntent] = []
    from .batches import poll  # noqa: PLC0415 - rarely needed

    lines = yield from poll.reconcile_all(intents, config)
    settled += [RecoveredIntent(turn=turn, pending_reason=why) for turn, why in lines]
    settled += yield from _keep_late_images(config)
    alone = [pending for pending in intents if pending.turn.batch is None]
    settled += yield from reconcile_each(alone, config, start + retry_timeout)
    return settled, damaged


def reconcile_each(
    intents: Sequence[PendingRequest], config: StudioConfig, end: float
) -> Workflow[list[RecoveredIntent]]:
    """
    Reconcile intents, each on its own: what is wrong with one of them is its reason to stay
    pending.

    After `end` all together may take `IMAGE_POLL_TIMEOUT` more: each gets half of what is left, and
    so leaves some to others.
    """
    settled: list[RecoveredIntent] = []
    for pending in intents:
        now = yield from MonotonicTime()
        left = end + IMAGE_POLL_TIMEOUT - now
        is_last = pending is intents[-1]
        least = max(MIN_REQUEST_TIMEOUT, left if is_last else left / 2)
        try:
            if left <= 0 and not pending.running:
                reason = "there was no time left to look it up"
                settled.append(RecoveredIntent(turn=pending.turn, pending_reason=reason))
                continue
            outcome = yield from _reconcile(pending, config, max(0.0, end - now), least)
        except AuthenticationError:
            raise  # this concerns all of them
        except ImageSessionError as error:
            outcome = RecoveredIntent(turn=pending.turn, pending_reason=error.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must not wait for it
            reason = f"it cannot be looked up ({type(error).__name__}: {quote(str(error))})"
            outcome = RecoveredIntent(turn=pending.turn, pending_reason=reason)
        settled.append(outcome)
    return settled


def cancel(turn_id: str, config: StudioConfig) -> Workflow[RecoveredIntent]:
    intents = yield from StoreCall(lambda store: store.intents.pending())
    by_id = {intent.turn.id: intent for intent in intents}
    if turn_id not in by_id:
        raise NotFoundError(
            f"No request {quote(turn_id)} is under way; it may be settled. Under way: "
            f"{', '.join(by_id) or 'none'}.",
            turn_id,
            tuple(by_id),
        )
    pending = by_id[turn_id]
    if pending.turn.batch is not None:
        raise InvalidRequestError(
            f"The request {turn_id} belongs to a batch, which can only be cancelled as a whole: "
            f"studio.batches.get({pending.turn.batch!r}).cancel()."
        )
    if pending.response_id is not None and not split_urls(pending.response_id):
        yield from _cancel_response(pending.response_id)
    return (yield from _reconcile(pending, config, 0.0))


def _cancel_response(response_id: str) -> Workflow[None]:
    """
    Ask the provider to cancel a response. Its answer is ignored: polling tells the outcome.
    """
    try:
        yield from Send(payloads.cancel_response(response_id))
    except TransportError as error:
        raise ProviderUnavailableError(
            f"The provider cannot be reached ({error.reason}), so nothing was cancelled. Try again."
        ) from error


def reconcile_orphans(config: StudioConfig) -> Workflow[None]:
    """
    Settle orphaned intents when a library is first used, as far as one poll settles them.

    Intents for which an error is raised are left for later.
    """
    if not (yield from StoreCall(lambda store: store.intents.is_new())):
        return
    orphans = yield from StoreCall(lambda store: store.intents.orphans())
    # A batch goes on at the provider; its results are collected on request.
    alone = [pending for pending in orphans if pending.turn.batch is None]
    with contextlib.suppress(ImageSessionError):
        yield from StoreCall(lambda store: store.removals.finish_all())
        yield from _keep_late_images(config)
        yield from reconcile_each(alone, config, (yield from MonotonicTime()))


def _reconcile(
    pending: PendingRequest,
    config: StudioConfig,
    retry_timeout: float,
    least: float = IMAGE_POLL_TIMEOUT,
) -> Workflow[RecoveredIntent]:
    turn = pending.turn
    if pending.running:
        return RecoveredIntent(turn=turn, pending_reason="a running program holds it")
    studio_provider = yield from GetProviderName()
    if turn.provider != studio_provider:
        return RecoveredIntent(
            turn=turn, pending_reason=f"it was sent to {turn.provider}, not to {studio_provider}"
        )
    lease = yield from StoreCall(lambda store: store.intents.acquire(turn))
    if lease is None:
        return RecoveredIntent(turn=turn, pending_reason="another program has just claimed it")
    try:
        if pending.staged:
            return RecoveredIntent(turn=(yield from _commit_staged(pending, config)))
        if urls := split_urls(pending.response_id):
            return (yield from _fetch(turn, urls, config, retry_timeout))
        if turn.provider_state == "none":
            return RecoveredIntent(turn=(yield from _mark_outcome_unknown(turn, config)))
        if pending.response_id is not None:
            return (
                yield from _poll_response(turn, pending.response_id, config, retry_timeout, least)
            )
        if turn.conversation is not None:
            return (yield from _search(turn, config, retry_timeout, least))
        return RecoveredIntent(turn=(yield from _mark_outcome_unknown(turn, config)))
    finally:
        lease.release()


def _fetch(
    turn: Turn, urls: tuple[str, ...], config: StudioConfig, retry_timeout: float
) -> Workflow[RecoveredIntent]:
    outcome = ResponseOutcome(response_id=None, finished=True, urls=urls, used_mainline=False)
    deadline = (yield from MonotonicTime()) + retry_timeout
    try:
        outcome = yield from fetch_images(turn, outcome, config.server, deadline)
    except OutcomeUnknownError as error:
        return RecoveredIntent(turn=turn, pending_reason=error.message)
    return RecoveredIntent(turn=(yield from _commit(turn, outcome, config)))


def _commit_staged(pending: PendingRequest, config: StudioConfig) -> Workflow[Turn]:
    """
    Commit a turn whose image is staged. Its usage is requested once; without it, the cost is
    unknown.
    """
    outcome = ResponseOutcome(response_id=pending.response_id, finished=True)
    if pending.response_id is not None:
        now = yield from MonotonicTime()
        outcome = yield from with_usage(pending.turn, outcome, pending.response_id, now)
    return (yield from _commit(pending.turn, outcome, config))


def _poll_response(
    turn: Turn, response_id: str, config: StudioConfig, retry_timeout: float, least: float
) -> Workflow[RecoveredIntent]:
    now = yield from MonotonicTime()
    age = ((yield from NewId()).at - turn.started).total_seconds()
    # What is new may not be known for a moment; a clock that was ahead does not make it new.
    age = age if age >= 0 else _LONG_AGO
    # The longer a completion window has run, the more rarely it is polled.
    since = now if turn.within == "soonest" else now - age
    try:
        outcome = yield from poll_response(
            turn,
            response_id,
            now + retry_timeout,
            since=since,
            age=age - (now - since),
            least=least,
        )
    except OutcomeUnknownError as error:
        # A conversation keeps its items longer than the provider keeps responses.
        rest = max(MIN_REQUEST_TIMEOUT, now + least - (yield from MonotonicTime()))
        found = (yield from acceptance.look_up(turn, now, rest)).outcome
        if found is not None and found.all_unreadable:  # this reply may be damaged too
            found = None
        if found is None and (error.finished or (yield from _is_gone(turn, error, config))):
            return RecoveredIntent(
                turn=(yield from commit_failure(_with_unknown_cost(turn, config), error))
            )
        if found is None:
            return RecoveredIntent(turn=turn, pending_reason=_pending_reason(turn, error))
        outcome = found
    except InvalidResponseError as error:
        return RecoveredIntent(turn=(yield from commit_failure(turn, error)))
    return RecoveredIntent(turn=(yield from _commit(turn, outcome, config)))


def _is_gone(turn: Turn, error: OutcomeUnknownError, config: StudioConfig) -> Workflow[bool]:
    cause = error.__cause__
    if not isinstance(cause, PreviousResponseNotFoundError):
        return False
    return not (yield from acceptance.absence_left(turn, cause.date, config.timeout))


def _pending_reason(turn: Turn, error: OutcomeUnknownError) -> str:
    if turn.within == "soonest":
        return error.message
    due = turn.started + dt.timedelta(hours=int(turn.within.removesuffix("h")))
    return f"the provider may complete it until {due:%Y-%m-%d %H:%M} UTC"


def _search(
    turn: Turn, config: StudioConfig, retry_timeout: float, least: float
) -> Workflow[RecoveredIntent]:
    """
    Look in the turn's conversation for a reply whose id is not known.

    Items appear there when a reply is complete, so missing ones prove nothing: see `acceptance`.
    """
    result = yield from acceptance.look_up(
        turn, (yield from MonotonicTime()) + retry_timeout, least
    )
    if result.outcome is not None:
        return RecoveredIntent(turn=(yield from _commit(turn, result.outcome, config)))
    if not result.is_complete and not result.is_missing:
        return RecoveredIntent(turn=turn, pending_reason=_NO_OUTCOME)
    left = yield from acceptance.absence_left(turn, result.date, config.timeout)
    if left and result.is_missing:
        return RecoveredIntent(turn=turn, pending_reason=_NO_OUTCOME)
    if left:
        reason = (
            "its conversation shows nothing of it yet; if it still does not in "
            f"{math.ceil(left / dt.timedelta(minutes=1))} minutes, the request was not accepted"
        )
        return RecoveredIntent(turn=turn, pending_reason=reason)
    settle = _mark_outcome_unknown if result.is_missing else _abort_unaccepted
    settled = yield from settle(turn, config)
    yield from StoreCall(lambda store: store.intents.mark_unaccepted(settled))
    return RecoveredIntent(turn=settled)


def _abort_unaccepted(turn: Turn, _: StudioConfig) -> Workflow[Turn]:
    error = ProviderUnavailableError(
        "The request was not accepted, or made no image: its conversation has shown none for 15 "
        "minutes. Send it again."
    )
    return (yield from commit_failure(turn, error))


def _keep_late_images(config: StudioConfig) -> Workflow[list[RecoveredIntent]]:
    """
    Keep the images of requests that were taken for not accepted.
    """
    kept: list[RecoveredIntent] = []
    for lease, turn, outcome in (yield from acceptance.late_outcomes()):
        try:
            kept.append(RecoveredIntent(turn=(yield from _commit(turn, outcome, config))))
        finally:
            lease.release()
    return kept


def _commit(turn: Turn, outcome: ResponseOutcome, config: StudioConfig) -> Workflow[Turn]:
    """
    Commit the outcome, as the call that sent the request would have done.
    """
    mainline = config.catalogue.resolve("mainline", turn.options.model)
    prepared = PreparedRequest(
        turn=turn, mainline=mainline, image_model=image_model(turn.options, config)
    )
    past: tuple[Turn, ...] = ()
    with contextlib.suppress(StorageError, NotFoundError):  # only a figure depends on them
        past = yield from acceptance.ancestor_turns(turn)
    return (yield from commit_answer(prepared, outcome, config, past))


def _mark_outcome_unknown(turn: Turn, config: StudioConfig) -> Workflow[Turn]:
    """
    Settle a turn whose outcome can never be known. Its reservation goes on counting against the
    budget, as it may have been billed.
    """
    error: ImageSessionError = OutcomeUnknownError(
        "The request may have been sent, but its answer was lost before the provider's id for it "
        "was known. It may have been carried out and billed; this can no longer be looked up.",
        turn.id,
    )
    return (yield from commit_failure(_with_unknown_cost(turn, config), error))


def _with_unknown_cost(turn: Turn, config: StudioConfig) -> Turn:
    unknown = Cost(prices=config.catalogue.dated, unknown=("its outcome is not known",))
    return attrs.evolve(turn, cost=unknown)
