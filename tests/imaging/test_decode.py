"""
Images are detected by content, decoded completely, or rejected with a clear error.
"""

from __future__ import annotations

import io
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

from imagesession._imaging.decode import decode_image
from imagesession._imaging.sniff import sniff_format
from imagesession.errors import InvalidImageError
from tests.imaging.making import SIZE, colours, corners, decoded, encoded, is_alike, noise, srgb

FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"]
FILES = {kind: encoded(noise(), kind) for kind in FORMATS}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'


def huge_png(width: int, height: int) -> bytes:
    """
    Make a small PNG whose header declares many pixels.
    """

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def huge_bmp(width: int, height: int) -> bytes:
    """
    Make a small BMP whose header declares many pixels.
    """
    data = bytearray(FILES["BMP"])
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def huge_gif(width: int, height: int) -> bytes:
    """
    Make a small GIF whose frame extends far beyond its screen.
    """
    data = bytearray(FILES["GIF"])
    frame = data.index(b"\x2c" + bytes(4) + struct.pack("<HH", *SIZE))
    struct.pack_into("<HH", data, frame + 5, width, height)
    return bytes(data)


def tiff(tags: dict[int, int]) -> bytes:
    """
    Make a grey TIFF without its pixels.
    """
    plain = {258: 8, 259: 1, 262: 1, 277: 1}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in {**plain, **tags}.items()]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(sorted(entries)) + bytes(99)


def huge_tiff(width: int, height: int) -> bytes:
    """
    Make a small TIFF whose header declares many pixels.
    """
    return tiff({256: width, 257: height, 273: 8, 278: height, 279: 99})


