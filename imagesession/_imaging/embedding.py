"""
Write prompt and parameters into an image's file, and take them out again, without touching a pixel.

XMP in PNG, JPEG and WebP, with the fields that IPTC gives to images made by AI, and in a PNG also a
text named "parameters", as most programs for such images read it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

import attrs

from imagesession._domain.image_header import ImageHeader

from .metadata import RIFF_HEAD, TEXT_PNG, png_chunks, riff

# https://developer.adobe.com/xmp/docs/XMPSpecifications, part 3, and
# https://iptc.org/std/photometadata/specification/IPTC-PhotoMetadata, version 2025.1
_PNG_XMP = b"XML:com.adobe.xmp"
_PNG_TEXT = b"parameters"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MOST = 65_533
_OURS = b"urn:imagesession:1"
_MADE_BY_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10
_PNG_START = 33


@attrs.frozen(kw_only=True)
class Description:
    prompt: str
    model: str
    software: str
    created: str
    parameters: Mapping[str, Any]


def embed(data: bytes, header: ImageHeader, description: Description) -> bytes | None:
    """
    Write a description into a file, with the same pixels. The result is None if its format has no
    place for it, or if it has a description already.
    """
    packet = _xmp(description)
    match header.format:
        case "png":
            return _embed_png(data, packet, _text(description))
        case "jpeg":
            return _embed_jpeg(data, packet)
        case "webp":
            return _embed_webp(data, header, packet)
        case _:
            return None


def without_embedded(data: bytes, sha256: str) -> bytes | None:
    """
    Return a file as it was before `embed`, with bytes of this digest; None if it was not made from
    them.
    """
    for candidate in _candidates(data):
        if hashlib.sha256(candidate).hexdigest() == sha256:
            return candidate
    return None


# --- text ---------------------------------------------------------------------------------------


def _xmp(description: Description) -> bytes:
    facts = {
        "xmp:CreatorTool": description.software,
        "xmp:CreateDate": description.created,
        "Iptc4xmpExt:DigitalSourceType": _MADE_BY_AI,
        "Iptc4xmpExt:AISystemUsed": description.model,
        "Iptc4xmpExt:AIPromptInformation": description.prompt,
        "imagesession:parameters": json.dumps(description.parameters),
    }
    members = "\n ".join(f"{name}={_attribute(text)}" for name, text in facts.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmlns:imagesession="{_OURS.decode()}"\n {members}/>'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


def _attribute(text: str) -> str:
    return quoteattr(_plain(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _text(description: Description) -> bytes:
    """
    Return prompt and parameters in the usual form: the prompt, then a line of names and values.
    """
    parameters = {"Model": description.model, **description.parameters}
    line = ", ".join(f"{name}: {value}" for name, value in parameters.items())
    return f"{_plain(description.prompt)}\n{_plain(line)}".encode()


def _plain(text: str) -> str:
    """
    Remove the characters that XML cannot have.
    """
    return "".join(
        char
        for char in text
        if (char >= " " or char in "\t\n\r") and not ("\ud800" <= char <= "\udfff")
        and char not in "\ufffe\uffff"
    )  # fmt: skip


# --- files --------------------------------------------------------------------------------------


def _embed_png(data: bytes, packet: bytes, text: bytes) -> bytes | None:
    chunks = list(_png_texts(data))
    if any(keyword in {_PNG_XMP, _PNG_TEXT} for keyword, _, _ in chunks):
        return None
    texts = _png_chunk(_PNG_XMP, packet) + _png_chunk(_PNG_TEXT, text)
    return data[:_PNG_START] + texts + data[_PNG_START:]


def _png_chunk(keyword: bytes, text: bytes) -> bytes:
    # https://www.w3.org/TR/png-3/#11iTXt: not compressed, no language, no translated keyword
    body = b"iTXt" + keyword + b"\0\0\0\0\0" + text
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _png_texts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    for kind, at, end in png_chunks(data):
        if kind in TEXT_PNG:
            yield data[at + 8 : at + 88].partition(b"\0")[0], at, end


def _embed_jpeg(data: bytes, packet: bytes) -> bytes | None:
    # JFIF's own segment has to be the first.
    start = 2
    if data[2:4] == b"\xff\xe0":
        start = 4 + int.from_bytes(data[4:6], "big")
    body = _JPEG_XMP + packet
    if _JPEG_XMP in data or len(body) > _JPEG_MOST:
        return None
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return data[:start] + segment + data[start:]


def _embed_webp(data: bytes, header: ImageHeader, packet: bytes) -> bytes | None:
    # https://developers.google.com/speed/webp/docs/riff_container
    if data[:4] != b"RIFF" or int.from_bytes(data[4:8], "little") + 8 != len(data):
        return None
    body = data[RIFF_HEAD:]
    if body[:4] != b"VP8X":
        flags = bytes([_ALPHA_FLAG if header.alpha else 0, 0, 0, 0])
        canvas = b"".join(
            (side - 1).to_bytes(3, "little") for side in (header.width, header.height)
        )
        body = _webp_chunk(b"VP8X", flags + canvas) + body
    elif body[8] & _XMP_FLAG:
        return None
    body = body[:8] + bytes([body[8] | _XMP_FLAG]) + body[9:]
    return riff(body + _webp_chunk(b"XMP ", packet))


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def _candidates(data: bytes) -> Iterator[bytes]:
    if data.startswith(b"\x89PNG"):
        ours = [
            (start, end) for keyword, start, end in _png_texts(data)
            if keyword in {_PNG_XMP, _PNG_TEXT}
        ]  # fmt: skip
        for start, end in reversed(ours):
            data = data[:start] + data[end:]
        yield data
    elif data.startswith(b"\xff\xd8"):
        at = data.find(_JPEG_XMP) - 4
        if at >= 0:
            length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            yield data[:at] + data[at + length :]
    elif data[:4] == b"RIFF":
        at = data.rfind(b"XMP ")
        if at >= 0:
            body = data[RIFF_HEAD:at]
            yield riff(body[:8] + bytes([body[8] & ~_XMP_FLAG]) + body[9:])
            yield riff(body[18:])
