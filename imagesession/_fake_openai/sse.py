"""
Stream a response: its events in the order in which the API sends them, each with its time.

Events: https://platform.openai.com/docs/api-reference/responses-streaming
"""

import functools
import re
import secrets
from collections.abc import Callable, Iterator

import attrs

from imagesession._fake_openai.faults import Blocked, Broken, Refused
from imagesession._fake_openai.http import Delay, Json, Part, dump
from imagesession._fake_openai.memory import ImageItem, StoredResponse
from imagesession._fake_openai.response_writer import ResponseWriter

# The shares of the latency after which reasoning and drawing end; the message comes last.
_THOUGHT, _DRAWN = 0.1, 0.9


@attrs.frozen
class TimedEvent:
    share: float
    type: str
    make: Callable[[], Json]


@attrs.frozen(kw_only=True)
class EventPlayer:
    writer: ResponseWriter
    clock: Callable[[], float]
    poor_end: bool

    def play(self, record: StoredResponse, *, after: int = -1) -> Iterator[Part]:
        elapsed = self.clock() - record.created
        for number, event in enumerate(self.events(record)):
            if number <= after:
                continue
            due = record.latency * event.share
            if due > elapsed:
                yield Delay(due - elapsed)
            # With a clock that stands still, the same time must not be waited for twice.
            elapsed = max(elapsed, due, self.clock() - record.created)
            if record.cancelled:
                return
            yield encode({"type": event.type, "sequence_number": number, **event.make()})

    def events(self, record: StoredResponse) -> Iterator[TimedEvent]:
        yield from self._first_events(record)
        index = 0
        for item_id, write, end in (
            (record.compaction_id, self.writer.compaction, 0.0),
            (record.reasoning_id, self.writer.reasoning, _THOUGHT),
        ):
            if item_id:
                make = functools.partial(write, record)
                yield _item_event(0.0, "added", index, make)
                yield _item_event(end, "done", index, make)
                index += 1
        for number, drawing in enumerate(record.drawings):
            yield from self._image(record, drawing, index, number)
            index += 1
        outcome = self.writer.outcome(record)
        if outcome == "completed":
            yield from self._message(record, index)
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
        def make() -> Json:
            return {"response": self.writer.response(record, status, results=not self.poor_end)}

        return TimedEvent(share, type, make)

    def _image(
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
        make_item = functools.partial(self.writer.image, record, drawing)
        yield _item_event(start + width, "done", index, make_item)

    def _partial(self, drawing: ImageItem, position: Json, step: int, portion: float) -> Json:
        picture = self.writer.base64(drawing, portion)
        facts = self.writer.facts(drawing)
        return {**position, "partial_image_index": step, "partial_image_b64": picture, **facts}

    def _message(self, record: StoredResponse, index: int) -> Iterator[TimedEvent]:
        part = self.writer.part(record)
        key = "refusal" if isinstance(record.ending, Refused) else "text"
        kind = "response.refusal" if key == "refusal" else "response.output_text"
        position: Json = {"item_id": record.message_id, "output_index": index, "content_index": 0}
        extra: Json = {} if key == "refusal" else {"logprobs": []}
        make_item = functools.partial(self.writer.message, record)
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
