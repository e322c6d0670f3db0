"""
The Images endpoints: generations and edits, plain and streamed. Nothing is stored.

Reference: https://platform.openai.com/docs/api-reference/images
"""

from collections.abc import Iterator

import attrs

from imagesession._fake_openai.errors import RefusalError, blocked
from imagesession._fake_openai.faults import Blocked, Broken, Ending
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
from imagesession._fake_openai.images_request import ImagesRequest, Kind, parse_request
from imagesession._fake_openai.memory import ImageItem, new_id
from imagesession._fake_openai.models_endpoint import SVG_AUTHOR
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.sse import encode
from imagesession._fake_openai.tokens import ImageUsage, drawn_tokens, text_tokens

_EVENT_NAMES = {"generations": "image_generation", "edits": "image_edit"}


@attrs.frozen(kw_only=True)
class ImagesJob:
    request: ImagesRequest
    sketch_plan: SketchPlan
    drawings: tuple[ImageItem, ...]
    created: float  # seconds since the epoch
    latency: float  # seconds
    ending: Ending | None

    @property
    def usage(self) -> ImageUsage:
        return sum(map(self.usage_of, self.drawings), ImageUsage())

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
            case ("POST", "generations"):
                return self._create(call, "generations", ending)
            case ("POST", "edits"):
                return self._create(call, "edits", ending)
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def _create(self, call: FakeRequest, kind: Kind, ending: Ending | None) -> FakeResponse:
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
            "usage": job.usage.as_json(),
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
