"""
Read response bodies incrementally, with limits on their size.
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from typing import TypeAlias

import attrs
import httpx2

from imagesession._engine.events import EventParser, is_event_stream, strip_start
from imagesession._engine.http import HttpResponse
from imagesession._engine.json_views import loads_with_views

from .redact import redact

_EVENT_STREAM = "text/event-stream"
_DONE = b"[DONE]"


@attrs.define(eq=False)
class Body:
    """
    The received chunks of a body, and whether it is a stream of events.

    Attributes:
        events: Whether it is a stream of events, judged by its first bytes and not by its content
            type; None while too few bytes have arrived.
    """

    max_bytes: int
    events: bool | None = attrs.field(default=None, init=False)
    chunks: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _head: bytes = attrs.field(default=b"", init=False)
    _size: int = attrs.field(default=0, init=False)

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self._size += len(chunk)
        if self.events is None:
            self._head = strip_start(self._head) + chunk
            self.events = is_event_stream(self._head)

    @property
    def is_full(self) -> bool:
        return self._size > self.max_bytes

    def join(self) -> bytes:
        return b"".join(self.chunks)

    def is_event_stream(self, response: httpx2.Response) -> bool:
        """
        Return whether it is a stream of events; for an empty body, its content type decides.
        """
        if self.events is not None:
            return self.events
        content_type = str(response.headers.get("content-type", ""))
        return content_type.partition(";")[0].strip().lower() == _EVENT_STREAM

    def to_response(self, response: httpx2.Response, *, opened: bool = False) -> HttpResponse:
        """
        Return the response with this body; an opened one without, as its events are to come.
        """
        # A recipient with a clock adds a missing date, by which other dates are read:
        # https://www.rfc-editor.org/rfc/rfc9110#field.date
        received = {"date": email.utils.formatdate(usegmt=True)}
        return HttpResponse(
            status=response.status_code,
            headers=received | {name.lower(): value for name, value in response.headers.items()},
            body=b"" if opened else redact(self.join()[: self.max_bytes], response.request),
            whole=not self.is_full,
            opened=opened,
        )


_LARGE_BYTES = 65_536


@attrs.define(eq=False)
class EventStream:
    """
    The events of a response, with limits on their size.

    Attributes:
        request: The request, whose credentials are removed from the events.
    """

    request: httpx2.Request
    max_bytes: int
    max_stream_bytes: int
    _parser: EventParser = attrs.field(factory=EventParser, init=False)
    _received: int = attrs.field(default=0, init=False)

    def feed(self, chunk: bytes) -> list[bytes]:
        for part, size, limit in (
            ("an event of the stream", self._parser.size, self.max_bytes),
            ("the stream", self._received, self.max_stream_bytes),
        ):
            if size > limit:
                message = f"{part} has more than {limit / 1e6:.0f} MB"
                raise httpx2.ReadError(message, request=self.request)
        self._received += len(chunk)
        return [redact(data, self.request) for data in self._parser.feed(chunk)]

    @property
    def is_large(self) -> bool:
        """
        Whether the incomplete last event has so many bytes that it may hold an image.
        """
        return self._parser.size > _LARGE_BYTES

    def pending(self) -> bytes:
        return self._parser.pending()

    def end(self) -> list[bytes]:
        """
        Return the data of a last event that is complete except for its blank line.
        """
        data = self._parser.last()
        if data is None or not data.strip():
            return []
        if not _is_complete(data):
            message = "the stream ended within an event"
            raise httpx2.RemoteProtocolError(message, request=self.request)
        return [redact(data, self.request)]


@attrs.define
class LineReader:
    """
    Assembles lines from received chunks.

    Attributes:
        max_bytes: How many bytes of a line are kept; longer lines are truncated.
    """

    max_bytes: int
    _parts: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _size: int = attrs.field(default=0, init=False)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            self._add(end)
            yield from self.end()
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        row = self.pending()
        self._parts, self._size = [], 0
        if row.strip():
            yield row

    def pending(self) -> bytes:
        return b"".join(self._parts)

    def _add(self, part: bytes) -> None:
        room = self.max_bytes - self._size
        if part and room > 0:
            self._parts.append(part[:room])
            self._size += len(part)


@attrs.define(eq=False)
class RowStream:
    """
    The lines of a response that is a file; overlong lines are truncated.

    Attributes:
        request: The request, whose credentials are removed from the lines.
    """

    request: httpx2.Request
    rows: LineReader
    is_large = False

    def feed(self, chunk: bytes) -> list[bytes]:
        return [redact(row, self.request) for row in self.rows.feed(chunk)]

    def pending(self) -> bytes:
        return self.rows.pending()

    def end(self) -> list[bytes]:
        return [redact(row, self.request) for row in self.rows.end()]


Stream: TypeAlias = EventStream | RowStream


def _is_complete(data: bytes) -> bool:
    try:
        loads_with_views(data)
    except ValueError:
        return data.strip() == _DONE
    return True
