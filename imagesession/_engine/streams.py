"""
Accumulate the events of a stream into the outcome that a plain reply would have had.

A finished image is read from the first event that holds its bytes, whatever the event's type. No
later event removes it: neither an error nor an item without bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession.errors import ImageSessionError, InvalidResponseError

from .coerce import Json, as_id, as_list, as_mapping, as_text
from .decoding import decode_image, salvage
from .events import iter_events
from .http import ReceivedImage
from .json_views import loads_with_views
from .outcomes import (
    FINISHED,
    IMAGE_CALL,
    ResponseOutcome,
    decode_image_or_none,
    encoded_image,
    parse_response_object,
    read_images_object,
    read_images_usage,
)
from .output_items import OutputItems
from .provider_errors import map_error_object

_TERMINAL = {f"response.{status}": status for status in FINISHED} | {"response.done": "completed"}
_DIRECT = frozenset({"image_generation.completed", "image_edit.completed"})
_CALL_COMPLETED = "response.image_generation_call.completed"
_TEXT_DELTA = "response.output_text.delta"
_DONE = b"[DONE]"
_PARTIAL_FIELDS = frozenset({"partial_image_b64", "partial_image_index"})
# A shorter event of an unknown type holds no image.
_MIN_SEARCH_BYTES = 512


def read_events(body: bytes) -> ResponseOutcome:
    accumulator = StreamAccumulator()
    first_error: ImageSessionError | None = None
    for data in iter_events(body):
        try:
            list(accumulator.feed(data))
        except ImageSessionError as error:
            first_error = first_error or error
    outcome = accumulator.outcome or accumulator.interrupted()
    if outcome is not None:
        return outcome
    if first_error is not None:
        raise first_error
    if accumulator.response_id is None:
        raise InvalidResponseError(
            "The provider's reply is a stream of events that ends without an image."
        )
    return ResponseOutcome(
        response_id=accumulator.response_id, finished=False, status=accumulator.status or ""
    )


@attrs.define
class StreamAccumulator:
    """
    The events received so far, and the outcome that they add up to.

    Attributes:
        response_id: The provider's id, as soon as an event has it.
        sequence: The number of the last event, after which a stream can be resumed.
        status: The response's latest status.
        outcome: The stream's outcome, once its last event was received; an image that follows
            that event is added.
    """

    response_id: str | None = attrs.field(default=None, init=False)
    sequence: int | None = attrs.field(default=None, init=False)
    status: str | None = attrs.field(default=None, init=False)
    outcome: ResponseOutcome | None = attrs.field(default=None, init=False)
    _model: str = attrs.field(default="", init=False)
    _text: str = attrs.field(default="", init=False)
    _final: Json | None = attrs.field(default=None, init=False)
    _direct: Json | None = attrs.field(default=None, init=False)
    _failed: bool = attrs.field(default=False, init=False)
    _items: OutputItems = attrs.field(factory=OutputItems, init=False)

    @property
    def has_image(self) -> bool:
        return self._items.has_image

    def feed(self, data: bytes) -> Iterator[PartialImage | ReceivedImage]:
        """
        Add one event's data; yield a partial image that can be read, or a finished one: each image
        once. An event that is an error, or cannot be read, is raised if no image came before.
        """
        if data.strip() in {b"", _DONE}:
            return
        try:
            event = _read_event(data)
        except InvalidResponseError as error:
            yield from self._salvage(data)
            if not self._items.has_image:
                raise error from error.__cause__
            return
        sequence = event.get("sequence_number")
        if isinstance(sequence, int):
            self.sequence = sequence
        yield from self._dispatch(event, data)

    def interrupted(self) -> ResponseOutcome | None:
        """
        Return the outcome if the stream ends here; None if no image came.
        """
        if self.outcome is not None and self.outcome.images:
            return self.outcome
        return self._partial_outcome()

    def _partial_outcome(self) -> ResponseOutcome | None:
        if not self._items.has_image:
            return None
        response: Json = {"id": self.response_id, "status": self.status, "model": self._model}
        return self._read(response, self._items.to_list(unfinished=False))

    def _read(self, response: Json, items: list[Json]) -> ResponseOutcome:
        if self._text:
            part = {"type": "output_text", "text": self._text}
            items.append({"type": "message", "content": [part]})
        outcome = parse_response_object({**response, "output": items})
        return attrs.evolve(outcome, response_id=outcome.response_id or self.response_id)

    # --- events ---------------------------------------------------------------------------------

    def _dispatch(self, event: Json, data: bytes) -> Iterator[PartialImage | ReceivedImage]:
        kind = as_text(event.get("type"))
        if (response := _response_of(event, kind)) is not None:
            yield from self._read_response(response, kind)
            if self._final is not None and not self._items.has_image:
                yield from self._salvage(data)
        elif item := as_mapping(event.get("item")):
            done = not kind.endswith(".added")
            yield from self._read_item(item, _index_of(event), data, done=done)
        elif _is_partial(event, kind):
            yield from _read_partial(event)
        elif kind in _DIRECT or isinstance(event.get("data"), list):
            yield from self._read_images_event(event)
        elif kind == _CALL_COMPLETED or event.get("result") or event.get("b64_json"):
            yield from self._read_call(event)
        elif kind == _TEXT_DELTA:
            self._text += as_text(event.get("delta"))
        elif kind == "error" or (not kind and event.get("error")):
            self._fail(event)
        elif len(data) >= _MIN_SEARCH_BYTES:
            yield from self._salvage(data)

    def _read_response(self, response: Json, kind: str) -> Iterator[ReceivedImage]:
        status = as_text(response.get("status"))
        ends = kind in _TERMINAL or (not kind and status in FINISHED)
        if not response and not self._items.has_image:
            # The event only says that the response ended; its outcome has to be polled.
            return
        self.response_id = self.response_id or as_id(response.get("id"))
        self.status = status or _TERMINAL.get(kind) or self.status
        self._model = as_text(response.get("model")) or self._model
        if ends:
            self._final = {**response, "status": self.status, "output": ()}
        for index, item in enumerate(map(as_mapping, as_list(response.get("output")))):
            yield from self._add_item(item, index, done=ends, final=ends)
        self._conclude()

    def _read_item(
        self, item: Json, index: int | None, data: bytes, *, done: bool
    ) -> Iterator[ReceivedImage]:
        yield from self._add_item(item, index, done=done)
        if encoded_image(item) and not self._items.has_image:  # its type is missing or damaged
            yield from self._salvage(data)

    def _add_item(
        self, item: Json, index: int | None, *, done: bool = True, final: bool = False
    ) -> Iterator[ReceivedImage]:
        image = self._items.add(item, index, done=done, final=final)
        if done and item.get("type") == "message":
            self._text = ""
        if image is not None:
            self._conclude()
            yield image

    def _read_call(self, event: Json) -> Iterator[ReceivedImage]:
        item = {
            "type": IMAGE_CALL,
            "id": event.get("item_id") or event.get("id"),
            "result": encoded_image(event),
            "revised_prompt": event.get("revised_prompt"),
        }
        readable = decode_image_or_none(item)
        if readable is None and event.get("type") != _CALL_COMPLETED:
            # Other tools have results too.
            return
        item["result"] = readable or item["result"]
        yield from self._add_item(item, _index_of(event), done=False)

    def _read_images_event(self, event: Json) -> Iterator[ReceivedImage]:
        data = event.get("data")
        self._direct = event if isinstance(data, list) else {**event, "data": [event]}
        for item in map(as_mapping, as_list(self._direct["data"])):
            if (image := decode_image_or_none(item)) is not None:
                yield from self._add_image(image)
        self._conclude()

    def _add_image(self, image: ReceivedImage) -> Iterator[ReceivedImage]:
        item = {"type": IMAGE_CALL, "id": image.call_id, "result": image}
        yield from self._add_item(item, None)

    def _salvage(self, data: bytes) -> Iterator[ReceivedImage]:
        for image in salvage(data):
            yield from self._add_image(image)

    def _fail(self, event: Json) -> None:
        if not self._items.has_image:
            raise _stream_error(event)
        self._failed = True
        self._conclude()

    # --- outcome --------------------------------------------------------------------------------

    def _conclude(self) -> None:
        if self._final is not None:
            self.outcome = self._read(self._final, self._items.to_list())
        elif self._failed:
            self.outcome = self._partial_outcome()
        elif self._direct is not None:
            self.outcome = self._read_direct(self._direct)

    def _read_direct(self, body: Json) -> ResponseOutcome:
        if not self._items.has_image:
            return read_images_object(body)
        outcome = self._read({"status": "completed"}, self._items.to_list())
        return attrs.evolve(outcome, used_mainline=False, usage=read_images_usage(body))


def _response_of(event: Json, kind: str) -> Json | None:
    """
    Return the response that an event holds, or is; an empty one if it only says that it ended.
    """
    response = event.get("response")
    if isinstance(response, dict):
        return cast("Json", response)
    if isinstance(event.get("output"), list) and "status" in event:
        return event
    return {} if kind in _TERMINAL else None


def _index_of(event: Json) -> int | None:
    index = event.get("output_index")
    return index if isinstance(index, int) else None


def _is_partial(event: Json, kind: str) -> bool:
    return "partial_image" in kind or not event.keys().isdisjoint(_PARTIAL_FIELDS)


def _read_event(data: bytes) -> Json:
    try:
        event = loads_with_views(data)
    except ValueError as error:
        raise InvalidResponseError(f"An event of the stream is not JSON: {error}.") from error
    if not isinstance(event, dict):
        raise InvalidResponseError("An event of the stream is not a JSON object.")
    return cast("Json", event)


def _read_partial(event: Json) -> Iterator[PartialImage]:
    """
    Yield the partial image of an event; an unreadable one is skipped.
    """
    index = event.get("partial_image_index")
    try:
        data, header = decode_image(event.get("partial_image_b64") or event.get("b64_json"))
    except InvalidResponseError:
        return
    yield PartialImage(
        index=index if isinstance(index, int) else 0,
        data=data,
        format=header.format,
        width=header.width,
        height=header.height,
    )


def _stream_error(event: Json) -> Exception:
    nested = event.get("error")
    if isinstance(nested, str):
        return map_error_object({"message": nested})
    return map_error_object(as_mapping(nested) or event)
