"""
Fold a stream of events into what a plain reply would have said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from imagesession._model.partials import PartialImage
from imagesession.errors import ReplyError

from .failures import failure_of
from .lifting import parse
from .replies import Outcome, decode_picture, read_picture, read_response
from .tolerance import Json
from .wire import Received

_TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})
_DONE = b"[DONE]"


@attrs.define
class StreamAccumulator:
    """
    What the events so far add up to.

    Attributes:
        response_id: The provider's id, as soon as an event named it.
        outcome: What the stream says, once its last event has come.
    """

    response_id: str | None = None
    outcome: Outcome | None = None
    sequence: int | None = None
    status: str | None = None
    _pictures: list[Received] = attrs.field(factory=list[Received], init=False)
    _items: list[Json] = attrs.field(factory=list[Json], init=False)

    def feed(self, data: bytes) -> Iterator[PartialImage | Received]:
        """
        Take one event's data in.

        Yields:
            A partial image, if the event brought one that can be read.

        Raises:
            ImageSessionError: The event is an error.
            ReplyError: The event makes no sense.
        """
        if data.strip() in {b"", _DONE}:
            return
        event = _read_event(data)
        kind = event.get("type")
        number = event.get("sequence_number")
        self.sequence = number if isinstance(number, int) else self.sequence
        response = event.get("response")
        if isinstance(response, dict):
            self._take_response(str(kind), cast("dict[str, Any]", response))
        elif kind == "response.output_item.done":
            self._take_item(event.get("item"))
            item = event.get("item")
            if isinstance(item, dict) and item.get("result"):
                try:
                    one = read_picture(item)
                except ReplyError:
                    return
                self._pictures.append(one)
                yield one
        elif kind == "response.image_generation_call.partial_image":
            yield from _read_partial(event)
        elif kind == "error":
            raise _stream_error(event)

    def _take_response(self, kind: str, response: dict[str, Any]) -> None:
        response_id = response.get("id")
        if isinstance(response_id, str):
            self.response_id = response_id
        self.status = response.get("status")
        if kind in _TERMINAL:
            # Some servers leave the items out of the last event and send them one by one only.
            if not response.get("output"):
                response = {**response, "output": self._items}
            self.outcome = read_response(response)
            self._items = []

    def interrupted(self) -> Outcome | None:
        if not self._pictures:
            return None
        return Outcome(response_id=self.response_id, finished=True, pictures=tuple(self._pictures))

    def _take_item(self, item: object) -> None:
        if isinstance(item, dict):
            self._items.append(cast("dict[str, Any]", item))


def _read_event(data: bytes) -> Mapping[str, Any]:
    try:
        event = parse(data)
    except ValueError as error:
        raise ReplyError(f"An event of the stream is no JSON: {error}.") from error
    if not isinstance(event, dict):
        raise ReplyError("An event of the stream is no JSON object.")
    return cast("Mapping[str, Any]", event)


def _read_partial(event: Mapping[str, Any]) -> Iterator[PartialImage]:
    """
    Yield the partial image of an event; one that cannot be read is no loss and is left out.
    """
    index = event.get("partial_image_index")
    try:
        data, facts = decode_picture(event.get("partial_image_b64"))
    except ReplyError:
        return
    yield PartialImage(
        index=index if isinstance(index, int) else 0,
        data=data,
        format=facts.format,
        width=facts.width,
        height=facts.height,
    )


def _stream_error(event: Mapping[str, Any]) -> Exception:
    """
    Read an error event: its facts stand in the event itself or in an `error` beneath it.
    """
    nested = event.get("error")
    return failure_of(cast("Json", nested) if isinstance(nested, dict) else event)
