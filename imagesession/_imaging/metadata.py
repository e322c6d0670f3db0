"""
Remove what a photo tells about its place, time and camera from its file, without touching a pixel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.5.4, and
# https://developer.adobe.com/xmp/docs/XMPSpecifications, part 3, 1.1.3: Exif and XMP are in APP1,
# Photoshop's and the press's facts in APP13. Profiles (APP2) and Adobe's colours (APP14) stay.
_PRIVATE_JPEG = frozenset({0xE1, 0xED})
_END_OF_IMAGE = 0xD9
# Markers with no content: restarts, and one for temporary use.
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
# In compressed data, 0xFF is followed by zero or is a restart.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
# https://www.w3.org/TR/png-3/#11Ancillary-chunks, 11.3.3 and 11.3.4.5
TEXT_PNG = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_PRIVATE_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type ", b"parameters\0")
# https://developers.google.com/speed/webp/docs/riff_container
_PRIVATE_WEBP = frozenset({b"EXIF", b"XMP "})
_WEBP_FLAGS = 0x08 | 0x04
_PNG_HEAD, RIFF_HEAD = 8, 12


def without_private_metadata(data: bytes) -> bytes:
    """
    Remove Exif, XMP and IPTC data from a whole JPEG, PNG or WebP file, and what follows a JPEG's
    end. Pixels, profile and resolution stay; another format is returned unchanged.
    """
    if data.startswith(b"\xff\xd8"):
        return b"".join(_jpeg_parts(data))
    if data.startswith(b"\x89PNG"):
        return b"".join(_png_parts(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        body = b"".join(_webp_parts(data))
        return data if len(body) == len(data) - RIFF_HEAD else riff(body)
    return data


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    start = at = 2
    yield data[:start]
    while (found := _MARKER.search(data, at)) is not None:
        marker, after = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            # A phone writes a film behind the picture, which tells the place too.
            yield data[start:after]
            return
        length = 0 if marker in _BARE else int.from_bytes(data[after : after + 2], "big")
        at = after + length
        if marker in _PRIVATE_JPEG:
            yield data[start : found.start()]
            start = at
    yield data[start:]


def _png_parts(data: bytes) -> Iterator[bytes]:
    yield data[:_PNG_HEAD]
    for kind, at, end in png_chunks(data):
        has_private_text = kind in TEXT_PNG and data.startswith(_PRIVATE_KEYWORDS, at + 8, end)
        if kind != b"eXIf" and not has_private_text:
            yield data[at:end]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = _PNG_HEAD
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, end
        at = end


def _webp_parts(data: bytes) -> Iterator[bytes]:
    """
    Yield the chunks of a WebP that are kept, without flags for the others.
    """
    at = RIFF_HEAD
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        if kind == b"VP8X":
            yield data[at : at + 8] + bytes([data[at + 8] & ~_WEBP_FLAGS]) + data[at + 9 : end]
        elif kind not in _PRIVATE_WEBP:
            yield data[at:end]
        at = end


def riff(body: bytes) -> bytes:
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
