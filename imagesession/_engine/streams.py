"""
Add the events of a stream up to what a plain reply would have said.

A finished picture is taken from the first event that holds its bytes, whatever the event is called,
and nothing that comes later takes it away: neither an error nor an item without bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession.errors import ImageSessionError, InvalidResponseError

from .coerce import Json, as_id, as_list, as_mapping, as_text
from .decoding import decode_image, salvage
from .events import events_in
from .http import ReceivedImage
from .json_views import loads_with_views
from .outcomes import (
    FINISHED,
    IMAGE_CALL,
    ResponseOutcome,
    encoded_picture,
    parse_response_object,
    read_images_object,
    read_images_usage,
    readable_picture,
)
from .output_items import OutputItems
from .provider_errors import map_error_object

_TERMINAL = {f"response.{status}": status for status in FINISHED} | {"response.done": "completed"}
_DIRECT = frozenset({"image_generation.completed", "image_edit.completed"})
_CALL_COMPLETED = "response.image_generation_call.completed"
_TEXT_DELTA = "response.output_text.delta"
_DONE = b"[DONE]"
_PARTIAL_FIELDS = frozenset({"partial_image_b64", "partial_image_index"})
# What is smaller and of an unknown kind has no picture in it that is worth a search.
_WORTH_SEARCHING = 512


def read_events(body: bytes) -> ResponseOutcome:
    """
    Read a body that is a stream of events.

    Raises:
        ImageSessionError: An event is an error, or they add up to nothing.
    """
    accumulator = StreamAccumulator()
    problem: ImageSessionError | None = None
    for data in events_in(body):
        try:
            list(accumulator.feed(data))
        except ImageSessionError as error:
            problem = problem or error
    outcome = accumulator.outcome or accumulator.interrupted()
    if outcome is not None:
        return outcome
    if problem is not None:
        raise problem
    if accumulator.response_id is None:
        raise InvalidResponseError(
            "The provider's reply is a stream of events that ends without a picture."
        )
    return ResponseOutcome(
        response_id=accumulator.response_id, finished=False, status=accumulator.status or ""
    )


@attrs.define
class StreamAccumulator:
    """
    What the events so far add up to.

    Attributes:
        response_id: The provider's id, as soon as an event named it.
        sequence: The number of the last event, after which a stream can be resumed.
        status: The status that the response had last.
        outcome: What the stream says, once its last event has come; a picture that comes behind
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

    def feed(self, data: bytes) -> Iterator[PartialImage | ReceivedImage]:
        """
        Take one event's data in.

        Yields:
            A partial image that can be read, or a finished picture: each picture once.

        Raises:
            ImageSessionError: The event is an error, and no picture came before.
            InvalidResponseError: The event makes no sense, and no picture came before.
        """
        if data.strip() in {b"", _DONE}:
            return
        try:
            event = _read_event(data)
        except InvalidResponseError as error:
            yield from self._rescue(data)
            if not self._items.has_picture:
                raise error from error.__cause__
            return
        sequence = event.get("sequence_number")
        if isinstance(sequence, int):
            self.sequence = sequence
        yield from self._take(event, data)

    def interrupted(self) -> ResponseOutcome | None:
        """
        Return what the events add up to if the stream ends here; None if no picture came.
        """
        if self.outcome is not None and self.outcome.pictures:
            return self.outcome
        return self._so_far()

    def _so_far(self) -> ResponseOutcome | None:
        if not self._items.has_picture:
            return None
        response: Json = {"id": self.response_id, "status": self.status, "model": self._model}
        return self._read(response, self._items.whole(unfinished=False))

    def _read(self, response: Json, items: list[Json]) -> ResponseOutcome:
        if self._text:
            part = {"type": "output_text", "text": self._text}
            items.append({"type": "message", "content": [part]})
        outcome = parse_response_object({**response, "output": items})
        return attrs.evolve(outcome, response_id=outcome.response_id or self.response_id)

    # --- events ---------------------------------------------------------------------------------

    def _take(self, event: Json, data: bytes) -> Iterator[PartialImage | ReceivedImage]:
        kind = as_text(event.get("type"))
        if (response := _response_of(event, kind)) is not None:
            yield from self._take_response(response, kind)
        elif item := as_mapping(event.get("item")):
            done = not kind.endswith(".added")
            yield from self._take_item(item, _index_of(event), done=done)
        elif _is_partial(event, kind):
            yield from _read_partial(event)
        elif kind in _DIRECT or isinstance(event.get("data"), list):
            yield from self._take_direct(event)
        elif kind == _CALL_COMPLETED or event.get("result") or event.get("b64_json"):
            yield from self._take_call(event)
        elif kind == _TEXT_DELTA:
            self._text += as_text(event.get("delta"))
        elif kind == "error" or (not kind and event.get("error")):
            self._fail(event)
        elif len(data) >= _WORTH_SEARCHING:
            yield from self._rescue(data)

    def _take_response(self, response: Json, kind: str) -> Iterator[ReceivedImage]:
        status = as_text(response.get("status"))
        ends = kind in _TERMINAL or (not kind and status in FINISHED)
        if not response and not self._items.has_picture:
            # That it ended is all that this says; what became of it has to be asked for.
            return
        self.response_id = self.response_id or as_id(response.get("id"))
        self.status = status or _TERMINAL.get(kind) or self.status
        self._model = as_text(response.get("model")) or self._model
        if ends:
            self._final = {**response, "status": self.status, "output": ()}
        for index, item in enumerate(map(as_mapping, as_list(response.get("output")))):
            yield from self._take_item(item, index, done=ends, final=ends)
        self._conclude()

    def _take_item(
        self, item: Json, index: int | None, *, done: bool = True, final: bool = False
    ) -> Iterator[ReceivedImage]:
        picture = self._items.take(item, index, done=done, final=final)
        if done and item.get("type") == "message":
            self._text = ""
        if picture is not None:
            self._conclude()
            yield picture

    def _take_call(self, event: Json) -> Iterator[ReceivedImage]:
        """
        Take the picture of an event that tells of a call and not of an item.
        """
        item = {
            "type": IMAGE_CALL,
            "id": event.get("item_id") or event.get("id"),
            "result": encoded_picture(event),
            "revised_prompt": event.get("revised_prompt"),
        }
        readable = readable_picture(item)
        if readable is None and event.get("type") != _CALL_COMPLETED:
            # Other tools have results, too.
            return
        item["result"] = readable or item["result"]
        yield from self._take_item(item, _index_of(event), done=False)

    def _take_direct(self, event: Json) -> Iterator[ReceivedImage]:
        """
        Take an event of the Images API, or an object of it that came as an event.
        """
        data = event.get("data")
        self._direct = event if isinstance(data, list) else {**event, "data": [event]}
        for member in map(as_mapping, as_list(self._direct["data"])):
            if (picture := readable_picture(member)) is not None:
                yield from self._take_picture(picture)
        self._conclude()

    def _take_picture(self, picture: ReceivedImage) -> Iterator[ReceivedImage]:
        item = {"type": IMAGE_CALL, "id": picture.call_id, "result": picture}
        yield from self._take_item(item, None, done=False)

    def _rescue(self, data: bytes) -> Iterator[ReceivedImage]:
        for picture in salvage(data):
            yield from self._take_picture(picture)

    def _fail(self, event: Json) -> None:
        if not self._items.has_picture:
            raise _stream_error(event)
        self._failed = True
        self._conclude()

    # --- outcome --------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """
        Say once more what the stream says, if it has ended.
        """
        if self._final is not None:
            self.outcome = self._read(self._final, self._items.whole())
        elif self._failed:
            self.outcome = self._so_far()
        elif self._direct is not None:
            self.outcome = self._read_direct(self._direct)

    def _read_direct(self, body: Json) -> ResponseOutcome:
        if not self._items.has_picture:
            return read_images_object(body)
        outcome = self._read({"status": "completed"}, self._items.whole())
        return attrs.evolve(outcome, used_mainline=False, usage=read_images_usage(body))


def _response_of(event: Json, kind: str) -> Json | None:
    """
    Return the response that an event carries, or is; an empty one if it only says that it ended.
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
        raise InvalidResponseError(f"An event of the stream is no JSON: {error}.") from error
    if not isinstance(event, dict):
        raise InvalidResponseError("An event of the stream is no JSON object.")
    return cast("Json", event)


def _read_partial(event: Json) -> Iterator[PartialImage]:
    """
    Yield the partial image of an event; one that cannot be read is no loss and is left out.
    """
    index = event.get("partial_image_index")
    try:
        data, facts = decode_image(event.get("partial_image_b64") or event.get("b64_json"))
    except InvalidResponseError:
        return
    yield PartialImage(
        index=index if isinstance(index, int) else 0,
        data=data,
        format=facts.format,
        width=facts.width,
        height=facts.height,
    )


def _stream_error(event: Json) -> Exception:
    """
    Read an error event: its facts stand in the event itself or in an `error` beneath it.
    """
    nested = event.get("error")
    if isinstance(nested, str):
        return map_error_object({"message": nested})
    return map_error_object(as_mapping(nested) or event)
