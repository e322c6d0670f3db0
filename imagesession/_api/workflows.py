"""
From the arguments of a call to a workflow: what studios and sessions, sync and async, share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import attrs

from imagesession._api.image import ImageFacts
from imagesession._api.types import (
    PRODUCT_DEFAULTS,
    STREAMED_PARTIALS,
    UI_ASSET_DEFAULTS,
    EditParams,
    ImageInput,
    PresetParams,
    ProductParams,
    SessionParams,
    StreamParams,
    UIAssetParams,
    VariationParams,
    own_keywords,
    to_source,
    to_source_or_none,
    to_sources,
)
from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._library.ids import is_id
from imagesession._model.analysis import recalled
from imagesession._model.catalogue import Model
from imagesession._model.options import OptionKeywords
from imagesession._model.results import Results
from imagesession._model.sessions import SessionRecord
from imagesession._model.turns import Turn
from imagesession._plan import flows, promotion, recovery, variations
from imagesession._plan.ordering import chosen, expect_wish, image_model, plan_order
from imagesession._plan.sessions import Place, SessionSettings
from imagesession._plan.steps import Begin, Flow, OnDisk
from imagesession._plan.wishes import Terms, Wish
from imagesession.errors import ImageSessionError

if TYPE_CHECKING:
    from imagesession._model.analysis import Analysis
    from imagesession._model.estimates import Estimate

DEFAULT_CONCURRENCY = 4
"""How many requests are sent at once where there are several."""

ImageT = TypeVar("ImageT")
BranchHead: TypeAlias = Callable[[], Flow[Place | None]]
"""Finds the place where the next turn grows; None for an image outside all sessions."""

# --- requests ----------------------------------------------------------------------------------


def build_request(
    prompt: str, keywords: Mapping[str, object], params: type[OptionKeywords]
) -> Wish:
    """
    Build a request.

    Args:
        prompt: The words.
        keywords: What else the call says.
        params: The keywords that its verb has; any other one is taken for an option, and refused
            with the options.
    """
    own, options = _split(keywords, params)
    return Wish(
        prompt=prompt,
        choices=options,
        references=to_sources(own.get("reference", ())),
        image=to_source_or_none(own.get("image")),
        mask=to_source_or_none(own.get("mask")),
        markup=to_source_or_none(own.get("markup")),
        fit=own.get("fit", False),
        keep_outside=own.get("keep_outside", False),
        partial_images=own.get("partial_images", 0),
        intent_id=own.get("intent_id"),
    )


def _split(
    keywords: Mapping[str, object], params: type[OptionKeywords]
) -> tuple[dict[str, Any], dict[str, object]]:
    """
    Split what a call says into the keywords of its verb and options.
    """
    own = {key: keywords[key] for key in own_keywords(params) if key in keywords}
    return own, {key: keywords[key] for key in keywords if key not in own}


def build_stream(prompt: str, keywords: StreamParams) -> Wish:
    """
    Build the request of a stream.
    """
    given = {"partial_images": STREAMED_PARTIALS, **keywords}
    return build_request(prompt, given, StreamParams)


def build_edit(prompt: str, keywords: EditParams) -> Wish:
    """
    Build the request of an edit.
    """
    return attrs.evolve(build_request(prompt, keywords, EditParams), edits=True, kind="edit")


def build_variation(prompt: str, keywords: VariationParams) -> Wish:
    """
    Build the request of a variation: of an image, or of a prompt alone.
    """
    request = build_request(prompt, keywords, VariationParams)
    edits = request.image is not None
    words = prompt or (variations.OF_A_PICTURE if edits else prompt)
    return attrs.evolve(request, prompt=words, edits=edits, kind="variation")


@attrs.frozen(kw_only=True)
class PresetCall:
    """
    A request that a preset completes.

    Attributes:
        preset: The preset's name.
        params: Values of its parameters.
        request: The subject as its prompt, with references and options.
    """

    preset: str
    params: Mapping[str, str]
    request: Wish

    def render(self, model: Model | None) -> Wish:
        """
        Put the subject into the preset's prompt.

        Args:
            model: What is known of the model that will draw.

        Raises:
            CallError: There is no such preset, parameter or value.
        """
        from imagesession import presets  # noqa: PLC0415 - not everybody uses one

        preset, request = presets.get(self.preset), self.request
        params = preset.chosen(**self.params)
        wanted = preset.options_for(model, request.choices, **self.params)
        labels = {"product": request.prompt, "ui_asset": params.get("asset_type", "")}
        return attrs.evolve(
            request,
            prompt=preset.prompt_for(request.prompt, **self.params),
            choices={**wanted, **request.choices},
            kind=preset.kind,
            label=labels.get(preset.kind, ""),
            parameters={"preset": preset.name, "description": request.prompt, **params},
        )


def build_preset_call(preset: str, subject: str, keywords: PresetParams) -> PresetCall:
    """
    Build the request of any preset.
    """
    request = build_request(subject, keywords, PresetParams)
    return PresetCall(preset=preset, params=keywords.get("params") or {}, request=request)


def build_product_call(description: str, keywords: ProductParams) -> PresetCall:
    """
    Build the request of the preset for product photographs.
    """
    request = build_request(description, keywords, ProductParams)
    params = _given_params(PRODUCT_DEFAULTS, keywords)
    return PresetCall(preset="product", params=params, request=request)


def build_ui_asset_call(asset_type: str, description: str, keywords: UIAssetParams) -> PresetCall:
    """
    Build the request of the preset for user interfaces.
    """
    request = build_request(description, keywords, UIAssetParams)
    params = {"asset_type": asset_type, **_given_params(UI_ASSET_DEFAULTS, keywords)}
    return PresetCall(preset="ui_asset", params=params, request=request)


def _given_params(defaults: Mapping[str, str], keywords: Mapping[str, object]) -> dict[str, str]:
    return {name: cast("str", keywords.get(name, defaults[name])) for name in defaults}


def build_analysis(goals: str, image: ImageInput | None, model: str | None) -> Wish:
    """
    Build the request of an analysis.
    """
    options = {} if model is None else {"model": model}
    return Wish(prompt=goals, choices=options, image=to_source_or_none(image))


# --- workflows ---------------------------------------------------------------------------------


def standalone() -> Flow[Place | None]:
    """
    Say that the next turn belongs to no session.
    """
    yield from ()
    return None


def recovered_branch_head(terms: Terms, head: BranchHead) -> Flow[Place | None]:
    """
    Find where the next turn grows, after settling what a stopped program may have left there.
    """
    yield from recovery.reconcile_orphans(terms)
    return (yield from head())


def resolve_request(
    call: Wish | PresetCall, terms: Terms, head: BranchHead
) -> Flow[tuple[Wish, Place | None]]:
    """
    Find where the next turn grows, and complete the request for it.
    """
    place = yield from recovered_branch_head(terms, head)
    if isinstance(call, Wish):
        return call, place
    options = chosen(call.request.choices, terms, place)
    return call.render(terms.catalogue.find(image_model(options, terms))), place


def generate_at(call: Wish | PresetCall, terms: Terms, head: BranchHead) -> Flow[Turn]:
    """
    Make one image.
    """
    request, place = yield from resolve_request(call, terms, head)
    return (yield from flows.generate(request, terms, place))


def plan_variations(
    call: Wish | PresetCall, count: int, terms: Terms, head: BranchHead
) -> Flow[list[Flow[Turn]]]:
    """
    Plan several images of one request, which all grow at the same place.

    Raises:
        CallError: The request is wrong, and would be wrong every time.
    """
    variations.check_count("n", count)
    request, place = yield from resolve_request(call, terms, head)
    yield from plan_order(request, terms, (yield from Begin()), place)
    requests = _numbered(request, count)
    return [flows.generate(each, terms, place) for each in requests]


def _numbered(request: Wish, count: int) -> Iterator[Wish]:
    for number in range(1, count + 1):
        yield attrs.evolve(
            request,
            prompt=variations.take(request.prompt, number, count),
            parameters={**request.parameters, "take": number, "takes": count},
            intent_id=request.intent_id and f"{request.intent_id}/{number}",
        )


def estimate_at(
    request: Wish, count: int, terms: Terms, head: BranchHead, *, batch: bool
) -> Flow[Estimate]:
    """
    Estimate what a request would cost.
    """
    place = yield from head()
    if batch:
        from imagesession._plan.batches import planning  # noqa: PLC0415 - hardly ever needed

        request = planning.for_batch(request, terms, place)
    return (yield from expect_wish(request, terms, count, place, batch=batch))


def analyze_at(request: Wish, terms: Terms, head: BranchHead) -> Flow[Analysis]:
    """
    Analyze an image.
    """
    from imagesession._plan import analysis  # noqa: PLC0415 - not everybody analyzes

    place = yield from recovered_branch_head(terms, head)
    return (yield from analysis.analyze(request, terms, place))


def improve_at(
    request: Wish, preserve_elements: str, terms: Terms, head: BranchHead
) -> Flow[tuple[Analysis, Turn]]:
    """
    Analyze an image, and make the edit that the findings call for.
    """
    from imagesession._plan import analysis  # noqa: PLC0415 - not everybody analyzes

    analysis.check_improvement(request.prompt, preserve_elements)
    completed = yield from _completed(request.intent_id)
    if completed is not None:
        return recalled(completed), completed
    findings = yield from analyze_at(request, terms, head)
    edit = analysis.mend(request, findings, preserve_elements)
    return findings, (yield from generate_at(edit, terms, head))


def _completed(intent_id: str | None) -> Flow[Turn | None]:
    if intent_id is None:
        return None
    return (yield from OnDisk(lambda store: store.find_intent(intent_id)))


def session_settings(keywords: SessionParams) -> SessionSettings:
    """
    Build the settings of a session.
    """
    own, options = _split(keywords, SessionParams)
    return SessionSettings(options=options, **own)


def create_from_image(
    image: ImageInput,
    description: str,
    name: str | None,
    options: Mapping[str, Any],
    terms: Terms,
) -> Flow[SessionRecord]:
    """
    Start a session from an image: a stored one, its id, or one from elsewhere.
    """
    stored = None
    if isinstance(image, ImageFacts):
        stored = image.turn, image.position
    elif isinstance(image, str) and is_id(image):
        stored = yield from promotion.find(image)
    return (
        yield from promotion.promote(
            stored, to_source(image), description, name=name, choices=options, terms=terms
        )
    )


# --- results -----------------------------------------------------------------------------------


def to_results(
    outcomes: Iterable[Turn | ImageSessionError],
    wrap: Callable[[Turn], ImageT],
    keys: tuple[str, ...] = (),
) -> Results[ImageT]:
    """
    Return images in the order of their requests, with an error in the place of a failed one.
    """
    items = (each if isinstance(each, ImageSessionError) else wrap(each) for each in outcomes)
    return Results(tuple(items), keys)


def display_studio(runtime: Desk | AsyncDesk, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Show a studio in a notebook. Its files are read at once: what is shown cannot await.
    """
    from imagesession._show import notebook  # noqa: PLC0415 - loads Pillow and Jinja

    library = str(runtime.library.layout.root)
    return notebook.studio(runtime.library, library, runtime.provider, label), {}
