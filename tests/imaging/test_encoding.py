"""
Images are encoded within a byte limit, at the best quality that fits.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession._domain.image_header import ImageFormat
from imagesession._imaging.thumbnails import EncodingStep, encode, encode_within

from .making import noise

STEPS = tuple((side, quality) for side in (256, 160, 90, 40) for quality in (80, 50))
NOISE = noise((256, 200))
FLAT = Image.new("RGB", (256, 200), "teal")
FORMATS: tuple[ImageFormat, ...] = ("jpeg", "webp")


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=20, deadline=None)
@given(max_bytes=st.integers(100, 120_000))
def test_encoded_file_respects_the_byte_limit(form: ImageFormat, max_bytes: int) -> None:
    """
    The file has at most `max_bytes`, or is encoded with the coarsest step.
    """
    encoded = encode_within(NOISE, form, STEPS, max_bytes)
    image = Image.open(io.BytesIO(encoded.data))
    image.load()
    assert image.size == (encoded.width, encoded.height)
    assert len(encoded.data) <= max_bytes or max(image.size) == STEPS[-1][0]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("picture", [NOISE, FLAT], ids=["noise", "flat"])
def test_finest_step_is_used_if_it_fits(picture: Image.Image, form: ImageFormat) -> None:
    """
    If the limit is large enough, the finest step is used.
    """
    encoded = encode_within(picture, form, STEPS, 1_000_000)
    assert encoded == encode(picture, form, quality=STEPS[0][1])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.9, 0.6, 0.3, 0.1])
def test_finest_fitting_step_is_used(form: ImageFormat, share: float) -> None:
    """
    The finest step that fits is used.
    """
    max_bytes = int(share * len(encode(NOISE, form, quality=80).data))
    finest = next(data for data in _encode_each(form, STEPS) if len(data) <= max_bytes)
    assert encode_within(NOISE, form, STEPS, max_bytes).data == finest


def _encode_each(form: ImageFormat, steps: Sequence[EncodingStep]) -> list[bytes]:
    return [encode_within(NOISE, form, (step,), 0).data for step in steps]


def test_transparency_is_kept_without_metadata() -> None:
    """
    Transparent pixels stay transparent in WebP and PNG, and no metadata are written.
    """
    clear = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    clear.info = {"icc_profile": b"x" * 200, "exif": b"Exif\0\0secret"}
    for form in ("webp", "png"):
        encoded = Image.open(io.BytesIO(encode(clear, form).data))
        assert encoded.convert("RGBA").getchannel("A").getextrema() == (0, 0)
        assert not {"exif", "icc_profile"} & set(encoded.info)
