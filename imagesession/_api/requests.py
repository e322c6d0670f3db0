"""
Convert the arguments of a call to a request, for studios and sessions, sync and async.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from imagesession._api.types import (
    PRODUCT_DEFAULTS,
    STREAMED_PARTIALS,
    UI_ASSET_DEFAULTS,
    EditParams,
    GenerateParams,
    ImageInput,
    PresetParams,
    ProductParams,
    StreamParams,
    UIAssetParams,
    VariationParams,
    own_keywords,
    to_source_or_none,
    to_sources,
)
from imagesession._domain.call_settings import CallSettings
from imagesession._domain.foreign_words import unknown_option
from imagesession._domain.model_catalog import CompletionWindow, ModelInfo
from imagesession._domain.options import OPTION_NAMES, OptionParams
from imagesession._engine import variations
from imagesession._engine.request import GenerateRequest


def build_request(
    prompt: str, keywords: Mapping[str, object], params: type[OptionParams]
) -> GenerateRequest:
    """
    Build a request. What is not a keyword of the verb is an option, or refused with an
    `InvalidOptionError`.
    """
    own, options = split_keywords(keywords, params)
    return GenerateRequest(
        prompt=prompt,
        choices=options,
        references=to_sources(own.get("references", ())),
        image=to_source_or_none(own.get("image")),
        mask=to_source_or_none(own.get("mask")),
        markup=to_source_or_none(own.get("markup")),
        resize_mask=own.get("resize_mask", False),
        preserve_unmasked=own.get("preserve_unmasked", False),
        keep_exif=own.get("keep_exif", False),
        partial_images=own.get("partial_images", 0),
        idempotency_key=own.get("idempotency_key"),
        settings=call_settings(own),
        api=own.get("api"),
    )


def call_settings(keywords: Mapping[str, Any]) -> CallSettings:
    names = ("timeout", "extra_headers", "extra_body")
    return CallSettings(**{name: keywords.get(name) for name in names})


def split_keywords(
    keywords: Mapping[str, object], params: type[OptionParams]
) -> tuple[dict[str, Any], dict[str, object]]:
    names = own_keywords(params)
    own = {key: keywords[key] for key in names if key in keywords}
    options = {key: keywords[key] for key in keywords if key not in own}
    for name, value in options.items():
        if name not in {*OPTION_NAMES, "aspect_ratio"}:
            raise unknown_option(name, value, (*names, *OPTION_NAMES))
    return own, options


def build_submission(
    prompt: str, within: CompletionWindow, keywords: GenerateParams
) -> GenerateRequest:
    return attrs.evolve(build_request(prompt, keywords, GenerateParams), within=within)


def build_stream(prompt: str, keywords: StreamParams) -> GenerateRequest:
    return build_request(prompt, {"partial_images": STREAMED_PARTIALS, **keywords}, StreamParams)


def build_edit(prompt: str, keywords: EditParams) -> GenerateRequest:
    return attrs.evolve(build_request(prompt, keywords, EditParams), edits=True, kind="edit")


def build_variation(prompt: str, keywords: VariationParams) -> GenerateRequest:
    request = build_request(prompt, keywords, VariationParams)
    edits = request.image is not None
    words = prompt or (variations.VARIATION_PROMPT if edits else prompt)
    return attrs.evolve(request, prompt=words, edits=edits, kind="variation")


@attrs.frozen(kw_only=True)
class PresetCall:
    """
    A request that a preset completes: the subject is its prompt.
    """

    preset: str
    params: Mapping[str, str]
    request: GenerateRequest

    def render(self, model: ModelInfo | None, refused: frozenset[str]) -> GenerateRequest:
        """
        Put the subject into the preset's prompt, for an image model, if it is known, and without
        the options that the server refuses.
        """
        from imagesession import presets  # noqa: PLC0415 - rarely needed

        preset, request = presets.get(self.preset), self.request
        params = preset.resolve_params(**self.params)
        preset_options = preset.options_for(model, request.choices, refused, **self.params)
        labels = {"product": request.prompt, "ui_asset": params.get("asset_type", "")}
        return attrs.evolve(
            request,
            prompt=preset.render_prompt(request.prompt, **self.params),
            choices={**preset_options, **request.choices},
            kind=preset.kind,
            label=labels.get(preset.kind, ""),
            parameters={"preset": preset.name, "description": request.prompt, **params},
        )


def build_preset_call(preset: str, subject: str, keywords: PresetParams) -> PresetCall:
    request = build_request(subject, keywords, PresetParams)
    return PresetCall(preset=preset, params=keywords.get("params") or {}, request=request)


def build_product_call(description: str, keywords: ProductParams) -> PresetCall:
    request = build_request(description, keywords, ProductParams)
    params = _params_of(PRODUCT_DEFAULTS, keywords)
    return PresetCall(preset="product", params=params, request=request)


def build_ui_asset_call(asset_type: str, description: str, keywords: UIAssetParams) -> PresetCall:
    request = build_request(description, keywords, UIAssetParams)
    params = {"asset_type": asset_type, **_params_of(UI_ASSET_DEFAULTS, keywords)}
    return PresetCall(preset="ui_asset", params=params, request=request)


def _params_of(defaults: Mapping[str, str], keywords: Mapping[str, object]) -> dict[str, str]:
    return {name: cast("str", keywords.get(name, defaults[name])) for name in defaults}


def build_analysis(
    goals: str, image: ImageInput | None, model: str | None, timeout: float | None
) -> GenerateRequest:
    return GenerateRequest(
        prompt=goals,
        choices={} if model is None else {"model": model},
        image=to_source_or_none(image),
        settings=CallSettings(timeout=timeout),
    )
