"""
The presets in use: frames for prompts of product photographs, UI assets, and whatever you add.

A preset turns a description and a few choices into a prompt and options. Nothing is sent:

    from imagesession import presets

    presets.names()                        # ('product', 'ui_asset')
    presets.product.choices                # {'background_type': ('white', 'transparent', ...), ...}
    print(presets.product.render_prompt("a blue ceramic mug", angle="top"))
    presets.product.options_for(background_type="transparent")
                                           # {'background': 'transparent', 'output_format': 'png'}

Extend one, and put it to use under its own name or a new one:

    marble = "The product stands on a slab of polished white marble."
    presets.register(presets.product.extended(background_type={"marble": marble}))
    presets.product.render_prompt("a blue ceramic mug", background_type="marble")

Write one from nothing:

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

What is registered counts for this process; `reset` brings back what is packed.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping
from typing import cast

import attrs

from imagesession._domain.preset import Preset, PresetKind, Sizes, load_presets
from imagesession._domain.preset_params import ParamValue, PresetParam
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

# Found by __getattr__, so that they follow a preset that takes their place.
product: Preset
ui_asset: Preset


@attrs.define
class _Shelf:
    """
    The presets in use. Readers need no lock: what they read is replaced, never changed.
    """

    presets: Mapping[str, Preset] = attrs.field(factory=load_presets)
    lock: threading.Lock = attrs.field(factory=threading.Lock)


_SHELF = _Shelf()


def register(preset: Preset) -> Preset:
    """
    Put a preset to use, in place of one of the same name if there is one.

    Returns:
        The preset.

    Raises:
        InvalidRequestError: It is no preset.
    """
    if not isinstance(cast("object", preset), Preset):
        raise InvalidRequestError(f"register() takes a Preset, not {preset!r}.")
    with _SHELF.lock:
        _SHELF.presets = {**_SHELF.presets, preset.name: preset}
    return preset


def get(name: str) -> Preset:
    """
    Return the preset of a name.

    Raises:
        InvalidOptionError: There is none.
    """
    known = _SHELF.presets
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=2)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidOptionError(
        f"There is no preset {name!r}.{hint} The presets are: {', '.join(known)}. "
        "presets.register() adds one.",
        "preset",
        name,
        tuple(near) or tuple(known),
    )


def names() -> tuple[str, ...]:
    """
    Return the names of the presets in use, the packed ones first.
    """
    return tuple(_SHELF.presets)


def reset() -> None:
    """
    Bring back the presets that are packed, and forget all others.
    """
    with _SHELF.lock:
        _SHELF.presets = load_presets()


def __getattr__(name: str) -> Preset:
    try:
        return _SHELF.presets[name]
    except KeyError:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; its presets are: {', '.join(names())}"
        ) from None


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
