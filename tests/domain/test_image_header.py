"""
Images are recognised by their bytes alone.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagesession._domain.image_header import ImageHeader, parse_header

SVG = b'<?xml version="1.0"?>\n<svg width="30px" height="20"></svg>'


def encode(
    format: str, mode: str = "RGB", size: tuple[int, int] = (30, 20), **how: object
) -> bytes:
    """
    Encode an image with Pillow.
    """
    buffer = io.BytesIO()
    Image.new(mode, size, 1).save(buffer, format, **how)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data,format,alpha",
    [
        (encode("PNG"), "png", False),
        (encode("PNG", "RGBA"), "png", True),
        (encode("PNG", "P", transparency=0), "png", True),
        (encode("JPEG"), "jpeg", False),
        (encode("JPEG", progressive=True), "jpeg", False),
        (encode("WEBP"), "webp", False),
        (encode("WEBP", lossless=True), "webp", False),
        (encode("WEBP", "RGBA"), "webp", True),
        (encode("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"), "webp", False),
        (encode("GIF"), "gif", True),
        (SVG, "svg", True),
        (b'<svg viewBox="0 0 30 20"/></svg>', "svg", True),
    ],
)
def test_each_format_is_recognised(data: bytes, format: str, alpha: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """
    Format, size and transparency are read from the header of every format.
    """
    header = parse_header(data)
    assert header is not None
    assert (header.format, header.width, header.height) == (format, 30, 20)
    assert header.alpha == alpha


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_truncated_image_is_not_recognised(format: str) -> None:
    """
    A file without its end is not recognised as an image, however little is missing.
    """
    data = encode(format, size=(200, 100))
    for end in (1, 2, len(data) // 2, len(data) - 12):
        assert parse_header(data[:-end]) is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_trailing_bytes_are_ignored(format: str) -> None:
    """
    Bytes that some encoders append to an image do not matter.
    """
    assert parse_header(encode(format, size=(200, 100)) + b"\n\0tail") is not None


def test_end_marker_of_a_thumbnail_is_ignored() -> None:
    """
    The end marker of an embedded thumbnail does not complete a truncated JPEG.
    """
    data = encode("JPEG", size=(200, 100), comment=b"\xff\xd9")
    assert parse_header(data) is not None
    assert parse_header(data[:-2]) is None


def test_svg_without_a_size() -> None:
    """
    An SVG without a size is an image of unknown size.
    """
    header = parse_header(b"<svg><rect/></svg>")
    assert header == ImageHeader(format="svg", width=0, height=0, alpha=True)


@pytest.mark.parametrize("data", [b"", b"hello", b"<html></html>", b"\x89PNG\r\n\x1a\n", b"RIFF"])
def test_other_bytes_are_not_recognised(data: bytes) -> None:
    """
    Data that is not an image is not recognised as one.
    """
    assert parse_header(data) is None


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF89a", b"<svg"]),
)
def test_arbitrary_bytes_never_raise(rest: bytes, head: bytes) -> None:
    """
    Any bytes give a header or None, never an exception.
    """
    header = parse_header(head + rest)
    assert header is None or header.width >= 0


@given(st.data())
def test_damaged_images_never_raise(data: st.DataObject) -> None:
    """
    A damaged image gives a header or None, never an exception.
    """
    picture = bytearray(encode(data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]))))
    for _ in range(3):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    parse_header(bytes(picture))


@given(st.data())
def test_damaged_png_is_not_recognised(data: st.DataObject) -> None:
    """
    A PNG in which any one byte was changed is not taken for a whole image.
    """
    image = encode("PNG", size=(60, 40))
    at = data.draw(st.integers(0, len(image) - 1))
    changed = bytes([image[at] ^ data.draw(st.integers(1, 255))])
    assert parse_header(image[:at] + changed + image[at + 1 :]) is None


def test_damaged_structure_is_not_recognised() -> None:
    """
    A WebP or GIF whose chunks or blocks do not lead to its end is not taken for a whole image.
    """
    webp, gif = encode("WEBP", size=(200, 100)), encode("GIF", size=(200, 100))
    assert parse_header(webp[:16] + b"\x07" + webp[17:]) is None
    assert parse_header(gif[: len(gif) // 2] + gif[len(gif) // 2 + 3 :]) is None


@pytest.mark.parametrize(
    "how", [{"interlace": 1}, {"save_all": True, "append_images": [Image.new("RGB", (30, 20), 9)]}]
)
def test_animated_gif_is_whole(how: dict[str, Any]) -> None:
    """
    Interlaced and animated GIFs, whose frames have color tables of their own, are recognised.
    """
    assert parse_header(encode("GIF", **how)) is not None
