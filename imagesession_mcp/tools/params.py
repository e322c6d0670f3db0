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
    str,
    Field(description="What to make or change; in a session 'bluer' refers to the last image."),
]
SessionId: TypeAlias = Annotated[
    str, Field(description="The session's id, or its name if that is unique.")
]
OptionalSession: TypeAlias = Annotated[
    OptionalText,
    Field(description="The id of a session to continue; without it, the image is standalone."),
]
Branch: TypeAlias = Annotated[
    str, Field(description="The branch of the session, from branch_session.")
]
Reopen: TypeAlias = Annotated[bool, Field(description="Whether to continue a closed session.")]
Image: TypeAlias = Annotated[
    str,
    Field(
        description="The image: its image_id, or the absolute path of a file that the server "
        "may read."
    ),
]
OptionalImage: TypeAlias = Annotated[
    OptionalText,
    Field(
        description="The image: its image_id, or the absolute path of a file that the server "
        "may read. In a session, the default is the last one."
    ),
]
ReferencePath: TypeAlias = Annotated[
    OptionalText, Field(description="A reference image: its image_id or absolute path.")
]
References: TypeAlias = Annotated[
    list[str] | None,
    Field(description="Reference images, up to 16: image_ids or absolute paths.", max_length=16),
]
Mask: TypeAlias = Annotated[
    OptionalText,
    Field(
        description="What may change: image_id or path of an image of the same size that is "
        "transparent or white there."
    ),
]
Markup: TypeAlias = Annotated[
    OptionalText,
    Field(description="A drawing on a transparent background that shows what to change where."),
]
ResizeMask: TypeAlias = Annotated[
    bool, Field(description="Whether to rescale a mask or markup of another size.")
]
PreserveUnmasked: TypeAlias = Annotated[
    bool,
    Field(description="Whether pixels outside the mask are restored exactly."),
]
Quality: TypeAlias = Annotated[
    str,
    _one_of(QUALITIES),
    Field(description="'auto' is the session's value, else the model's. Lower costs less."),
]
Size: TypeAlias = Annotated[
    str,
    Field(description="'auto', or width x height in pixels, such as '1536x1024'."),
]
Background: TypeAlias = Annotated[
    str,
    _one_of(BACKGROUNDS),
    Field(description="'transparent' needs output_format png or webp."),
]
Model: TypeAlias = Annotated[
    str,
    Field(
        description="The model that leads the conversation; 'auto' is the newest. The model that "
        "draws is options.image_model."
    ),
]
Options: TypeAlias = Annotated[
    dict[str, Any] | None,
    Field(
        description="Rarely needed: output_format (png, jpeg, webp, gif, svg), image_model, model, "
        "output_compression, input_fidelity, moderation, complexity, frames, frame_ms, "
        "svg_model, service_tier, compact_threshold."
    ),
]
RequestId: TypeAlias = Annotated[
    Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] | None,
    BeforeValidator(_as_text),
    Field(description="Your own id for this call. A repeated call with it is not billed again."),
]
PartialImages: TypeAlias = Annotated[
    int,
    Field(description="Partial images reported as progress, 0 to 3; billed as 100 tokens each."),
]
Preview: TypeAlias = Annotated[bool, Field(description="Whether to return a small preview.")]
BackgroundType: TypeAlias = Annotated[
    str, _preset("product", "background_type"), Field(description="What is behind the product.")
]
Angle: TypeAlias = Annotated[
    str, _preset("product", "angle"), Field(description="The camera angle.")
]
Lighting: TypeAlias = Annotated[
    str, _preset("product", "lighting"), Field(description="The lighting.")
]
BatchCount: TypeAlias = Annotated[
    int, Field(description="The number of variations, 1 to 10. Each is billed.")
]
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
UseCase: TypeAlias = Annotated[
    str, Field(description="Accepted without effect; other tools are for other purposes.")
]
ProductDescription: TypeAlias = Annotated[
    str, Field(description="The product, such as 'ceramic coffee mug'; also names its folder.")
]
AssetDescription: TypeAlias = Annotated[str, Field(description="What it shows.")]
Goals: TypeAlias = Annotated[
    str, Field(description="What the image should become, such as 'more contrast, for a poster'.")
]
PreserveElements: TypeAlias = Annotated[OptionalText, Field(description="What must not change.")]
SessionName: TypeAlias = Annotated[OptionalText, Field(description="A label to find it by.")]
ImageId: TypeAlias = Annotated[str, Field(description="The image's image_id.")]
GenerationId: TypeAlias = Annotated[
    str, Field(description="The generation_id that a call returned, or your own request_id.")
]
Limit: TypeAlias = Annotated[int, Field(description="The maximum number.", ge=1, le=100)]
Steps: TypeAlias = Annotated[int, Field(description="The number of turns.")]


def build_options(
    *,
    quality: str = "auto",
    size: str = "auto",
    background: str = "auto",
    model: str = "auto",
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return the options that a call sets; "auto" leaves them to the session.

    Raises:
        InvalidOptionError: An option does not exist, or its value is invalid.
    """
    arguments = {"quality": quality, "size": size, "background": background, "model": model}
    options = {name: value for name, value in arguments.items() if value != "auto"} | dict(
        more or {}
    )
    # Rejects everything that is not an option, such as other arguments of the library's methods.
    imagesession.GenerateOptions().updated(options)
    return options
