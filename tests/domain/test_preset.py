"""
Presets write whole prompts, set options that models support, and can be extended.
"""

from __future__ import annotations

import datetime as dt
import itertools
import pickle
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession import GenerateOptions
from imagesession._domain.model_catalog import ModelInfo, load_catalogue
from imagesession._domain.options import parse_size
from imagesession._domain.preset import Preset, Sizes, load_presets
from imagesession._domain.preset_params import ParamValue, PresetParam
from imagesession._domain.sizes import is_supported
from imagesession._engine.validate import validate_options, validate_prompt
from imagesession.errors import (
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    ModelDeprecationWarning,
)

CATALOGUE = load_catalogue()
TODAY = dt.date(2026, 11, 23)
ALIVE = CATALOGUE.available("image", TODAY)
PACKED = load_presets()
PRODUCT, UI_ASSET = PACKED["product"], PACKED["ui_asset"]
MOODS = PresetParam(
    default="calm",
    choices={"calm": ParamValue(prompt_text="Calm."), "loud": ParamValue(prompt_text="Loud.")},
)

every_choice = [
    (preset, dict(zip(preset.choices, chosen, strict=True)))
    for preset in PACKED.values()
    for chosen in itertools.product(*preset.choices.values())
]
choices = st.sampled_from(every_choice)


def test_builtin_presets() -> None:
    """
    The built-in presets have these parameters, values and defaults.
    """
    assert tuple(PACKED) == ("product", "ui_asset")
    assert {preset.kind for preset in PACKED.values()} == {"product", "ui_asset"}
    assert PRODUCT.choices == {
        "background_type": ("white", "transparent", "lifestyle"),
        "angle": ("front", "side", "three-quarter", "top"),
        "lighting": ("studio", "natural", "dramatic", "soft"),
    }
    assert PRODUCT.defaults == {"background_type": "white", "angle": "front", "lighting": "studio"}
    assert UI_ASSET.choices == {
        "asset_type": ("icon", "illustration", "background", "hero", "button"),
        "theme": ("modern", "classic", "minimal", "playful"),
        "style_preset": ("flat", "3d", "outline", "filled"),
        "size_preset": ("small", "standard", "large"),
    }
    assert UI_ASSET.defaults == {
        "asset_type": "icon",
        "theme": "modern",
        "style_preset": "flat",
        "size_preset": "standard",
    }


@given(choices, st.text(min_size=1).filter(str.strip))
def test_prompt_contains_every_chosen_value(
    chosen: tuple[Preset, dict[str, str]], description: str
) -> None:
    """
    A prompt contains the description unchanged, and one line for each value.
    """
    preset, values = chosen
    prompt = preset.render_prompt(description, **values)
    assert description.strip() in prompt
    for parameter, choice in values.items():
        words = preset.fields[parameter].choices[choice].prompt_text
        assert prompt.count(words) == 1
        assert words.endswith(".")


def test_prompt_of_the_product_preset() -> None:
    """
    One sentence for each aspect, the description first.
    """
    prompt = PRODUCT.render_prompt("a blue ceramic mug", angle="45deg")
    assert prompt == (
        "Professional e-commerce product photograph of a blue ceramic mug.\n"
        "The view is three-quarter: the product is turned by 45 degrees and seen from slightly "
        "above, so that its front and one side both show.\n"
        "A pure white (#FFFFFF) background fills the frame from edge to edge, with even margins "
        "around the product and one faint shadow right beneath it.\n"
        "The light is a large softbox from the upper left with a gentle fill from the right: "
        "even exposure, and controlled highlights that describe the form.\n"
        "The product is the one clear subject, complete within the frame and in crisp focus, "
        "with true colours, exact proportions and tangible, realistic materials.\n"
        "Any print or branding on it is exactly what is described above."
    )


@pytest.mark.parametrize("model", ALIVE, ids=lambda model: model.id)
@pytest.mark.parametrize("own", [{}, {"output_format": "webp"}, {"quality": "low"}])
def test_every_available_model_supports_every_value(model: ModelInfo, own: dict[str, Any]) -> None:
    """
    For all values, the prompt and the options are valid for every available image model.
    """
    for preset, chosen in every_choice:
        validate_prompt(preset.render_prompt("a mug", **chosen))
        options = {**preset.options_for(model, own, **chosen), **own, "image_model": model.id}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModelDeprecationWarning)
            validate_options(GenerateOptions().updated(options), CATALOGUE, TODAY)


