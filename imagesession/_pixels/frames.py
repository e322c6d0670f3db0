"""
Measure a GIF's first frame ahead of Pillow, which warns of one that reaches far beyond the screen.

https://www.w3.org/Graphics/GIF/spec-gif89a.txt
"""

from __future__ import annotations

import struct

_SCREEN_END = 13
_EXTENSION, _FRAME = 0x21, 0x2C


def first_extent(data: bytes) -> tuple[int, int] | None:
    """
    Tell how far to the right and down a GIF's first frame reaches.

    Returns:
        In pixels; None when there is no frame.
    """
    try:
        at = _SCREEN_END + _colours(data[10])
        while data[at] == _EXTENSION:
            # An extension's kind stands behind its sign, and then its blocks.
            at = _after_blocks(data, at + 2)
        if data[at] != _FRAME:
            return None
        left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
    except (IndexError, struct.error):
        return None
    return left + width, top + height


def _colours(flags: int) -> int:
    """
    Return how many bytes a table of colours has.
    """
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1
