"""
Generate an image: from the caller's request to a settled turn.
"""

from __future__ import annotations

import contextlib
from typing import get_args

import attrs

from imagesession._domain.context_usage import context_tokens
from imagesession._domain.cost import cost_of
from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.reports import PendingRequest
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
from .effects import MonotonicTime, NewId, PixelCall, ReportProgress, StoreCall, Workflow
from .http import ReceivedImage
from .idempotency import find_by_idempotency_key, same_request_or_error
from .outcomes import ResponseOutcome
from .payloads import PreparedRequest
from .prepare import prepare_request, reserve_budget, resolve_options
from .queries import check_choice
from .request import GenerateRequest, StudioConfig
from .retry import acquire_slot
from .sessions import BranchHead, session_config
from .store import Lease
from .strategies import Delivery
from .uploads import ensure_uploaded

_NOT_ACCEPTED = (TransientError, InsufficientQuotaError, InvalidRequestError)


def generate(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> Workflow[Turn]:
    """
    Generate an image: check, write the intent, send, commit the outcome, and only then return. Of
    several image models, the next one is asked only after an answer that billed nothing.
    """
    try:
        models = resolve_options(request.choices, config, branch_head).image_models
    except InvalidRequestError:
        models = ()  # raised again by the workflow
    # A single model needs no workflow around its own.
    if len(models) > 1:
        return _generate_by_first(models, request, config, branch_head)
    return _generate_once(request, config, branch_head)


def _generate_by_first(
    models: tuple[str, ...],
    request: GenerateRequest,
    config: StudioConfig,
    branch_head: BranchHead | None,
) -> Workflow[Turn]:
    for name in models[:-1]:
        try:
            return (yield from _generate_once(_by_model(request, name), config, branch_head))
        except _NOT_ACCEPTED:
            continue
    return (yield from _generate_once(_by_model(request, models[-1]), config, branch_head))


def _by_model(request: GenerateRequest, name: str) -> GenerateRequest:
    return attrs.evolve(request, choices={**request.choices, "image_model": name})


def _generate_once(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None
) -> Workflow[Turn]:
    transaction = yield from _begin(request, config, branch_head)
    if isinstance(transaction, Turn):
        return transaction
    try:
        result = yield from _send(transaction.delivery)
        committed = yield from _commit_outcome(result, request, transaction.delivery)
        yield from release_conversation(committed)
        return committed
    finally:
        # However it ends, even by cancellation: a pending intent may be recovered from now on.
        transaction.release()


def submit(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> Workflow[PendingRequest]:
    """
    Submit an image that the provider makes within a completion window; return once the provider has
    accepted it. Its intent stays in the journal, from which recovery settles it.
    """
    check_choice("within", request.within, get_args(CompletionWindow)[1:])
    transaction = yield from _begin(request, config, branch_head)
    if isinstance(transaction, Turn):
        return _as_settled(transaction)
    try:
        result = yield from _send(transaction.delivery)
        if result.outcome.finished:
            return _as_settled((yield from _commit_outcome(result, request, transaction.delivery)))
        response_id = result.outcome.response_id
        return PendingRequest(turn=result.prepared.turn, response_id=response_id, running=False)
    finally:
        transaction.release()


def _as_settled(turn: Turn) -> PendingRequest:
    return PendingRequest(turn=turn, response_id=turn.response_id, running=False, staged=True)


@attrs.frozen
class _Transaction:
    """
    A written intent, and the leases to release when it is settled.
    """

    delivery: Delivery
    leases: tuple[Lease, ...]

    def release(self) -> None:
        for lease in self.leases:
            lease.release()


def _begin(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None
) -> Workflow[_Transaction | Turn]:
    """
    Check a request and write its intent; or return the turn that was made for the same request with
    its idempotency key.
    """
    existing = yield from find_by_idempotency_key(request)
    if existing is not None:
        return (yield from same_request_or_error(existing, request, branch_head))
    config = session_config(config, branch_head, request.api).for_call(request.settings)
    new = yield from NewId(after=branch_head.tree.latest_id() if branch_head else "")
    prepared = yield from prepare_request(request, config, new, branch_head)
    transaction = yield from _begin_transaction(prepared, branch_head, config)
    if isinstance(transaction, Turn):
        return (yield from same_request_or_error(transaction, request, branch_head))
    return transaction


def _begin_transaction(
    prepared: PreparedRequest, branch_head: BranchHead | None, config: StudioConfig
) -> Workflow[_Transaction | Turn]:
    slot = yield from acquire_slot(prepared.turn.provider, config)
    slots = () if slot is None else (slot,)
    admitted: Turn | Lease | None = None
    try:
        deadline = (yield from MonotonicTime()) + config.timeout
        now = (yield from NewId(after=prepared.turn.id)).at  # the slot may have taken long
        prepared = attrs.evolve(prepared, turn=attrs.evolve(prepared.turn, started=now))
        delivery = yield from plan_delivery(prepared, branch_head, config, deadline)
        delivery, admitted = yield from _admit(delivery)
        return (
            admitted if isinstance(admitted, Turn) else _Transaction(delivery, (admitted, *slots))
        )
    finally:
        if admitted is None or isinstance(admitted, Turn):
            for lease in slots:
                lease.release()


def _admit(delivery: Delivery) -> Workflow[tuple[Delivery, Turn | Lease]]:
    try:
        prepared, reservation = reserve_budget(delivery.prepared, delivery.config, delivery.past)
        admitted = yield from StoreCall(
            lambda store: store.intents.write(prepared.turn, reservation)
        )
    except ImageSessionError:  # a workflow that is closed can yield no more
        yield from return_conversation(delivery.prepared.turn, delivery.past)
        raise
    if isinstance(admitted, Turn):
        yield from return_conversation(delivery.prepared.turn, delivery.past)
    return attrs.evolve(delivery, prepared=prepared), admitted


def _send(delivery: Delivery) -> Workflow[DeliveryResult]:
    turn, past = delivery.prepared.turn, delivery.past
    uploads = delivery.strategy.name != "images_api" and delivery.supports("files", "store")
    try:
        if uploads:
            prepared = yield from upload_inputs(delivery.prepared, delivery.config)
            delivery = attrs.evolve(delivery, prepared=prepared)
    except ImageSessionError:
        with contextlib.suppress(StorageError):  # nothing was sent; the first error matters
            yield from StoreCall(lambda store: store.intents.discard(turn))
        yield from return_conversation(turn, past)
        raise
    try:
        return (yield from deliver(delivery))
    except ImageSessionError as error:
        yield from finalize_failed(turn, error)
        if _was_not_accepted(error):
            yield from return_conversation(turn, past)
        raise


def upload_inputs(prepared: PreparedRequest, config: StudioConfig) -> Workflow[PreparedRequest]:
    images = (*prepared.references, *(() if prepared.mask is None else (prepared.mask,)))
    turn = prepared.turn
    files = yield from ensure_uploaded(images, turn.provider, turn.started, config.server)
    return attrs.evolve(prepared, files=files)


def _commit_outcome(
    result: DeliveryResult, request: GenerateRequest, delivery: Delivery
) -> Workflow[Turn]:
    prepared, outcome = result.prepared, result.outcome
    turn = apply_response(prepared, outcome, delivery.config, delivery.past)
    if outcome.error is not None:
        with contextlib.suppress(StorageError):  # see `finalize_failed`
            yield from commit_failure(turn, outcome.error)
        raise outcome.error
    settled = attrs.evolve(turn, status="completed")
    problem = None
    images, mask = outcome.images, prepared.mask
    if request.preserve_unmasked and mask is not None:
        original, reply = prepared.references[0], images[-1].data
        try:
            composite = yield from PixelCall(lambda pixels: pixels.composite(original, mask, reply))
            images = (*images, composite)
        except InvalidImageError as error:
            problem = error
    committed = yield from commit_turn(settled, images)
    if problem is not None:
        raise InvalidImageError(
            f"The reply is kept as image {committed.images[-1].id}, but could not be put into the "
            f"original: {problem.message}"
        ) from problem
    return committed


def apply_response(
    prepared: PreparedRequest,
    outcome: ResponseOutcome,
    config: StudioConfig,
    past: tuple[Turn, ...] = (),
) -> Turn:
    model = (outcome.model or prepared.mainline) if outcome.used_mainline else None
    # A reply may name a snapshot that the catalogue does not know.
    priced = prepared.mainline if model and not config.catalogue.find(model) else model
    turn = attrs.evolve(prepared.turn, usage=outcome.usage)
    return attrs.evolve(
        turn,
        text=outcome.text,
        model=model,
        response_id=outcome.response_id,
        # A recovered turn has its own; the outcome's would be that of the lookup.
        request_id=prepared.turn.request_id or outcome.request_id,
        item_ids=outcome.item_ids,
        cost=cost_of(
            outcome.usage,
            mainline=priced,
            image=prepared.image_model or None,
            images=len(outcome.images) + outcome.unreadable,
            catalogue=config.catalogue,
            batch=turn.batch is not None,
            tier=outcome.usage.tier or turn.options.service_tier,
            window=turn.within,
            context_tokens=context_tokens(turn, past),
        ),
    )


def commit_answer(
    prepared: PreparedRequest,
    outcome: ResponseOutcome,
    config: StudioConfig,
    past: tuple[Turn, ...] = (),
) -> Workflow[Turn]:
    answered = apply_response(prepared, outcome, config, past)
    if outcome.error is not None:
        return (yield from commit_failure(answered, outcome.error))
    return (yield from commit_turn(attrs.evolve(answered, status="completed"), outcome.images))


def finalize_failed(turn: Turn, error: ImageSessionError) -> Workflow[None]:
    """
    Settle a turn without a reply.

    The intent of a request that was not sent or not accepted is discarded. It stays in the journal
    if the outcome is unknown or writing failed; the caller gets the provider's error all the same.
    """
    if isinstance(error, (OutcomeUnknownError, StorageError)):
        return
    if _was_not_accepted(error):
        yield from StoreCall(lambda store: store.intents.discard(turn))
    else:
        with contextlib.suppress(StorageError):
            yield from commit_failure(turn, error)


def _was_not_accepted(error: ImageSessionError) -> bool:
    return isinstance(error, _NOT_ACCEPTED) and not isinstance(error, BadRequestError)


def commit_failure(turn: Turn, error: ImageSessionError) -> Workflow[Turn]:
    failed = attrs.evolve(
        turn,
        request_id=turn.request_id or error.request_id,
        status="refused" if isinstance(error, RefusalError) else "failed",
        failure=Failure(error=type(error).__name__, message=error.message),
    )
    return (yield from commit_turn(failed, ()))


def commit_turn(turn: Turn, images: tuple[ReceivedImage, ...]) -> Workflow[Turn]:
    yield from ReportProgress("saving", turn_id=turn.id)
    committed = yield from StoreCall(lambda store: store.turns.commit(turn, images))
    ids = ", ".join(image.id for image in committed.images) or "no image"

    seconds = ((committed.finished or committed.started) - committed.started).total_seconds()
    result = f"{committed.status} after {seconds:.1f} s: {ids}; cost: {committed.cost}"
    if committed.request_id:
        result += f"; request: {committed.request_id}"
    known = committed.cost.known if committed.cost else 0.0
    yield from ReportProgress(log=f"turn {committed.id}: {result}", cost=known)
    return committed
