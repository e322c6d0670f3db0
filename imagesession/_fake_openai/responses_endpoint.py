"""
The Responses endpoints: make, retrieve, resume, cancel, delete, list what went in.

Reference: https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Callable, Iterator

import attrs

from imagesession._fake_openai.analysis import Sight
from imagesession._fake_openai.conversations_endpoint import ConversationsEndpoint
from imagesession._fake_openai.errors import (
    RefusalError,
    context_exceeded,
    invalid_value,
    no_previous_response,
    no_such_response,
    no_such_url,
)
from imagesession._fake_openai.faults import Ending, Refused
from imagesession._fake_openai.groups import check_groups
from imagesession._fake_openai.history import HistoryResolver, InspectedImage, SketchPlan
from imagesession._fake_openai.http import (
    Delay,
    FakeRequest,
    FakeResponse,
    Json,
    Part,
    dump,
    json_response,
)
from imagesession._fake_openai.image_tool import ImageToolParams
from imagesession._fake_openai.memory import ImageItem, Memory, StoredResponse, new_id
from imagesession._fake_openai.models_endpoint import reasons
from imagesession._fake_openai.render_cache import RenderKey
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.responses_request import (
    EarlierImage,
    Message,
    ResponsesRequest,
    parse_request,
)
from imagesession._fake_openai.settings import Settings
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.sse import EventPlayer
from imagesession._fake_openai.tokens import ImageUsage, Usage, drawn_tokens, text_tokens

_ONLY_DRAWS = (
    "This is imagesession's offline provider. It only draws: give it the image_generation tool. "
    "Or ask for findings about a picture as structured output."
)
_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
# How the event that closes a stream begins.
_CLOSING = tuple(f"event: response.{end}".encode() for end in ("completed", "failed", "incomplete"))


@attrs.frozen(kw_only=True)
class ResponsesEndpoint:
    """
    Serve the Responses endpoints.
    """

    memory: Memory
    conversations: ConversationsEndpoint
    resolver: HistoryResolver
    writer: ResponseWriter
    clock: Callable[[], float]
    settings: Callable[[], Settings]

    def answer(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        """
        Answer a call below `/responses`.
        """
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call, ending)
            case ("GET", response_id):
                return self._retrieve(call, response_id)
            case ("DELETE", response_id):
                return self._delete(response_id)
            case ("POST", response_id, "cancel"):
                return self._cancel(response_id)
            case ("GET", response_id, "input_items"):
                return self._list_input(response_id)
            case _:
                raise no_such_url(call.method, call.path)

    def _create(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        ask = parse_request(call)
        record = self._plan(ask, ending)
        if ask.background:
            self._keep(record)
            if ask.stream:
                return FakeResponse(headers=_EVENTS, parts=self._deliver(record))
            return json_response(self.writer.response(record, "queued"))
        if ask.stream:
            return FakeResponse(headers=_EVENTS, parts=self._play_to_the_end(record))
        self._keep(record)
        return FakeResponse(headers=_JSON, parts=self._whole(record))

    @property
    def _player(self) -> EventPlayer:
        poor_end = self.settings().poor_terminal_event
        return EventPlayer(writer=self.writer, clock=self.clock, poor_end=poor_end)

    def _deliver(self, record: StoredResponse, *, after: int = -1) -> Iterator[Part]:
        def deliver() -> None:
            record.delivered = True

        yield from _before_the_end(self._player.play(record, after=after), deliver)

    def _play_to_the_end(self, record: StoredResponse) -> Iterator[Part]:
        """
        Play a stream that stops with its listener: only one whose last event is sent is remembered.
        """
        yield from _before_the_end(self._deliver(record), lambda: self._keep(record))

    def _keep(self, record: StoredResponse) -> None:
        """
        Remember a response; one that is not to be stored does not enter its conversation either.
        """
        if not record.ask.store:
            self.memory.add_unstored(record)
            return
        self.memory.add(record)
        if record.ask.conversation:
            self.conversations.add(record.ask.conversation, record)

    def _whole(self, record: StoredResponse) -> Iterator[Part]:
        if record.latency:
            yield Delay(record.latency)
        yield dump(self.writer.response(record, self.writer.outcome(record)))
        record.delivered = True

    def _look(self, record: StoredResponse) -> FakeResponse:
        """
        Tell how a response stands. The picture was delivered with its event: a look shows it only
        where the provider is set to be kind.
        """
        now = self.clock()
        record.delivered = record.delivered or record.finished(now)
        results = self.settings().retrieve_includes_image
        return json_response(self.writer.at(record, now, results=results))

    def _find(self, response_id: str) -> StoredResponse:
        record = self.memory.get(response_id)
        if record is None:
            raise no_such_response(response_id)
        return record

    def _retrieve(self, call: FakeRequest, response_id: str) -> FakeResponse:
        record = self._find(response_id)
        if call.query.get("stream") != "true":
            return self._look(record)
        if not record.ask.resumable:
            raise invalid_value(
                "A response can only be streamed again if it was created with `background` and "
                "`stream` set to true.",
                "stream",
            )
        after = call.query.get("starting_after", "-1")
        try:
            number = int(after)
        except ValueError:
            raise invalid_value(
                f"Invalid value for 'starting_after': '{after}' is not an integer.",
                "starting_after",
            ) from None
        return FakeResponse(headers=_EVENTS, parts=self._deliver(record, after=number))

    def _cancel(self, response_id: str) -> FakeResponse:
        record = self._find(response_id)
        if not record.ask.background:
            raise RefusalError("Cannot cancel a synchronous response.")
        self.memory.cancel(record, self.clock())
        return self._look(record)

    def _delete(self, response_id: str) -> FakeResponse:
        if not self.memory.remove(response_id):
            raise no_such_response(response_id)
        return json_response({"id": response_id, "object": "response", "deleted": True})

    def _list_input(self, response_id: str) -> FakeResponse:
        items = list(self._find(response_id).listed)
        return json_response(
            {
                "object": "list",
                "data": items,
                "first_id": items[0]["id"] if items else None,
                "last_id": items[-1]["id"] if items else None,
                "has_more": False,
            }
        )

    def _plan(self, ask: ResponsesRequest, ending: Ending | None) -> StoredResponse:
        """
        Decide everything about a response except when its picture is painted.
        """
        previous = self._previous(ask)
        check_groups(ask.sent, self.memory)
        settings = self.settings()
        usage = _fitting(ask, _usage(ask, previous), settings.context_tokens)
        before = previous.sketch if previous else None
        sketch_plan = None if ask.tool is None else self.resolver.resolve(ask, ask.tool, before)
        seen = self.resolver.see(ask, before) if ask.findings else None
        drawings: tuple[ImageItem, ...] = ()
        if ask.tool and sketch_plan and not isinstance(ending, Refused):
            drawings = tuple(_drawings(ask.tool, sketch_plan, max(1, settings.pictures_per_reply)))
        sketch = seen.sketch if seen else _sketch_after(sketch_plan, before, ending)
        return StoredResponse(
            id=new_id("resp_"),
            created=self.clock(),
            latency=settings.latency,
            # The input may hold megabytes that nobody needs again.
            ask=attrs.evolve(
                ask, items=(), tool=attrs.evolve(ask.tool, mask=None) if ask.tool else None
            ),
            drawings=drawings,
            reasoning_id=new_id("rs_") if ask.reasons else None,
            message_id=new_id("msg_"),
            text="" if sketch_plan else _ONLY_DRAWS,
            sight=self._sight(seen) if ask.findings else None,
            ending=ending,
            sketch=sketch,
            usage=usage,
            image_usage=_image_usage(ask, sketch_plan, drawings),
            listed=tuple(_list_item(item) for item in ask.items),
            weight=_weight(sketch, before),
        )

    def _sight(self, seen: InspectedImage | None) -> Sight:
        def load() -> bytes | None:
            if seen is None or seen.data is not None:
                return seen.data if seen else None
            return self.writer.pictures.data(RenderKey(sketch=seen.sketch))

        return Sight(load=load)

    def _previous(self, ask: ResponsesRequest) -> StoredResponse | None:
        if ask.conversation is not None:
            return self.conversations.last(ask.conversation)
        if ask.previous is None:
            return None
        record = self.memory.get(ask.previous)
        if record is None:
            raise no_previous_response(ask.previous)
        return record


def _before_the_end(parts: Iterator[Part], do: Callable[[], None]) -> Iterator[Part]:
    """
    Do something before the closing event is sent: whoever has got that need not wait for more.
    """
    for part in parts:
        if isinstance(part, bytes) and part.startswith(_CLOSING):
            do()
        yield part


def _drawings(tool: ImageToolParams, sketch_plan: SketchPlan, count: int) -> Iterator[ImageItem]:
    for index in range(count):
        yield ImageItem(
            id=new_id("ig_"),
            sketch=attrs.evolve(sketch_plan.after, seed=sketch_plan.after.seed + index),
            tool=attrs.evolve(tool, mask=None),
            action="edit" if sketch_plan.edits else "generate",
        )


def _sketch_after(
    sketch_plan: SketchPlan | None, before: SketchState | None, ending: Ending | None
) -> SketchState | None:
    if sketch_plan is None:
        return before
    return sketch_plan.after if ending is None else sketch_plan.before


def _weight(sketch: SketchState | None, before: SketchState | None) -> int:
    """
    Count the bytes of pictures that a story keeps in memory and the one before it does not.
    """
    if sketch is None:
        return 0
    held = () if before is None else (before.base, *before.insets)
    new = (data for data in (sketch.base, *sketch.insets) if not any(data is each for each in held))
    return sum(len(picture) for picture in new if picture is not None)


def _fitting(ask: ResponsesRequest, usage: Usage, context_tokens: int | None) -> Usage:
    """
    Hold a request to what the model can read.

    Raises:
        RefusalError: It is longer, and nothing of it may be dropped.

    """
    if context_tokens is None or usage.input <= context_tokens:
        return usage
    if not ask.truncates:
        raise context_exceeded()
    return attrs.evolve(usage, input=context_tokens, cached=min(usage.cached, context_tokens))


def _usage(ask: ResponsesRequest, previous: StoredResponse | None) -> Usage:
    """
    Count as the mainline model does: each turn bills everything said before again.
    """
    said = text_tokens(ask.instructions) + sum(
        text_tokens(item.text) for item in ask.items if isinstance(item, Message)
    )
    shown = sum(len(item.images) for item in ask.items if isinstance(item, Message)) + sum(
        isinstance(item, EarlierImage) for item in ask.items
    )
    cached = previous.billed.input + previous.billed.output if previous else 0
    overhead = (1800 if reasons(ask.model) else 650) if ask.tool else 8
    reasoning = 256 if ask.reasons else 0
    return Usage(
        input=overhead + said + 1024 * shown + cached,
        cached=cached // 128 * 128,
        output=reasoning + _words(ask),
        reasoning=reasoning,
    )


def _words(ask: ResponsesRequest) -> int:
    if ask.tool:
        return 68
    # A report's words are counted when they are known.
    return 0 if ask.findings else text_tokens(_ONLY_DRAWS)


def _image_usage(
    ask: ResponsesRequest, sketch_plan: SketchPlan | None, drawings: tuple[ImageItem, ...]
) -> ImageUsage:
    total = ImageUsage()
    if sketch_plan is None:
        return total
    for drawing in drawings:
        partials = drawing.tool.partial_images if ask.stream else 0
        total = total.plus(
            ImageUsage(
                text_in=sum(text_tokens(prompt) for prompt in drawing.sketch.prompts),
                image_in=sketch_plan.shown,
                image_out=drawn_tokens(drawing.tool, drawing.sketch.size, partials),
            )
        )
    return total


def _list_item(item: Message | EarlierImage) -> Json:
    """
    Describe an input item without the pixels, as the API lists it.
    """
    if isinstance(item, EarlierImage):
        return {"id": item.id, "type": "image_generation_call", "status": "completed"}
    kind = "output_text" if item.role == "assistant" else "input_text"
    content: list[Json] = [{"type": kind, "text": item.text}] if item.text else []
    for image in item.images:
        file_id = image.get("file_id")
        content.append(
            {
                "type": "input_image",
                "detail": "auto",
                "file_id": file_id.text() if file_id else None,
                "image_url": None,
            }
        )
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": item.role,
        "status": "completed",
        "content": content,
    }
