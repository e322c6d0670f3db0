"""
Read the `image_generation` tool of a request, with the checks that the API makes.

Parameters: https://platform.openai.com/docs/api-reference/responses/create (tools)
"""

import re
from typing import cast

import attrs

from imagesession._domain.model_catalog import ModelInfo, SizeRule
from imagesession._fake_openai.errors import USER_ERROR, RefusalError
from imagesession._fake_openai.http import Json
from imagesession._fake_openai.json_reader import JsonNode, words
from imagesession._fake_openai.models_endpoint import DEFAULT_IMAGE_MODEL, available_model
from imagesession._fake_openai.sketch.encode import Format

_KNOWN = words(
    """type action background complexity frame_count frame_duration_ms input_fidelity
    input_image_mask model moderation output_compression output_format partial_images quality
    size svg"""
)
_FORMATS = ("png", "webp", "jpeg", "gif", "svg")
_FULL = 100


@attrs.frozen(kw_only=True)
class Encoding:
    format: Format = "png"
    compression: int = 100  # the quality of JPEG and WebP, from 0 to 100
    frames: int = 9  # how many frames a GIF has
    frame_ms: int = 200  # how long it shows each, in milliseconds


@attrs.frozen(kw_only=True)
class ImageToolParams:
    param: str  # the tool's path in the request, for error messages
    model: ModelInfo  # the image model
    size: tuple[int, int] | None  # width and height in pixels; None lets the sketcher choose
    quality: str
    background: str
    encoding: Encoding
    partial_images: int
    action: str
    mask: JsonNode | None  # the mask's node in the request, if there is one
    svg_model: str | None
    echo: Json = attrs.field(eq=False)  # the tool as replies repeat it

    @property
    def transparent(self) -> bool | None:
        return {"transparent": True, "opaque": False}.get(self.background)

    @property
    def drawn_quality(self) -> str:
        return "medium" if self.quality == "auto" else self.quality


def read_tool(node: JsonNode) -> ImageToolParams:
    node.only(_KNOWN)
    return read_settings(node, "auto", "invalid_request_error")


def read_settings(node: JsonNode, action: str, error_type: str = USER_ERROR) -> ImageToolParams:
    model = _model(node, error_type)
    tool = ImageToolParams(
        param=node.path,
        model=model,
        size=_size(node, model, error_type),
        quality=node.get_choice("quality", (*model.qualities, "auto"), "auto"),
        background=node.get_choice("background", ("transparent", "opaque", "auto"), "auto"),
        encoding=Encoding(
            format=cast("Format", node.get_choice("output_format", _FORMATS, "png")),
            compression=node.get_number("output_compression", 0, _FULL, _FULL),
            frames=node.get_number("frame_count", 2, 16, 9),
            frame_ms=node.get_number("frame_duration_ms", 1, 60_000, 200),
        ),
        partial_images=node.get_number("partial_images", 0, 3, 0),
        action=node.get_choice("action", ("generate", "edit", "auto"), action),
        mask=node.get("input_image_mask"),
        svg_model=_svg_model(node),
        echo=_echo(node),
    )
    node.get_choice("moderation", ("auto", "low"), "auto")
    node.get_choice("complexity", ("low", "medium", "high"), "high")
    _check_fidelity(node, model)
    _check_format(node, tool)
    return tool


def _model(node: JsonNode, error_type: str) -> ModelInfo:
    named = node.get_text("model")
    name = DEFAULT_IMAGE_MODEL if named is None else named
    model = available_model(name, "image")
    if model is None:
        raise RefusalError("no_such_image_model", node.at("model"), type=error_type, model=name)
    return model


def _size(node: JsonNode, model: ModelInfo, error_type: str) -> tuple[int, int] | None:
    child = node.get("size")
    if child is None or child.text() == "auto":
        return None
    text = child.text()
    message = _size_fault(node, text, model.sizes)
    if message:
        message = f"Invalid size '{text}'. {message}"
        raise RefusalError("invalid_value", child.path, type=error_type, message=message)
    width, _, height = text.partition("x")
    return int(width), int(height)


