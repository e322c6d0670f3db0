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

from .conversations import release_conversation, return_conversation
from .deliver import DeliveryResult, deliver, plan_delivery
from .leases import Lease, Reservation
from .ordering import plan_order, reserve
from .outcomes import Outcome
from .requests import Order
from .retry import acquire_slot
from .sessions import Place, session_config
from .steps import Begin, Flow, Now, OnDisk, ReportProgress
from .store import Fetched
from .strategies import Delivery
from .uploads import upload
from .wire import Received
from .wishes import Terms, Wish

_NOT_ACCEPTED = (TryLaterError, QuotaError, CallError)


def generate(wish: Wish, config: Terms, place: Place | None = None) -> Flow[Turn]:
    """
    Make a picture: check, write down the intent, ask, keep what comes, and only then return.

    Args:
        wish: What is wanted.
        config: What holds for everything that is asked.
        place: Where in a session it grows; None for a one-shot.

    Raises:
        ImageSessionError: There is no picture, and the error says why and what to do.
    """
    made = yield from _find_by_intent_id(wish)
    if made is not None:
        return _same_prompt_or_error(made, wish)
    config = session_config(config, place)
    begun = yield from Begin(after=place.tree.latest_id() if place else "")
    order = yield from plan_order(wish, config, begun, place)
    transaction = yield from _begin_transaction(order, place, config)
    if isinstance(transaction, Turn):
        return _same_prompt_or_error(transaction, wish)
    try:
        return (yield from _send_and_store(transaction.delivery, wish))
    finally:
        # However it ends, by a cancellation too: what is not settled may be recovered from now on.
        transaction.release()


@attrs.frozen
class _Transaction:
    """
    An intent that is written down, and what has to be let go of when it is settled.

    Attributes:
        delivery: What is about to be asked.
        leases: The right to be at it, and its place among the requests under way.
    """

    delivery: Delivery
    leases: tuple[Lease, ...]

    def release(self) -> None:
        """
        Let go of it.
        """
        for lease in self.leases:
            lease.release()


def _begin_transaction(
    order: Order, place: Place | None, config: Terms
) -> Flow[_Transaction | Turn]:
    """
    Wait for room, and write down what is about to be asked.

    Returns:
        The transaction; or the turn that was made before under the same name.
    """
    slot = yield from acquire_slot(order.turn.provider, config)
    held = () if slot is None else (slot,)
    admitted: Turn | Lease | None = None
    try:
        deadline = (yield from Now()) + config.timeout
        delivery = yield from plan_delivery((yield from _restamp(order)), place, config, deadline)
        delivery, admitted = yield from _admit(delivery)
        return admitted if isinstance(admitted, Turn) else _Transaction(delivery, (admitted, *held))
    finally:
        if admitted is None or isinstance(admitted, Turn):
            for lease in held:
                lease.release()


def _admit(delivery: Delivery) -> Flow[tuple[Delivery, Turn | Lease]]:
    """
    Set aside what it may cost, and write the intent down.
    """
    admitted: Turn | Lease | None = None
    try:
        order, reservation = reserve(delivery.order, delivery.config, delivery.past)
        admitted = yield from write_intent(order.turn, reservation)
        return attrs.evolve(delivery, order=order), admitted
    finally:
        if admitted is None or isinstance(admitted, Turn):
            yield from return_conversation(delivery.order.turn, delivery.past)


def _restamp(order: Order) -> Flow[Order]:
    """
    Count an order from now: there may have been no room for it for long.
    """
    at = (yield from Begin(after=order.turn.id)).at
    return attrs.evolve(order, turn=attrs.evolve(order.turn, started=at))


def _send_and_store(delivery: Delivery, wish: Wish) -> Flow[Turn]:
    """
    Ask for a picture whose intent is written down, and keep what comes.
    """
    turn, past = delivery.order.turn, delivery.past
    try:
        delivery = attrs.evolve(delivery, order=(yield from _upload_inputs(delivery)))
    except ImageSessionError:
        with contextlib.suppress(LibraryError):  # it is not asked for, and not worth another error
            yield from OnDisk(lambda store: store.forget(turn))
        yield from return_conversation(turn, past)
        raise
    try:
        result = yield from deliver(delivery)
    except ImageSessionError as error:
        yield from finalize_failed(turn, error)
        if _was_not_accepted(error):
            yield from return_conversation(turn, past)
        raise
    kept = yield from _commit_outcome(result, wish, delivery.config)
    yield from release_conversation(kept)
    return kept


def _find_by_intent_id(wish: Wish) -> Flow[Turn | None]:
    intent_id = wish.intent_id
    if intent_id is None:
        return None
    return (yield from OnDisk(lambda store: store.find_intent(intent_id)))


