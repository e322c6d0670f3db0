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
    List the choices in the schema. The library refuses other values, and names the nearest.
    """
    return Field(json_schema_extra={"enum": list(choices)})


def _preset(name: str, parameter: str) -> Any:  # noqa: ANN401 - pydantic's own type
    return _one_of(tuple(presets.get(name).choices[parameter]))


def _as_text(value: object) -> object:
    """
    Undo the SDK's parsing of texts that look like JSON.
    """
    return json.dumps(value) if isinstance(value, (list, dict)) else value


OptionalText: TypeAlias = Annotated[str | None, BeforeValidator(_as_text)]

Prompt: TypeAlias = Annotated[
    str,
    Field(description="What to make or change; in a session 'bluer' refers to the last picture."),
]
SessionId: TypeAlias = Annotated[
    str, Field(description="The session's id, or its name if only one has it.")
]
OptionalSession: TypeAlias = Annotated[
    OptionalText,
    Field(description="A session's id to go on in; left out, the picture stands alone."),
]
Branch: TypeAlias = Annotated[
    str, Field(description="The line of the session, from branch_session.")
]
Reopen: TypeAlias = Annotated[
    bool, Field(description="Whether to go on with a session that was closed.")
]
Image: TypeAlias = Annotated[
    str,
    Field(
        description="The picture: its image_id, or the absolute path of a file that the server "
        "may read."
    ),
]
OptionalImage: TypeAlias = Annotated[
    OptionalText,
    Field(
        description="The picture: its image_id, or the absolute path of a file that the server "
        "may read. In a session, left out, the last one."
    ),
]
ReferencePath: TypeAlias = Annotated[
    OptionalText, Field(description="A picture to go by: its image_id or absolute path.")
]
References: TypeAlias = Annotated[
    list[str] | None,
    Field(description="Pictures to go by, up to 16: image_ids or absolute paths.", max_length=16),
]
Mask: TypeAlias = Annotated[
    OptionalText,
    Field(
        description="What may change: image_id or path of a picture of the same size that is "
        "transparent or white there."
    ),
]
Markup: TypeAlias = Annotated[
    OptionalText,
    Field(description="A drawing on a transparent ground that shows where and what to change."),
]
ResizeMask: TypeAlias = Annotated[
    bool, Field(description="Whether to rescale a mask or markup of another size.")
]
PreserveUnmasked: TypeAlias = Annotated[
    bool,
    Field(description="Whether pixels outside the mask are put back as they were, bit for bit."),
]
Quality: TypeAlias = Annotated[
    str,
    _one_of(QUALITIES),
    Field(description="'auto' is the session's choice, else the model's. Lower costs less."),
]
Size: TypeAlias = Annotated[
    str,
    Field(description="'auto', or width x height in pixels, such as '1536x1024'."),
]
Background: TypeAlias = Annotated[
    str,
    _one_of(BACKGROUNDS),
    Field(description="'transparent' needs the format png or webp."),
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
        "output_compression, input_fidelity, moderation, complexity, frames, frame_ms, svg_model."
    ),
]
RequestId: TypeAlias = Annotated[
    Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] | None,
    BeforeValidator(_as_text),
    Field(description="Your own name for this call. Repeated with it, it is not paid for twice."),
]
PartialImages: TypeAlias = Annotated[
    int,
    Field(
        description="Unfinished pictures that progress tells of, 0 to 3; billed as 100 tokens each."
    ),
]
Preview: TypeAlias = Annotated[bool, Field(description="Whether to return a small preview.")]
BackgroundType: TypeAlias = Annotated[
    str, _preset("product", "background_type"), Field(description="What is behind the product.")
]
Angle: TypeAlias = Annotated[
    str, _preset("product", "angle"), Field(description="From where it is seen.")
]
Lighting: TypeAlias = Annotated[
    str, _preset("product", "lighting"), Field(description="How it is lit.")
]
BatchCount: TypeAlias = Annotated[
    int, Field(description="How many takes, 1 to 10, side by side. Each is billed.")
]
AssetType: TypeAlias = Annotated[
    str, _preset("ui_asset", "asset_type"), Field(description="What it is for.")
]
Theme: TypeAlias = Annotated[str, _preset("ui_asset", "theme"), Field(description="Its mood.")]
StylePreset: TypeAlias = Annotated[
    str, _preset("ui_asset", "style_preset"), Field(description="How it is drawn.")
]
SizePreset: TypeAlias = Annotated[
    str, _preset("ui_asset", "size_preset"), Field(description="How large it is.")
]
UseCase: TypeAlias = Annotated[
    str, Field(description="Is taken and has no effect; other tools are for other purposes.")
]
ProductDescription: TypeAlias = Annotated[
    str, Field(description="The product, such as 'ceramic coffee mug'; its folder is called so.")
]
AssetDescription: TypeAlias = Annotated[str, Field(description="What it shows.")]
Goals: TypeAlias = Annotated[
    str, Field(description="What the picture is to become, such as 'more contrast, for a poster'.")
]
PreserveElements: TypeAlias = Annotated[OptionalText, Field(description="What must stay as it is.")]
SessionName: TypeAlias = Annotated[OptionalText, Field(description="A label to find it by.")]
ImageId: TypeAlias = Annotated[str, Field(description="The picture's image_id.")]
GenerationId: TypeAlias = Annotated[
    str, Field(description="The generation_id that a call told, or the request_id that you gave.")
]
Limit: TypeAlias = Annotated[int, Field(description="At most so many.", ge=1, le=100)]
Steps: TypeAlias = Annotated[int, Field(description="How many turns.")]


def build_options(
    *,
    quality: str = "auto",
    size: str = "auto",
    background: str = "auto",
    model: str = "auto",
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return the options that a call gives; "auto" leaves them to the session.

    Raises:
        InvalidOptionError: A name is not an option's, or a value is not one that it takes.
    """
    named = {"quality": quality, "size": size, "background": background, "model": model}
    options = {name: value for name, value in named.items() if value != "auto"} | dict(more or {})
    # Refuses all that is not an option, so that no other argument of a verb comes in here.
    imagesession.GenerateOptions().updated(options)
    return options
