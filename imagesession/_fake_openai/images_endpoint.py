"""
The Images endpoints: generations and edits, plain and streamed. Nothing is stored.

Reference: https://platform.openai.com/docs/api-reference/images
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

import attrs

from imagesession._fake_openai.errors import RefusalError, blocked
from imagesession._fake_openai.faults import Blocked, Broken, Ending
from imagesession._fake_openai.files_endpoint import Field, read_form
from imagesession._fake_openai.history import HistoryResolver, SketchPlan, image_items
from imagesession._fake_openai.http import (
    EVENT_HEADERS,
    JSON_HEADERS,
    Delay,
    FakeRequest,
    FakeResponse,
    Json,
    Part,
    Settings,
    dump,
)
from imagesession._fake_openai.image_tool import ImageToolParams, read_settings
from imagesession._fake_openai.inputs import InputImage, Overlay, Uploads, load
from imagesession._fake_openai.json_reader import JsonNode, parse, words
from imagesession._fake_openai.memory import ImageItem, new_id
from imagesession._fake_openai.models_endpoint import SVG_AUTHOR
from imagesession._fake_openai.response_writer import ResponseWriter, encode
from imagesession._fake_openai.tokens import ImageUsage, drawn_tokens, text_tokens

_KNOWN = words(
    """background complexity frame_count frame_duration_ms model moderation n output_compression
    output_format partial_images prompt quality safety_identifier size stream svg user"""
)
_FOR_EDITS = words("images input_fidelity markup mask")
_NUMBERS = words("n frame_count frame_duration_ms output_compression partial_images")
_OVERLAYS: tuple[Literal["mask", "markup"], ...] = ("mask", "markup")
_FILE_FIELDS = ("image", "image[]", *_OVERLAYS)
_MAX_PROMPT, _MAX_COUNT = 32_000, 10
_MAX_IMAGES, _MAX_IMAGE_BYTES, _MAX_URL = 16, 50 * 1024 * 1024, 20_971_520
_MARKUP_MODELS = ("gpt-image-2.5", "gpt-image-2.6")


@attrs.frozen(kw_only=True)
class ImagesRequest:
    kind: str  # generations or edits
    tool: ImageToolParams
    prompt: str
    count: int  # how many images to make
    stream: bool
    images: tuple[InputImage, ...]  # the image to edit, then reference images
    overlay: Overlay | None  # where the first image may change
    identifier: str | None  # the end user's identifier, if the request has one


# A request read from JSON or from a form: its settings, and its images by purpose.
_Parsed: TypeAlias = tuple[JsonNode, tuple[InputImage, ...], tuple[Overlay, ...]]


def parse_request(call: FakeRequest, kind: str, uploads: Uploads) -> ImagesRequest:
    node, images, overlays = _read(call, kind, uploads)
    prompt = _prompt(node)
    node.require("model")
    tool = read_settings(node, "edit" if kind == "edits" else "generate")
    request = ImagesRequest(
        kind=kind,
        tool=tool,
        prompt=prompt,
        count=node.get_number("n", 1, _MAX_COUNT, 1),
        stream=node.get_flag("stream"),
        images=images,
        overlay=_overlay(overlays, tool),
        identifier=node.get_text("safety_identifier") or node.get_text("user"),
    )
    _check(request)
    return request


def streams(call: FakeRequest) -> bool:
    if call.method == "GET":
        return call.query.get("stream") == "true"
    if not call.is_form:
        return call.members.get("stream") is True
    with contextlib.suppress(RefusalError):
        return any(field.name == "stream" and field.text == "true" for field in read_form(call))
    return False


def _read(call: FakeRequest, kind: str, uploads: Uploads) -> _Parsed:
    if kind == "edits" and call.is_form:
        return _from_form(read_form(call))
    node = parse(call)
    node.only(_KNOWN | _FOR_EDITS if kind == "edits" else _KNOWN)
    if kind == "generations":
        return node, (), ()
    overlays: list[Overlay] = []
    for name in _OVERLAYS:
        if child := node.get(name):
            image = _input_image(child, uploads)
            overlays.append(Overlay(kind=name, data=image.data, param=image.param))
    nodes = node.require("images")
    _check_count(len(nodes.array()), nodes.path)
    images = tuple(_input_image(child, uploads) for child in nodes)
    return node, images, tuple(overlays)


def _input_image(node: JsonNode, uploads: Uploads) -> InputImage:
    node.only(("file_id", "image_url"))
    url, file_id = node.get("image_url"), node.get("file_id")
    if (url is None) == (file_id is None):
        raise node.wrong(
            f"Invalid '{node.path}'. Expected exactly one of 'image_url' and 'file_id'."
        )
    if url is not None:
        url.within(_MAX_URL)
    source = url or file_id or node
    return InputImage(data=load(node, uploads), param=source.path)


def _from_form(form: tuple[Field, ...]) -> _Parsed:
    pictures = [field for field in form if field.name in _FILE_FIELDS]
    settings: Json = {}
    for field in form:
        if field.name not in _FILE_FIELDS:
            _set_field(settings, field.name, field.text)
    node = JsonNode(settings)
    node.only(_KNOWN | {"input_fidelity"})
    # Recorded refusals of uploaded images name no parameter.
    images = tuple(
        InputImage(data=field.content, param="") for field in pictures if "image" in field.name
    )
    if not images:
        raise RefusalError("missing_parameter", "image")
    _check_count(len(images), "image")
    for field in pictures:
        if len(field.content) >= _MAX_IMAGE_BYTES:
            message = f"Invalid '{field.name}'. Expected a file of less than 50 MB."
            raise RefusalError("invalid_value", field.name, message=message)
    overlays = tuple(
        Overlay(kind=kind, data=field.content, param=kind)
        for kind in _OVERLAYS
        for field in pictures
        if field.name == kind
    )
    return node, images, overlays


def _set_field(settings: Json, name: str, text: str) -> None:
    # Store a form's field where JSON would have it: `svg[model]` goes into `svg`.
    head, *inner = re.findall(r"[^\[\]]+", name) or [name]
    target = settings
    for step in inner:
        if not isinstance(target.setdefault(head, {}), dict):
            return
        target, head = cast("Json", target[head]), step
    target[head] = _convert(name, text)


def _convert(name: str, text: str) -> object:
    # All form fields are text, also those that JSON has as numbers and booleans.
    if name in _NUMBERS and re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        return int(text)
    if name == "stream" and text in {"true", "false"}:
        return text == "true"
    return text


def _check_count(count: int, param: str) -> None:
    if not 1 <= count <= _MAX_IMAGES:
        raise RefusalError("wrong_count", param, most=_MAX_IMAGES, count=count)


def _prompt(node: JsonNode) -> str:
    prompt = node.require("prompt")
    if not prompt.text():
        raise RefusalError("empty_string", prompt.path)
    return prompt.within(_MAX_PROMPT)


def _overlay(overlays: tuple[Overlay, ...], tool: ImageToolParams) -> Overlay | None:
    if len(overlays) > 1:
        raise RefusalError("markup_with_mask")
    overlay = overlays[0] if overlays else None
    if overlay and overlay.kind == "markup" and not tool.model.id.startswith(_MARKUP_MODELS):
        raise RefusalError("no_markup", model=tool.model.id)
    if overlay and tool.encoding.format == "gif":
        raise RefusalError("overlaid_gif", overlay.kind, kind=overlay.kind.capitalize())
    return overlay


def _check(request: ImagesRequest) -> None:
    tool, kind = request.tool, request.tool.encoding.format
    for param, error, wrong in (
        ("stream", "unstreamed_format", request.stream and kind in {"gif", "svg"}),
        ("n", "several_svgs", kind == "svg" and request.count > 1),
        ("partial_images", "needs_stream", tool.partial_images and not request.stream),
    ):
        if wrong:
            raise RefusalError(error, param, format=kind.upper())


_EVENT_NAMES = {"generations": "image_generation", "edits": "image_edit"}


@attrs.frozen(kw_only=True)
class ImagesJob:
    request: ImagesRequest
    sketch_plan: SketchPlan
    drawings: tuple[ImageItem, ...]
    created: float  # seconds since the epoch
    latency: float  # seconds
    ending: Ending | None

    def usage_of(self, drawing: ImageItem) -> ImageUsage:
        tool = self.request.tool
        return ImageUsage(
            text_in=text_tokens(self.request.prompt),
            image_in=self.sketch_plan.image_tokens,
            image_out=drawn_tokens(tool, drawing.sketch.size, tool.partial_images),
        )


@attrs.frozen(kw_only=True)
class ImagesEndpoint:
    resolver: HistoryResolver
    writer: ResponseWriter
    settings: Settings

    def answer(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        match (call.method, *call.path.split("/")[2:]):
            case ("POST", "generations" | "edits" as kind):
                return self._create(call, kind, ending)
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def _create(self, call: FakeRequest, kind: str, ending: Ending | None) -> FakeResponse:
        request = parse_request(call, kind, self.resolver.uploads)
        if isinstance(ending, Blocked):
            raise blocked(ending.stage, ending.categories, new_id("req_"))
        if isinstance(ending, Broken) and not request.stream:
            raise RefusalError("broken_image", code=ending.code, message=ending.message)
        job = self._plan(request, ending)
        if request.stream:
            return FakeResponse(headers=EVENT_HEADERS, parts=self._stream(job))
        return FakeResponse(headers=JSON_HEADERS, parts=self._body(job))

    def _plan(self, request: ImagesRequest, ending: Ending | None) -> ImagesJob:
        if request.kind == "edits":
            sketch_plan = self.resolver.edit(
                request.tool, request.prompt, request.images, request.overlay
            )
        else:
            sketch_plan = self.resolver.draw(request.tool, request.prompt)
        sketch_plan = self.resolver.scripted(sketch_plan, ending)
        return ImagesJob(
            request=request,
            sketch_plan=sketch_plan,
            drawings=tuple(image_items(sketch_plan, request.tool, request.count)),
            created=self.settings.clock(),
            latency=self.settings.latency,
            ending=ending,
        )

    def _body(self, job: ImagesJob) -> Iterator[Part]:
        if job.latency:
            yield Delay(job.latency)
        first = job.drawings[0]
        body: Json = {
            "created": int(job.created),
            **self.writer.facts(first),
            "data": [{"b64_json": self.writer.base64(drawing)} for drawing in job.drawings],
            "usage": sum(map(job.usage_of, job.drawings), ImageUsage()).as_json(),
        }
        if first.tool.encoding.format == "svg":
            body["svg_usage"] = self.writer.svg_usage(first, SVG_AUTHOR)
        yield dump(body | _safety_identifier(job.request))

    def _stream(self, job: ImagesJob) -> Iterator[Part]:
        steps = job.request.tool.partial_images + 1
        rest = job.latency / steps / len(job.drawings)
        name = _EVENT_NAMES[job.request.kind]
        if isinstance(job.ending, Broken):
            yield from _failure_events(job.ending)
            return
        for drawing in job.drawings:
            facts: Json = {"created_at": int(job.created), **self.writer.facts(drawing)}
            for step in range(1, steps + 1):
                if rest:
                    yield Delay(rest)
                event: Json = {"b64_json": self.writer.base64(drawing, step / steps), **facts}
                if step < steps:
                    event |= {"type": f"{name}.partial_image", "partial_image_index": step - 1}
                else:
                    usage = job.usage_of(drawing).as_json()
                    event |= {"type": f"{name}.completed", "usage": usage}
                    event |= _safety_identifier(job.request)
                yield encode(event)


def _safety_identifier(request: ImagesRequest) -> Json:
    return {"safety_identifier": request.identifier} if request.identifier else {}


def _failure_events(ending: Broken) -> Iterator[Part]:
    failure = RefusalError("broken_image", code="image_generation_failed", message=ending.message)
    yield encode({"type": "error", "error": failure.error})
    yield b"data: [DONE]\n\n"
