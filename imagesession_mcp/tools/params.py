"""
The parameters of tools, each described once.
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

Prompt: TypeAlias = Annotated[
    str, Field(description="In a session, 'bluer' refers to the last image.")
]
SessionId: TypeAlias = Annotated[str, Field(description="The session's id, or its name.")]
OptionalSession: TypeAlias = Annotated[
    OptionalText, Field(description="Makes it the next image of that session.")
]
Branch: TypeAlias = Annotated[str, Field(description="The session's branch.")]
Reopen: TypeAlias = Annotated[bool, Field(description="Continues a closed session.")]
Image: TypeAlias = Annotated[
    str, Field(description="An image_id, or the absolute path of a file in an allowed folder.")
]
OptionalImage: TypeAlias = Annotated[
    OptionalText,
    Field(description="An image_id or absolute path; in a session the default is the last image."),
]
ReferencePath: TypeAlias = Annotated[
    OptionalText, Field(description="An image to go by: image_id or absolute path.")
]
References: TypeAlias = Annotated[
    list[str] | None,
    Field(description="Images to go by: image_ids or absolute paths.", max_length=16),
]
Mask: TypeAlias = Annotated[
    OptionalText,
    Field(
        description="Image of the same size, transparent or white where it may change: image_id "
        "or path."
    ),
]
Markup: TypeAlias = Annotated[
    OptionalText,
    Field(description="A drawing on a transparent background that shows what to change where."),
]
ResizeMask: TypeAlias = Annotated[
    bool, Field(description="Rescales a mask or markup of another size.")
]
PreserveUnmasked: TypeAlias = Annotated[
    bool, Field(description="Restores the pixels outside the mask exactly.")
]
Quality: TypeAlias = Annotated[str, _one_of(QUALITIES), Field(description="Lower costs less.")]
Size: TypeAlias = Annotated[str, Field(description="Such as '1536x1024'.")]
Background: TypeAlias = Annotated[
    str, _one_of(BACKGROUNDS), Field(description="Transparent needs png or webp.")
]
Model: TypeAlias = Annotated[
    str, Field(description="Leads the conversation; options.image_model draws.")
]
Options: TypeAlias = Annotated[
    dict[str, Any] | None,
    Field(description="Others, such as output_format (png, jpeg, webp, gif, svg); see the guide."),
]
RequestId: TypeAlias = Annotated[
    Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] | None,
    BeforeValidator(_as_text),
    Field(description="Your own id: repeated with it, the call is not billed again."),
]
BackgroundType: TypeAlias = Annotated[
    str, _preset("product", "background_type"), Field(description="What is behind it.")
]
Angle: TypeAlias = Annotated[
    str, _preset("product", "angle"), Field(description="The camera angle.")
]
Lighting: TypeAlias = Annotated[
    str, _preset("product", "lighting"), Field(description="The lighting.")
]
BatchCount: TypeAlias = Annotated[int, Field(description="Variations, 1 to 10, each billed.")]
AssetType: TypeAlias = Annotated[
    str, _preset("ui_asset", "asset_type"), Field(description="What it is for.")
]
Theme: TypeAlias = Annotated[str, _preset("ui_asset", "theme"), Field(description="Its mood.")]
StylePreset: TypeAlias = Annotated[
    str, _preset("ui_asset", "style_preset"), Field(description="The drawing style.")
]
SizePreset: TypeAlias = Annotated[
    str, _preset("ui_asset", "size_preset"), Field(description="The size.")
]
UseCase: TypeAlias = Annotated[str, Field(description="Has no effect.")]
ProductDescription: TypeAlias = Annotated[
    str, Field(description="Such as 'ceramic coffee mug'; also names its folder.")
]
AssetDescription: TypeAlias = Annotated[str, Field(description="What it shows.")]
Goals: TypeAlias = Annotated[str, Field(description="Such as 'more contrast, for a poster'.")]
PreserveElements: TypeAlias = Annotated[OptionalText, Field(description="What must not change.")]
SessionName: TypeAlias = Annotated[OptionalText, Field(description="A label to find it by.")]
ImageId: TypeAlias = Annotated[str, Field(description="The image's image_id.")]
GenerationId: TypeAlias = Annotated[
    str, Field(description="From a result, or your own request_id.")
]
Limit: TypeAlias = Annotated[int, Field(description="At most so many.", ge=1, le=100)]


def build_options(more: Mapping[str, Any] | None, **named: str) -> dict[str, Any]:
    """
    Return the options that a call sets: those with an argument of their own, of which "auto" leaves
    the choice to the session, and more.

    Raises:
        InvalidOptionError: An option does not exist, or its value is invalid.
    """
    options = {name: value for name, value in named.items() if value != "auto"} | dict(more or {})
    # Rejects everything that is not an option, such as other arguments of the library's methods.
    imagesession.GenerateOptions().updated(options)
    return options
