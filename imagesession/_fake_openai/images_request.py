"""
Reading requests to the Images API: a prompt with settings, and for edits the pictures.

Parameters: https://platform.openai.com/docs/api-reference/images
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

import attrs

from imagesession._fake_openai.errors import (
    RefusalError,
    invalid_value,
    missing_parameter,
    too_long,
)
from imagesession._fake_openai.files_endpoint import Field, read_form
from imagesession._fake_openai.http import FakeRequest, Json
from imagesession._fake_openai.image_tool import ImageToolParams, read_settings
from imagesession._fake_openai.inputs import InputImage, Uploads, load
from imagesession._fake_openai.json_reader import JsonNode, parse, words
from imagesession._fake_openai.overlays import Overlay

Kind: TypeAlias = Literal["generations", "edits"]

_KNOWN = words(
    """background complexity frame_count frame_duration_ms model moderation n output_compression
    output_format partial_images prompt quality safety_identifier size stream svg user"""
)
_FOR_EDITS = words("images input_fidelity markup mask")
_NUMBERS = words("n frame_count frame_duration_ms output_compression partial_images")
_PICTURES = ("image", "image[]", "mask", "markup")
_LONGEST_PROMPT, _MOST = 32_000, 10
_MOST_IMAGES, _LARGEST_IMAGE, _LONGEST_URL = 16, 50 * 1024 * 1024, 20_971_520
_MARKED_UP = ("gpt-image-2.5", "gpt-image-2.6")


@attrs.frozen(kw_only=True)
class ImagesRequest:
    """
    Hold what a request to the Images API says.

    Attributes:
        count: How many pictures are wanted.
        given: The picture to edit, and further ones to show.
        overlay: Where the first one may change.
        identifier: Whose request it is, if it says so.

    """

    kind: Kind
    tool: ImageToolParams
    prompt: str
    count: int
    stream: bool
    given: tuple[InputImage, ...]
    overlay: Overlay | None
    identifier: str | None


@attrs.frozen(kw_only=True)
class _Sent:
    # A request read from either form: its settings, and its pictures by what they are for.
    node: JsonNode
    images: tuple[InputImage, ...]
    overlays: tuple[Overlay, ...]


def parse_request(call: FakeRequest, kind: Kind, uploads: Uploads) -> ImagesRequest:
    """
    Read a request to make or edit pictures.

    Args:
        call: The request.
        kind: Which of the two.
        uploads: Gives uploaded files.

    Raises:
        RefusalError: The API would not take it.

    """
    sent = _read(call, kind, uploads)
    node = sent.node
    prompt = _prompt(node)
    node.require("model")
    tool = read_settings(node, "edit" if kind == "edits" else "generate")
    count, stream = node.get("n"), node.get("stream")
    request = ImagesRequest(
        kind=kind,
        tool=tool,
        prompt=prompt,
        count=1 if count is None else count.number(1, _MOST),
        stream=stream is not None and stream.flag(),
        given=sent.images,
        overlay=_overlay(sent.overlays, tool),
        identifier=_text(node, "safety_identifier") or _text(node, "user"),
    )
    _check(request)
    return request


def streams(call: FakeRequest) -> bool:
    """
    Tell whether a call wants its answer as a stream, without reading all of it.
    """
    if call.method == "GET":
        return call.query.get("stream") == "true"
    with contextlib.suppress(RefusalError):
        return _asks_for_stream(call)
    return False


def _asks_for_stream(call: FakeRequest) -> bool:
    if not _is_form(call):
        stream = parse(call).get("stream")
        return stream is not None and stream.value is True
    return any(field.name == "stream" and field.text == "true" for field in read_form(call))


def _is_form(call: FakeRequest) -> bool:
    return call.headers.get("content-type", "").startswith("multipart/")


def _read(call: FakeRequest, kind: Kind, uploads: Uploads) -> _Sent:
    if kind == "edits" and _is_form(call):
        return _from_form(read_form(call))
    node = parse(call)
    node.only(_KNOWN | _FOR_EDITS if kind == "edits" else _KNOWN)
    if kind == "generations":
        return _Sent(node=node, images=(), overlays=())
    overlays: list[Overlay] = []
    for name in ("mask", "markup"):
        child = node.get(name)
        if child is not None:
            given = _given(child, uploads)
            overlays.append(_laid_over(name, given.data, given.param))
    images = tuple(_given(child, uploads) for child in _listed(node))
    return _Sent(node=node, images=images, overlays=tuple(overlays))


def _listed(node: JsonNode) -> Iterator[JsonNode]:
    images = node.require("images")
    _check_count(len(images.array()), images.path)
    yield from images


def _given(node: JsonNode, uploads: Uploads) -> InputImage:
    node.only(("file_id", "image_url"))
    url, file_id = node.get("image_url"), node.get("file_id")
    if (url is None) == (file_id is None):
        raise node.wrong(
            f"Invalid '{node.path}'. Expected exactly one of 'image_url' and 'file_id'."
        )
    if url is not None and len(url.text()) > _LONGEST_URL:
        raise too_long(url.path, _LONGEST_URL, len(url.text()))
    source = url or file_id or node
    return InputImage(data=load(node, uploads), param=source.path)


def _from_form(form: tuple[Field, ...]) -> _Sent:
    pictures = [field for field in form if field.name in _PICTURES]
    settings: Json = {}
    for field in form:
        if field.name not in _PICTURES:
            _put(settings, field.name, field.text)
    node = JsonNode(settings)
    node.only(_KNOWN | {"input_fidelity"})
    # Recorded refusals of uploaded pictures name no parameter.
    images = tuple(
        InputImage(data=field.content, param="") for field in pictures if "image" in field.name
    )
    if not images:
        raise missing_parameter("image")
    _check_count(len(images), "image")
    for field in pictures:
        if len(field.content) >= _LARGEST_IMAGE:
            raise invalid_value(
                f"Invalid '{field.name}'. Expected a file of less than 50 MB.", field.name
            )
    return _Sent(
        node=node,
        images=images,
        overlays=tuple(
            _laid_over(field.name, field.content, field.name)
            for field in pictures
            if field.name in {"mask", "markup"}
        ),
    )


def _put(settings: Json, name: str, text: str) -> None:
    """
    Put a form's field where JSON would have it: `svg[model]` goes into `svg`.
    """
    head, *inner = re.findall(r"[^\[\]]+", name) or [name]
    position = settings
    for step in inner:
        if not isinstance(position.setdefault(head, {}), dict):
            return
        position, head = cast("Json", position[head]), step
    position[head] = _typed(name, text)


def _typed(name: str, text: str) -> object:
    # All of a form is text; what is meant as a number or a flag is read as one.
    if name in _NUMBERS and re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        return int(text)
    if name == "stream" and text in {"true", "false"}:
        return text == "true"
    return text


def _check_count(count: int, param: str) -> None:
    if not 1 <= count <= _MOST_IMAGES:
        raise invalid_value(
            f"Invalid '{param}': expected 1 to {_MOST_IMAGES} images, but got {count} instead.",
            param,
        )


def _laid_over(name: str, data: bytes, param: str) -> Overlay:
    return Overlay(kind="mask" if name == "mask" else "markup", data=data, param=param)


def _text(node: JsonNode, key: str) -> str | None:
    child = node.get(key)
    return None if child is None else child.text()


def _prompt(node: JsonNode) -> str:
    prompt = node.require("prompt")
    text = prompt.text()
    if not text:
        raise RefusalError(
            "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an "
            "empty string instead.",
            param=prompt.path,
            code="empty_string",
        )
    if len(text) > _LONGEST_PROMPT:
        raise too_long(prompt.path, _LONGEST_PROMPT, len(text))
    return text


def _overlay(overlays: tuple[Overlay, ...], tool: ImageToolParams) -> Overlay | None:
    if len(overlays) > 1:
        raise invalid_value("'markup' cannot be combined with 'mask'.", "markup")
    overlay = overlays[0] if overlays else None
    if overlay and overlay.kind == "markup" and not tool.model.id.startswith(_MARKED_UP):
        raise invalid_value(
            f"The model '{tool.model.id}' does not support the 'markup' parameter.", "markup"
        )
    if overlay and tool.format == "gif":
        name = overlay.kind.capitalize()
        raise invalid_value(f"{name} is not supported for GIF output format", overlay.kind)
    return overlay


def _check(request: ImagesRequest) -> None:
    """
    Refuse what does not go together.
    """
    tool = request.tool
    name, moving = tool.format.upper(), tool.format in {"gif", "svg"}
    for param, wrong, message in (
        (
            "stream",
            request.stream and moving,
            f"Streaming is not supported for {name} output format",
        ),
        ("n", tool.format == "svg" and request.count > 1, "SVG output needs `n` to be 1"),
        (
            "partial_images",
            tool.partial_images and not request.stream,
            "`partial_images` needs `stream` to be true",
        ),
    ):
        if wrong:
            raise invalid_value(message, param)
