"""
Make a picture: from the caller's words to a settled turn.
"""

from __future__ import annotations

import contextlib

import attrs

from imagesession._model.costs import cost_of
from imagesession._model.turns import Failure, Turn
from imagesession.errors import (
    CallError,
    ImageSessionError,
    LibraryError,
    OutcomeUnknownError,
    PictureError,
    QuotaError,
    RefusedError,
    RejectedError,
    TryLaterError,
)

from .conversing import give_back, join, leave
from .delivery import Delivered, deliver, goes_directly
from .leases import Lease, Reservation
from .ordering import plan_order, reserve
from .replies import Outcome
from .requests import Order
from .retrying import in_turn
from .sessions import Place
from .steps import Begin, Flow, Now, OnDisk
from .store import Fetched
from .uploads import upload
from .wire import Received
from .wishes import Terms, Wish

_NOT_TAKEN_UP = (TryLaterError, QuotaError, CallError)


def generate(wish: Wish, terms: Terms, place: Place | None = None) -> Flow[Turn]:
    """
    Make a picture: check, write down the intent, ask, keep what comes, and only then return.

    Args:
        wish: What is wanted.
        terms: What holds for everything that is asked.
        place: Where in a session it grows; None for a one-shot.

    Raises:
        ImageSessionError: There is no picture, and the error says why and what to do.
    """
    made = yield from _made_before(wish)
    if made is not None:
        return _checked(made, wish)
    begun = yield from Begin(after=place.tree.latest_id() if place else "")
    past = place.past if place else ()
    planned = yield from plan_order(wish, terms, begun, place)
    asking = _ask_for(planned, past, wish, terms)
    return (yield from in_turn(asking, planned.turn.provider, terms))


def _ask_for(planned: Order, past: tuple[Turn, ...], wish: Wish, terms: Terms) -> Flow[Turn]:
    """
    Write down what is about to be asked, and ask.
    """
    deadline = (yield from Now()) + terms.timeout
    if not (yield from goes_directly(planned)):
        planned = yield from join(planned, past, terms, deadline)
    try:
        order, reservation = reserve((yield from _on_time(planned)), terms, past)
        admitted = yield from intend(order.turn, reservation)
    except ImageSessionError:
        yield from give_back(planned.turn, past)
        raise
    if isinstance(admitted, Turn):
        yield from give_back(planned.turn, past)
        return _checked(admitted, wish)
    try:
        return (yield from _make(order, past, wish, terms, deadline))
    finally:
        # However it ends, by a cancellation too: what is not settled may be recovered from now on.
        admitted.release()


def _on_time(order: Order) -> Flow[Order]:
    """
    Count an order from now: there may have been no room for it for long.
    """
    at = (yield from Begin(after=order.turn.id)).at
    return attrs.evolve(order, turn=attrs.evolve(order.turn, started=at))


def _make(
    order: Order, past: tuple[Turn, ...], wish: Wish, terms: Terms, deadline: float
) -> Flow[Turn]:
    """
    Ask for a picture whose intent is written down, and keep what comes.
    """
    try:
        order = yield from hand_over(order)
    except ImageSessionError:
        with contextlib.suppress(LibraryError):  # it is not asked for, and not worth another error
            yield from OnDisk(lambda store: store.forget(order.turn))
        yield from give_back(order.turn, past)
        raise
    try:
        came = yield from deliver(order, past, terms, deadline)
    except ImageSessionError as error:
        yield from settle(order.turn, error)
        if _is_untouched(error):
            yield from give_back(order.turn, past)
        raise
    kept = yield from _keep(came, wish, terms)
    yield from leave(kept)
    return kept


def _made_before(wish: Wish) -> Flow[Turn | None]:
    intent_id = wish.intent_id
    if intent_id is None:
        return None
    return (yield from OnDisk(lambda store: store.find_intent(intent_id)))


