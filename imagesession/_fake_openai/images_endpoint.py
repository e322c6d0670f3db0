"""
The Images endpoints: generations and edits, plain and streamed. Nothing is stored.

Reference: https://platform.openai.com/docs/api-reference/images
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus

import attrs

from imagesession._fake_openai.errors import RefusalError, blocked, no_such_url
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
    dump,
)
from imagesession._fake_openai.images_request import ImagesRequest, Kind, parse_request
from imagesession._fake_openai.inputs import Uploads
from imagesession._fake_openai.memory import ImageItem, new_id
from imagesession._fake_openai.models_endpoint import SVG_AUTHOR
from imagesession._fake_openai.render_cache import RenderKey
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.sse import encode
from imagesession._fake_openai.tokens import ImageUsage, drawn_tokens, text_tokens

_EVENT_NAMES = {"generations": "image_generation", "edits": "image_edit"}
_FAILURE = "image_generation_server_error"


@attrs.frozen(kw_only=True)
class ImagesJob:
    """
    A request with the images to draw.

    Attributes:
        created: Seconds since the epoch.
        latency: How many seconds it takes.

    """

    request: ImagesRequest
    sketch_plan: SketchPlan
    drawings: tuple[ImageItem, ...]
    created: float
    latency: float
    ending: Ending | None

    @property
    def usage(self) -> ImageUsage:
        """
        The usage of all images.
        """
        total = ImageUsage()
        for drawing in self.drawings:
            total = total.plus(self.usage_of(drawing))
        return total

    def usage_of(self, drawing: ImageItem) -> ImageUsage:
        """
        Return the usage of one image.
        """
        tool = self.request.tool
        return ImageUsage(
            text_in=text_tokens(self.request.prompt),
            image_in=self.sketch_plan.image_tokens,
            image_out=drawn_tokens(tool, drawing.sketch.size, tool.partial_images),
        )


@attrs.frozen(kw_only=True)
class ImagesEndpoint:
    """
    Serve the Images endpoints.

    Attributes:
        latency: Returns how many seconds a generation takes.

    """

    resolver: HistoryResolver
    writer: ResponseWriter
    uploads: Uploads
    clock: Callable[[], float]
    latency: Callable[[], float]

    def answer(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        """
        Answer a request below `/images`.
        """
        match (call.method, *call.path.split("/")[2:]):
            case ("POST", "generations"):
                return self._create(call, "generations", ending)
            case ("POST", "edits"):
                return self._create(call, "edits", ending)
            case _:
                raise no_such_url(call.method, call.path)

    def _create(self, call: FakeRequest, kind: Kind, ending: Ending | None) -> FakeResponse:
        request = parse_request(call, kind, self.uploads)
        if isinstance(ending, Blocked):
            raise _moderation_error(ending)
        if isinstance(ending, Broken) and not request.stream:
            raise RefusalError(
                ending.message,
                status=HTTPStatus.INTERNAL_SERVER_ERROR,
                type=_FAILURE,
                code=ending.code,
            )
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
        return ImagesJob(
            request=request,
            sketch_plan=sketch_plan,
            drawings=tuple(image_items(sketch_plan, request.tool, request.count)),
            created=self.clock(),
            latency=self.latency(),
            ending=ending,
        )

    def _body(self, job: ImagesJob) -> Iterator[Part]:
        if job.latency:
            yield Delay(job.latency)
        first = job.drawings[0]
        body: Json = {
            "created": int(job.created),
            **self.writer.facts(first),
            "data": [{"b64_json": self._base64(drawing)} for drawing in job.drawings],
            "usage": _usage(job.usage),
        }
        if first.tool.format == "svg":
            body["svg_usage"] = self.writer.svg_usage(first, SVG_AUTHOR)
        yield dump(body | _safety_identifier(job.request))

    def _stream(self, job: ImagesJob) -> Iterator[Part]:
        """
        Send each image's partial images and then the image, spread over the latency.
        """
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
                event: Json = {"b64_json": self._base64(drawing, step / steps), **facts}
                if step < steps:
                    event |= {"type": f"{name}.partial_image", "partial_image_index": step - 1}
                else:
                    usage = _usage(job.usage_of(drawing))
                    event |= {"type": f"{name}.completed", "usage": usage} | _safety_identifier(
                        job.request
                    )
                yield encode(event)

    def _base64(self, drawing: ImageItem, share: float = 1.0) -> bytes:
        return self.writer.pictures.base64(RenderKey.of(drawing.sketch, drawing.tool, share))


def _usage(usage: ImageUsage) -> Json:
    counts: Json = usage.as_json()["image_gen"]
    return counts


def _safety_identifier(request: ImagesRequest) -> Json:
    return {"safety_identifier": request.identifier} if request.identifier else {}


def _failure_events(ending: Broken) -> Iterator[Part]:
    error: Json = {
        "type": _FAILURE,
        "code": "image_generation_failed",
        "message": ending.message,
        "param": None,
    }
    yield encode({"type": "error", "error": error})
    yield b"data: [DONE]\n\n"


def _moderation_error(ending: Blocked) -> RefusalError:
    error = blocked(ending.stage, ending.categories, new_id("req_"))
    more = {"moderation_details": error["moderation_details"]}
    return RefusalError(error["message"], type=error["type"], code=error["code"], more=more)
