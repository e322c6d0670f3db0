"""
Make a picture: from the caller's words to a settled turn.
"""

from __future__ import annotations

import contextlib

import attrs

from imagesession._domain.cost import cost_of
from imagesession._domain.turn import Failure, Turn
from imagesession.errors import (
    BadRequestError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidImageError,
    InvalidRequestError,
    OutcomeUnknownError,
    RefusalError,
    StorageError,
    TransientError,
)

from .conversations import release_conversation, return_conversation
from .deliver import DeliveryResult, deliver, plan_delivery
from .effects import MonotonicTime, NewId, ReportProgress, StoreCall, Workflow
from .http import ReceivedImage
from .leases import BudgetReservation, Lease
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .prepare import prepare_request, reserve_budget
from .request import GenerateRequest, StudioConfig
from .retry import acquire_slot
from .sessions import BranchHead, session_config
from .store import InputImage
from .strategies import Delivery
from .uploads import ensure_uploaded

_NOT_ACCEPTED = (TransientError, InsufficientQuotaError, InvalidRequestError)


def generate(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> Workflow[Turn]:
    """
    Make a picture: check, write down the intent, ask, keep what comes, and only then return.

    Args:
        request: What is wanted.
        config: What holds for everything that is asked.
        branch_head: Where in a session it grows; None for a one-shot.

    Raises:
        ImageSessionError: There is no picture, and the error says why and what to do.
    """
    made = yield from _find_by_idempotency_key(request)
    if made is not None:
        return _same_prompt_or_error(made, request)
    config = session_config(config, branch_head)
    begun = yield from NewId(after=branch_head.tree.latest_id() if branch_head else "")
    prepared = yield from prepare_request(request, config, begun, branch_head)
    transaction = yield from _begin_transaction(prepared, branch_head, config)
    if isinstance(transaction, Turn):
        return _same_prompt_or_error(transaction, request)
    try:
        return (yield from _send_and_store(transaction.delivery, request))
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
    prepared: PreparedRequest, branch_head: BranchHead | None, config: StudioConfig
) -> Workflow[_Transaction | Turn]:
    """
    Wait for room, and write down what is about to be asked.

    Returns:
        The transaction; or the turn that was made before under the same name.
    """
    slot = yield from acquire_slot(prepared.turn.provider, config)
    held = () if slot is None else (slot,)
    admitted: Turn | Lease | None = None
    try:
        deadline = (yield from MonotonicTime()) + config.timeout
        delivery = yield from plan_delivery(
            (yield from _restamp(prepared)), branch_head, config, deadline
        )
        delivery, admitted = yield from _admit(delivery)
        return admitted if isinstance(admitted, Turn) else _Transaction(delivery, (admitted, *held))
    finally:
        if admitted is None or isinstance(admitted, Turn):
            for lease in held:
                lease.release()


def _admit(delivery: Delivery) -> Workflow[tuple[Delivery, Turn | Lease]]:
    """
    Set aside what it may cost, and write the intent down.
    """
    admitted: Turn | Lease | None = None
    try:
        prepared, reservation = reserve_budget(delivery.prepared, delivery.config, delivery.past)
        admitted = yield from write_intent(prepared.turn, reservation)
        return attrs.evolve(delivery, prepared=prepared), admitted
    finally:
        if admitted is None or isinstance(admitted, Turn):
            yield from return_conversation(delivery.prepared.turn, delivery.past)


def _restamp(prepared: PreparedRequest) -> Workflow[PreparedRequest]:
    """
    Count an order from now: there may have been no room for it for long.
    """
    at = (yield from NewId(after=prepared.turn.id)).at
    return attrs.evolve(prepared, turn=attrs.evolve(prepared.turn, started=at))


def _send_and_store(delivery: Delivery, request: GenerateRequest) -> Workflow[Turn]:
    """
    Ask for a picture whose intent is written down, and keep what comes.
    """
    turn, past = delivery.prepared.turn, delivery.past
    try:
        delivery = attrs.evolve(delivery, prepared=(yield from _upload_inputs(delivery)))
    except ImageSessionError:
        with contextlib.suppress(StorageError):  # it is not asked for, and not worth another error
            yield from StoreCall(lambda store: store.discard_intent(turn))
        yield from return_conversation(turn, past)
        raise
    try:
        result = yield from deliver(delivery)
    except ImageSessionError as error:
        yield from finalize_failed(turn, error)
        if _was_not_accepted(error):
            yield from return_conversation(turn, past)
        raise
    kept = yield from _commit_outcome(result, request, delivery.config)
    yield from release_conversation(kept)
    return kept


def _find_by_idempotency_key(request: GenerateRequest) -> Workflow[Turn | None]:
    idempotency_key = request.idempotency_key
    if idempotency_key is None:
        return None
    return (yield from StoreCall(lambda store: store.find_intent(idempotency_key)))


def _same_prompt_or_error(made: Turn, request: GenerateRequest) -> Turn:
    """
    Return what was made before under the same name, if it is what is wanted.
    """
    if made.prompt == request.prompt:
        return made
    raise InvalidRequestError(
        f"idempotency_key={made.idempotency_key!r} was used for another prompt "
        f"({made.prompt[:60]!r}); nothing was sent. Use a key of its own for this picture."
    )


