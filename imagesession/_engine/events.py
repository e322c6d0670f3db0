"""
Parse server-sent events from bytes, in whatever pieces they come.

An event of 4 MB is one line. It is put together once and never decoded to text: the JSON parser
takes bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_LINE_ENDS = b"\r\n"
# Lines of a few megabytes are put together from such pieces faster than they are cut out of one.
_PIECE = 64 * 1024


def opening(head: bytes) -> bytes:
    """
    Return the beginning of a body from its first byte that is not blank.
    """
    return head.removeprefix(_BOM).lstrip()


def are_events(head: bytes) -> bool | None:
    """
    Tell by the beginning of a body whether it is a stream of events, whatever it is labelled.

    Returns:
        None while the beginning is too short to tell.
    """
    begun = opening(head)
    if begun.startswith((b":", *_FIELDS)):
        return True
    # An empty beginning is the start of anything.
    undecided = _BOM.startswith(begun) or any(field.startswith(begun) for field in _FIELDS)
    return None if undecided else False


def events_in(body: bytes) -> Iterator[bytes]:
    """
    Yield the data of each event of a body, also of a last one whose end is missing.
    """
    parser = EventParser()
    yield from parser.feed(body)
    if (last := parser.last()) is not None:
        yield last


@attrs.define
class EventParser:
    """
    Puts events together from the pieces in which a stream comes.

    Attributes:
        size: The bytes of the event that is not complete yet.
    """

    size: int = attrs.field(default=0, init=False)
    _line: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _data: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _after_cr: bool = attrs.field(default=False, init=False)
    _is_first: bool = attrs.field(default=True, init=False)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """
        Take in a piece; yield the data of each event that ends in it.
        """
        for start in range(0, len(piece), _PIECE):
            yield from self._feed(piece[start : start + _PIECE])

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        if self._after_cr:
            # The second half of a line end that was cut in two.
            piece = piece.removeprefix(b"\n")
        self._after_cr = piece.endswith(b"\r")
        for part in piece.splitlines(keepends=True):
            line = part.rstrip(_LINE_ENDS)
            self._line.append(line)
            self.size += len(line)
            if len(line) < len(part):
                yield from self._end_line()

    def pending(self) -> bytes:
        """
        Return what came of an event whose end has not come.
        """
        lines = (b"data: %b\n" % line for line in self._data)
        return b"".join([*lines, *self._line])

    def last(self) -> bytes | None:
        """
        Return the data of the event whose end has not come, as if the stream ended here.
        """
        return next(EventParser().feed(self.pending() + b"\n\n"), None)

    def _end_line(self) -> Iterator[bytes]:
        field, value = self._take_field()
        if field is None:
            data, self._data, self.size = self._data, [], 0
            if data:
                yield data[0] if len(data) == 1 else b"\n".join(data)
        elif field == b"data":
            self._data.append(value)

    def _take_field(self) -> tuple[bytes | None, bytes]:
        """
        Return the field and the value of the line that has ended; None for an empty line.
        """
        parts, self._line = self._line, []
        head = parts[0]
        if self._is_first or head.find(b":", 0, len(head) - 1) < 0:
            # The mark at the start, the name or the blank behind the colon may be cut in two.
            head = b"".join(parts)
            head = opening(head) if self._is_first else head
            parts, self._is_first = [head], False
        if len(parts) == 1 and not head:
            return None, b""
        field, _, begun = head.partition(b":")
        return field, b"".join([begun.removeprefix(b" "), *parts[1:]])
