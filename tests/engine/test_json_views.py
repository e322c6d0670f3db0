"""
Lifting pictures out of JSON changes nothing of what it says.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._engine.json_views import loads_with_views

LONG = "QUJD" * 2000
LONG_TEXTS = st.sampled_from([LONG, LONG + "\n", LONG + '"', "é" * 5000])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | LONG_TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["result", "b64_json", "partial_image_b64", "x"]), inner)
    ),
    max_leaves=10,
)


def as_text(value: Any) -> Any:
    """
    Turn views back into the texts that they are.
    """
    if isinstance(value, memoryview):
        return value.tobytes().decode()
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {name: as_text(member) for name, member in members}
    if isinstance(value, list):
        items: list[Any] = value
        return list(map(as_text, items))
    return value


@given(values, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t ")]), st.booleans())
def test_it_says_the_same(value: Any, separators: tuple[str, str], escaped: bool) -> None:  # noqa: FBT001 - drawn
    """
    Whatever JSON, however spaced and escaped, says the same as to the ordinary parser.
    """
    body = json.dumps(value, separators=separators, ensure_ascii=escaped).encode()
    assert as_text(loads_with_views(body)) == value


def test_pictures_are_not_copied() -> None:
    """
    A large picture is a view of the body, not a text.
    """
    body = json.dumps({"output": [{"result": LONG}, {"result": "short"}]}).encode()
    parsed: Any = loads_with_views(body)
    assert isinstance(parsed["output"][0]["result"], memoryview)
    assert parsed["output"][0]["result"].obj is body
    assert parsed["output"][1]["result"] == "short"


@pytest.mark.parametrize("end", [1, 2, 3, 100])
def test_cut_json_is_no_json(end: int) -> None:
    """
    A body that was cut within or after its picture is an error, as ever.
    """
    body = json.dumps({"result": LONG, "x": 1}).encode()
    for cut in (body[:-end], body[: len(body) // 2]):
        with pytest.raises(ValueError, match=r"line 1|char"):
            loads_with_views(cut)


@pytest.mark.parametrize("inside", [b"", b"\\ud83c"])
@pytest.mark.parametrize("picture", ["short", LONG])
def test_deep_nesting_is_no_json(inside: bytes, picture: str) -> None:
    """
    What is nested without end is an error like any other, behind whatever it stands.
    """
    deep = b'["' + inside + b'",' + b"[" * 100_000 + b"]" * 100_001
    body = b'{"result": "' + picture.encode() + b'", "x": ' + deep + b"}"
    with pytest.raises(ValueError, match=r"recursion|deep"):
        loads_with_views(body)
    with pytest.raises(ValueError, match=r"recursion|deep"):
        loads_with_views(b"[" * 100_000)


def test_bytes_that_are_no_text_do_not_matter() -> None:
    """
    A character in another encoding is replaced, and the rest is read.
    """
    assert loads_with_views(b'{"a": "caf\xe9", "b": 1}') == {"a": "caf\ufffd", "b": 1}
    assert loads_with_views(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_raise(data: bytes) -> None:
    """
    No bytes break the parser otherwise than by a ValueError.
    """
    with contextlib.suppress(ValueError):
        loads_with_views(b'{"result": "' + data)
