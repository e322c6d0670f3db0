"""
Parsing JSON with images as views gives the same values as the ordinary parser.
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
    Turn views back into texts.
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
def test_values_equal_json_loads(value: Any, separators: tuple[str, str], escaped: bool) -> None:  # noqa: FBT001 - drawn
    """
    Any JSON, with any spacing and escaping, gives the same values as the ordinary parser.
    """
    body = json.dumps(value, separators=separators, ensure_ascii=escaped).encode()
    assert as_text(loads_with_views(body)) == value


def test_images_are_not_copied() -> None:
    """
    A large image is a view of the body instead of a text.
    """
    body = json.dumps({"output": [{"result": LONG}, {"result": "short"}]}).encode()
    parsed: Any = loads_with_views(body)
    assert isinstance(parsed["output"][0]["result"], memoryview)
    assert parsed["output"][0]["result"].obj is body
    assert parsed["output"][1]["result"] == "short"


@pytest.mark.parametrize("end", [1, 2, 3, 100])
def test_truncated_json_raises(end: int) -> None:
    """
    A body that was cut within or after its image raises a ValueError.
    """
    body = json.dumps({"result": LONG, "x": 1}).encode()
    for cut in (body[:-end], body[: len(body) // 2]):
        with pytest.raises(ValueError, match=r"line 1|char"):
            loads_with_views(cut)


@pytest.mark.parametrize("inside", [b"", b"\\ud83c"])
@pytest.mark.parametrize("image", ["short", LONG])
def test_deep_nesting_raises(inside: bytes, image: str) -> None:
    """
    Endless nesting raises a ValueError, whatever precedes it.
    """
    deep = b'["' + inside + b'",' + b"[" * 100_000 + b"]" * 100_001
    body = b'{"result": "' + image.encode() + b'", "x": ' + deep + b"}"
    with pytest.raises(ValueError, match=r"recursion|deep"):
        loads_with_views(body)
    with pytest.raises(ValueError, match=r"recursion|deep"):
        loads_with_views(b"[" * 100_000)


def test_invalid_utf8_is_replaced() -> None:
    """
    A character in another encoding is replaced, and the rest is parsed.
    """
    assert loads_with_views(b'{"a": "caf\xe9", "b": 1}') == {"a": "caf\ufffd", "b": 1}
    assert loads_with_views(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_raise_value_error(data: bytes) -> None:
    """
    Any bytes are parsed or raise a ValueError, and no other error.
    """
    with contextlib.suppress(ValueError):
        loads_with_views(b'{"result": "' + data)
