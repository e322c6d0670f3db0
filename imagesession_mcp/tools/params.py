"""
The types of tools' parameters; `parameters.toml` describes each parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

import imagesession
from imagesession import presets

QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max")
BACKGROUNDS = ("auto", "transparent", "opaque")


def _one_of(choices: tuple[str, ...]) -> Any:  # noqa: ANN401 - pydantic's own type
    """
    List the choices in the schema. The library rejects other values, and names the nearest.
    """
    return Field(json_schema_extra={"enum": list(choices)})


def _preset(name: str, parameter: str) -> Any:  # noqa: ANN401 - pydantic's own type
    return _one_of(tuple(presets.get(name).choices[parameter]))


def _as_text(value: object) -> object:
    """
    Undo the SDK's parsing of strings that look like JSON.
    """
    return json.dumps(value) if isinstance(value, (list, dict)) else value


OptionalText: TypeAlias = Annotated[str | None, BeforeValidator(_as_text)]
Quality: TypeAlias = Annotated[str, _one_of(QUALITIES)]
Background: TypeAlias = Annotated[str, _one_of(BACKGROUNDS)]
Options: TypeAlias = dict[str, Any] | None
References: TypeAlias = Annotated[list[str] | None, Field(max_length=16)]
Limit: TypeAlias = Annotated[int, Field(ge=1, le=100)]
RequestId: TypeAlias = Annotated[
    Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] | None, BeforeValidator(_as_text)
]
BackgroundType: TypeAlias = Annotated[str, _preset("product", "background_type")]
Angle: TypeAlias = Annotated[str, _preset("product", "angle")]
Lighting: TypeAlias = Annotated[str, _preset("product", "lighting")]
AssetType: TypeAlias = Annotated[str, _preset("ui_asset", "asset_type")]
Theme: TypeAlias = Annotated[str, _preset("ui_asset", "theme")]
StylePreset: TypeAlias = Annotated[str, _preset("ui_asset", "style_preset")]
SizePreset: TypeAlias = Annotated[str, _preset("ui_asset", "size_preset")]


def build_options(more: Mapping[str, Any] | None, **named: str) -> dict[str, Any]:
    """
    Return the options that a call sets: those with an argument of their own, of which "auto" leaves
    the choice to the session, and more.
    """
    options = {name: value for name, value in named.items() if value != "auto"} | dict(more or {})
    # Rejects everything that is not an option, such as other arguments of the library's methods.
    imagesession.GenerateOptions().updated(options)
    return options