@pytest.mark.parametrize("model", ALIVE, ids=lambda model: model.id)
def test_preset_sizes_are_supported_and_keep_their_shape(model: ModelInfo) -> None:
    """
    Every preferred size is adjusted to a supported one: squares stay square, wide ones wide.
    """
    sizes = UI_ASSET.sizes_for(model)
    assert set(sizes) == set(itertools.product(*(UI_ASSET.choices[by] for by in UI_ASSET.sizes.by)))
    for (asset, _), size in sizes.items():
        width, height = parse_size(size) or (0, 0)
        assert is_supported(model.sizes, width, height)
        assert (width == height) == (asset == "icon")
        assert width >= height


@given(st.integers(1, 9999), st.integers(1, 9999), st.sampled_from(ALIVE))
def test_any_preferred_size_is_adjusted(width: int, height: int, model: ModelInfo) -> None:
    """
    For any size of a caller's own preset, the model gets one that it supports.
    """
    sizes = Sizes(wanted={(): f"{width}x{height}"})
    preset = Preset(name="x", template="{description}", sizes=sizes)
    taken = parse_size(preset.options_for(model)["size"])
    assert taken is not None
    assert is_supported(model.sizes, *taken)
    assert preset.options_for() == {"size": f"{width}x{height}"}


def test_wide_assets_are_16_to_9() -> None:
    """
    Heroes and backgrounds have the shape of a screen if the model supports free sizes.
    """
    for asset, size in itertools.product(("hero", "background"), UI_ASSET.choices["size_preset"]):
        options = UI_ASSET.options_for(
            CATALOGUE.models[CATALOGUE.image], asset_type=asset, size_preset=size
        )
        width, height = parse_size(options["size"]) or (0, 0)
        assert width * 9 == height * 16


def test_values_set_their_options() -> None:
    """
    Values set the options that they require.
    """
    see_through = {"background": "transparent", "output_format": "png"}
    assert PRODUCT.options_for() == {}
    assert PRODUCT.options_for(background_type="transparent") == see_through
    assert UI_ASSET.options_for() == {**see_through, "size": "1024x1024"}
    assert UI_ASSET.options_for(asset_type="hero") == {"size": "1536x864"}


@pytest.mark.parametrize(
    "own,left",
    [
        ({}, {"background": "transparent", "output_format": "png", "size": "1024x1024"}),
        ({"size": "832x832"}, {"background": "transparent", "output_format": "png"}),
        ({"background": "opaque"}, {"output_format": "png", "size": "1024x1024"}),
        ({"output_format": "webp"}, {"background": "transparent", "size": "1024x1024"}),
        ({"output_format": "jpeg"}, {"size": "1024x1024"}),
        ({"output_format": "svg"}, {"size": "1024x1024"}),
    ],
)
def test_callers_options_have_precedence(own: dict[str, Any], left: dict[str, Any]) -> None:
    """
    Options that the caller sets are left out, and so are soft options that contradict them.
    """
    assert UI_ASSET.options_for(None, own) == left


def test_required_options_are_not_dropped() -> None:
    """
    A cut-out product as a JPEG is refused, instead of being made with a background.
    """
    own = {"output_format": "jpeg"}
    options = PRODUCT.options_for(None, own, background_type="transparent")
    assert options == {"background": "transparent"}
    with pytest.raises(InvalidOptionError, match="does not go with output_format='jpeg'"):
        validate_options(GenerateOptions().updated({**options, **own}), CATALOGUE, TODAY)


@pytest.mark.parametrize("method", ["resolve_params", "options_for", "extended"])
def test_unknown_parameter_is_refused(method: str) -> None:
    """
    An unknown parameter is refused with the nearest one and the list.
    """
    arguments: Any = {"lightning": {"x": "y"} if method == "extended" else "soft"}
    with pytest.raises(
        InvalidOptionError, match=r"Did you mean 'lighting'.* angle, lighting"
    ) as caught:
        getattr(PRODUCT, method)(**arguments)
    assert caught.value.nearest == ("lighting",)
    with pytest.raises(InvalidOptionError, match=r"has no parameter 'x'\. It has none"):
        Preset(name="bare", template="{description}").resolve_params(x="y")


