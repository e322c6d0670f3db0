"""
Prepare a batch: check every request, and build the lines.

Each line of a batch is a request of its own to the Images API.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from imagesession._domain.batch import BatchItem, BatchRecord
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine import bulk, images_api
from imagesession._engine.effects import GetProviderName, NewId, Workflow
from imagesession._engine.idempotency import find_by_idempotency_key
from imagesession._engine.payloads import PreparedRequest
from imagesession._engine.prepare import estimate_prepared, prepare_request, resolve_options
from imagesession._engine.request import GenerateRequest, StudioConfig
from imagesession._engine.sessions import BranchHead
from imagesession._engine.store import IdAndTime
from imagesession.errors import InvalidOptionError, InvalidRequestError

from . import payloads


@attrs.frozen(kw_only=True)
class PreparedItem:
    """
    A prepared item of a batch.

    Attributes:
        line: Its line; None if it has input images, which have to be uploaded first.
    """

    turn: Turn
    request: GenerateRequest
    model: str
    endpoint: str
    expected: CostEstimate
    line: bytes | None


KeyedRequests = Sequence[tuple[str | None, GenerateRequest]]


def prepare_batch(
    requests: KeyedRequests, name: str | None, digest: str, new: IdAndTime, config: StudioConfig
) -> Workflow[tuple[BatchRecord, tuple[PreparedItem, ...]]]:
    if "batches" in config.server.lacks:
        raise InvalidRequestError(
            f"The server {config.server.name!r} has no batches; nothing was sent. studio.map() "
            "makes the same images."
        )
    prepared_items: list[PreparedItem] = []
    items: list[BatchItem] = []
    last = new.id
    for number, (key, request) in enumerate(requests, 1):
        existing = yield from find_by_idempotency_key(request)
        if existing is not None:
            items.append(
                BatchItem(turn=existing.id, key=key, session=existing.session, asked=False)
            )
            continue
        try:
            item = yield from _prepare_item(request, new, last, config)
        except InvalidRequestError as error:
            raise bulk.annotate_error(error, number, len(requests), key) from error
        last = item.turn.id
        prepared_items.append(item)
        items.append(BatchItem(turn=last, key=key))
    _check_same_endpoint_and_model(prepared_items)
    first = prepared_items[0] if prepared_items else None
    record = BatchRecord(
        id=new.id,
        owner=new.owner,
        name=name,
        provider=(yield from GetProviderName()),
        endpoint=f"/v1{first.endpoint}" if first else "",
        model=first.model if first else "",
        items=tuple(items),
        digest=digest,
        estimate=_sum_estimates(prepared_items, config),
        created=new.at,
        state="preparing" if prepared_items else "completed",
        settled=not prepared_items,
    )
    return record, tuple(prepared_items)


def _prepare_item(
    request: GenerateRequest, batch: IdAndTime, last: str, config: StudioConfig
) -> Workflow[PreparedItem]:
    request = with_batch_model(request, config)
    new = yield from NewId(after=last)
    prepared = yield from prepare_request(request, config, attrs.evolve(new, at=batch.at), None)
    expected = estimate_prepared(prepared, config, batch=True)
    reserved = expected.high if config.budget is not None else None
    turn = attrs.evolve(prepared.turn, batch=batch.id, reserved=reserved)
    prepared = attrs.evolve(prepared, turn=turn)
    endpoint = images_api.EDITS if prepared.references else images_api.GENERATIONS
    return PreparedItem(
        turn=turn,
        request=request,
        model=prepared.image_model,
        endpoint=endpoint,
        expected=expected,
        line=None if prepared.references else build_line(prepared, endpoint),
    )


def with_batch_model(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> GenerateRequest:
    if branch_head is not None:
        raise InvalidOptionError(
            "A session's turns cannot be made in a batch, as each needs the one before. Use the "
            "studio's methods instead.",
            "batch",
            value=True,
        )
    model_id = resolve_options(request.choices, config, None).image_models[0]
    if model_id == "auto":
        model_id = config.catalogue.batch_image
    model = config.catalogue.find(model_id)
    if model is not None and model.kind == "image" and not model.batch:
        default = config.catalogue.batch_image
        raise InvalidOptionError(
            f"image_model={quote(model_id)} takes no batches. Leave it out for {default!r}, or use "
            f"studio.map(...), which takes {quote(model_id)} at full price.",
            "image_model",
            model_id,
            (default,),
        )
    return attrs.evolve(request, choices={**request.choices, "image_model": model_id})


def _sum_estimates(items: Sequence[PreparedItem], config: StudioConfig) -> CostEstimate:
    highs = [item.expected.high for item in items]
    # An item's first assumption is about prices and one image; the others repeat between items.
    assumptions = dict.fromkeys(
        assumption for item in items for assumption in item.expected.assumptions[1:]
    )
    first = (
        f"Prices are those of {config.catalogue.dated.isoformat()}, halved for a batch, for "
        f"{len(items)} images."
    )
    return CostEstimate(
        low=sum(item.expected.low for item in items),
        high=None if None in highs else sum(high or 0.0 for high in highs),
        assumptions=(first, *assumptions),
    )


def _check_same_endpoint_and_model(items: Sequence[PreparedItem]) -> None:
    """
    Check that all items fit into one batch, which has one endpoint and one model.
    """
    edits = sum(item.endpoint == images_api.EDITS for item in items)
    if 0 < edits < len(items):
        raise InvalidRequestError(
            f"{edits} of {len(items)} images have input images and the others have none, which "
            "one batch does not take; nothing was sent. Submit them as two batches."
        )
    models = dict.fromkeys(item.model for item in items)
    if len(models) > 1:
        raise InvalidOptionError(
            f"A batch has one image model, not {', '.join(map(repr, models))}; nothing was sent. "
            "Submit a batch for each.",
            "image_model",
            tuple(models),
            tuple(models)[:1],
        )


def build_line(prepared: PreparedRequest, endpoint: str) -> bytes:
    return payloads.line(prepared.turn.id, f"/v1{endpoint}", images_api.create_image_json(prepared))
