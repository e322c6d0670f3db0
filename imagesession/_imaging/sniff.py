"""
Recognise a picture's kind by its bytes, never by its name.
"""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

from imagesession._domain.image_header import parse_header

Kind: TypeAlias = Literal["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "heic", "svg"]

_HEADS: tuple[tuple[bytes, Kind], ...] = (
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
_MOST_BRANDS = 64


def sniff_format(data: bytes) -> Kind | None:
    """
    Tell what kind of picture bytes are.

    Returns:
        Their kind by how they begin, whole or not; None when they begin like no picture.
    """
    for head, kind in _HEADS:
        if data.startswith(head):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _by_brands(_brands(data))
    # An SVG has no magic, only a first element.
    return "svg" if parse_header(data) else None


def _brands(data: bytes) -> frozenset[bytes]:
    """
    Read what an ISO base media file says that it keeps to: its major brand, and compatible ones.
    """
    (size,) = struct.unpack_from(">I", data)
    end = min(size, len(data), 4 * _MOST_BRANDS)
    # The four bytes behind the major brand are its version.
    return frozenset({data[8:12], *(data[at : at + 4] for at in range(16, end, 4))})


def _by_brands(brands: frozenset[bytes]) -> Kind | None:
    # An AVIF may name the general brand mif1 as well, so its own are looked for first.
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS else None
