"""
A file is taken apart into its lines, however it comes in pieces.
"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from imagesession._runtime.line_reader import LineReader


def rows_of(pieces: list[bytes], longest: int = 1_000) -> list[bytes]:
    """
    Feed pieces; return the lines.
    """
    rows = LineReader(longest)
    return [*(row for piece in pieces for row in rows.feed(piece)), *rows.end()]


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_do_not_depend_on_pieces(lines: list[bytes], data: st.DataObject) -> None:
    """
    Wherever a file is cut, its lines are the same; empty ones are left out.
    """
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    assert rows_of(pieces) == [row for row in whole.split(b"\n") if row.strip()]


def test_a_line_that_is_too_long_is_cut() -> None:
    """
    A line that is longer than any should be is cut, and the next one is whole.
    """
    assert rows_of([b"abc", b"def\n", b"gh"], longest=4) == [b"abcd", b"gh"]