def test_unknown_value_and_empty_description_are_refused() -> None:
    """
    No prompt is written from an unknown value or an empty description.
    """
    with pytest.raises(
        InvalidOptionError, match=r"lighting='softt' is not one of .*Nearest: 'soft'"
    ):
        PRODUCT.render_prompt("a mug", lighting="softt")
    with pytest.raises(InvalidPromptError, match="description is empty"):
        PRODUCT.render_prompt(" ")


def test_resolve_params_resolves_aliases() -> None:
    """
    Aliases are replaced by the names of the values, and defaults are added.
    """
    assert PRODUCT.resolve_params(angle="45deg") == {
        "background_type": "white",
        "angle": "three-quarter",
        "lighting": "studio",
    }


def test_extending_makes_another_preset() -> None:
    """
    Extending does not change a preset; the new one has all its values and more.
    """
    square = ParamValue(prompt_text="It is an avatar.", options={"size": (512, 512)})
    more = UI_ASSET.extended("mine", asset_type={"avatar": square}, theme={"noir": "Dark."})
    assert (more.name, more.kind) == ("mine", "ui_asset")
    assert more.choices["asset_type"] == (*UI_ASSET.choices["asset_type"], "avatar")
    assert "It is an avatar.\nDark." in more.render_prompt(
        "a cat", asset_type="avatar", theme="noir"
    )
    assert more.options_for(asset_type="avatar") == {"size": "512x512"}
    newest = CATALOGUE.models[CATALOGUE.image]
    assert more.options_for(newest, asset_type="avatar") == {"size": "816x816"}
    assert "avatar" not in UI_ASSET.choices["asset_type"]
    assert UI_ASSET.extended() == UI_ASSET


def test_value_may_set_the_size_to_auto() -> None:
    """
    A value may set the size "auto", which leaves the choice to the model.
    """
    choice = ParamValue(prompt_text="", options={"size": "auto"})
    preset = UI_ASSET.extended(asset_type={"free": choice})
    assert preset.options_for(ALIVE[0], asset_type="free") == {"size": "auto"}


@pytest.mark.parametrize(
    "facts,text",
    [
        ({"name": " "}, "name must be a non-empty text"),
        ({"name": 7}, "name must be a non-empty text"),
        ({"kind": "poster"}, "of kind 'poster'; the kinds are 'general', 'product', 'ui_asset'"),
        ({"fields": {"size": MOODS}}, "'size', which is reserved for the verbs"),
        ({"fields": {"my mood": MOODS}}, "'my mood', which is not a valid name"),
        ({"template": "{mood}"}, r"it must have \{description\}, \{mood\}"),
        ({"sizes": Sizes(by=("time",))}, "has sizes by 'time'; its parameters are 'mood'"),
        ({"sizes": Sizes(by=("mood",), wanted={("sad",): "1024x1024"})}, "a size for 'sad'"),
        ({"sizes": Sizes(by=("mood",), wanted={(): "1024x1024"})}, "a size for none"),
        ({"sizes": Sizes(wanted={(): "large"})}, "'large' is not a size"),
    ],
)
def test_invalid_preset_is_refused(facts: dict[str, Any], text: str) -> None:
    """
    A preset whose prompts would fail is refused when it is made.
    """
    good: dict[str, Any] = {
        "name": "mine",
        "template": "{description}\n{mood}",
        "fields": {"mood": MOODS},
    }
    assert Preset(**good).render_prompt("A cat.", mood="Loud") == "A cat.\nLoud."
    with pytest.raises(InvalidRequestError, match=text):
        Preset(**{**good, **facts})


def test_presets_pickle() -> None:
    """
    Presets can be pickled.
    """
    assert pickle.loads(pickle.dumps(UI_ASSET)) == UI_ASSET  # noqa: S301 - our own bytes
