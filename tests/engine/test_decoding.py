"""
Pictures are decoded as servers write them, and found in bodies that cannot be parsed.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.image_header import PictureFormat
from imagesession._engine.decoding import decode_image, salvage
from imagesession.errors import InvalidResponseError
from imagesession.testing import tiny_image

PNG = tiny_image()
B64 = base64.b64encode(PNG).decode()
LINES = base64.encodebytes(PNG).decode()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><path d="M0"/></svg>'
# Its base64 has both of the characters in which the alphabets differ, and padding.
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
def test_base64_is_read_as_servers_write_it(encoded: str, data: bytes) -> None:
    """
    Line ends, blanks, the URL-safe alphabet, missing padding, data URLs and plain SVG are read, in
    a text and in a view of the body.
    """
    assert decode_image(encoded)[0] == data
    assert decode_image(memoryview(encoded.encode()))[0] == data


@pytest.mark.parametrize(
    "encoded,words",
    [
        (None, "NoneType"),
        (7, "int"),
        ([B64], "list"),
        ({"b64_json": B64}, "dict"),
        ("%%%", "not base64"),
        ("é" * 9, "not base64"),
        ("\ud83c", "not base64"),
        (B64[:-8], "no whole"),
        (B64[:-7], "not base64"),
        ("", "no whole"),
        ("data:image/png;base64", "not base64"),
        ("data:image/png;base64,", "no whole"),
        ("https://example.test/a.png?x=1", "address"),
        ("aGVsbG8=", "no whole"),
    ],
)
def test_what_is_no_picture_is_a_short_error(encoded: object, words: str) -> None:
    """
    Other types, other texts, addresses and half a picture are errors of one type.
    """
    with pytest.raises(InvalidResponseError, match=words) as caught:
        decode_image(encoded)
    assert len(caught.value.message) < 200


@given(st.sampled_from([B64, LINES]), st.lists(st.tuples(st.integers(0, 400), st.text(" \t\r\n"))))
def test_blanks_may_stand_anywhere(encoded: str, blanks: list[tuple[int, str]]) -> None:
    """
    White space changes nothing, wherever it stands.
    """
    for at, blank in blanks:
        encoded = encoded[:at] + blank + encoded[at:]
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
def test_picture_is_found_in_a_body_that_cannot_be_parsed(body: bytes) -> None:
    """
    What stands around a whole picture may be cut, wrapped, escaped or repeated.
    """
    assert [image.data for image in salvage(body)] == [PNG]


def test_call_of_a_salvaged_picture_is_known() -> None:
    """
    The id of the call that stands before a picture is the picture's.
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
def test_nothing_else_is_taken_for_a_picture(body: bytes) -> None:
    """
    Partial images, inputs that are echoed, and what is no picture are not salvaged.
    """
    assert salvage(body) == ()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_half_a_picture_is_not_salvaged(kind: PictureFormat) -> None:
    """
    A picture of any format that was cut within its bytes is not taken for a whole one.
    """
    encoded = base64.b64encode(tiny_image(kind)).rstrip(b"=")
    body = b'{"result":"' + encoded
    assert len(salvage(body)) == 1
    for cut in range(4, 24):
        assert salvage(body[:-cut]) == ()


@given(
    st.binary(max_size=80), st.sampled_from([b'"result":"', b'"b64_json": "', b'\\"result\\":\\"'])
)
def test_any_bytes_are_searched_without_harm(data: bytes, key: bytes) -> None:
    """
    No bytes break the search.
    """
    body: Any = data + key + data + b'"'
    assert salvage(body) == ()
