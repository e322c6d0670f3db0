"""
Split a file into lines as it arrives, so that only one line is held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs


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
