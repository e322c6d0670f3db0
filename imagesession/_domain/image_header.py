"""
Recognise an image by its bytes, and check that it is whole. No pixels are decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import attrs

ImageFormat = Literal["png", "jpeg", "webp", "gif", "svg"]

SUFFIXES: dict[ImageFormat, str] = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "gif": ".gif",
    "svg": ".svg",
}
MIME_TYPES: dict[ImageFormat, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_SVG_HEAD = 4096
_JPEG_SCAN = 0xDA
# Start of frame; the three excluded markers are tables and a reserved one.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@attrs.frozen(kw_only=True)
class ImageHeader:
    """
    The contents of an image's header. An SVG may have no width and height: they are 0 then.
    """

    format: ImageFormat
    width: int
    height: int
    alpha: bool


def parse_header(data: bytes) -> ImageHeader | None:
    """
    Recognise an image by its bytes; None if they are not a whole PNG, JPEG, WebP, GIF or SVG image:
    an unknown format, truncated, without a size, or with a chunk or block that is damaged.
    """
    for read in (_read_png, _read_jpeg, _read_webp, _read_gif, _read_svg):
        try:
            header = read(data)
        except (struct.error, IndexError, ValueError, OverflowError):
            return None
        if header is not None:
            return header if header.format == "svg" or header.width * header.height > 0 else None
    return None


def _read_png(data: bytes) -> ImageHeader | None:
    # https://www.w3.org/TR/png-3/#11IHDR
    if not data.startswith(_PNG_MAGIC):
        return None
    length, kind, width, height, _, colour_type = struct.unpack_from(">I4sIIBB", data, 8)
    chunks = list(_png_chunks(data))
    if kind != b"IHDR" or length != 13 or chunks[-1:] != [b"IEND"]:  # noqa: PLR2004 - fixed by the standard
        raise ValueError("a PNG without its first or last chunk")
    # A palette or greyscale PNG may carry its transparency in a chunk of its own.
    alpha = colour_type in {4, 6} or b"tRNS" in chunks
    return ImageHeader(format="png", width=width, height=height, alpha=alpha)


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """
    Yield the types of a PNG's complete chunks up to IEND; anything after that is ignored. Checking
    4 MB takes 1 ms.
    """
    view = memoryview(data)
    at = len(_PNG_MAGIC)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end <= len(data):
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
                raise ValueError("a PNG with a damaged chunk")
            yield kind
        if kind == b"IEND":
            return
        at = end


def _read_jpeg(data: bytes) -> ImageHeader | None:
    # https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1.3 and B.2.2
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    size = None
    for marker, at in _jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            size = struct.unpack_from(">HH", data, at + 3)
        # The end marker follows the pixels; that of an embedded thumbnail precedes them.
        if marker == _JPEG_SCAN and size and data.rfind(b"\xff\xd9") > at:
            return ImageHeader(format="jpeg", width=size[1], height=size[0], alpha=False)
    raise ValueError("a JPEG without a frame or its end")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """
    Yield each segment's marker and the offset of its length field.
    """
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - every JPEG marker begins with it
            raise ValueError("a JPEG marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
            continue
        yield marker, at + 2
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length


def _read_webp(data: bytes) -> ImageHeader | None:
    # https://developers.google.com/speed/webp/docs/riff_container
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind, *others = _webp_chunks(data)
    if kind == b"VP8X" and not {b"VP8 ", b"VP8L", b"ANMF"} & set(others):
        raise ValueError("a WebP without pixels")
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        return ImageHeader(format="webp", width=width, height=height, alpha=bool(data[20] & 0x10))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader(
            format="webp",
            width=(bits & 0x3FFF) + 1,
            height=(bits >> 14 & 0x3FFF) + 1,
            alpha=bool(bits >> 28 & 1),
        )
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader(format="webp", width=width & 0x3FFF, height=height & 0x3FFF, alpha=False)
    raise ValueError("a WebP without pixels")


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    """
    Yield the types of a WebP's chunks, which fill the file's stated size exactly.
    """
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise ValueError("a WebP that is cut short")
    at, end = 12, size + 8
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8 + length + length % 2
        yield kind
    # Some encoders leave out the padding of the last chunk.
    if at not in {end, end + 1}:
        raise ValueError("a WebP with a damaged chunk")


def _read_gif(data: bytes) -> ImageHeader | None:
    # https://www.w3.org/Graphics/GIF/spec-gif89a.txt
    if data[:6] not in {b"GIF87a", b"GIF89a"}:
        return None
    if b"," not in set(_gif_blocks(data)):
        raise ValueError("a GIF without pixels")
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader(format="gif", width=width, height=height, alpha=True)


def _gif_blocks(data: bytes) -> Iterator[bytes]:
    """
    Yield the introducer of each block of a GIF, to its trailer; anything after that is ignored.
    """
    at = 13 + _color_table_bytes(data[10])
    while (introducer := data[at : at + 1]) != b";":
        if introducer == b",":
            # A descriptor of ten bytes, a color table, and the minimum code size.
            at += 11 + _color_table_bytes(data[at + 9])
        elif introducer == b"!":
            at += 2
        else:
            raise ValueError("a GIF with a damaged block")
        while data[at]:
            at += 1 + data[at]
        at += 1
        yield introducer


def _color_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _read_svg(data: bytes) -> ImageHeader | None:
    head = data[:_SVG_HEAD].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    root = re.search(r"<svg\b[^>]*>", head)
    if not head.startswith("<") or root is None or b"</svg>" not in data[-1024:]:
        return None
    width, height = _svg_length(root[0], "width"), _svg_length(root[0], "height")
    box = re.search(
        r"viewBox\s*=\s*[\"']\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)", root[0]
    )
    if box is not None and not (width and height):
        width, height = round(float(box[1])), round(float(box[2]))
    return ImageHeader(format="svg", width=width, height=height, alpha=True)


def _svg_length(tag: str, name: str) -> int:
    match = re.search(rf"\b{name}\s*=\s*[\"']\s*([\d.]+)\s*(?:px)?\s*[\"']", tag)
    return round(float(match[1])) if match else 0
