"""
From a wish to an order: all that can be checked and gathered without asking the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Reference, Turn
from imagesession.errors import InvalidImageError, InvalidOptionError

from .effects import GetProviderName, NewId, StoreCall, Workflow
from .leases import BudgetReservation
from .payloads import PreparedRequest
from .request import GenerateRequest, StudioConfig
from .sessions import BranchHead
from .store import IdAndTime, InputImage, Source
from .validate import (
    validate_options,
    validate_partial_images,
    validate_prompt,
    validate_reference_count,
)

if TYPE_CHECKING:
    from imagesession._domain.estimate import CostEstimate


@attrs.frozen(kw_only=True)
class InputImages:
    """
    The pictures that go along.

    Attributes:
        pictures: All of them; the one that is changed comes first.
        based: Whether the one that is changed is among them.
        mask: Marks what may change.
        markup: A drawing that lies over the first picture.
    """

    pictures: tuple[InputImage, ...] = ()
    based: bool = False
    mask: InputImage | None = None
    markup: InputImage | None = None


def prepare_request(
    request: GenerateRequest, config: StudioConfig, begun: IdAndTime, branch_head: BranchHead | None
) -> Workflow[PreparedRequest]:
    """
    Check a wish, read its pictures, and put together what is asked.

    Raises:
        InvalidRequestError: It has to change; nothing was sent.
    """
    prompt = validate_prompt(request.prompt)
    validate_reference_count(len(request.references) + (request.image is not None))
    validate_partial_images(request.partial_images)
    options, mainline = _checked_options(request, config, begun, branch_head)
    gathered = yield from _load_input_images(request, options, config, branch_head)
    turn = attrs.evolve(
        (yield from new_turn(begun, branch_head, prompt, options, gathered.pictures)),
        kind=request.kind,
        label=request.label,
        parameters=request.parameters,
        parents=tuple(_parents(gathered.pictures, branch_head)),
        masked=request.mask is not None,
        idempotency_key=request.idempotency_key,
    )
    return PreparedRequest(
        turn=turn,
        mainline=mainline,
        image_model=image_model(options, config),
        brief=branch_head.record.description if branch_head else "",
        references=gathered.pictures,
        based=gathered.based,
        mask=gathered.mask,
        markup=gathered.markup,
        edits=request.edits,
        partial_images=request.partial_images,
    )


def new_turn(
    begun: IdAndTime,
    branch_head: BranchHead | None,
    prompt: str,
    options: GenerateOptions,
    pictures: Iterable[InputImage],
) -> Workflow[Turn]:
    """
    Begin a turn that grows at a place, or stands alone.
    """
    return Turn(
        id=begun.id,
        session=branch_head.record.id if branch_head else None,
        parent=branch_head.head.id if branch_head and branch_head.head else None,
        branch=branch_head.branch if branch_head else "main",
        depth=len(branch_head.past) + 1 if branch_head else 1,
        prompt=prompt,
        options=options,
        references=tuple(
            Reference(sha256=picture.sha256, image_id=picture.image_id) for picture in pictures
        ),
        provider=(yield from GetProviderName()),
        started=begun.at,
    )


def _checked_options(
    request: GenerateRequest, config: StudioConfig, begun: IdAndTime, branch_head: BranchHead | None
) -> tuple[GenerateOptions, str]:
    """
    Return the options that hold, checked, and the name of the mainline model.
    """
    options = resolve_options(request.choices, config, branch_head)
    mainline = validate_options(
        options,
        config.catalogue,
        begun.at.date(),
        partial_images=request.partial_images,
        masked=request.mask is not None,
    )
    return options, mainline


def resolve_options(
    choices: Mapping[str, Any], config: StudioConfig, branch_head: BranchHead | None
) -> GenerateOptions:
    """
    Return the options of a call over those of its session over those of the studio.

    Raises:
        InvalidOptionError: A name is not an option's, or a value is not one that it takes.
    """
    own = config.options.updated(branch_head.record.choices) if branch_head else config.options
    return own.updated(choices)


def image_model(options: GenerateOptions, config: StudioConfig) -> str:
    """
    Return the name of the model that draws.
    """
    return config.catalogue.image if options.image_model == "auto" else options.image_model


def reserve_budget(
    prepared: PreparedRequest,
    config: StudioConfig,
    past: tuple[Turn, ...] = (),
    *,
    draws: bool = True,
) -> tuple[PreparedRequest, BudgetReservation | None]:
    """
    Set aside what an order may cost, where there is a budget.

    Args:
        prepared: What is asked.
        config: Where the budget is.
        past: The turns that the model is told of.
        draws: Whether a picture is asked for, not words alone.
    """
    if config.budget is None:
        return prepared, None
    expected = _expect(prepared, config, past, draws=draws)
    turn = attrs.evolve(prepared.turn, reserved=expected.high)
    return attrs.evolve(prepared, turn=turn), BudgetReservation(
        budget=config.budget, estimate=expected
    )


def _expect(
    prepared: PreparedRequest, config: StudioConfig, past: tuple[Turn, ...], *, draws: bool
) -> CostEstimate:
    from imagesession._domain.estimate import estimate  # noqa: PLC0415 - hardly ever needed

    return estimate(
        prepared.turn.options,
        config.catalogue,
        prompt="\n".join(filter(None, (prepared.brief, prepared.turn.prompt))),
        pictures=[*_last_size(past), *_sizes(prepared.references)],
        partial_images=prepared.partial_images,
        turns_before=len(past),
        leads=prepared.markup is None,
        draws=draws,
    )


def estimate_request(
    request: GenerateRequest,
    config: StudioConfig,
    count: int,
    branch_head: BranchHead | None = None,
    *,
    batch: bool = False,
) -> Workflow[CostEstimate]:
    """
    Estimate what a wish costs, without asking anybody.

    Args:
        request: What is wanted; its prompt may be empty.
        config: What holds for everything that is asked.
        count: How many such pictures.
        branch_head: Where in a session; None for a picture on its own.
        batch: Whether it is made in a batch.

    Raises:
        InvalidRequestError: The wish has to change.
    """
    if type(count) is not int or count < 1:
        raise InvalidOptionError(f"n={count!r} is not a whole number from 1.", "n", count, ("1",))
    if request.prompt:
        validate_prompt(request.prompt)
    validate_partial_images(request.partial_images)
    begun = yield from NewId()
    options, _ = _checked_options(request, config, begun, branch_head)
    gathered = yield from _load_input_images(request, options, config, branch_head)
    past = branch_head.past if branch_head else ()
    brief = branch_head.record.description if branch_head else ""
    from imagesession._domain.estimate import estimate  # noqa: PLC0415 - hardly ever needed

    return estimate(
        options,
        config.catalogue,
        prompt=f"{brief}\n{request.prompt}".strip(),
        pictures=[*_last_size(past), *_sizes(gathered.pictures)],
        partial_images=request.partial_images,
        count=count,
        turns_before=len(past),
        leads=not batch,
        batch=batch,
    )


def _sizes(pictures: tuple[InputImage, ...]) -> list[tuple[int, int]]:
    return [(picture.facts.width, picture.facts.height) for picture in pictures]


def _last_size(past: tuple[Turn, ...]) -> list[tuple[int, int]]:
    """
    Return the size of the picture that the model goes on from, if there is one.
    """
    return [(turn.images[-1].width, turn.images[-1].height) for turn in past[-1:]]


def load_input_image(source: Source) -> Workflow[InputImage]:
    """
    Read a picture as the wire takes it.
    """
    return (yield from StoreCall(lambda store: store.fetch(source)))


def _load_input_images(
    request: GenerateRequest,
    options: GenerateOptions,
    config: StudioConfig,
    branch_head: BranchHead | None,
) -> Workflow[InputImages]:
    """
    Read the pictures that go along: the one that is changed, where it must be shown, and others.
    """
    pictures: list[InputImage] = []
    base = yield from _load_base_image(request, branch_head)
    if base is not None:
        pictures.append(base)
    for source in request.references:
        pictures.append((yield from load_input_image(source)))  # noqa: PERF401 - a step cannot be yielded in a comprehension
    if request.mask is None and request.markup is None:
        _check_mask_options(request)
        return InputImages(pictures=tuple(pictures), based=base is not None)
    if not pictures:
        raise InvalidImageError(
            "A mask needs a picture to work on: give one with image= or reference=, or continue a "
            "session that has one."
        )
    mask = markup = None
    if request.mask is not None:
        mask = yield from _mask(request.mask, pictures[0], request)
    if request.markup is not None:
        _check_markup(request, options, config)
        markup = yield from _markup(request.markup, pictures[0], request)
    return InputImages(pictures=tuple(pictures), based=True, mask=mask, markup=markup)


def _load_base_image(
    request: GenerateRequest, branch_head: BranchHead | None
) -> Workflow[InputImage | None]:
    """
    Read the picture that is changed, where it has to be shown.

    A model that made the session's last picture knows it, and need not be shown it again unless
    a mask or drawing has to fit it.
    """
    last = branch_head.head.images[-1] if branch_head and branch_head.head else None
    fitted = request.mask is not None or request.markup is not None
    if request.image is not None:
        base = yield from load_input_image(request.image)
        known = last is not None and base.image_id == last.id
        return None if known and not fitted else base
    if request.edits and last is None:
        raise InvalidImageError(
            "There is no picture to edit: give one with image=, or generate one in this session "
            "first."
        )
    if last is not None and fitted and (request.edits or not request.references):
        return (yield from load_input_image(last))
    return None


def _check_mask_options(request: GenerateRequest) -> None:
    if request.resize_mask or request.preserve_unmasked:
        named = "preserve_unmasked" if request.preserve_unmasked else "resize_mask"
        raise InvalidOptionError(
            f"{named}=True needs a mask to go by; give one with mask=.", named, value=True
        )


def _check_markup(request: GenerateRequest, options: GenerateOptions, config: StudioConfig) -> None:
    """
    Refuse a drawing where the wire does not take one.

    Source: https://developers.openai.com/api/reference/resources/images/methods/edit (markup)
    """
    if request.mask is not None:
        raise InvalidOptionError(
            "markup= and mask= do not go together; give one of them.", "markup"
        )
    if request.partial_images:
        raise InvalidOptionError("markup= brings no pictures on the way.", "markup")
    model = config.catalogue.find(image_model(options, config))
    if model is not None and not model.markup:
        raise InvalidOptionError(
            f"markup= is not taken by {model.id}; the models of GPT Image 2.5 and 2.6 take it, "
            f"such as image_model={config.catalogue.image!r}.",
            "image_model",
            model.id,
            (config.catalogue.image,),
        )


def _mask(source: Source, picture: InputImage, request: GenerateRequest) -> Workflow[InputImage]:
    return (
        yield from StoreCall(lambda store: store.mask(source, picture, fit=request.resize_mask))
    )


def _markup(source: Source, picture: InputImage, request: GenerateRequest) -> Workflow[InputImage]:
    return (
        yield from StoreCall(lambda store: store.markup(source, picture, fit=request.resize_mask))
    )


def _parents(pictures: tuple[InputImage, ...], branch_head: BranchHead | None) -> list[str]:
    """
    Return the kept pictures that a turn comes from, each once.
    """
    head = [branch_head.head.images[-1].id] if branch_head and branch_head.head else []
    sent = [picture.image_id for picture in pictures if picture.image_id is not None]
    return list(dict.fromkeys([*head, *sent]))
