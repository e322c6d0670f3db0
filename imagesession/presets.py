"""
The registered presets: prompt templates for product photographs, UI assets, and your own.

A preset turns a description and the values of its parameters into a prompt and options. Nothing
is sent:

    from imagesession import presets

    presets.names()                        # ('product', 'ui_asset')
    presets.product.choices                # {'background_type': ('white', 'transparent', ...), ...}
    print(presets.product.render_prompt("a blue ceramic mug", angle="top"))
    presets.product.options_for(background_type="transparent")
                                           # {'background': 'transparent', 'output_format': 'png'}

Extend a preset, and register it under its own name or a new one:

    marble = "The product stands on a slab of polished white marble."
    presets.register(presets.product.extended(background_type={"marble": marble}))
    presets.product.render_prompt("a blue ceramic mug", background_type="marble")

Write a new preset:

    presets.register(
        presets.Preset(
            name="portrait",
            template="Head-and-shoulders portrait of {description}. {mood}",
            fields={
                "mood": presets.PresetParam(
                    default="calm",
                    choices={
                        "calm": presets.ParamValue(prompt_text="The expression is calm and open."),
                        "proud": presets.ParamValue(
                            prompt_text="The chin is raised, the gaze is level."
                        ),
                    },
                )
            },
        )
    )
    presets.get("portrait").render_prompt("a lighthouse keeper", mood="proud")

Registrations hold for this process; `reset` restores the built-in presets.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping
from typing import cast

import attrs

from imagesession._domain.preset import Preset, PresetKind, Sizes, load_presets
from imagesession._domain.preset_params import ParamValue, PresetParam
from imagesession._domain.wording import quote
from imagesession.errors import InvalidOptionError, InvalidRequestError

__all__ = [
    "ParamValue",
    "Preset",
    "PresetKind",
    "PresetParam",
    "Sizes",
    "get",
    "names",
    "product",
    "register",
    "reset",
    "ui_asset",
]

# Resolved by __getattr__, so that they follow a registration under the same name.
product: Preset
ui_asset: Preset


@attrs.define
class _Registry:
    """
    The registered presets. Readers need no lock: the mapping is replaced, never changed.
    """

    presets: Mapping[str, Preset] = attrs.field(factory=load_presets)
    lock: threading.Lock = attrs.field(factory=threading.Lock)


_REGISTRY = _Registry()


def register(preset: Preset) -> Preset:
    """
    Register a preset; it replaces one with the same name.

    Returns:
        The preset.

    Raises:
        InvalidRequestError: The argument is not a `Preset`.
    """
    if not isinstance(cast("object", preset), Preset):
        raise InvalidRequestError(f"register() takes a Preset, not {quote(preset)}.")
    with _REGISTRY.lock:
        _REGISTRY.presets = {**_REGISTRY.presets, preset.name: preset}
    return preset


def get(name: str) -> Preset:
    """
    Return the preset with a name.

    Raises:
        InvalidOptionError: No preset has this name; the error suggests similar names.
    """
    known = _REGISTRY.presets
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=2)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidOptionError(
        f"There is no preset {quote(name)}.{hint} The presets are: {', '.join(known)}. "
        "presets.register() adds one.",
        "preset",
        name,
        tuple(near) or tuple(known),
    )


def names() -> tuple[str, ...]:
    """
    Return the names of all registered presets, the built-in ones first.
    """
    return tuple(_REGISTRY.presets)


def reset() -> None:
    """
    Restore the built-in presets and discard all others.
    """
    with _REGISTRY.lock:
        _REGISTRY.presets = load_presets()


def __getattr__(name: str) -> Preset:
    try:
        return _REGISTRY.presets[name]
    except KeyError:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; its presets are: {', '.join(names())}"
        ) from None


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
