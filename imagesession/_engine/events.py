"""
Parse server-sent events from bytes, in pieces of any size.

An event of 4 MB is one line. It is joined once and never decoded to text, as the JSON parser takes
bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_LINE_ENDS = b"\r\n"
# Joining a line of megabytes from such pieces is faster than cutting it out of a large one.
_PIECE = 64 * 1024


def strip_start(head: bytes) -> bytes:
    """
    Return the start of a body without byte order mark and leading whitespace.
    """
    return head.removeprefix(_BOM).lstrip()


def is_event_stream(head: bytes) -> bool | None:
    """
    Return whether a body is a stream of events, by its first bytes and not by its content type;
    None while there are too few to tell.
    """
    start = strip_start(head)
    if start.startswith((b":", *_FIELDS)):
        return True
    # An empty start is undecided.
    undecided = _BOM.startswith(start) or any(field.startswith(start) for field in _FIELDS)
    return None if undecided else False


def iter_events(body: bytes) -> Iterator[bytes]:
    """
    Yield the data of each event in a body, including a last one whose end is missing.
    """
    parser = EventParser()
    yield from parser.feed(body)
    if (last := parser.last()) is not None:
        yield last


@attrs.define
class EventParser:
    """
    Parses events from the pieces of a stream.

    Attributes:
        size: The number of bytes of the incomplete event.
    """

    size: int = attrs.field(default=0, init=False)
    _line: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _data: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _after_cr: bool = attrs.field(default=False, init=False)
    _is_first: bool = attrs.field(default=True, init=False)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        for start in range(0, len(piece), _PIECE):
            yield from self._feed(piece[start : start + _PIECE])

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        if self._after_cr:
            # The second half of a line end that was split between pieces.
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        for part in piece.splitlines(keepends=True):
            line = part.rstrip(_LINE_ENDS)
            self._line.append(line)
            self.size += len(line)
            if len(line) < len(part):
                yield from self._end_line()

    def pending(self) -> bytes:
        lines = (b"data: %b\n" % line for line in self._data)
        return b"".join([*lines, *self._line])

    def last(self) -> bytes | None:
        return next(EventParser().feed(self.pending() + b"\n\n"), None)

    def _end_line(self) -> Iterator[bytes]:
        field, value = self._pop_field()
        if field is None:
            data, self._data, self.size = self._data, [], 0
            if data:
                yield data[0] if len(data) == 1 else b"\n".join(data)
        elif field == b"data":
            self._data.append(value)

    def _pop_field(self) -> tuple[bytes | None, bytes]:
        parts, self._line = self._line, []
        head = parts[0]
        if self._is_first or head.find(b":", 0, len(head) - 1) < 0:
            # The byte order mark, the field's name or the blank after the colon may be split.
            head = b"".join(parts)
            head = strip_start(head) if self._is_first else head
            parts, self._is_first = [head], False
        if len(parts) == 1 and not head:
            return None, b""
        field, _, value = head.partition(b":")
        return field, b"".join([value.removeprefix(b" "), *parts[1:]])
