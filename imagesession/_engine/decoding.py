"""
Decode images: from base64 as servers write it, and from bodies that cannot be parsed.
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
_HTTP_URL = re.compile(rb"\s*https?://", re.IGNORECASE)
_MAX_URL = 8192
# The key of a finished image; quotes and line ends may be escaped, as JSON may hold JSON.
# Partial images have another key, or events with other names.
_IMAGE_KEY = re.compile(
    rb'"(?:result|b64_json)\\*"\s*:\s*\\*"|"url\\*"\s*:\s*\\*"(?=data:image)', re.IGNORECASE
)
_CALL_ID = re.compile(rb'"id\\*"\s*:\s*\\*"(ig_[^"\\]{1,253})')
# How many bytes before or after an image its id or status is looked for.
_MAX_DISTANCE = 1024
# What marks an unfinished image in an event of the Images API.
_PARTIAL = re.compile(rb'partial_image["\\_]')
_ESCAPE = re.compile(rb"\\+(?:u00([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED_BLANKS = b"nrtfb"


def decode_image(encoded: object) -> tuple[bytes, ImageHeader]:
    """
    Decode base64, bare or as a data URL, and recognise the image's format by its bytes.

    Whitespace anywhere, the URL-safe alphabet, missing padding, and an SVG that is not encoded at
    all are accepted.
    """
    data = _decode(_encoded_bytes(encoded))
    header = parse_header(data)
    if header is None:
        raise InvalidResponseError(
            f"The provider's image of {len(data):,} bytes is not a whole PNG, JPEG, WebP, GIF or "
            "SVG."
        )
    return data, header


def image_url(encoded: object) -> str | None:
    text = encoded
    if isinstance(encoded, memoryview):
        text = bytes(cast("memoryview[int]", encoded)[: _MAX_URL + 1])
    if isinstance(text, str):
        text = text[: _MAX_URL + 1].encode("utf-8", "replace")
    if not isinstance(text, bytes) or len(text) > _MAX_URL or not _HTTP_URL.match(text):
        return None
    return text.decode("utf-8", "replace").strip()


def _encoded_bytes(encoded: object) -> bytes | memoryview[int]:
    if isinstance(encoded, str):
        return encoded.encode("utf-8", "replace")
    if isinstance(encoded, (bytes, memoryview)):
        return cast("bytes | memoryview[int]", encoded)
    raise InvalidResponseError(
        f"The provider's image is not base64: {type(encoded).__name__} instead of text."
    )


def _decode(encoded: bytes | memoryview[int]) -> bytes:
    try:
        # Four megabytes take 0.2 ms if they hold nothing to skip.
        return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        return _decode_loosely(bytes(encoded))


def _decode_loosely(encoded: bytes) -> bytes:
    if _HTTP_URL.match(encoded):
        url = encoded[:_MAX_URL].decode("utf-8", "replace").strip()
        raise InvalidResponseError(
            f"The provider sent the URL of an image instead of the image: {url}. Fetch it "
            "yourself before it expires."
        )
    header = _DATA_URL.match(encoded)
    if header is not None:
        encoded = encoded[header.end() :]
        if b"base64" not in header[1].lower():
            return urllib.parse.unquote_to_bytes(encoded)
    if encoded.lstrip().startswith(b"<"):
        return encoded
    try:
        return decode_base64(encoded)
    except ValueError as error:
        raise InvalidResponseError(f"The provider's image is not base64: {error}.") from error


def decode_base64(encoded: bytes) -> bytes:
    """
    Decode base64 in either alphabet, with any whitespace and padding; a ValueError says that it is
    damaged.
    """
    digits = encoded.translate(_URL_SAFE, _BLANKS).rstrip(b"=")
    return pybase64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)


def salvage(body: bytes) -> tuple[ReceivedImage, ...]:
    """
    Find the finished images, each once, in a body that cannot be parsed: truncated JSON, JSON
    within HTML or JSON, or lines of JSON.
    """
    images: dict[bytes, ReceivedImage] = {}
    for key in _IMAGE_KEY.finditer(body):
        end = body.find(b'"', key.end())
        try:
            data, header = decode_image(_unescape_text(body, key.end(), end))
        except InvalidResponseError:
            continue
        if _is_partial(body, key.start(), end):
            continue
        call_id = _find_call_id(body, key.start())
        images.setdefault(data, ReceivedImage(data=data, facts=header, call_id=call_id))
    return tuple(images.values())


def _unescape_text(body: bytes, start: int, end: int) -> bytes:
    """
    Return the text between two offsets without escapes; a negative end means that it was cut.
    """
    text = body[start:] if end < 0 else body[start:end]
    if b"\\" in text:
        text = _ESCAPE.sub(_unescape, text.rstrip(b"\\"))
    # A lone last digit of a cut body encodes no byte.
    return text[:-1] if end < 0 and len(text) % 4 == 1 else text


def _is_partial(body: bytes, start: int, end: int) -> bool:
    before = body[max(0, start - _MAX_DISTANCE) : start].rpartition(b"}")[2]
    after = body[end : end + _MAX_DISTANCE].partition(b"}")[0] if end >= 0 else b""
    return _PARTIAL.search(before + after) is not None


def _unescape(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes.fromhex(escape[1].decode("ascii"))
    return b"" if escape[2] in _ESCAPED_BLANKS else escape[2]


def _find_call_id(body: bytes, end: int) -> str | None:
    ids = _CALL_ID.findall(body, max(0, end - _MAX_DISTANCE), end)
    return as_id(ids[-1].decode("utf-8", "replace")) if ids else None
