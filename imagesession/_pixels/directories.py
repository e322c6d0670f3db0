"""
Read a TIFF's first directory ahead of Pillow, which warns of one that is broken.

https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, section 2
"""

from __future__ import annotations

import struct

import attrs

# The bytes of one value of each type, from BYTE to DOUBLE, and of BigTIFF's three.
_BASIC = (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
_WIDTHS = {**dict(enumerate(_BASIC, start=1)), 16: 8, 17: 8, 18: 8}
# Tags are 16-bit numbers, each there once.
_MOST_ENTRIES = 65_535
_NUMBERS = {3: "H", 4: "I", 16: "Q"}


@attrs.frozen(kw_only=True)
class _Layout:
    """
    How a TIFF writes its numbers.

    Attributes:
        order: The struct module's sign for its byte order.
        first: Where the first directory's place is written, in bytes.
        count: The struct format of how many entries there are.
        offset: The struct format of a place in the file, and of how many values an entry has.
    """

    order: str
    first: int
    count: str
    offset: str

    @property
    def inline(self) -> int:
        """
        How many bytes of values fit into an entry itself.
        """
        return struct.calcsize(self.offset)

    def read(self, form: str, data: bytes, at: int) -> tuple[int, ...]:
        """
        Read numbers.
        """
        return struct.unpack_from(self.order + form, data, at)


def read_directory(data: bytes) -> dict[int, int] | None:
    """
    Read the whole numbers that stand in the entries of a TIFF's first directory.

    Returns:
        The first number of each tag that has few enough to stand there; None when the directory,
        or a value that it points to, lies beyond the end of the file.
    """
    layout = _layout(data)
    found: dict[int, int] = {}
    try:
        (start,) = layout.read(layout.offset, data, layout.first)
        (count,) = layout.read(layout.count, data, start)
        if count > _MOST_ENTRIES:
            return None
        at = start + struct.calcsize(layout.count)
        for _ in range(count):
            found |= _entry(data, at, layout)
            at += 4 + 2 * layout.inline
        layout.read(layout.offset, data, at)
    except (struct.error, OverflowError):
        return None
    return found


def _layout(data: bytes) -> _Layout:
    order = "<" if data.startswith(b"II") else ">"
    if b"+" in data[2:4]:
        return _Layout(order=order, first=8, count="Q", offset="Q")
    return _Layout(order=order, first=4, count="H", offset="I")


def _entry(data: bytes, at: int, layout: _Layout) -> dict[int, int]:
    """
    Read an entry's number, if it has one.

    Raises:
        struct.error: It is cut off, or its values are.
    """
    tag, kind = layout.read("HH", data, at)
    (count,) = layout.read(layout.offset, data, at + 4)
    place = at + 4 + layout.inline
    size = count * _WIDTHS.get(kind, 0)
    if size > layout.inline:
        (start,) = layout.read(layout.offset, data, place)
        if start + size > len(data):
            raise struct.error("a value beyond the end")
        return {}
    if kind not in _NUMBERS or count == 0:
        return {}
    return {tag: layout.read(_NUMBERS[kind], data, place)[0]}
