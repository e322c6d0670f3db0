"""
Settle what was asked and not settled: by a program that was stopped, or by a call that gave up.

Nothing is ever sent again. What the provider accepted is looked up by its id, or in the
conversation in which it was asked, which costs nothing. What has neither cannot be looked up, and
is settled as a turn whose outcome is unknown.
"""

from __future__ import annotations

import datetime as dt

import attrs

from imagesession._model.costs import Cost
from imagesession._model.reports import Pending
from imagesession._model.turns import Turn
from imagesession.errors import (
    CallError,
    ImageSessionError,
    LibraryError,
    NotFoundError,
    OutcomeUnknownError,
    ReplyError,
    UnavailableError,
)

from . import requests
from .conversation_lookup import LookupResult, find_outcome
from .failures import PreviousResponseNotFoundError
from .flows import apply_response, commit_failure, commit_turn
from .leases import Lease
from .ordering import image_model
from .outcomes import Outcome
from .poll import LOOK_SECONDS, poll_response
from .requests import Order
from .steps import AskProvider, Begin, Flow, Now, OnDisk, Send
from .transmit import with_usage
from .wire import NoReplyError
from .wishes import Terms

ACCEPTANCE_TIMEOUT = dt.timedelta(minutes=15)
"""
When a request of which its conversation shows nothing was not taken up, counted from asking.

It is longer where pictures may take longer than usual.
"""
_USUAL_TIMEOUT, _LONGEST_TIMEOUT = 600.0, 86_400.0


@attrs.frozen(kw_only=True)
class Settled:
    """
    What became of an intent.

    Attributes:
        turn: The turn: settled now, or still as it was asked.
        left: Why it could not be settled; empty if it was.
    """

    turn: Turn
    left: str = ""

    @property
    def drew(self) -> bool:
        """
        Whether it is settled with a picture.
        """
        return not self.left and self.turn.drew

    @property
    def failed(self) -> bool:
        """
        Whether it is settled without one.
        """
        return not self.left and not self.turn.drew


def reconcile_all(terms: Terms, patience: float) -> Flow[tuple[Settled, ...]]:
    """
    Settle all intents that nobody is at.

    Args:
        terms: What holds for everything that is asked.
        patience: Seconds to look, in all, for pictures that are not finished yet.
    """
    end = (yield from Now()) + patience
    found = yield from OnDisk(lambda store: store.pending())
    settled: list[Settled] = []
    from .batches import following  # noqa: PLC0415 - hardly ever needed

    lines = yield from following.settle_all(found, terms)
    settled += [Settled(turn=turn, left=why) for turn, why in lines]
    for pending in found:
        if pending.turn.batch is not None:
            continue
        left = max(0.0, end - (yield from Now()))
        settled.append((yield from _reconcile(pending, terms, left)))
    return tuple(settled)


def cancel(turn_id: str, terms: Terms) -> Flow[Settled]:
    """
    Have the provider stop what is under way, and settle it if nobody else is at it.

    Args:
        turn_id: The turn's id.
        terms: What holds for everything that is asked.

    Raises:
        NotFoundError: No such request is under way.
        UnavailableError: The provider cannot be reached.
    """
    found = yield from OnDisk(lambda store: store.pending())
    known = {one.turn.id: one for one in found}
    if turn_id not in known:
        raise NotFoundError(
            f"No request {turn_id!r} is under way; it may be settled. There are: "
            f"{', '.join(known) or 'none'}.",
            turn_id,
            tuple(known),
        )
    pending = known[turn_id]
    if pending.turn.batch is not None:
        raise CallError(
            f"The request {turn_id} stands in a batch, which can only be stopped as a whole: "
            f"studio.batches.get({pending.turn.batch!r}).cancel()."
        )
    if pending.response_id is not None:
        yield from _stop(pending.response_id)
    return (yield from _reconcile(pending, terms, 0.0))


def _stop(response_id: str) -> Flow[None]:
    """
    Ask the provider to stop. What it answers does not matter: a look tells what became of it.
    """
    try:
        yield from Send(requests.cancel(response_id))
    except NoReplyError as error:
        raise UnavailableError(
            f"The provider cannot be reached ({error.reason}), so nothing was stopped. Try again."
        ) from error


def reconcile_orphans(terms: Terms) -> Flow[None]:
    """
    Settle what programs that were stopped have left, the first time that a library is used: what
    can be settled by one look. Whatever goes wrong, it is left for later.
    """
    for pending in (yield from OnDisk(lambda store: store.leftovers())):
        if pending.turn.batch is not None:
            continue  # a batch goes on by itself, and is collected by whoever asks for it
        try:
            yield from _reconcile(pending, terms, 0.0)
        except ImageSessionError:
            continue


def _reconcile(pending: Pending, terms: Terms, patience: float) -> Flow[Settled]:
    turn = pending.turn
    if pending.running:
        return Settled(turn=turn, left="a running program is at it")
    provider = yield from AskProvider()
    if turn.provider != provider:
        return Settled(turn=turn, left=f"it was asked of {turn.provider}, not of {provider}")
    lease = yield from _claim(turn)
    if lease is None:
        return Settled(turn=turn, left="another program has just taken it up")
    try:
        if pending.staged:
            return Settled(turn=(yield from _commit_staged(pending, terms)))
        if turn.provider_state == "none":
            return Settled(turn=(yield from _mark_outcome_unknown(turn, terms)))
        if pending.response_id is not None:
            return (yield from _look(turn, pending.response_id, terms, patience))
        if turn.conversation is not None:
            return (yield from _search(turn, terms, patience))
        return Settled(turn=(yield from _mark_outcome_unknown(turn, terms)))
    finally:
        lease.release()


