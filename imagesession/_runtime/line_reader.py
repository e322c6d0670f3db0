"""
Take a file apart into its lines as it comes, so that no more of it is held than one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.define
class LineReader:
    """
    Puts lines together from the pieces in which they come.

    Attributes:
        longest: How many bytes of a line are kept; what is longer than any should be is cut there.
    """

    longest: int
    _begun: list[bytes] = attrs.field(factory=list[bytes], init=False)
    _size: int = attrs.field(default=0, init=False)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """
        Take in a piece; yield the lines that end in it, but for empty ones.
        """
        *ended, rest = piece.split(b"\n")
        for end in ended:
            self._add(end)
            yield from self.end()
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        """
        Yield the line that has come until here, unless it is empty.
        """
        row = self.pending()
        self._begun, self._size = [], 0
        if row.strip():
            yield row

    def pending(self) -> bytes:
        """
        Return what came of a line whose end has not come.
        """
        return b"".join(self._begun)

    def _add(self, part: bytes) -> None:
        room = self.longest - self._size
        if part and room > 0:
            self._begun.append(part[:room])
            self._size += len(part)
