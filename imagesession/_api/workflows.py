"""
Convert the arguments of a call to a workflow, for studios and sessions, sync and async.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs

from imagesession._api.image import ImageFacts
from imagesession._api.requests import PresetCall, split_keywords
from imagesession._api.results import Results
from imagesession._api.types import ImageInput, SessionParams, to_source, to_sources
from imagesession._domain.analysis import analysis_from_turn
from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.reports import PendingRequest
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn, is_id
from imagesession._engine import generation, imports, promote, recovery, variations
from imagesession._engine.effects import NewId, StoreCall, Workflow
from imagesession._engine.prepare import estimate_request, prepare_request, resolve_options
from imagesession._engine.request import GenerateRequest, StudioConfig, image_model
from imagesession._engine.sessions import BranchHead, SessionSettings, session_config
from imagesession.errors import GenerationFailedError, ImageSessionError

if TYPE_CHECKING:
    from imagesession._domain.analysis import Analysis
    from imagesession._domain.estimate import CostEstimate

DEFAULT_CONCURRENCY = 4
"""How many requests are sent at once if a call has several."""

ImageT = TypeVar("ImageT")
FindBranchHead: TypeAlias = Callable[[], Workflow[BranchHead | None]]
"""Finds the branch head that the next turn continues; None for a standalone image."""

# --- workflows ---------------------------------------------------------------------------------


def standalone() -> Workflow[BranchHead | None]:
    yield from ()
    return None


def recovered_branch_head(
    config: StudioConfig, head: FindBranchHead
) -> Workflow[BranchHead | None]:
    """
    Find the branch head, after reconciling intents that a stopped program may have left.
    """
    yield from recovery.reconcile_orphans(config)
    return (yield from head())


def resolve_request(
    call: GenerateRequest | PresetCall, config: StudioConfig, head: FindBranchHead
) -> Workflow[tuple[GenerateRequest, BranchHead | None]]:
    branch_head = yield from recovered_branch_head(config, head)
    if isinstance(call, GenerateRequest):
        return call, branch_head
    options = resolve_options(call.request.choices, config, branch_head)
    model = config.catalogue.find(image_model(options, config))
    return call.render(model, config.server.refuses), branch_head


def generate_at(
    call: GenerateRequest | PresetCall, config: StudioConfig, head: FindBranchHead
) -> Workflow[Turn]:
    request, branch_head = yield from resolve_request(call, config, head)
    return (yield from generation.generate(request, config, branch_head))


def outpaint_at(
    request: GenerateRequest, to: object, anchor: str, config: StudioConfig, head: FindBranchHead
) -> Workflow[Turn]:
    from imagesession._engine import outpaint  # noqa: PLC0415 - rarely needed

    branch_head = yield from recovered_branch_head(config, head)
    edit = yield from outpaint.to_edit(request, to, anchor, config, branch_head)
    return (yield from generation.generate(edit, config, branch_head))


def plan_variations(
    call: GenerateRequest | PresetCall, count: int, config: StudioConfig, head: FindBranchHead
) -> Workflow[list[Workflow[Turn]]]:
    """
    Plan several images of one request, which all continue the same branch head.
    """
    variations.validate_count("n", count)
    request, branch_head = yield from resolve_request(call, config, head)
    if session_config(config, branch_head, request.api).takes_several:
        return [generation.generate(attrs.evolve(request, count=count), config, branch_head)]
    yield from prepare_request(request, config, (yield from NewId()), branch_head)
    return [
        generation.generate(variation, config, branch_head)
        for variation in _numbered(request, count)
    ]


def _numbered(request: GenerateRequest, count: int) -> Iterator[GenerateRequest]:
    for number in range(1, count + 1):
        yield attrs.evolve(
            request,
            parameters={**request.parameters, "take": number, "takes": count},
            idempotency_key=request.idempotency_key and f"{request.idempotency_key}/{number}",
        )


def submit_at(
    request: GenerateRequest, config: StudioConfig, head: FindBranchHead
) -> Workflow[PendingRequest]:
    branch_head = yield from recovered_branch_head(config, head)
    return (yield from generation.submit(request, config, branch_head))


def estimate_at(
    request: GenerateRequest,
    count: int,
    config: StudioConfig,
    head: FindBranchHead,
    *,
    batch: bool,
    within: CompletionWindow,
) -> Workflow[CostEstimate]:
    branch_head = yield from head()
    if batch:
        from imagesession._engine.batches import prepare  # noqa: PLC0415 - rarely needed

        request = prepare.with_batch_model(request, config, branch_head)
    estimated = estimate_request(request, config, count, branch_head, batch=batch, within=within)
    return (yield from estimated)


def analyze_at(
    request: GenerateRequest, config: StudioConfig, head: FindBranchHead
) -> Workflow[Analysis]:
    from imagesession._engine import analysis  # noqa: PLC0415 - rarely needed

    branch_head = yield from recovered_branch_head(config, head)
    return (yield from analysis.analyze(request, config, branch_head))


def improve_at(
    request: GenerateRequest, preserve_elements: str, config: StudioConfig, head: FindBranchHead
) -> Workflow[tuple[Analysis, Turn]]:
    from imagesession._engine import analysis  # noqa: PLC0415 - rarely needed

    analysis.validate_improvement(request.prompt, preserve_elements)
    completed = yield from _completed(request.idempotency_key)
    if completed is not None:
        return analysis_from_turn(completed), completed
    findings = yield from analyze_at(request, config, head)
    edit = analysis.to_edit_request(request, findings, preserve_elements)
    return findings, (yield from generate_at(edit, config, head))


def _completed(idempotency_key: str | None) -> Workflow[Turn | None]:
    if idempotency_key is None:
        return None
    return (yield from StoreCall(lambda store: store.intents.completed_under(idempotency_key)))


def session_settings(keywords: SessionParams) -> SessionSettings:
    own, options = split_keywords(keywords, SessionParams)
    if own.get("references") is not None:
        own["references"] = to_sources(own["references"])
    return SessionSettings(options=options, **own)


def create_from_image(
    image: ImageInput,
    description: str,
    name: str | None,
    options: Mapping[str, Any],
    config: StudioConfig,
) -> Workflow[SessionRecord]:
    stored, source = None, to_source(image)
    if isinstance(image, ImageFacts):
        stored = image.turn, image.position
    elif isinstance(image, str) and is_id(image):
        stored = yield from imports.find_image(image)
    return (
        yield from promote.create_session_from_image(
            stored, source, description, name=name, choices=options, config=config
        )
    )


# --- results -----------------------------------------------------------------------------------


def to_results(
    outcomes: Iterable[Turn | ImageSessionError],
    wrap: Callable[[Turn], ImageT],
    keys: tuple[str, ...] = (),
) -> Results[ImageT]:
    items = (
        outcome if isinstance(outcome, ImageSessionError) else wrap(outcome) for outcome in outcomes
    )
    return Results(tuple(items), keys)


def to_variations(
    outcomes: list[Turn | ImageSessionError], count: int, wrap: Callable[[Turn, int], ImageT]
) -> Results[ImageT]:
    """
    Return the images of several variations, whether each has a turn of its own, or all are images
    of one.
    """
    if len(outcomes) == count:
        return to_results(outcomes, lambda turn: wrap(turn, -1))
    outcome = outcomes[0]
    if isinstance(outcome, ImageSessionError):
        return Results((outcome,) * count)
    images = [wrap(outcome, position) for position in range(len(outcome.images))]
    missing = GenerationFailedError(
        f"The server made {len(images)} images in place of {count}. Ask for the others again."
    )
    return Results((*images, *[missing] * (count - len(images))))
