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

from imagesession._model.pictures import PictureFormat
from imagesession._pixels.squeezing import Step, attempts, expected, squeezed, write

from .making import noise

STEPS = tuple(Step(side, quality) for side in (256, 160, 90, 40) for quality in (80, 50))
NOISE = noise((256, 200))
FLAT = Image.new("RGB", (256, 200), "teal")
FORMS: tuple[PictureFormat, ...] = ("jpeg", "webp")


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20, deadline=None)
@given(most=st.integers(100, 120_000), begin=st.integers(0, len(STEPS) - 1))
def test_a_file_has_no_more_bytes_than_it_may(form: PictureFormat, most: int, begin: int) -> None:
    """
    Whatever may be had, it is kept to, or the file is as coarse as the coarsest step.
    """
    made = squeezed(NOISE, form, STEPS, most, begin)
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
    made = squeezed(picture, form, STEPS, 1_000_000)
    assert made == write(picture, form, quality=STEPS[0].quality)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.9, 0.6, 0.3, 0.1])
def test_little_of_what_is_allowed_is_given_away(form: PictureFormat, share: float) -> None:
    """
    No step of more than twice the edge would have done, and a quarter of the bytes is used.
    """
    most = int(share * len(write(NOISE, form, quality=80).data))
    made = squeezed(NOISE, form, STEPS, most)
    finest = next(one for one in _all(form, STEPS) if len(one) <= most)
    best = Image.open(io.BytesIO(finest))
    assert best.width <= 2 * made.width
    assert 0.25 * most < len(made.data) <= most


def _all(form: PictureFormat, steps: Sequence[Step]) -> list[bytes]:
    return [squeezed(NOISE, form, (step,), 0).data for step in steps]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("most", [0, 1_000, 5_000, 20_000, 60_000])
@pytest.mark.parametrize("picture", [NOISE, FLAT], ids=["noise", "flat"])
def test_little_is_tried(picture: Image.Image, form: PictureFormat, most: int) -> None:
    """
    Of a hundred steps, two or three are tried before there is one that will do.
    """
    steps = tuple(
        Step(side, quality) for side in range(256, 16, -24) for quality in range(90, 40, -5)
    )
    tried = list(attempts(picture, form, steps, most))
    assert 1 <= len(tried) <= 3
    assert len(tried[-1].data) <= most or max(tried[-1].width, tried[-1].height) == steps[-1].side


@given(st.integers(1, 10**7))
def test_little_is_tried_where_little_is_allowed(most: int) -> None:
    """
    The fewer bytes there are, the coarser is what is expected to do; some step always is.
    """
    assert 0 <= expected(STEPS, most + 1) <= expected(STEPS, most) < len(STEPS)
    assert expected(STEPS, 10**7) == 0
    assert expected(STEPS, 1) == len(STEPS) - 1


def test_transparency_is_written_where_a_format_has_it() -> None:
    """
    Transparent pixels stay so in WebP and PNG, and no metadata go along.
    """
    clear = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    clear.info = {"icc_profile": b"x" * 200, "exif": b"Exif\0\0secret"}
    for form in ("webp", "png"):
        made = Image.open(io.BytesIO(write(clear, form).data))
        assert made.convert("RGBA").getchannel("A").getextrema() == (0, 0)
        assert not {"exif", "icc_profile"} & set(made.info)