def _size_fault(node: JsonNode, text: str, rule: SizeRule) -> str | None:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
    if match is None and not rule.fixed:
        return "Expected 'auto' or a size as WIDTHxHEIGHT."
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    # Frames of an animation may be smaller than a single image.
    min_pixels = 0 if node.object().get("output_format") == "gif" else rule.min_pixels
    return _fault_of(size, rule, min_pixels)


def _fault_of(size: tuple[int, int], rule: SizeRule, min_pixels: int) -> str | None:
    if rule.fixed:
        named = ", ".join(f"{width}x{height}" for width, height in sorted(rule.fixed))
        return None if size in rule.fixed else f"Supported sizes are {named}, and auto."
    width, height = size
    step, longest, pixels = rule.multiple, max(size), width * height
    faults = {
        "Requested resolution is below the current minimum pixel budget.": pixels < min_pixels,
        f"Width and height must both be divisible by {step}.": width % step or height % step,
        f"The longest edge must be at most {rule.max_edge} pixels.": longest > rule.max_edge,
        "Requested resolution is above the current maximum pixel budget.": pixels > rule.max_pixels,
        "The aspect ratio must be between 1:3 and 3:1.": pixels * rule.max_ratio < longest**2,
    }
    return next((message for message, found in faults.items() if found), None)


def _svg_model(node: JsonNode) -> str | None:
    svg = node.get("svg")
    if svg is None:
        return None
    svg.only(("model", "reasoning"))
    return svg.get_text("model")


def _check_fidelity(node: JsonNode, model: ModelInfo) -> None:
    child = node.get("input_fidelity")
    if child is None:
        return
    if not model.fidelities:
        raise RefusalError("no_fidelity", child.path, model=model.id)
    child.choice(model.fidelities)


def _check_format(node: JsonNode, tool: ImageToolParams) -> None:
    kind, frames = tool.encoding.format, tool.encoding.frames
    still, pixels = kind != "gif", _sheet(tool.size or (0, 0), frames)
    squeezed = tool.encoding.compression != _FULL
    for key, error, wrong in (
        ("output_format", "needs_newer_model", kind not in tool.model.formats),
        ("frame_count", "needs_gif", still and node.get("frame_count")),
        ("frame_duration_ms", "needs_gif", still and node.get("frame_duration_ms")),
        ("svg", "needs_svg", kind != "svg" and node.get("svg")),
        ("background", "opaque_format", kind == "jpeg" and tool.transparent),
        ("output_compression", "lossless_format", squeezed and kind not in {"jpeg", "webp"}),
        ("partial_images", "whole_format", kind in {"gif", "svg"} and tool.partial_images),
        ("input_image_mask", "masked_gif", not still and tool.mask),
        ("size", "too_many_pixels", not still and pixels > tool.model.sizes.max_pixels),
    ):
        if wrong:
            raise RefusalError(error, node.at(key), key=key, format=kind.upper(), frames=frames)


def _sheet(size: tuple[int, int], frames: int) -> int:
    return size[0] * size[1] * frames


def output_size(size: tuple[int, int], model: ModelInfo) -> tuple[int, int]:
    """
    Keep an image's own size if the model can draw it, else choose the standard size of its shape.
    """
    width, height = size
    if _fault_of(size, model.sizes, model.sizes.min_pixels) is None:
        return size
    if width * 4 > height * 5:
        return 1536, 1024
    return (1024, 1536) if height * 4 > width * 5 else (1024, 1024)


def frame_size(size: tuple[int, int], frames: int, rule: SizeRule) -> tuple[int, int]:
    """
    Shrink a frame until all frames together fit the pixel budget of one response.
    """
    width, height = size
    excess = (_sheet(size, frames) / rule.max_pixels) ** 0.5
    if excess <= 1:
        return size
    step = rule.multiple
    return int(width / excess) // step * step, int(height / excess) // step * step


def _echo(node: JsonNode) -> Json:
    """
    Repeat the tool as responses do, with defaults filled in and some parameters left out.

    Recorded responses never echo `partial_images`, `input_image_mask` and `action`,
    and name the model only if the request did.
    """
    filled: Json = {
        "type": "image_generation",
        "background": "auto",
        "moderation": "auto",
        "n": 1,
        "output_compression": 100,
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    }
    hidden = ("partial_images", "input_image_mask", "action")
    sent = {
        key: value
        for key, value in node.object().items()
        if value is not None and key not in hidden
    }
    return filled | sent
