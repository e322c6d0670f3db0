"""
Write responses as JSON: the same object for a plain response, a poll and a stream's events.

Fields: https://platform.openai.com/docs/api-reference/responses/object
Events, in their order: https://platform.openai.com/docs/api-reference/responses-streaming
"""

import functools
import re
import secrets
from collections.abc import Callable, Iterator

import attrs
import pybase64

from imagesession._fake_openai.errors import blocked
from imagesession._fake_openai.faults import Blocked, Broken, Refused, Scripted
from imagesession._fake_openai.http import Delay, Json, Part, Settings, dump
from imagesession._fake_openai.memory import ImageItem, StoredResponse
from imagesession._fake_openai.render_cache import RenderCache, RenderKey
from imagesession._fake_openai.tokens import text_tokens

_ENCRYPTED = "b2ZmbGluZSBwcm92aWRlcjogbm8gcmVhc29uaW5nIHRvIGhpZGU="
# The shares of the latency after which reasoning and drawing end; the message comes last.
_THOUGHT, _DRAWN = 0.1, 0.9


@attrs.frozen
class TimedEvent:
    share: float
    type: str
    make: Callable[[], Json]


@attrs.frozen
class ResponseWriter:
    pictures: RenderCache
    settings: Settings

    def response(self, record: StoredResponse, status: str, *, results: bool = True) -> Json:
        done = status == "completed"
        over = done or status == "failed"
        failure = record.ending if isinstance(record.ending, Broken) else None
        body: Json = {
            "id": record.id,
            "object": "response",
            "created_at": int(record.created),
            "status": status,
            "background": record.request.background,
            "completed_at": int(record.created + record.latency) if done else None,
            "error": {"code": failure.code, "message": failure.message}
            if failure and status == "failed"
            else None,
            "incomplete_details": None,
            **record.request.echo,
            "output": self.output(record, results=results) if done else [],
            "service_tier": record.request.tier if over else "auto",
            "store": record.request.store,
            "usage": record.billed.as_json() if over else None,
        }
        if over:
            body["billing"] = {"payer": "developer"}
            usage = record.image_usage.as_json()
            body["tool_usage"] = {"image_gen": usage, "web_search": {"num_requests": 0}}
        return body

    def status(self, record: StoredResponse, now: float) -> str:
        if record.cancelled:
            return "cancelled"
        if not record.finished(now):
            return "in_progress"
        return self.outcome(record)

    def outcome(self, record: StoredResponse) -> str:
        return "failed" if isinstance(record.ending, Broken) else "completed"

    def output(self, record: StoredResponse, *, results: bool = True) -> list[Json]:
        items = [self.compaction(record)] if record.compaction_id else []
        items += [self.reasoning(record)] if record.reasoning_id else []
        items += [self.image(record, drawing, result=results) for drawing in record.drawings]
        return [*items, self.message(record)]

    def reasoning(self, record: StoredResponse) -> Json:
        item: Json = {"id": record.reasoning_id, "type": "reasoning", "summary": []}
        if record.request.encrypted:
            item["encrypted_content"] = _ENCRYPTED
        return item

    def compaction(self, record: StoredResponse) -> Json:
        return {"id": record.compaction_id, "type": "compaction", "encrypted_content": _ENCRYPTED}

    def image(self, record: StoredResponse, drawing: ImageItem, *, result: bool = True) -> Json:
        item = self.facts(drawing)
        item |= {"id": drawing.id, "type": "image_generation_call", "action": drawing.action}
        prompt = drawing.script and drawing.script.revised_prompt
        item["revised_prompt"] = prompt or self.pictures.sketcher.describe(drawing.sketch)
        if isinstance(record.ending, Blocked):
            error = blocked(record.ending.stage, record.ending.categories, drawing.id).error
            return item | {"status": "failed", "result": None, "error": error}
        if drawing.tool.encoding.format == "svg":
            item["svg_usage"] = self.svg_usage(drawing, record.request.model.id)
        data = self.base64(drawing) if result else None
        return item | {"status": "completed", "result": data}

    def base64(self, drawing: ImageItem, share: float = 1.0) -> bytes:
        image = drawing.script.image if drawing.script else None
        if image is not None and share >= 1:
            return pybase64.b64encode(image)
        key = RenderKey(sketch=drawing.sketch, encoding=drawing.tool.encoding, share=share)
        return self.pictures.base64(key)

    def svg_usage(self, drawing: ImageItem, author: str) -> Json:
        """
        Write the usage of the model that authors an SVG, which is billed separately: of the author,
        unless the request names one.
        """
        written = text_tokens(" " * len(pybase64.b64decode(self.base64(drawing))))
        reported = 512 + text_tokens(" ".join(drawing.sketch.prompts))
        return {
            "input_tokens": reported,
            "model": drawing.tool.svg_model or author,
            "output_tokens": written,
            "reasoning_tokens": 0,
            "total_tokens": reported + written,
        }

    def facts(self, drawing: ImageItem) -> Json:
        width, height = drawing.sketch.size
        return {
            "background": "transparent" if drawing.sketch.transparent else "opaque",
            "output_format": drawing.tool.encoding.format,
            "quality": drawing.tool.drawn_quality,
            "size": f"{width}x{height}",
        }

    def message(self, record: StoredResponse) -> Json:
        return {
            "id": record.message_id,
            "type": "message",
            "status": "completed",
            "content": [self.part(record)],
            "role": "assistant",
        }

    def part(self, record: StoredResponse) -> Json:
        if isinstance(record.ending, Refused):
            return {"type": "refusal", "refusal": record.ending.text}
        script = record.ending.text if isinstance(record.ending, Scripted) else None
        text = record.message_text if script is None else script
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def play(
        self, record: StoredResponse, finish: Callable[[], None], *, after: int
    ) -> Iterator[Part]:
        elapsed = self.settings.clock() - record.created
        for number, event in enumerate(self._events(record)):
            if number <= after:
                continue
            due = record.latency * event.share
            if due > elapsed:
                yield Delay(due - elapsed)
            # With a clock that stands still, the same time must not be waited for twice.
            elapsed = max(elapsed, due, self.settings.clock() - record.created)
            if record.cancelled:
                return
            data = encode({"type": event.type, "sequence_number": number, **event.make()})
            if event.type == f"response.{self.outcome(record)}":
                # Before the last event is sent: a client that has received it stops reading.
                finish()
            yield data

    def _events(self, record: StoredResponse) -> Iterator[TimedEvent]:
        yield from self._first_events(record)
        index = 0
        for item_id, write, end in (
            (record.compaction_id, self.compaction, 0.0),
            (record.reasoning_id, self.reasoning, _THOUGHT),
        ):
            if item_id:
                make = functools.partial(write, record)
                yield _item_event(0.0, "added", index, make)
                yield _item_event(end, "done", index, make)
                index += 1
        for number, drawing in enumerate(record.drawings):
            yield from self._image_events(record, drawing, index, number)
            index += 1
        outcome = self.outcome(record)
        if outcome == "completed":
            yield from self._message_events(record, index)
        yield self._response_event(record, 1.0, f"response.{outcome}", outcome)

    def _first_events(self, record: StoredResponse) -> Iterator[TimedEvent]:
        first = "queued" if record.request.background else "in_progress"
        yield self._response_event(record, 0.0, "response.created", first)
        if record.request.background:
            yield self._response_event(record, 0.0, "response.queued", "queued")
        yield self._response_event(record, 0.0, "response.in_progress", "in_progress")

    def _response_event(
        self, record: StoredResponse, share: float, type: str, status: str
    ) -> TimedEvent:
        results = not self.settings.poor_terminal_event

        def make() -> Json:
            return {"response": self.response(record, status, results=results)}

        return TimedEvent(share, type, make)

    def _image_events(
        self, record: StoredResponse, drawing: ImageItem, index: int, number: int
    ) -> Iterator[TimedEvent]:
        width = (_DRAWN - _THOUGHT) / len(record.drawings)
        start = _THOUGHT + number * width
        position: Json = {"output_index": index, "item_id": drawing.id}
        stub: Json = {"id": drawing.id, "type": "image_generation_call", "status": "in_progress"}
        call = "response.image_generation_call"
        yield _item_event(start, "added", index, lambda: stub)
        yield TimedEvent(start, f"{call}.in_progress", lambda: position)
        yield TimedEvent(start, f"{call}.generating", lambda: position)
        if isinstance(record.ending, Broken):
            return
        if not isinstance(record.ending, Blocked):
            count = drawing.tool.partial_images
            for step in range(count):
                portion = (step + 1) / (count + 1)
                yield TimedEvent(
                    start + width * portion,
                    f"{call}.partial_image",
                    functools.partial(self._partial, drawing, position, step, portion),
                )
            yield TimedEvent(start + width, f"{call}.completed", lambda: position)
        make_item = functools.partial(self.image, record, drawing)
        yield _item_event(start + width, "done", index, make_item)

    def _partial(self, drawing: ImageItem, position: Json, step: int, portion: float) -> Json:
        picture = self.base64(drawing, portion)
        facts = self.facts(drawing)
        return {**position, "partial_image_index": step, "partial_image_b64": picture, **facts}

    def _message_events(self, record: StoredResponse, index: int) -> Iterator[TimedEvent]:
        part = self.part(record)
        key = "refusal" if isinstance(record.ending, Refused) else "text"
        kind = "response.refusal" if key == "refusal" else "response.output_text"
        position: Json = {"item_id": record.message_id, "output_index": index, "content_index": 0}
        extra: Json = {} if key == "refusal" else {"logprobs": []}
        make_item = functools.partial(self.message, record)
        started: Json = {"status": "in_progress", "content": []}
        words = re.findall(r"\s*\S+", part[key])
        yield _item_event(_DRAWN, "added", index, lambda: make_item() | started)
        yield TimedEvent(
            _DRAWN, "response.content_part.added", lambda: {**position, "part": part | {key: ""}}
        )
        for number, word in enumerate(words):
            share = _DRAWN + (1 - _DRAWN) * number / len(words)
            make = functools.partial(_delta, position, word, extra, record)
            yield TimedEvent(share, f"{kind}.delta", make)
        yield TimedEvent(1.0, f"{kind}.done", lambda: {**position, key: part[key], **extra})
        yield TimedEvent(1.0, "response.content_part.done", lambda: {**position, "part": part})
        yield _item_event(1.0, "done", index, make_item)


def encode(event: Json) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), dump(event))


def _item_event(share: float, verb: str, index: int, make: Callable[[], Json]) -> TimedEvent:
    return TimedEvent(
        share, f"response.output_item.{verb}", lambda: {"output_index": index, "item": make()}
    )


def _delta(position: Json, word: str, extra: Json, record: StoredResponse) -> Json:
    event = {**position, "delta": word, **extra}
    if record.request.obfuscated:
        # Random padding hides the word's length from eavesdroppers.
        event["obfuscation"] = secrets.token_urlsafe(16)[: max(1, 16 - len(word))]
    return event
