"""
A file is split into its lines, whatever its chunks.
"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from imagesession._runtime.bodies import LineReader


def lines_of(chunks: list[bytes], max_bytes: int = 1_000) -> list[bytes]:
    """
    Feed chunks; return the lines.
    """
    rows = LineReader(max_bytes)
    return [*(row for chunk in chunks for row in rows.feed(chunk)), *rows.end()]


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_do_not_depend_on_chunks(lines: list[bytes], data: st.DataObject) -> None:
    """
    Wherever a file is cut into chunks, its lines are the same; empty ones are left out.
    """
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    edges = [0, *cuts, len(whole)]
    chunks = [whole[start:end] for start, end in itertools.pairwise(edges)]
    assert lines_of(chunks) == [row for row in whole.split(b"\n") if row.strip()]


def test_overlong_line_is_truncated() -> None:
    """
    An overlong line is truncated, and the next one is complete.
    """
    assert lines_of([b"abc", b"def\n", b"gh"], max_bytes=4) == [b"abcd", b"gh"]