def _same_prompt_or_error(made: Turn, wish: Wish) -> Turn:
    """
    Return what was made before under the same name, if it is what is wanted.
    """
    if made.prompt == wish.prompt:
        return made
    raise CallError(
        f"intent_id={made.intent_id!r} was used for another prompt ({made.prompt[:60]!r}); nothing "
        "was sent. Give this picture a name of its own."
    )


def write_intent(turn: Turn, reservation: Reservation | None) -> Flow[Turn | Lease]:
    """
    Write down what is about to be asked; give the right to be at it, or what was made before
    under the same name.
    """
    return (yield from OnDisk(lambda store: store.intend(turn, reservation)))


def _upload_inputs(delivery: Delivery) -> Flow[Order]:
    """
    Have the provider hold the pictures that go along, where it may and does.
    """
    if delivery.strategy.name == "images_api" or not delivery.takes("files", "store"):
        return delivery.order
    return (yield from upload_inputs(delivery.order))


def upload_inputs(order: Order) -> Flow[Order]:
    """
    Have the provider hold the pictures of an order.
    """
    pictures = (*order.references, *(() if order.mask is None else (order.mask,)))
    files = yield from upload(pictures, order.turn.provider, order.turn.started)
    return attrs.evolve(order, files=files)


def _commit_outcome(result: DeliveryResult, wish: Wish, config: Terms) -> Flow[Turn]:
    """
    Keep what came: pictures, or the fact that there is none.
    """
    order, outcome = result.order, result.outcome
    turn = apply_response(order, outcome, config)
    if outcome.error is not None:
        with contextlib.suppress(LibraryError):  # see `finalize_failed`
            yield from commit_failure(turn, outcome.error)
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
    kept = yield from commit_turn(settled, pictures)
    if problem is not None:
        raise PictureError(
            f"The reply is kept as picture {kept.images[-1].id}, but could not be put into the "
            f"original: {problem.message}"
        ) from problem
    return kept


def _composite(original: Fetched, mask: Fetched, reply: Received) -> Flow[Received]:
    return (yield from OnDisk(lambda store: store.composite(original, mask, reply.data)))


def apply_response(order: Order, outcome: Outcome, config: Terms) -> Turn:
    """
    Add to a turn what its reply says of it, and what that costs.
    """
    model = (outcome.model or order.mainline) if outcome.led else None
    # A reply may name a snapshot that the catalogue does not know.
    priced = order.mainline if model and not config.catalogue.find(model) else model
    return attrs.evolve(
        order.turn,
        text=outcome.text,
        model=model,
        response_id=outcome.response_id,
        item_ids=outcome.item_ids,
        usage=outcome.usage,
        cost=cost_of(
            outcome.usage,
            mainline=priced,
            image=order.image_model or None,
            catalogue=config.catalogue,
            batch=order.turn.batch is not None,
        ),
    )


def finalize_failed(turn: Turn, error: ImageSessionError) -> Flow[None]:
    """
    Settle a turn for which there was no reply to keep.

    Nothing is kept of a request that was not sent or not taken up. An intent stays in the journal
    while the outcome is unknown, or the disk would not take it; what the provider said is told all
    the same.
    """
    if isinstance(error, (OutcomeUnknownError, LibraryError)):
        return
    if _was_not_accepted(error):
        yield from OnDisk(lambda store: store.forget(turn))
    else:
        with contextlib.suppress(LibraryError):
            yield from commit_failure(turn, error)


def _was_not_accepted(error: ImageSessionError) -> bool:
    """
    Tell whether an error means that nothing was sent or taken up.
    """
    return isinstance(error, _NOT_ACCEPTED) and not isinstance(error, RejectedError)


def commit_failure(turn: Turn, error: ImageSessionError) -> Flow[Turn]:
    """
    Keep the fact that a turn brought no picture.
    """
    failed = attrs.evolve(
        turn,
        status="refused" if isinstance(error, RefusedError) else "failed",
        failure=Failure(error=type(error).__name__, message=error.message),
    )
    return (yield from commit_turn(failed, ()))


def commit_turn(turn: Turn, pictures: tuple[Received, ...]) -> Flow[Turn]:
    """
    Keep a settled turn with its pictures.
    """
    yield from ReportProgress("saving", turn_id=turn.id)
    kept = yield from OnDisk(lambda store: store.commit(turn, pictures))
    ids = ", ".join(image.id for image in kept.images) or "no picture"
    seconds = ((kept.finished or kept.started) - kept.started).total_seconds()
    line = f"turn {kept.id}: {kept.status} after {seconds:.1f} s: {ids}; cost: {kept.cost}"
    yield from ReportProgress(log=line)
    return kept
