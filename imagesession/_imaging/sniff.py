"""
Detect an image's format by its bytes, never by its file name.
"""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

from imagesession._domain.image_header import parse_header

Kind: TypeAlias = Literal["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "heic", "svg"]

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    # BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
# https://mp4ra.org/registered-types/brands
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_MAX_BRANDS = 64


def sniff_format(data: bytes) -> Kind | None:
    """
    Detect an image's format by the first bytes, even of a truncated file; None if it is not known.
    """
    for head, kind in _MAGIC:
        if data.startswith(head):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        # An AVIF may also name the general brand mif1, so AVIF brands are checked first.
        if brands & _AVIF_BRANDS:
            return "avif"
        return "heic" if brands & _HEIC_BRANDS else None
    # An SVG has no magic bytes, only a first element.
    return "svg" if parse_header(data) else None


def _brands(data: bytes) -> frozenset[bytes]:
    (size,) = struct.unpack_from(">I", data)
    end = min(size, len(data), 4 * _MAX_BRANDS)
    # The four bytes after the major brand are its version.
    return frozenset({data[8:12], *(data[at : at + 4] for at in range(16, end, 4))})
