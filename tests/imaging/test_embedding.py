"""
Prompt and parameters in an image's file: written without touching a pixel, and taken out again.
"""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from imagesession._domain.image_header import parse_header
from imagesession._imaging.embedding import Description, embed, without_embedded
from tests.imaging.making import decoded, encoded, noise, srgb

PROMPT = 'a "red" <fox> & friends\nin the snow, \U0001f98a\x07'
DESCRIPTION = Description(
    prompt=PROMPT,
    model="gpt-image-2",
    software="imagesession 1",
    created="2026-11-30T12:00:00+00:00",
    parameters={"size": "64x64", "quality": "low"},
)


def files() -> dict[str, bytes]:
    """
    Make files of the formats that have a place for a description, in their variants.
    """
    clear = Image.new("RGBA", (33, 20), (200, 0, 0, 128))
    return {
        "png": encoded(noise(), "PNG", icc_profile=srgb()),
        "jpeg": encoded(noise(), "JPEG"),
        "jpeg with a comment": encoded(noise(), "JPEG", comment=b"hello", icc_profile=srgb()),
        "webp": encoded(noise((33, 20)), "WEBP"),
        "lossless webp": encoded(noise(), "WEBP", lossless=True),
        "clear webp": encoded(clear, "WEBP", lossless=True),
        "extended webp": encoded(noise(), "WEBP", icc_profile=srgb()),
        "webp film": encoded(noise(), "WEBP", save_all=True, append_images=[noise()]),
    }


def described(data: bytes) -> bytes:
    """
    Write the description into a file.
    """
    header = parse_header(data)
    assert header is not None
    written = embed(data, header, DESCRIPTION)
    assert written is not None
    return written


@pytest.mark.parametrize("kind", files())
def test_description_is_written_and_taken_out(kind: str) -> None:
    """
    Other programs read prompt, model and parameters; pixels and profile are the same, and the file
    before can be had again, byte for byte.
    """
    data = files()[kind]
    written = described(data)
    with Image.open(io.BytesIO(written)) as image, Image.open(io.BytesIO(data)) as before:
        assert image.info.get("icc_profile") == before.info.get("icc_profile")
        facts = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert facts["AIPromptInformation"] == PROMPT.replace("\x07", "")
    assert facts["AISystemUsed"] == "gpt-image-2"
    assert facts["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert facts["parameters"] == '{"size": "64x64", "quality": "low"}'
    assert decoded(written).tobytes() == decoded(data).tobytes()
    assert parse_header(written) == parse_header(data)
    assert without_embedded(written, hashlib.sha256(data).hexdigest()) == data


def test_png_has_parameters_as_usual() -> None:
    """
    In a PNG, the text "parameters" has the prompt, then a line of names and values.
    """
    with Image.open(io.BytesIO(described(files()["png"]))) as image:
        image.load()
        words = str(image.info["parameters"])
    assert words.endswith("\nModel: gpt-image-2, size: 64x64, quality: low")
    assert words.startswith('a "red" <fox>')


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_described_file_stays_as_it_is(kind: str) -> None:
    """
    A file that has a description is not described twice.
    """
    written = described(files()[kind])
    header = parse_header(written)
    assert header is not None
    assert embed(written, header, DESCRIPTION) is None


def test_file_without_a_place_stays_as_it_is() -> None:
    """
    A GIF has no place for it, and a JPEG none for more than 64 kB.
    """
    for data, prompt in ((encoded(noise(), "GIF"), "x"), (files()["jpeg"], "x" * 70_000)):
        header = parse_header(data)
        assert header is not None
        description = Description(
            prompt=prompt, model="m", software="s", created="now", parameters={}
        )
        assert embed(data, header, description) is None


def test_another_file_is_not_taken_for_the_received_one() -> None:
    """
    What does not lead to the recorded digest is not returned.
    """
    for data in files().values():
        assert without_embedded(described(data), "0" * 64) is None
    assert without_embedded(b"GIF89a", "0" * 64) is None