def huge_tile(width: int, height: int) -> bytes:
    """
    Make a small TIFF with a few pixels in a huge tile.
    """
    return tiff({256: 8, 257: 8, 322: width, 323: height, 324: 8, 325: 99})


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_decoded(format: str) -> None:
    """
    An image of each format is fully loaded, with its size and colours.
    """
    picture = decode_image(encoded(corners(), format), "It")
    assert picture.size == SIZE
    actual = colours(picture)
    for position, expected in colours(corners()).items():
        assert all(abs(a - b) < 30 for a, b in zip(actual[position], expected, strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_format_is_detected_by_content(format: str) -> None:
    """
    The first bytes alone determine the format; for HEIC, its brands do.
    """
    assert sniff_format(FILES[format]) == {"HEIF": "heic"}.get(format, format.lower())


@pytest.mark.parametrize(
    "brands,kind",
    [
        (b"heic\0\0\0\0mif1heic", "heic"),
        (b"mif1\0\0\0\0mif1heic", "heic"),
        (b"mif1\0\0\0\0mif1avif", "avif"),
        (b"avis\0\0\0\0avismsf1", "avif"),
        (b"isom\0\0\0\0isommp41", None),
    ],
)
def test_brands_distinguish_heic_avif_and_video(brands: bytes, kind: str | None) -> None:
    """
    HEIC and AVIF share their container with video; the brands in the file decide.
    """
    assert sniff_format(struct.pack(">I", len(brands) + 8) + b"ftyp" + brands) == kind


def test_warnings_of_other_threads_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A warning of another thread is passed on and does not reject the image; nor does a warning of
    odd metadata.
    """
    original_load = TiffImagePlugin.TiffImageFile.load

    def load(picture: TiffImagePlugin.TiffImageFile) -> Any:
        thread = threading.Thread(target=warnings.warn, args=("mine",))
        thread.start()
        thread.join()
        return original_load(picture)

    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "load", load)
    tags = {256: 1, 257: 1, 273: 8, 278: 1, 279: 1}
    data = bytearray(tiff(tags))
    # Two heights where one is expected; as 16-bit numbers, they still fit into the entry itself.
    data[10 + 12 + 2 : 10 + 12 + 8] = struct.pack("<HI", 3, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode_image(bytes(data), "It").size == (1, 1)
    assert {str(warning.message) for warning in caught} == {"mine"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kept_fraction", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_rejected(format: str, kept_fraction: float) -> None:
    """
    A truncated file raises InvalidImageError without warnings, however much is missing.
    """
    data = FILES[format]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InvalidImageError, match=r"It .*not a whole image"):
            decode_image(data[: int(len(data) * kept_fraction)], "It")
    assert caught == []


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg", "tiff_adobe_deflate"])
@pytest.mark.parametrize("cut", [1, 50, 1000])
def test_truncated_tiff_does_not_warn(compression: str | None, cut: int) -> None:
    """
    A truncated TIFF is rejected without Pillow's warning about its directory.
    """
    data = encoded(noise((200, 100)), "TIFF", compression=compression)
    assert is_alike(decode_image(data, "It"), decoded(data))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(InvalidImageError, match="not a whole image"):
            decode_image(data[:-cut], "It")
    assert caught == []


def test_bigtiff_is_decoded() -> None:
    """
    A BigTIFF, with 64-bit offsets, is decoded like any TIFF.
    """
    data = encoded(corners(), "TIFF", big_tiff=True)
    assert data[2:4] == b"+\0"
    assert is_alike(decode_image(data, "It"), corners())


@pytest.mark.parametrize("width,height", [(8001, 8000), (10_000, 10_000), (60_000, 60_000)])
@pytest.mark.parametrize("make", [huge_png, huge_bmp, huge_gif, huge_tiff, huge_tile])
def test_too_many_pixels_are_rejected(
    make: Callable[[int, int], bytes], width: int, height: int
) -> None:
    """
    A decompression bomb is rejected by its header, with the limit, and Pillow does not warn.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(
            InvalidImageError, match=rf"({width}x{height}|too many) pixels; the limit is 64 million"
        ):
            decode_image(make(width, height), "It")
    assert caught == []


def test_pillows_global_limits_are_not_used_or_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A program's own Pillow limits neither apply to the library nor are changed by it.
    """
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    assert decode_image(FILES["PNG"], "It").size == SIZE
    assert ImageFile.LOAD_TRUNCATED_IMAGES is before
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    "data,message",
    [
        (b"", "It is empty"),
        (b"%PDF-1.7", "It is a PDF"),
        (
            b"\xef\xbb\xbf\r\n<!DOCTYPE HTML><title>403</title>",
            "It is an HTML page, perhaps a server's",
        ),
        (b'  {"error": "no"}', "It is a JSON text"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"garbage", "it must be PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC"),
        (SVG, "an SVG.*Export it as PNG"),
        (b"BM, said the letter", "BMP.*not a whole image"),
        (b"II*\0", "TIFF.*not a whole image"),
    ],
)
def test_other_files_are_rejected(data: bytes, message: str) -> None:
    """
    Bytes that are no image raise an error that says what they are, or which formats are accepted.
    """
    with pytest.raises(InvalidImageError, match=message):
        decode_image(data, "It")


def test_heic_without_pillow_heif_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If pillow-heif is not installed, the error names the extra that installs it.
    """
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InvalidImageError, match=r"pip install 'imagesession\[heic\]'"):
        decode_image(FILES["HEIF"], "It")


def test_avif_without_codec_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If Pillow was built without AVIF, the error says so.
    """
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(InvalidImageError, match="this build of Pillow cannot read"):
        decode_image(FILES["AVIF"], "It")


def test_reading_a_heic_does_not_register_an_opener() -> None:
    """
    Decoding a HEIC does not make `Image.open` accept HEIC in the whole process.
    """
    decode_image(FILES["HEIF"], "It")
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(FILES["HEIF"]))


def test_icc_profile_is_kept() -> None:
    """
    A decoded image still has its ICC profile.
    """
    icc = srgb()
    picture = decode_image(encoded(corners(), icc_profile=icc), "It")
    assert picture.info["icc_profile"] == icc


@settings(max_examples=200)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_file_raises_only_invalid_image_error(format: str, draw: st.DataObject) -> None:
    """
    A damaged file is decoded or raises InvalidImageError, never anything else.
    """
    data = bytearray(FILES[format])
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        size = decode_image(bytes(data), "It").size
    except InvalidImageError:
        size = SIZE
    assert size[0] * size[1] <= 64_000_000


@given(st.binary(max_size=40))
def test_format_detection_never_fails(data: bytes) -> None:
    """
    Detecting the format never raises, not even for a container with truncated brands.
    """
    assert sniff_format(data) in {None, "bmp", "gif", "jpeg", "png", "svg", "tiff", "webp"}
    assert sniff_format(b"\0\0\0\x40ftyp" + data) in {None, "avif", "heic"}
