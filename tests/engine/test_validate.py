"""
Requests that the provider would reject are rejected before sending, with valid values.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession import GenerateOptions
from imagesession._domain import sizes
from imagesession._domain.model_catalog import SizeRule, load_catalogue
from imagesession._engine import validate
from imagesession.errors import (
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    ModelDeprecationWarning,
    ModelRetiredError,
)

CATALOGUE = load_catalogue()
TODAY = dt.date(2026, 11, 23)
FREE = SizeRule()
FIXED = SizeRule(fixed=((1024, 1024), (1536, 1024), (1024, 1536)))


def check(partial_images: int = 0, *, masked: bool = False, **options: Any) -> str:
    """
    Validate options as a method does.
    """
    return validate.validate_options(
        GenerateOptions().updated(options),
        CATALOGUE,
        TODAY,
        partial_images=partial_images,
        masked=masked,
    )


def test_auto_names_the_mainline_model() -> None:
    """
    "auto" stands for the catalogue's mainline model.
    """
    assert check() == CATALOGUE.mainline
    assert check(model="gpt-6-sol") == "gpt-6-sol"


@pytest.mark.parametrize("size", ["1024x1024", "1536x864", "3840x2160", "2160x3840", "832x832"])
def test_valid_sizes_are_accepted(size: str) -> None:
    """
    Sizes within the limits are accepted.
    """
    check(size=size)


@pytest.mark.parametrize(
    "size,nearest",
    [
        ("1000x1000", ("992x992", "1008x1008")),
        ("1920x1080", ("1920x1072", "1920x1088")),
        ("512x512", ("816x816",)),
        ("8000x4000", ("3840x1920",)),
    ],
)
def test_invalid_size_error_names_nearest_sizes(size: str, nearest: tuple[str, ...]) -> None:
    """
    An invalid size is rejected with the nearest valid ones.
    """
    with pytest.raises(InvalidOptionError) as caught:
        check(size=size)
    assert set(nearest) <= set(caught.value.nearest)
    assert " or ".join(caught.value.nearest) in str(caught.value)


@given(st.integers(900, 2700), st.integers(900, 2700))
def test_nearest_sizes_are_within_one_step(width: int, height: int) -> None:
    """
    A size within the limits has a nearest size less than two grid steps away.
    """
    for size in sizes.nearest_sizes(FREE, width, height):
        wide, high = map(int, size.split("x"))
        assert abs(wide - width) < 2 * FREE.multiple
        assert abs(high - height) < 2 * FREE.multiple


def test_retired_model_is_rejected() -> None:
    """
    A retired model is rejected, and the error names the date and the replacement.
    """
    with pytest.raises(ModelRetiredError, match=r"2026-10-23.*gpt-image-2.5-sunburst") as caught:
        check(image_model="gpt-image-1")
    assert caught.value.replacement == "gpt-image-2.5-sunburst"


def test_retiring_model_warns() -> None:
    """
    A model with an announced shutdown works, and warns with the date and the replacement.
    """
    with pytest.warns(ModelDeprecationWarning, match=r"2027-01-14.*gpt-6-luna"):
        assert check(model="gpt-4o") == "gpt-4o"


def test_unknown_models_are_accepted() -> None:
    """
    Other servers' models are accepted, and so are their sizes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(model="my-model", image_model="flux", size="1000x1000") == "my-model"


@pytest.mark.parametrize(
    "options,other",
    [({"model": "gpt-image-2"}, "image_model"), ({"image_model": "gpt-6-luna"}, "model=")],
)
def test_swapped_model_options_are_rejected(options: dict[str, Any], other: str) -> None:
    """
    An image model given as the mainline model is rejected, and the error names the right option.
    """
    with pytest.raises(InvalidOptionError, match=other):
        check(**options)


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
@pytest.mark.parametrize(
    "options,message",
    [
        ({"quality": "max", "image_model": "gpt-image-2"}, "Nearest: 'high'"),
        (
            {"output_format": "svg", "image_model": "gpt-image-1.5"},
            "output_format='svg' is not taken",
        ),
        ({"input_fidelity": "high"}, "leave it out"),
        ({"input_fidelity": "high", "image_model": "gpt-image-1-mini"}, "only 'low'"),
        ({"background": "transparent", "output_format": "jpeg"}, "'png', 'webp'"),
        ({"output_compression": 50}, "'jpeg', 'webp'"),
        ({"frames": 9}, "'gif'"),
        ({"frame_ms": 100}, "'gif'"),
        ({"svg_model": "gpt-6-sol"}, "'svg'"),
        ({"size": "1536x864", "image_model": "gpt-image-1.5"}, "1536x1024"),
    ],
)
def test_incompatible_options_are_rejected(options: dict[str, Any], message: str) -> None:
    """
    Values that the model or format does not take are rejected, with the valid ones.
    """
    with pytest.raises(InvalidOptionError, match=message):
        check(**options)


@pytest.mark.parametrize("format", ["gif", "svg"])
def test_gif_and_svg_take_no_partial_images_and_no_mask(format: str) -> None:
    """
    Animations and SVG have no partial images and take no mask.
    """
    with pytest.raises(InvalidOptionError, match="partial_images"):
        check(2, output_format=format)
    with pytest.raises(InvalidOptionError, match="mask"):
        check(masked=True, output_format=format)


@pytest.mark.parametrize("prompt", ["", "  \n", None, 7, b"tea"])
def test_prompt_must_be_text(prompt: object) -> None:
    """
    A prompt that is blank or not text is rejected.
    """
    with pytest.raises(InvalidPromptError):
        validate.validate_prompt(prompt)


def test_prompt_length_is_limited() -> None:
    """
    A prompt of 32,000 characters is accepted, one of 32,001 is not.
    """
    assert validate.validate_prompt("a" * 32_000)
    with pytest.raises(InvalidPromptError, match="32,001"):
        validate.validate_prompt("a" * 32_001)


def test_reference_count_is_limited() -> None:
    """
    Sixteen references are accepted, seventeen are not.
    """
    validate.validate_reference_count(16)
    with pytest.raises(InvalidImageError, match="Leave out 1"):
        validate.validate_reference_count(17)


@pytest.mark.parametrize("number", [-1, 4, 1.5, True, "2", None])
def test_partial_images_are_limited(number: object) -> None:
    """
    0 to 3 partial images can be requested.
    """
    with pytest.raises(InvalidOptionError):
        validate.validate_partial_images(number)
    assert [validate.validate_partial_images(good) for good in range(4)] == [0, 1, 2, 3]