def _claim(turn: Turn) -> Flow[Lease | None]:
    return (yield from OnDisk(lambda store: store.claim(turn)))


def _commit_staged(pending: Pending, terms: Terms) -> Flow[Turn]:
    """
    Commit a turn whose picture is on the disk. One look tells what it used; if it cannot be told,
    its cost is not known.
    """
    outcome = Outcome(response_id=pending.response_id, finished=True)
    if pending.response_id is not None:
        outcome = yield from with_usage(outcome, pending.response_id, (yield from Now()))
    return (yield from _commit(pending.turn, outcome, terms))


def _look(turn: Turn, response_id: str, terms: Terms, patience: float) -> Flow[Settled]:
    """
    Look for a response by its id. However short the patience, a picture that comes may take its
    time.
    """
    now = yield from Now()
    age = ((yield from Begin()).at - turn.started).total_seconds()
    try:
        outcome = yield from poll_response(
            turn, response_id, now + patience, age=age, least=LOOK_SECONDS
        )
    except OutcomeUnknownError as error:
        # A conversation keeps longer than its responses what was said in it.
        came = (yield from _look_into(turn, now)).outcome
        gone = isinstance(error.__cause__, PreviousResponseNotFoundError)
        if came is None and (error.finished or (gone and age >= _acceptance_timeout(terms))):
            return Settled(turn=(yield from commit_failure(_uncertain(turn, terms), error)))
        if came is None:
            return Settled(turn=turn, left=error.message)
        outcome = came
    except ReplyError as error:
        return Settled(turn=(yield from commit_failure(turn, error)))
    return Settled(turn=(yield from _commit(turn, outcome, terms)))


def _search(turn: Turn, terms: Terms, patience: float) -> Flow[Settled]:
    """
    Look for a reply whose id nobody learned in the conversation in which it was asked.

    Items appear there when a reply is complete, so that there are none yet proves nothing; that
    there are none after a quarter of an hour does.
    """
    result = yield from _look_into(turn, (yield from Now()) + patience)
    if result.outcome is not None:
        return Settled(turn=(yield from _commit(turn, result.outcome, terms)))
    due = turn.started + dt.timedelta(seconds=_acceptance_timeout(terms))
    if (yield from Begin()).at >= due:
        if result.gone:
            return Settled(turn=(yield from _mark_outcome_unknown(turn, terms)))
        if result.whole:
            return Settled(turn=(yield from _abort_unaccepted(turn)))
    if not result.whole:
        return Settled(turn=turn, left="its conversation does not show what became of it")
    return Settled(
        turn=turn,
        left=f"its conversation shows nothing of it yet; if that is so after {due:%H:%M} UTC, it "
        "was not taken up",
    )


def _acceptance_timeout(terms: Terms) -> float:
    longer = min(terms.timeout, _LONGEST_TIMEOUT) / _USUAL_TIMEOUT
    return ACCEPTANCE_TIMEOUT.total_seconds() * max(1.0, longer)


def _look_into(turn: Turn, until: float) -> Flow[LookupResult]:
    if turn.conversation is None:
        return LookupResult()
    try:
        past = yield from _ancestor_turns(turn)
    except (LibraryError, NotFoundError):
        return LookupResult()  # where it begins in its conversation cannot be told
    return (yield from find_outcome(turn, past, until, least=LOOK_SECONDS))


def _ancestor_turns(turn: Turn) -> Flow[tuple[Turn, ...]]:
    """
    Return the turns that a turn continues, the oldest first.
    """
    session_id = turn.session
    if session_id is None or turn.parent is None:
        return ()
    record = yield from OnDisk(lambda store: store.find_session(session_id))
    tree = yield from OnDisk(lambda store: store.tree(record))
    return tree.lineage(tree.turns.get(turn.parent))


def _abort_unaccepted(turn: Turn) -> Flow[Turn]:
    """
    Settle a turn that the provider has not taken up.
    """
    error = UnavailableError(
        "The request was not taken up: a quarter of an hour later, its conversation shows no "
        "picture. The program was stopped before it was sent, or no picture could be made. Ask "
        "for it again."
    )
    return (yield from commit_failure(turn, error))


def _commit(turn: Turn, outcome: Outcome, terms: Terms) -> Flow[Turn]:
    """
    Keep what came, as it would have been kept then.
    """
    mainline = terms.catalogue.mainline if turn.options.model == "auto" else turn.options.model
    order = Order(turn=turn, mainline=mainline, image_model=image_model(turn.options, terms))
    told = apply_response(order, outcome, terms)
    if outcome.error is not None:
        return (yield from commit_failure(told, outcome.error))
    settled = attrs.evolve(told, status="completed")
    return (yield from commit_turn(settled, outcome.pictures))


def _mark_outcome_unknown(turn: Turn, terms: Terms) -> Flow[Turn]:
    """
    Settle a turn of which nobody can ever tell what became. A budget goes on counting what was set
    aside for it, as it may have been billed.
    """
    error: ImageSessionError = OutcomeUnknownError(
        "The request may have been sent, but its answer was lost before the provider's id of it "
        "was known. It may have been carried out and billed; nobody can tell any more.",
        turn.id,
    )
    return (yield from commit_failure(_uncertain(turn, terms), error))


def _uncertain(turn: Turn, terms: Terms) -> Turn:
    unknown = Cost(prices=terms.catalogue.dated, unknown=("what became of it is not known",))
    return attrs.evolve(turn, cost=unknown)
