"""
Images are decoded as servers encode them, and found in bodies that cannot be parsed.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.image_header import ImageFormat
from imagesession._engine.decoding import decode_image, salvage
from imagesession.errors import InvalidResponseError
from imagesession.testing import tiny_image

PNG = tiny_image()
B64 = base64.b64encode(PNG).decode()
LINES = base64.encodebytes(PNG).decode()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><path d="M0"/></svg>'
# Its base64 has padding and both characters in which the alphabets differ.
ODD = next(
    data
    for data in (PNG + bytes([255, 254, number]) for number in range(256))
    if {"+", "/"} <= set(base64.b64encode(data).decode())
)


@pytest.mark.parametrize(
    "encoded,data",
    [
        (B64, PNG),
        (LINES, PNG),
        (LINES.replace("\n", "\r\n"), PNG),
        (f" {B64} \n", PNG),
        (B64.rstrip("="), PNG),
        (base64.urlsafe_b64encode(ODD).decode(), ODD),
        (base64.urlsafe_b64encode(ODD).decode().rstrip("="), ODD),
        (f"data:image/png;base64,{B64}", PNG),
        (f" DATA:image/png;BASE64,\n{LINES}", PNG),
        (f"data:;base64,{B64.rstrip('=')}", PNG),
        (base64.b64encode(SVG).decode(), SVG),
        (SVG.decode(), SVG),
        ("data:image/svg+xml,%3Csvg%20width='1'%20height='1'%3E%3C/svg%3E",
         b"<svg width='1' height='1'></svg>"),
    ],
)  # fmt: skip
def test_base64_variants_are_decoded(encoded: str, data: bytes) -> None:
    """
    Whitespace, the URL-safe alphabet, missing padding, data URLs and plain SVG are decoded, from
    a text and from a view of the body.
    """
    assert decode_image(encoded)[0] == data
    assert decode_image(memoryview(encoded.encode()))[0] == data


@pytest.mark.parametrize(
    "encoded,message",
    [
        (None, "NoneType"),
        (7, "int"),
        ([B64], "list"),
        ({"b64_json": B64}, "dict"),
        ("%%%", "not base64"),
        ("é" * 9, "not base64"),
        ("\ud83c", "not base64"),
        (B64[:-8], "not a whole"),
        (B64[:-7], "not base64"),
        ("", "not a whole"),
        ("data:image/png;base64", "not base64"),
        ("data:image/png;base64,", "not a whole"),
        ("https://example.test/a.png?x=1", "the URL of an image"),
        ("aGVsbG8=", "not a whole"),
    ],
)
def test_invalid_image_is_short_error(encoded: object, message: str) -> None:
    """
    Other types, other texts, URLs and half an image are errors of one type.
    """
    with pytest.raises(InvalidResponseError, match=message) as caught:
        decode_image(encoded)
    assert len(caught.value.message) < 200


@given(st.sampled_from([B64, LINES]), st.lists(st.tuples(st.integers(0, 400), st.text(" \t\r\n"))))
def test_whitespace_is_ignored_anywhere(encoded: str, blanks: list[tuple[int, str]]) -> None:
    """
    Whitespace changes nothing at any position.
    """
    for position, blank in blanks:
        encoded = encoded[:position] + blank + encoded[position:]
    assert decode_image(encoded)[0] == PNG


BODY = json.dumps(
    {"id": "resp_1", "output": [{"id": "ig_1", "type": "image_generation_call", "result": B64}]}
).encode()


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1],
        BODY[:-4],
        b"<html><pre>" + BODY + b"</pre></html>",
        b")]}',\n" + BODY,
        json.dumps({"body": BODY.decode()}).encode(),
        json.dumps({"body": json.dumps({"body": BODY.decode()})}).encode(),
        BODY.replace(b"/", b"\\/") + b"}",
        BODY.replace(b"=", b"\\u003d").replace(b"+", b"\\u002B") + b"}",
        json.dumps({"result": LINES}).encode()[:-1],
        json.dumps({"b64_json": B64}, indent=2).encode()[:-2],
        b'{"url" : "data:image/png;base64,' + B64.encode(),
        b'{"url" : "data:image\\/png;base64,' + B64.encode(),
        BODY + b"\n" + BODY,
        b"\xff\xfe" + BODY + b"\xff",
    ],
)
def test_image_is_salvaged_from_unparsable_body(body: bytes) -> None:
    """
    The text around a whole image may be cut, wrapped, escaped or repeated.
    """
    assert [image.data for image in salvage(body)] == [PNG]


def test_salvaged_image_has_call_id() -> None:
    """
    A salvaged image gets the id of the call before it.
    """
    assert [image.call_id for image in salvage(BODY[:-2])] == ["ig_1"]
    assert [image.call_id for image in salvage(b'{"b64_json":"' + B64.encode())] == [None]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"result":"',
        b'{"result":"%%%"}',
        json.dumps({"partial_image_b64": B64}).encode()[:-1],
        json.dumps({"type": "image_generation.partial_image", "b64_json": B64}).encode(),
        json.dumps({"b64_json": B64, "partial_image_index": 1}).encode(),
        json.dumps({"image_url": f"data:image/png;base64,{B64}"}).encode(),
        json.dumps({"results": B64, "my_result": 1}).encode(),
        json.dumps({"url": "https://example.test/a.png"}).encode(),
        b"\\" * 100_000 + b'"result"' * 10_000,
    ],
)
def test_partial_and_input_images_are_not_salvaged(body: bytes) -> None:
    """
    Partial images, echoed input images and data that is not an image are not salvaged.
    """
    assert salvage(body) == ()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_truncated_image_is_not_salvaged(kind: ImageFormat) -> None:
    """
    A truncated image of any format is not salvaged.
    """
    encoded = base64.b64encode(tiny_image(kind)).rstrip(b"=")
    body = b'{"result":"' + encoded
    assert len(salvage(body)) == 1
    for cut in range(4, 24):
        assert salvage(body[:-cut]) == ()


@given(
    st.binary(max_size=80), st.sampled_from([b'"result":"', b'"b64_json": "', b'\\"result\\":\\"'])
)
def test_salvage_accepts_any_bytes(data: bytes, key: bytes) -> None:
    """
    No bytes break the search.
    """
    body: Any = data + key + data + b'"'
    assert salvage(body) == ()
