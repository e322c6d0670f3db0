"""
Plan a batch: check everything that is wanted, and put together what is asked.

What stands in a batch is asked of the Images API, line by line: each picture on its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from imagesession._domain.batch import BatchItem, BatchRecord
from imagesession._domain.estimate import CostEstimate, estimate
from imagesession._domain.turn import Turn
from imagesession._engine import bulk, images_api
from imagesession._engine.effects import GetProviderName, NewId, StoreCall, Workflow
from imagesession._engine.payloads import PreparedRequest
from imagesession._engine.prepare import prepare_request, resolve_options
from imagesession._engine.request import GenerateRequest, StudioConfig
from imagesession._engine.sessions import BranchHead
from imagesession._engine.store import IdAndTime
from imagesession.errors import InvalidOptionError, InvalidRequestError

from . import payloads


@attrs.frozen(kw_only=True)
class PreparedItem:
    """
    A picture to ask for.

    Attributes:
        turn: Its turn.
        request: What is wanted.
        model: The model that draws.
        endpoint: Where its line goes.
        expected: What it could cost.
        line: Its line; None where pictures go along, which have to be sent up first.
    """

    turn: Turn
    request: GenerateRequest
    model: str
    endpoint: str
    expected: CostEstimate
    line: bytes | None


Named = Sequence[tuple[str | None, GenerateRequest]]


def prepare_batch(
    named: Named, name: str | None, digest: str, begun: IdAndTime, config: StudioConfig
) -> Workflow[tuple[BatchRecord, tuple[PreparedItem, ...]]]:
    """
    Check every wish, and put the batch together.
    """
    planned: list[PreparedItem] = []
    items: list[BatchItem] = []
    last = begun.id
    for number, (key, request) in enumerate(named, 1):
        made = yield from _find_by_idempotency_key(request)
        if made is not None:
            items.append(BatchItem(turn=made.id, key=key, session=made.session, asked=False))
            continue
        try:
            item = yield from _prepare_item(request, begun, last, config)
        except InvalidRequestError as error:
            raise bulk.annotate_error(error, number, len(named), key) from error
        last = item.turn.id
        planned.append(item)
        items.append(BatchItem(turn=last, key=key))
    _check_alike(planned)
    first = planned[0] if planned else None
    record = BatchRecord(
        id=begun.id,
        name=name,
        provider=(yield from GetProviderName()),
        endpoint=f"/v1{first.endpoint}" if first else "",
        model=first.model if first else "",
        items=tuple(items),
        digest=digest,
        estimate=_sum(planned, config),
        created=begun.at,
        state="preparing" if planned else "completed",
        settled=not planned,
    )
    return record, tuple(planned)


def _find_by_idempotency_key(request: GenerateRequest) -> Workflow[Turn | None]:
    idempotency_key = request.idempotency_key
    if idempotency_key is None:
        return None
    return (yield from StoreCall(lambda store: store.find_intent(idempotency_key)))


def _prepare_item(
    request: GenerateRequest, begun: IdAndTime, last: str, config: StudioConfig
) -> Workflow[PreparedItem]:
    request = with_batch_model(request, config)
    mine = yield from NewId(after=last)
    prepared = yield from prepare_request(request, config, attrs.evolve(mine, at=begun.at), None)
    expected = estimate_item(prepared, config)
    reserved = expected.high if config.budget is not None else None
    turn = attrs.evolve(prepared.turn, batch=begun.id, reserved=reserved)
    prepared = attrs.evolve(prepared, turn=turn)
    endpoint = images_api.EDITS if prepared.references else images_api.GENERATIONS
    return PreparedItem(
        turn=turn,
        request=request,
        model=prepared.image_model,
        endpoint=endpoint,
        expected=expected,
        line=None if prepared.references else line_of(prepared, endpoint),
    )


def with_batch_model(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> GenerateRequest:
    """
    Name the model that draws a wish in a batch.

    Raises:
        InvalidOptionError: It takes no batches; or the wish is a session's.
    """
    if branch_head is not None:
        raise InvalidOptionError(
            "A session's turns are not made in batches: each needs the answer to the one before. "
            "Ask the studio instead.",
            "batch",
            value=True,
        )
    wanted = resolve_options(request.choices, config, None).image_model
    if wanted == "auto":
        wanted = config.catalogue.batch_image
    model = config.catalogue.find(wanted)
    if model is not None and model.kind == "image" and not model.batch:
        takes = config.catalogue.batch_image
        raise InvalidOptionError(
            f"image_model={wanted!r} is not made in batches. Leave it out for {takes!r}, or use "
            f"studio.map(...), which takes {wanted!r} at its full price.",
            "image_model",
            wanted,
            (takes,),
        )
    return attrs.evolve(request, choices={**request.choices, "image_model": wanted})


def estimate_item(prepared: PreparedRequest, config: StudioConfig) -> CostEstimate:
    """
    Tell what a picture of a batch could cost.
    """
    return estimate(
        prepared.turn.options,
        config.catalogue,
        prompt=prepared.turn.prompt,
        pictures=[
            (reference.facts.width, reference.facts.height) for reference in prepared.references
        ],
        leads=False,
        batch=True,
    )


def _sum(planned: Sequence[PreparedItem], config: StudioConfig) -> CostEstimate:
    highs = [item.expected.high for item in planned]
    # The first of the grounds tells of prices and of one picture; the others repeat themselves.
    grounds = dict.fromkeys(ground for item in planned for ground in item.expected.assumptions[1:])
    head = (
        f"Prices are those of {config.catalogue.dated.isoformat()}, halved for a batch, for "
        f"{len(planned)} pictures."
    )
    return CostEstimate(
        low=sum(item.expected.low for item in planned),
        high=None if None in highs else sum(high or 0.0 for high in highs),
        assumptions=(head, *grounds),
    )


def _check_alike(planned: Sequence[PreparedItem]) -> None:
    """
    Refuse what does not go into one batch: a batch has one endpoint and one model.
    """
    edits = sum(item.endpoint == images_api.EDITS for item in planned)
    if 0 < edits < len(planned):
        raise InvalidRequestError(
            f"{edits} of {len(planned)} pictures go by other pictures, and the rest by words "
            "alone; a batch takes either kind. Nothing was sent. Submit them as two batches."
        )
    models = dict.fromkeys(item.model for item in planned)
    if len(models) > 1:
        raise InvalidOptionError(
            f"A batch has one image model, and here are {', '.join(map(repr, models))}. Nothing "
            "was sent. Submit a batch for each.",
            "image_model",
            tuple(models),
            tuple(models)[:1],
        )


def line_of(prepared: PreparedRequest, endpoint: str) -> bytes:
    """
    Write the line of a picture.
    """
    return payloads.line(prepared.turn.id, f"/v1{endpoint}", images_api.create_image_json(prepared))
