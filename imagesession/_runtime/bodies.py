"""
Take up an answer's body as it comes, no more of it than any answer should have.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs
import httpx2

from imagesession._engine.events import EventParser, are_events, opening
from imagesession._engine.http import HttpResponse
from imagesession._engine.json_views import loads_with_views

from .line_reader import LineReader
from .redact import redact

_EVENT_STREAM = "text/event-stream"
_DONE = b"[DONE]"


@attrs.define(eq=False)
class Body:
    """
    The pieces of a body, and what it turns out to be.

    Attributes:
        longest: How many bytes of it are kept.
        events: Whether it is a stream of events, which its beginning tells and no label does; None
            as long as too little of it came.
        pieces: What came.
    """

    longest: int
    events: bool | None = attrs.field(default=None, init=False)
    pieces: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _head: bytes = attrs.field(default=b"", init=False)
    _size: int = attrs.field(default=0, init=False)

    def add(self, piece: bytes) -> None:
        """
        Take in a piece.
        """
        self.pieces.append(piece)
        self._size += len(piece)
        if self.events is None:
            self._head = opening(self._head) + piece
            self.events = are_events(self._head)

    @property
    def is_full(self) -> bool:
        """
        Whether more came than any answer should have.
        """
        return self._size > self.longest

    def join(self) -> bytes:
        """
        Return what came.
        """
        return b"".join(self.pieces)

    def is_event_stream(self, response: httpx2.Response) -> bool:
        """
        Tell whether it is heard event by event; an empty one is what its label says.
        """
        if self.events is not None:
            return self.events
        label = str(response.headers.get("content-type", ""))
        return label.partition(";")[0].strip().lower() == _EVENT_STREAM

    def reply(self, response: httpx2.Response) -> HttpResponse:
        """
        Return the answer that has this body.
        """
        return HttpResponse(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=redact(self.join()[: self.longest], response.request),
            whole=not self.is_full,
        )


@attrs.define(eq=False)
class EventStream:
    """
    The events of an answer, no longer and no more than any should have.

    Attributes:
        request: What was sent; what proves who we are is taken out of the events.
        longest: How many bytes one event may have.
        most: How many bytes all of them may have.
    """

    request: httpx2.Request
    longest: int
    most: int
    _parser: EventParser = attrs.field(factory=EventParser, init=False)
    _received: int = attrs.field(default=0, init=False)

    def feed(self, piece: bytes) -> list[bytes]:
        """
        Take in a piece; return the data of each event that ends in it.

        Raises:
            ReadError: There was more than there should be before.
        """
        for what, size, limit in (
            ("an event of the stream", self._parser.size, self.longest),
            ("the stream", self._received, self.most),
        ):
            if size > limit:
                said = f"{what} has more than {limit / 1e6:.0f} MB"
                raise httpx2.ReadError(said, request=self.request)
        self._received += len(piece)
        return [redact(data, self.request) for data in self._parser.feed(piece)]

    def pending(self) -> bytes:
        """
        Return what came of an event that is not complete.
        """
        return self._parser.pending()

    def end(self) -> list[bytes]:
        """
        Return the data of a last event that is whole though its end is missing.

        Raises:
            RemoteProtocolError: The stream ended within an event.
        """
        data = self._parser.last()
        if data is None or not data.strip():
            return []
        if not _is_whole(data):
            said = "the stream ended within an event"
            raise httpx2.RemoteProtocolError(said, request=self.request)
        return [redact(data, self.request)]


@attrs.define(eq=False)
class RowStream:
    """
    The lines of an answer that is a file; what is longer than any should be is cut.

    Attributes:
        request: What was sent; what proves who we are is taken out of the lines.
        rows: Puts the lines together.
    """

    request: httpx2.Request
    rows: LineReader

    def feed(self, piece: bytes) -> list[bytes]:
        """
        Take in a piece; return the lines that end in it.
        """
        return [redact(row, self.request) for row in self.rows.feed(piece)]

    def pending(self) -> bytes:
        """
        Return what came of a line that is not complete.
        """
        return self.rows.pending()

    def end(self) -> list[bytes]:
        """
        Return the last line, which needs no end.
        """
        return [redact(row, self.request) for row in self.rows.end()]


Stream: TypeAlias = EventStream | RowStream


def _is_whole(data: bytes) -> bool:
    try:
        loads_with_views(data)
    except ValueError:
        return data.strip() == _DONE
    return True
