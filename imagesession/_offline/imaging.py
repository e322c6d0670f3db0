"""
The Images endpoints: generations and edits, plain and streamed. Nothing of them is remembered.

Reference: https://platform.openai.com/docs/api-reference/images
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus

import attrs

from imagesession._offline.context import Teller, Telling
from imagesession._offline.errors import RefusedError, blocked, no_such_url
from imagesession._offline.events import encode
from imagesession._offline.exchange import Answer, Call, Json, Part, Pause, dump
from imagesession._offline.faults import Blocked, Broken, Ending
from imagesession._offline.images import Uploads
from imagesession._offline.models import SVG_AUTHOR
from imagesession._offline.orders import Kind, Order, read_order
from imagesession._offline.pictures import Look
from imagesession._offline.records import Drawing, new_id
from imagesession._offline.replies import Writer
from imagesession._offline.tokens import ImageUsage, drawn_tokens, text_tokens

_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_EVENT_NAMES = {"generations": "image_generation", "edits": "image_edit"}
_FAILURE = "image_generation_server_error"


@attrs.frozen(kw_only=True)
class Job:
    """
    Hold an order with the pictures that it comes to.

    Attributes:
        created: Seconds since the epoch.
        latency: How long it takes.

    """

    order: Order
    telling: Telling
    drawings: tuple[Drawing, ...]
    created: float
    latency: float
    ending: Ending | None

    @property
    def usage(self) -> ImageUsage:
        """
        What all pictures used.
        """
        total = ImageUsage()
        for drawing in self.drawings:
            total = total.plus(self.usage_of(drawing))
        return total

    def usage_of(self, drawing: Drawing) -> ImageUsage:
        """
        Count what one picture used.
        """
        tool = self.order.tool
        return ImageUsage(
            text_in=text_tokens(self.order.prompt),
            image_in=self.telling.shown,
            image_out=drawn_tokens(tool, drawing.story.size, tool.partial_images),
        )


@attrs.frozen(kw_only=True)
class Imaging:
    """
    Serve the Images endpoints.

    Attributes:
        latency: Tells how many seconds a generation takes.

    """

    teller: Teller
    writer: Writer
    uploads: Uploads
    clock: Callable[[], float]
    latency: Callable[[], float]

    def answer(self, call: Call, ending: Ending | None) -> Answer:
        """
        Answer a call below `/images`.
        """
        match (call.method, *call.path.split("/")[2:]):
            case ("POST", "generations"):
                return self._make(call, "generations", ending)
            case ("POST", "edits"):
                return self._make(call, "edits", ending)
            case _:
                raise no_such_url(call.method, call.path)

    def _make(self, call: Call, kind: Kind, ending: Ending | None) -> Answer:
        order = read_order(call, kind, self.uploads)
        if isinstance(ending, Blocked):
            raise _refused(ending)
        if isinstance(ending, Broken) and not order.stream:
            raise RefusedError(
                ending.message,
                status=HTTPStatus.INTERNAL_SERVER_ERROR,
                type=_FAILURE,
                code=ending.code,
            )
        job = self._plan(order, ending)
        if order.stream:
            return Answer(headers=_EVENTS, parts=self._play(job))
        return Answer(headers=_JSON, parts=self._whole(job))

    def _plan(self, order: Order, ending: Ending | None) -> Job:
        if order.kind == "edits":
            telling = self.teller.edit(order.tool, order.prompt, order.given, order.overlay)
        else:
            telling = self.teller.draw(order.tool, order.prompt)
        return Job(
            order=order,
            telling=telling,
            drawings=tuple(_drawings(order, telling)),
            created=self.clock(),
            latency=self.latency(),
            ending=ending,
        )

    def _whole(self, job: Job) -> Iterator[Part]:
        if job.latency:
            yield Pause(job.latency)
        first = job.drawings[0]
        body: Json = {
            "created": int(job.created),
            **self.writer.facts(first),
            "data": [{"b64_json": self._base64(drawing)} for drawing in job.drawings],
            "usage": _usage(job.usage),
        }
        if first.tool.format == "svg":
            body["svg_usage"] = self.writer.svg_usage(first, SVG_AUTHOR)
        yield dump(body | _whose(job.order))

    def _play(self, job: Job) -> Iterator[Part]:
        """
        Send each picture's partial images and then the picture, spread over the latency.
        """
        steps = job.order.tool.partial_images + 1
        rest = job.latency / steps / len(job.drawings)
        name = _EVENT_NAMES[job.order.kind]
        if isinstance(job.ending, Broken):
            yield from _break(job.ending)
            return
        for drawing in job.drawings:
            facts: Json = {"created_at": int(job.created), **self.writer.facts(drawing)}
            for step in range(1, steps + 1):
                if rest:
                    yield Pause(rest)
                event: Json = {"b64_json": self._base64(drawing, step / steps), **facts}
                if step < steps:
                    event |= {"type": f"{name}.partial_image", "partial_image_index": step - 1}
                else:
                    usage = _usage(job.usage_of(drawing))
                    event |= {"type": f"{name}.completed", "usage": usage} | _whose(job.order)
                yield encode(event)

    def _base64(self, drawing: Drawing, share: float = 1.0) -> bytes:
        return self.writer.pictures.base64(Look.of(drawing.story, drawing.tool, share))


def _drawings(order: Order, telling: Telling) -> Iterator[Drawing]:
    for index in range(order.count):
        yield Drawing(
            id=new_id("ig_"),
            story=attrs.evolve(telling.after, seed=telling.after.seed + index),
            tool=order.tool,
            action="edit" if telling.edits else "generate",
        )


def _usage(usage: ImageUsage) -> Json:
    counts: Json = usage.as_json()["image_gen"]
    return counts


def _whose(order: Order) -> Json:
    return {"safety_identifier": order.identifier} if order.identifier else {}


def _break(ending: Broken) -> Iterator[Part]:
    error: Json = {
        "type": _FAILURE,
        "code": "image_generation_failed",
        "message": ending.message,
        "param": None,
    }
    yield encode({"type": "error", "error": error})
    yield b"data: [DONE]\n\n"


def _refused(ending: Blocked) -> RefusedError:
    error = blocked(ending.stage, ending.categories, new_id("req_"))
    more = {"moderation_details": error["moderation_details"]}
    return RefusedError(error["message"], type=error["type"], code=error["code"], more=more)