def _checked(made: Turn, wish: Wish) -> Turn:
    """
    Return what was made before under the same name, if it is what is wanted.
    """
    if made.prompt == wish.prompt:
        return made
    raise CallError(
        f"intent_id={made.intent_id!r} was used for another prompt ({made.prompt[:60]!r}); nothing "
        "was sent. Give this picture a name of its own."
    )


def intend(turn: Turn, reservation: Reservation | None) -> Flow[Turn | Lease]:
    """
    Write down what is about to be asked; give the right to be at it, or what was made before
    under the same name.
    """
    return (yield from OnDisk(lambda store: store.intend(turn, reservation)))


def hand_over(order: Order) -> Flow[Order]:
    """
    Have the provider hold the pictures of an order.
    """
    if (yield from goes_directly(order)):
        return order  # that endpoint takes no ids
    pictures = (*order.references, *(() if order.mask is None else (order.mask,)))
    files = yield from upload(pictures, order.turn.provider, order.turn.started)
    return attrs.evolve(order, files=files)


def _keep(came: Delivered, wish: Wish, terms: Terms) -> Flow[Turn]:
    """
    Keep what came: pictures, or the fact that there is none.
    """
    order, outcome = came.order, came.outcome
    turn = attrs.evolve(answered(order, outcome, terms), context=came.knowing)
    if outcome.error is not None:
        with contextlib.suppress(LibraryError):  # see `settle`
            yield from keep_failure(turn, outcome.error)
        raise outcome.error
    settled = attrs.evolve(turn, status="completed")
    problem = None
    pictures = outcome.pictures
    if wish.keep_outside and order.mask is not None:
        try:
            pictures = (
                *pictures,
                (yield from _composite(order.references[0], order.mask, pictures[-1])),
            )
        except PictureError as error:
            problem = error
    kept = yield from OnDisk(lambda store: store.commit(settled, pictures))
    if problem is not None:
        raise PictureError(
            f"The reply is kept as picture {kept.images[-1].id}, but could not be put into the "
            f"original: {problem.message}"
        ) from problem
    return kept


def _composite(original: Fetched, mask: Fetched, reply: Received) -> Flow[Received]:
    return (yield from OnDisk(lambda store: store.composite(original, mask, reply.data)))


def answered(order: Order, outcome: Outcome, terms: Terms) -> Turn:
    """
    Add to a turn what its reply says of it, and what that costs.
    """
    model = (outcome.model or order.mainline) if outcome.led else None
    # A reply may name a snapshot that the catalogue does not know.
    priced = order.mainline if model and not terms.catalogue.find(model) else model
    return attrs.evolve(
        order.turn,
        text=outcome.text,
        model=model,
        response_id=outcome.response_id,
        usage=outcome.usage,
        cost=cost_of(
            outcome.usage,
            mainline=priced,
            image=order.image_model or None,
            catalogue=terms.catalogue,
            batch=order.turn.batch is not None,
        ),
    )


def settle(turn: Turn, error: ImageSessionError) -> Flow[None]:
    """
    Settle a turn for which there was no reply to keep.

    Nothing is kept of a request that was not sent or not taken up. An intent stays in the journal
    while the outcome is unknown, or the disk would not take it; what the provider said is told all
    the same.
    """
    if isinstance(error, (OutcomeUnknownError, LibraryError)):
        return
    if _is_untouched(error):
        yield from OnDisk(lambda store: store.forget(turn))
    else:
        with contextlib.suppress(LibraryError):
            yield from keep_failure(turn, error)


def _is_untouched(error: ImageSessionError) -> bool:
    """
    Tell whether an error means that nothing was sent or taken up.
    """
    return isinstance(error, _NOT_TAKEN_UP) and not isinstance(error, RejectedError)


def keep_failure(turn: Turn, error: ImageSessionError) -> Flow[Turn]:
    """
    Keep the fact that a turn brought no picture.
    """
    failed = attrs.evolve(
        turn,
        status="refused" if isinstance(error, RefusedError) else "failed",
        failure=Failure(error=type(error).__name__, message=error.message),
    )
    return (yield from OnDisk(lambda store: store.commit(failed, ())))
