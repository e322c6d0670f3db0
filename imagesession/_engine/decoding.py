"""
Decode pictures: base64 as servers write it, and pictures in a body that cannot be parsed.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import cast

import pybase64

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession.errors import InvalidResponseError

from .coerce import as_id
from .http import ReceivedImage

_BLANKS = b" \t\n\r\x0b\x0c"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DATA_URL = re.compile(rb"\s*data:([^,]{0,200}),", re.IGNORECASE)
_ADDRESS = re.compile(rb"\s*https?://", re.IGNORECASE)
# Where a finished picture stands; quotes and line ends may be escaped where JSON holds JSON.
# Partial images have another key, and their own events have other names.
_PICTURE = re.compile(
    rb'"(?:result|b64_json)\\*"\s*:\s*\\*"|"url\\*"\s*:\s*\\*"(?=data:image)', re.IGNORECASE
)
_CALL_ID = re.compile(rb'"id\\*"\s*:\s*\\*"(ig_[^"\\]{1,253})')
# How far from a picture what is said of it may stand.
_NEAR = 1024
# What stands in an event of the Images API beside a picture that is not finished.
_PARTIAL = re.compile(rb'partial_image["\\_]')
_ESCAPE = re.compile(rb"\\+(?:u00([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED_BLANKS = b"nrtfb"


def decode_image(encoded: object) -> tuple[bytes, ImageHeader]:
    """
    Decode base64, bare or as a data URL, and recognise the picture by its bytes.

    Accepted are line ends and blanks anywhere, the URL-safe alphabet, missing padding, and an SVG
    that is not encoded at all.

    Args:
        encoded: A text, or a view of the body that it came in.

    Raises:
        InvalidResponseError: It is no base64, no whole picture, or the address of one.
    """
    data = _decode(_encoded_bytes(encoded))
    facts = parse_header(data)
    if facts is None:
        raise InvalidResponseError(
            f"The provider's picture of {len(data):,} bytes is no whole PNG, JPEG, WebP, GIF or "
            "SVG."
        )
    return data, facts


def _encoded_bytes(encoded: object) -> bytes | memoryview[int]:
    if isinstance(encoded, str):
        return encoded.encode("utf-8", "replace")
    if isinstance(encoded, (bytes, memoryview)):
        return cast("bytes | memoryview[int]", encoded)
    raise InvalidResponseError(
        f"The provider's picture is not base64: {type(encoded).__name__} instead of a text."
    )


def _decode(encoded: bytes | memoryview[int]) -> bytes:
    try:
        # Four megabytes take 0.2 ms if there is nothing in them that has to be passed over.
        return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        return _decode_loosely(bytes(encoded))


def _decode_loosely(encoded: bytes) -> bytes:
    """
    Decode what is not base64 to the letter.

    Raises:
        InvalidResponseError: It is none at all.
    """
    if _ADDRESS.match(encoded):
        raise InvalidResponseError(
            "The provider sent the address of a picture instead of the picture; nothing is "
            "fetched from there."
        )
    header = _DATA_URL.match(encoded)
    if header is not None:
        encoded = encoded[header.end() :]
        if b"base64" not in header[1].lower():
            return urllib.parse.unquote_to_bytes(encoded)
    if encoded.lstrip().startswith(b"<"):
        return encoded
    digits = encoded.translate(_URL_SAFE, _BLANKS).rstrip(b"=")
    try:
        return pybase64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except ValueError as error:
        raise InvalidResponseError(f"The provider's picture is not base64: {error}.") from error


def salvage(body: bytes) -> tuple[ReceivedImage, ...]:
    """
    Find the finished pictures in a body that cannot be parsed: truncated JSON, JSON within HTML or
    within JSON, lines of JSON.

    Returns:
        Each picture of which every byte is there, once. Partial images are not counted.
    """
    found: dict[bytes, ReceivedImage] = {}
    for key in _PICTURE.finditer(body):
        end = body.find(b'"', key.end())
        try:
            data, facts = decode_image(_unquoted(body, key.end(), end))
        except InvalidResponseError:
            continue
        if _is_partial(body, key.start(), end):
            continue
        call = _call_before(body, key.start())
        found.setdefault(data, ReceivedImage(data=data, facts=facts, call_id=call))
    return tuple(found.values())


def _unquoted(body: bytes, start: int, end: int) -> bytes:
    """
    Return the text between two places without escapes; it was cut where there is no end.
    """
    text = body[start:] if end < 0 else body[start:end]
    if b"\\" in text:
        text = _ESCAPE.sub(_unescaped, text.rstrip(b"\\"))
    # A digit that is left alone where the body was cut encodes no byte.
    return text[:-1] if end < 0 and len(text) % 4 == 1 else text


def _is_partial(body: bytes, start: int, end: int) -> bool:
    """
    Tell whether the object in which a picture stands says that it is unfinished.
    """
    before = body[max(0, start - _NEAR) : start].rpartition(b"}")[2]
    after = body[end : end + _NEAR].partition(b"}")[0] if end >= 0 else b""
    return _PARTIAL.search(before + after) is not None


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes.fromhex(escape[1].decode("ascii"))
    return b"" if escape[2] in _ESCAPED_BLANKS else escape[2]


def _call_before(body: bytes, end: int) -> str | None:
    """
    Return the id of the image call that a picture belongs to, if it stands before it.
    """
    named = _CALL_ID.findall(body, max(0, end - _NEAR), end)
    return as_id(named[-1].decode("utf-8", "replace")) if named else None
