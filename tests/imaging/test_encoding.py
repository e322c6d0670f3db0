"""
Pictures become files of so many bytes, as finely as these allow, and without trying much.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession._domain.image_header import PictureFormat
from imagesession._imaging.thumbnails import EncodingStep, encode, encode_within

from .making import noise

STEPS = tuple(EncodingStep(side, quality) for side in (256, 160, 90, 40) for quality in (80, 50))
NOISE = noise((256, 200))
FLAT = Image.new("RGB", (256, 200), "teal")
FORMS: tuple[PictureFormat, ...] = ("jpeg", "webp")


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20, deadline=None)
@given(most=st.integers(100, 120_000))
def test_a_file_has_no_more_bytes_than_it_may(form: PictureFormat, most: int) -> None:
    """
    Whatever may be had, it is kept to, or the file is as coarse as the coarsest step.
    """
    made = encode_within(NOISE, form, STEPS, most)
    shown = Image.open(io.BytesIO(made.data))
    shown.load()
    assert shown.size == (made.width, made.height)
    assert len(made.data) <= most or max(shown.size) == STEPS[-1].side


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("picture", [NOISE, FLAT], ids=["noise", "flat"])
def test_what_fits_at_once_is_as_fine_as_can_be(picture: Image.Image, form: PictureFormat) -> None:
    """
    Where there is room enough, the finest step is taken.
    """
    made = encode_within(picture, form, STEPS, 1_000_000)
    assert made == encode(picture, form, quality=STEPS[0].quality)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.9, 0.6, 0.3, 0.1])
def test_nothing_of_what_is_allowed_is_given_away(form: PictureFormat, share: float) -> None:
    """
    The finest step that will do is taken.
    """
    most = int(share * len(encode(NOISE, form, quality=80).data))
    finest = next(data for data in _all(form, STEPS) if len(data) <= most)
    assert encode_within(NOISE, form, STEPS, most).data == finest


def _all(form: PictureFormat, steps: Sequence[EncodingStep]) -> list[bytes]:
    return [encode_within(NOISE, form, (step,), 0).data for step in steps]


def test_transparency_is_written_where_a_format_has_it() -> None:
    """
    Transparent pixels stay so in WebP and PNG, and no metadata go along.
    """
    clear = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    clear.info = {"icc_profile": b"x" * 200, "exif": b"Exif\0\0secret"}
    for form in ("webp", "png"):
        made = Image.open(io.BytesIO(encode(clear, form).data))
        assert made.convert("RGBA").getchannel("A").getextrema() == (0, 0)
        assert not {"exif", "icc_profile"} & set(made.info)