def write_intent(turn: Turn, reservation: BudgetReservation | None) -> Workflow[Turn | Lease]:
    """
    Write down what is about to be asked; give the right to be at it, or what was made before
    under the same name.
    """
    return (yield from StoreCall(lambda store: store.write_intent(turn, reservation)))


def _upload_inputs(delivery: Delivery) -> Workflow[PreparedRequest]:
    """
    Have the provider hold the pictures that go along, where it may and does.
    """
    if delivery.strategy.name == "images_api" or not delivery.takes("files", "store"):
        return delivery.prepared
    return (yield from upload_inputs(delivery.prepared))


def upload_inputs(prepared: PreparedRequest) -> Workflow[PreparedRequest]:
    """
    Have the provider hold the pictures of an order.
    """
    pictures = (*prepared.references, *(() if prepared.mask is None else (prepared.mask,)))
    files = yield from ensure_uploaded(pictures, prepared.turn.provider, prepared.turn.started)
    return attrs.evolve(prepared, files=files)


def _commit_outcome(
    result: DeliveryResult, request: GenerateRequest, config: StudioConfig
) -> Workflow[Turn]:
    """
    Keep what came: pictures, or the fact that there is none.
    """
    prepared, outcome = result.prepared, result.outcome
    turn = apply_response(prepared, outcome, config)
    if outcome.error is not None:
        with contextlib.suppress(StorageError):  # see `finalize_failed`
            yield from commit_failure(turn, outcome.error)
        raise outcome.error
    settled = attrs.evolve(turn, status="completed")
    problem = None
    pictures = outcome.pictures
    if request.preserve_unmasked and prepared.mask is not None:
        try:
            pictures = (
                *pictures,
                (yield from _composite(prepared.references[0], prepared.mask, pictures[-1])),
            )
        except InvalidImageError as error:
            problem = error
    kept = yield from commit_turn(settled, pictures)
    if problem is not None:
        raise InvalidImageError(
            f"The reply is kept as picture {kept.images[-1].id}, but could not be put into the "
            f"original: {problem.message}"
        ) from problem
    return kept


def _composite(
    original: InputImage, mask: InputImage, reply: ReceivedImage
) -> Workflow[ReceivedImage]:
    return (yield from StoreCall(lambda store: store.composite(original, mask, reply.data)))


def apply_response(
    prepared: PreparedRequest, outcome: ResponseOutcome, config: StudioConfig
) -> Turn:
    """
    Add to a turn what its reply says of it, and what that costs.
    """
    model = (outcome.model or prepared.mainline) if outcome.used_mainline else None
    # A reply may name a snapshot that the catalogue does not know.
    priced = prepared.mainline if model and not config.catalogue.find(model) else model
    return attrs.evolve(
        prepared.turn,
        text=outcome.text,
        model=model,
        response_id=outcome.response_id,
        item_ids=outcome.item_ids,
        usage=outcome.usage,
        cost=cost_of(
            outcome.usage,
            mainline=priced,
            image=prepared.image_model or None,
            catalogue=config.catalogue,
            batch=prepared.turn.batch is not None,
        ),
    )


def finalize_failed(turn: Turn, error: ImageSessionError) -> Workflow[None]:
    """
    Settle a turn for which there was no reply to keep.

    Nothing is kept of a request that was not sent or not taken up. An intent stays in the journal
    while the outcome is unknown, or the disk would not take it; what the provider said is told all
    the same.
    """
    if isinstance(error, (OutcomeUnknownError, StorageError)):
        return
    if _was_not_accepted(error):
        yield from StoreCall(lambda store: store.discard_intent(turn))
    else:
        with contextlib.suppress(StorageError):
            yield from commit_failure(turn, error)


def _was_not_accepted(error: ImageSessionError) -> bool:
    """
    Tell whether an error means that nothing was sent or taken up.
    """
    return isinstance(error, _NOT_ACCEPTED) and not isinstance(error, BadRequestError)


def commit_failure(turn: Turn, error: ImageSessionError) -> Workflow[Turn]:
    """
    Keep the fact that a turn brought no picture.
    """
    failed = attrs.evolve(
        turn,
        status="refused" if isinstance(error, RefusalError) else "failed",
        failure=Failure(error=type(error).__name__, message=error.message),
    )
    return (yield from commit_turn(failed, ()))


def commit_turn(turn: Turn, pictures: tuple[ReceivedImage, ...]) -> Workflow[Turn]:
    """
    Keep a settled turn with its pictures.
    """
    yield from ReportProgress("saving", turn_id=turn.id)
    kept = yield from StoreCall(lambda store: store.commit(turn, pictures))
    ids = ", ".join(image.id for image in kept.images) or "no picture"
    seconds = ((kept.finished or kept.started) - kept.started).total_seconds()
    line = f"turn {kept.id}: {kept.status} after {seconds:.1f} s: {ids}; cost: {kept.cost}"
    yield from ReportProgress(log=line)
    return kept
