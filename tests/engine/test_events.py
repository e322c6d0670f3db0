"""
Events are parsed from bytes, however the bytes are split and whatever the line ends.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._engine.events import EventParser, is_event_stream, iter_events


def parsed(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """
    Feed pieces; return the events' data and the rest.
    """
    parser = EventParser()
    return [data for piece in pieces for data in parser.feed(piece)], parser.pending()


@pytest.mark.parametrize(
    "body,events",
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"event: x\r\ndata: a\r\n\r\n", [b"a"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n  \n  data: a\n\n", []),
        (b": keep-alive\n\n:\n\ndata: a\n: more\n\n", [b"a"]),
        (b"data: a\ndata: b\ndata\ndata:\n\n", [b"a\nb\n\n"]),
        (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"id: 1\nretry: 5\nevent: x\n\ndata: a\n\n", [b"a"]),
        (b"database: x\ndat: y\ndata: a:b\n\n", [b"a:b"]),
        (b"data: a\n\ndata: b", [b"a"]),
        (b"", []),
    ],
)
def test_lines_are_parsed_as_in_the_standard(body: bytes, events: list[bytes]) -> None:
    """
    All line ends, comments, several data lines, fields without a value, and a byte order mark.
    """
    assert parsed([body])[0] == events


SAMPLES = st.sampled_from(
    [b"data: x", b"data:y", b"data", b": c", b"event: e", b"", b"a", b":", b" ", b"\xef\xbb\xbf",
     b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r"]
)  # fmt: skip


@given(st.lists(SAMPLES | st.binary(max_size=5), max_size=30), st.data())
def test_chunk_boundaries_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    """
    Wherever a stream is split, its events and the rest are the same.
    """
    body = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=9)))
    pieces = [body[start:end] for start, end in itertools.pairwise([0, *cuts, len(body)])]
    assert parsed(pieces) == parsed([body])
    assert parsed([body[at : at + 1] for at in range(len(body))]) == parsed([body])


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=9), min_size=1
    )
)
def test_incomplete_last_event_is_parsed(lines: list[str]) -> None:
    """
    A body that ends within an event gives that event as far as received.
    """
    body = b"data: first\n\n" + "\n".join(f"data: {line}" for line in lines).encode()
    assert list(iter_events(body)) == [b"first", "\n".join(lines).encode()]
    parser = EventParser()
    assert list(parser.feed(body)) == [b"first"]
    assert parser.last() == "\n".join(lines).encode()
    assert parser.size > 0
    assert list(parser.feed(b"\n\n")) == ["\n".join(lines).encode()]
    assert (parser.size, parser.last(), parser.pending()) == (0, None, b"")


@pytest.mark.parametrize(
    "head,expected",
    [
        (b"", None),
        (b" \r\n\t", None),
        (b"\xef\xbb", None),
        (b"\xef\xbb\xbf", None),
        (b"eve", None),
        (b"data", None),
        (b"data:", True),
        (b"event: x", True),
        (b"\n\nid: 1", True),
        (b"retry: 1", True),
        (b": OPENROUTER PROCESSING", True),
        (b"\xef\xbb\xbfdata: x", True),
        (b'{"id": 1}', False),
        (b"<html>", False),
        (b"[", False),
        (b"dating", False),
        (b'\xef\xbb\xbf{"id"', False),
    ],
)
def test_event_stream_is_recognised_by_first_bytes(head: bytes, *, expected: bool | None) -> None:
    """
    The first bytes that are not blank distinguish events from anything else, once there are enough.
    """
    assert is_event_stream(head) is expected
