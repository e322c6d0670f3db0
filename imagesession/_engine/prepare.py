"""
Prepare a request: check and load everything that does not need the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

import attrs

from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sizes import resolve_size
from imagesession._domain.turn import Reference, Turn
from imagesession._domain.wording import quote
from imagesession.errors import InvalidOptionError

from .effects import GetProviderName, NewId, Workflow
from .input_images import load_input_images
from .payloads import PreparedRequest, sent_prompt
from .pixels import InputImage
from .queries import check_choice
from .request import GenerateRequest, StudioConfig, image_model
from .sessions import BranchHead, session_config
from .store import BudgetReservation, IdAndTime
from .validate import (
    validate_edit,
    validate_for_server,
    validate_options,
    validate_partial_images,
    validate_prompt,
    validate_reference_count,
)

if TYPE_CHECKING:
    from imagesession._domain.estimate import CostEstimate


def prepare_request(
    request: GenerateRequest, config: StudioConfig, new: IdAndTime, branch_head: BranchHead | None
) -> Workflow[PreparedRequest]:
    prompt = validate_prompt(request.prompt)
    validate_reference_count(len(request.references) + (request.image is not None))
    validate_partial_images(request.partial_images)
    requested = _requested_options(request.choices, config, branch_head)
    options, mainline = _validated_options(requested, request, config, new)
    if request.within != "soonest" and options.service_tier not in {"auto", "default"}:
        raise InvalidOptionError(
            f"service_tier={options.service_tier!r} does not go with within={request.within!r}, "
            "which is served at the standard tier. Leave one of them out.",
            "service_tier",
            options.service_tier,
            ("default",),
        )
    replaced_size = {} if requested.size == options.size else {"requested_size": requested.size}
    inputs = yield from load_input_images(request, options, config, branch_head)
    if inputs.images or (branch_head and branch_head.past):
        validate_edit(config.server)
    turn = attrs.evolve(
        (yield from new_turn(new, branch_head, prompt, options, inputs.images)),
        kind=request.kind,
        label=request.label,
        parameters={**request.parameters, **replaced_size},
        parents=tuple(_parents(inputs.images, branch_head)),
        masked=request.mask is not None,
        mask_coverage=inputs.mask.coverage if inputs.mask else None,
        idempotency_key=request.idempotency_key,
        within=request.within,
    )
    return PreparedRequest(
        turn=turn,
        mainline=mainline,
        image_model=image_model(options, config),
        session_description=branch_head.record.description if branch_head else "",
        references=inputs.images,
        edits_first_reference=inputs.edits_first_image,
        mask=inputs.mask,
        markup=inputs.markup,
        edits=request.edits,
        partial_images=request.partial_images,
        count=request.count,
    )


def new_turn(
    new: IdAndTime,
    branch_head: BranchHead | None,
    prompt: str,
    options: GenerateOptions,
    images: Iterable[InputImage],
) -> Workflow[Turn]:
    head = branch_head.head if branch_head else None
    return Turn(
        id=new.id,
        session=branch_head.record.id if branch_head else None,
        owner=branch_head.record.owner if branch_head else new.owner,
        parent=head.id if head else None,
        branch=branch_head.branch if branch_head else "main",
        depth=head.depth + 1 if head else 1,
        prompt=prompt,
        options=options,
        references=tuple(
            Reference(sha256=image.sha256, image_id=image.image_id, role=image.role)
            for image in images
        ),
        provider=(yield from GetProviderName()),
        started=new.at,
    )


def _validated_options(
    requested: GenerateOptions, request: GenerateRequest, config: StudioConfig, new: IdAndTime
) -> tuple[GenerateOptions, str]:
    """
    Return the options with a size that the model takes, and the name of the mainline model.
    """
    options = _with_model_size(requested, config)
    options = attrs.evolve(options, image_model=options.image_models[0])
    mainline = validate_options(
        options,
        config.catalogue,
        new.at.date(),
        partial_images=request.partial_images,
        masked=request.mask is not None,
    )
    validate_for_server(
        options,
        config.server,
        mask=request.mask is not None,
        markup=request.markup is not None,
    )
    return options, mainline


def resolve_options(
    choices: Mapping[str, Any], config: StudioConfig, branch_head: BranchHead | None
) -> GenerateOptions:
    """
    Return the options of a call, which override its session's, which override the studio's.
    """
    return _with_model_size(_requested_options(choices, config, branch_head), config)


def _with_model_size(options: GenerateOptions, config: StudioConfig) -> GenerateOptions:
    model = config.catalogue.find(image_model(options, config))
    return attrs.evolve(options, size=resolve_size(options.size, model.sizes if model else None))


def _requested_options(
    choices: Mapping[str, Any], config: StudioConfig, branch_head: BranchHead | None
) -> GenerateOptions:
    own = config.options.updated(branch_head.record.choices) if branch_head else config.options
    return own.updated(choices)


def reserve_budget(
    prepared: PreparedRequest,
    config: StudioConfig,
    past: tuple[Turn, ...] = (),
    *,
    draws: bool = True,
) -> tuple[PreparedRequest, BudgetReservation | None]:
    if config.budget is None:
        return prepared, None
    estimated = estimate_prepared(prepared, config, past, draws=draws)
    turn = attrs.evolve(prepared.turn, reserved=estimated.high)
    return attrs.evolve(prepared, turn=turn), BudgetReservation(
        budget=config.budget, estimate=estimated
    )


def estimate_prepared(
    prepared: PreparedRequest,
    config: StudioConfig,
    past: tuple[Turn, ...] = (),
    *,
    draws: bool = True,
    batch: bool = False,
) -> CostEstimate:
    from imagesession._domain.estimate import estimate  # noqa: PLC0415 - hardly ever needed

    direct = batch or prepared.markup is not None or (draws and config.uses_images_api)
    return estimate(
        prepared.turn.options,
        config.catalogue,
        prompt="\n".join(filter(None, (prepared.session_description, sent_prompt(prepared.turn)))),
        images=[*_last_image_size(past), *_sizes(prepared.references)],
        partial_images=prepared.partial_images,
        count=prepared.count,
        past=() if config.uses_images_api else _remembered(past, config),
        leads=not direct,
        draws=draws,
        batch=batch,
        within=prepared.turn.within,
    )


def estimate_request(
    request: GenerateRequest,
    config: StudioConfig,
    count: int,
    branch_head: BranchHead | None = None,
    *,
    batch: bool = False,
    within: CompletionWindow = "soonest",
) -> Workflow[CostEstimate]:
    if type(count) is not int or count < 1:
        raise InvalidOptionError(
            f"n={quote(count)} is not a whole number, 1 or more.", "n", count, ("1",)
        )
    if request.prompt:
        validate_prompt(request.prompt)
    validate_partial_images(request.partial_images)
    check_choice("within", within, get_args(CompletionWindow))
    config = session_config(config, branch_head, request.api)
    new = yield from NewId()
    requested = _requested_options(request.choices, config, branch_head)
    options, mainline = _validated_options(requested, request, config, new)
    inputs = yield from load_input_images(request, options, config, branch_head)
    turn = Turn(id=new.id, prompt=request.prompt, options=options, within=within, started=new.at)
    prepared = PreparedRequest(
        turn=turn,
        mainline=mainline,
        session_description=branch_head.record.description if branch_head else "",
        references=inputs.images,
        markup=inputs.markup,
        partial_images=request.partial_images,
        count=count,
    )
    past = branch_head.past if branch_head else ()
    return estimate_prepared(prepared, config, past, batch=batch)


def _remembered(past: tuple[Turn, ...], config: StudioConfig) -> tuple[Turn, ...]:
    return past if config.remember is None else past[-config.remember :]


def _sizes(images: tuple[InputImage, ...]) -> list[tuple[int, int]]:
    return [(image.facts.width, image.facts.height) for image in images]


def _last_image_size(past: tuple[Turn, ...]) -> list[tuple[int, int]]:
    return [(turn.images[-1].width, turn.images[-1].height) for turn in past[-1:]]


def _parents(images: tuple[InputImage, ...], branch_head: BranchHead | None) -> list[str]:
    head = [branch_head.head.images[-1].id] if branch_head and branch_head.head else []
    sent = [image.image_id for image in images if image.image_id is not None]
    return list(dict.fromkeys([*head, *sent]))
