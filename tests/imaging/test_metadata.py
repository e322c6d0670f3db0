"""
What a photo tells of its place leaves its file, and no pixel changes.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from imagesession._imaging.metadata import without_private_metadata
from imagesession._imaging.pixels import load_input
from imagesession.testing import FakeOpenAI
from tests import sent
from tests.imaging.making import corners, decoded, encoded, noise, srgb

XMP = b"<x:xmpmeta><exif:GPSLatitude>12,34N</exif:GPSLatitude></x:xmpmeta>"
FILM = b"ftyp-and-the-place-again"


def place() -> Image.Exif:
    """
    Make Exif data that tell where a photo was taken.
    """
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (12.0, 34.0, 56.0), 3: "E", 4: (1.0, 2.0, 3.0)}
    return exif


def chunk(kind: bytes, body: bytes) -> bytes:
    """
    Make a chunk of a PNG.
    """
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def photos() -> dict[str, bytes]:
    """
    Make photos that tell their place in every way.
    """
    facts: dict[str, Any] = {"exif": place(), "icc_profile": srgb()}
    png = encoded(noise(), "PNG", **facts)
    said = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    said += chunk(b"tEXt", b"Raw profile type exif\0" + XMP)
    return {
        "jpeg": encoded(noise(), "JPEG", xmp=XMP, **facts) + FILM,
        "progressive jpeg": encoded(noise((300, 200)), "JPEG", progressive=True, **facts),
        "webp": encoded(noise(), "WEBP", xmp=XMP, lossless=True, **facts),
        "png": png[:-12] + said + png[-12:],
    }


@pytest.mark.parametrize("kind", photos())
def test_place_is_removed_without_loss(kind: str) -> None:
    """
    Exif, XMP, raw profiles and a film behind the picture go; pixels and colour profile stay.
    """
    photo = photos()[kind]
    assert dict(decoded(photo).getexif().get_ifd(0x8825))
    cleaned = without_private_metadata(photo)
    before, after = decoded(photo), decoded(cleaned)
    assert (after.mode, after.tobytes()) == (before.mode, before.tobytes())
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert not dict(after.getexif())
    assert not any(text in cleaned for text in (b"GPSLatitude", b"Exif", b"EXIF", FILM))
    assert without_private_metadata(cleaned) == cleaned


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_file_that_tells_nothing_is_unchanged(format: str) -> None:
    """
    A picture without such metadata keeps its bytes, and so its digest.
    """
    data = encoded(corners(), format)
    assert without_private_metadata(data) == data


def test_other_texts_of_a_png_stay() -> None:
    """
    A PNG's comments, such as the prompt that made it, are no private metadata.
    """
    data = encoded(corners())
    data = data[:-12] + chunk(b"tEXt", b"prompt\0a teapot") + data[-12:]
    assert without_private_metadata(data) == data


@pytest.mark.parametrize("keep_exif", [False, True])
def test_place_is_not_sent(studio: Any, provider: FakeOpenAI, *, keep_exif: bool) -> None:
    """
    A photo goes to the provider without its place, unless `keep_exif` says otherwise.
    """
    photo = encoded(noise(), "JPEG", exif=place())
    studio.edit("red", image=photo, keep_exif=keep_exif)
    (uploaded,) = sent.shown(provider, sent.asked(provider)[-1])
    assert (uploaded == photo) is keep_exif
    assert bool(decoded(uploaded).getexif().get_ifd(0x8825)) is keep_exif


def test_digest_is_that_of_what_is_sent() -> None:
    """
    The digest by which an upload is found again is that of the bytes without the metadata.
    """
    image = load_input(photos()["jpeg"])
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()
