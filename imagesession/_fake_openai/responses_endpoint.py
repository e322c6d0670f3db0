"""
The Responses endpoints: create, retrieve, resume, cancel, delete, list input items.

Reference: https://platform.openai.com/docs/api-reference/responses
"""

import functools
from collections.abc import Callable, Iterator

import attrs

from imagesession._fake_openai.analysis import analysis_json
from imagesession._fake_openai.conversations_endpoint import ConversationsEndpoint
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.faults import Blocked, Broken, Ending, Refused
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
    json_response,
    list_response,
)
from imagesession._fake_openai.memory import ImageItem, Memory, StoredResponse, check_groups, new_id
from imagesession._fake_openai.models_endpoint import reasons
from imagesession._fake_openai.render_cache import RenderKey
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.responses_request import (
    EarlierImage,
    Message,
    ResponsesRequest,
    parse_request,
)
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.tokens import ImageUsage, Usage, drawn_tokens, text_tokens

_ONLY_DRAWS = (
    "This is imagesession's offline provider. It only draws: give it the image_generation tool. "
    "Or ask for findings about a picture as structured output."
)


@attrs.frozen(kw_only=True)
class ResponsesEndpoint:
    memory: Memory
    conversations: ConversationsEndpoint
    resolver: HistoryResolver
    writer: ResponseWriter
    settings: Settings

    def answer(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call, ending)
            case ("GET", response_id):
                return self._retrieve(call, response_id)
            case ("DELETE", response_id):
                self.memory.remove(response_id)
                return json_response({"id": response_id, "object": "response", "deleted": True})
            case ("POST", response_id, "cancel"):
                return self._cancel(response_id)
            case ("GET", response_id, "input_items"):
                return list_response(list(self.memory.find(response_id).listed))
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def _create(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        request = parse_request(call)
        record = self._plan(request, ending)
        if request.stream and not request.background:
            # It ends with its connection, and is stored once its last event is due.
            return self._stream(record, lambda: self._store(record))
        self._store(record)
        if request.stream:
            return self._stream(record)
        if request.background:
            return json_response(self.writer.response(record, "queued"))
        return FakeResponse(headers=JSON_HEADERS, parts=self._body(record))

    def _stream(
        self, record: StoredResponse, store: Callable[[], None] | None = None, *, after: int = -1
    ) -> FakeResponse:
        def finish() -> None:
            record.delivered = True
            if store is not None:
                store()

        parts = self.writer.play(record, finish, after=after)
        return FakeResponse(headers=EVENT_HEADERS, parts=parts)

    def _store(self, record: StoredResponse) -> None:
        if not record.request.store:
            self.memory.add_unstored(record)
            return
        self.memory.add(record)
        if record.request.conversation:
            self.conversations.add(record.request.conversation, record)

    def _body(self, record: StoredResponse) -> Iterator[Part]:
        if record.latency:
            yield Delay(record.latency)
        yield dump(self.writer.response(record, self.writer.outcome(record)))
        record.delivered = True

    def _show(self, record: StoredResponse) -> FakeResponse:
        # Return a response with its status. An image that was delivered with its event is included
        # only if the provider is set so; one within a completion window can only be delivered here.
        now = self.settings.clock()
        record.delivered = record.delivered or record.finished(now)
        results = self.settings.retrieve_includes_image or record.request.window != "soonest"
        status = self.writer.status(record, now)
        return json_response(self.writer.response(record, status, results=results))

    def _retrieve(self, call: FakeRequest, response_id: str) -> FakeResponse:
        record = self.memory.find(response_id)
        if call.query.get("stream") != "true":
            return self._show(record)
        if not record.request.resumable:
            raise RefusalError("not_resumable")
        after = call.query.get("starting_after", "-1")
        try:
            number = int(after)
        except ValueError:
            raise RefusalError("bad_starting_after", after=after) from None
        return self._stream(record, after=number)

    def _cancel(self, response_id: str) -> FakeResponse:
        record = self.memory.find(response_id)
        if not record.request.background:
            raise RefusalError("synchronous")
        self.memory.cancel(record, self.settings.clock())
        return self._show(record)

    def _plan(self, request: ResponsesRequest, ending: Ending | None) -> StoredResponse:
        """
        Decide everything about a response; its image is rendered when it is first needed.
        """
        previous = self._previous(request)
        check_groups(request.sent, self.memory)
        usage = _limit_usage(request, _usage(request, previous), self.settings.context_tokens)
        limit = request.compact_threshold
        compacts = limit is not None and usage.input > limit
        before = previous.sketch if previous else None
        sketch_plan = None
        if request.tool:
            sketch_plan = self.resolver.resolve(request, request.tool, before)
            sketch_plan = self.resolver.scripted(sketch_plan, ending)
        drawings: tuple[ImageItem, ...] = ()
        if request.tool and sketch_plan and not isinstance(ending, Refused):
            count = max(1, self.settings.images_per_reply)
            drawings = tuple(image_items(sketch_plan, request.tool, count))
        sketch, analysis = _sketch_after(sketch_plan, before, ending), None
        if request.findings:
            sketch, data = self.resolver.inspect(request, before)
            analysis = self._analysis(sketch, data)
        return StoredResponse(
            id=new_id("resp_"),
            created=self.settings.clock(),
            latency=self.settings.latency,
            # The input may hold megabytes that are not needed again.
            request=attrs.evolve(
                request,
                items=(),
                tool=attrs.evolve(request.tool, mask=None) if request.tool else None,
            ),
            drawings=drawings,
            reasoning_id=new_id("rs_") if request.reasons else None,
            message_id=new_id("msg_"),
            text="" if sketch_plan else _ONLY_DRAWS,
            analysis=analysis,
            compaction_id=new_id("cmp_") if compacts else None,
            ending=ending,
            sketch=sketch,
            usage=usage,
            image_usage=_image_usage(request, sketch_plan, drawings),
            listed=tuple(_list_item(item) for item in request.items),
            weight=_weight(sketch, before),
        )

    def _analysis(self, sketch: SketchState | None, data: bytes | None) -> Callable[[], str]:
        @functools.cache
        def text() -> str:
            if sketch is None or data is not None:
                return analysis_json(data)
            return analysis_json(self.writer.pictures.data(RenderKey(sketch=sketch)))

        return text

    def _previous(self, request: ResponsesRequest) -> StoredResponse | None:
        if request.conversation is not None:
            return self.conversations.last(request.conversation)
        if request.previous is None:
            return None
        return self.memory.find(request.previous, missing="no_previous_response")


def _sketch_after(
    sketch_plan: SketchPlan | None, before: SketchState | None, ending: Ending | None
) -> SketchState | None:
    if sketch_plan is None:
        return before
    failed = isinstance(ending, (Refused, Blocked, Broken))
    return sketch_plan.before if failed else sketch_plan.after


def _weight(sketch: SketchState | None, before: SketchState | None) -> int:
    if sketch is None:
        return 0
    held = () if before is None else (before.base, *before.insets)
    new = (data for data in (sketch.base, *sketch.insets) if not any(data is each for each in held))
    return sum(len(picture) for picture in new if picture is not None)


def _limit_usage(request: ResponsesRequest, usage: Usage, context_tokens: int | None) -> Usage:
    if context_tokens is None or usage.input <= context_tokens:
        return usage
    if not request.truncates:
        raise RefusalError("context_exceeded")
    return attrs.evolve(usage, input=context_tokens, cached=min(usage.cached, context_tokens))


def _usage(request: ResponsesRequest, previous: StoredResponse | None) -> Usage:
    messages = [item for item in request.items if isinstance(item, Message)]
    text_in = sum(map(text_tokens, (request.instructions, *(item.text for item in messages))))
    earlier = len(request.items) - len(messages)
    image_count = earlier + sum(len(item.images) for item in messages)
    # Each turn bills all earlier ones again.
    cached = previous.context_tokens if previous else 0
    overhead = (1800 if reasons(request.model) else 650) if request.tool else 8
    reasoning = 256 if request.reasons else 0
    # The text of an analysis is counted once it is known.
    text_out = 68 if request.tool else 0 if request.findings else text_tokens(_ONLY_DRAWS)
    return Usage(
        input=overhead + text_in + 1024 * image_count + cached,
        cached=cached // 128 * 128,
        output=reasoning + text_out,
        reasoning=reasoning,
    )


def _image_usage(
    request: ResponsesRequest, sketch_plan: SketchPlan | None, drawings: tuple[ImageItem, ...]
) -> ImageUsage:
    def usage_of(drawing: ImageItem) -> ImageUsage:
        partials = drawing.tool.partial_images if request.stream else 0
        return ImageUsage(
            text_in=sum(map(text_tokens, drawing.sketch.prompts)),
            image_in=sketch_plan.image_tokens if sketch_plan else 0,
            image_out=drawn_tokens(drawing.tool, drawing.sketch.size, partials),
        )

    return sum(map(usage_of, drawings), ImageUsage())


def _list_item(item: Message | EarlierImage) -> Json:
    if isinstance(item, EarlierImage):
        return {"id": item.id, "type": "image_generation_call", "status": "completed"}
    kind = "output_text" if item.role == "assistant" else "input_text"
    content: list[Json] = [{"type": kind, "text": item.text}] if item.text else []
    for image in item.images:
        file_id = image.get_text("file_id")
        shown = {"type": "input_image", "detail": "auto", "file_id": file_id, "image_url": None}
        content.append(shown)
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": item.role,
        "status": "completed",
        "content": content,
    }
