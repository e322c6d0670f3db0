"""
What the provider would refuse is refused before anything is sent, with what would do.
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
    Check options as a verb does.
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
    Where the wire wants a name, "auto" stands for the catalogue's.
    """
    assert check() == CATALOGUE.mainline
    assert check(model="gpt-6-sol") == "gpt-6-sol"


@pytest.mark.parametrize("size", ["1024x1024", "1536x864", "3840x2160", "2160x3840", "832x832"])
def test_good_sizes_pass(size: str) -> None:
    """
    Sizes within the limits are taken.
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
def test_bad_sizes_name_good_ones(size: str, nearest: tuple[str, ...]) -> None:
    """
    A size that is not taken is refused with the ones closest to it.
    """
    with pytest.raises(InvalidOptionError) as caught:
        check(size=size)
    assert set(nearest) <= set(caught.value.nearest)
    assert " or ".join(caught.value.nearest) in str(caught.value)


@given(st.integers(900, 2700), st.integers(900, 2700))
def test_sizes_within_limits_move_to_a_neighbour(width: int, height: int) -> None:
    """
    A size that only misses the grid is moved by less than one step of it.
    """
    for size in sizes.nearest_sizes(FREE, width, height):
        wide, high = map(int, size.split("x"))
        assert abs(wide - width) < 2 * FREE.multiple
        assert abs(high - height) < 2 * FREE.multiple


def test_a_retired_model_is_refused() -> None:
    """
    A model past its announced day is refused, naming the day and what to use instead.
    """
    with pytest.raises(ModelRetiredError, match=r"2026-10-23.*gpt-image-2.5-sunburst") as caught:
        check(image_model="gpt-image-1")
    assert caught.value.replacement == "gpt-image-2.5-sunburst"


def test_a_retiring_model_warns() -> None:
    """
    A model with an announced day works and warns, naming the day and what to use instead.
    """
    with pytest.warns(ModelDeprecationWarning, match=r"2027-01-14.*gpt-6-luna"):
        assert check(model="gpt-4o") == "gpt-4o"


def test_unknown_models_pass() -> None:
    """
    Other servers have models of their own; they are let through, and so are their sizes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(model="my-model", image_model="flux", size="1000x1000") == "my-model"


@pytest.mark.parametrize(
    "options,other",
    [({"model": "gpt-image-2"}, "image_model"), ({"image_model": "gpt-6-luna"}, "model=")],
)
def test_models_in_each_others_place_are_told_apart(options: dict[str, Any], other: str) -> None:
    """
    An image model given as the mainline model is refused, naming the option that is meant.
    """
    with pytest.raises(InvalidOptionError, match=other):
        check(**options)


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
@pytest.mark.parametrize(
    "options,words",
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
def test_what_does_not_go_together_is_refused(options: dict[str, Any], words: str) -> None:
    """
    Values that the model or the format does not take are refused, naming those that it does.
    """
    with pytest.raises(InvalidOptionError, match=words):
        check(**options)


@pytest.mark.parametrize("format", ["gif", "svg"])
def test_some_formats_have_no_partial_images_and_no_mask(format: str) -> None:
    """
    Animations and drawings come without pictures on the way, and take no mask.
    """
    with pytest.raises(InvalidOptionError, match="partial_images"):
        check(2, output_format=format)
    with pytest.raises(InvalidOptionError, match="mask"):
        check(masked=True, output_format=format)


@pytest.mark.parametrize("prompt", ["", "  \n", None, 7, b"tea"])
def test_a_prompt_is_text(prompt: object) -> None:
    """
    What is no text, or blank, is no prompt.
    """
    with pytest.raises(InvalidPromptError):
        validate.validate_prompt(prompt)


def test_prompts_have_a_limit() -> None:
    """
    A prompt of 32,000 characters is taken, one more is not.
    """
    assert validate.validate_prompt("a" * 32_000)
    with pytest.raises(InvalidPromptError, match="32,001"):
        validate.validate_prompt("a" * 32_001)


def test_references_have_a_limit() -> None:
    """
    Sixteen references are taken, seventeen are not.
    """
    validate.validate_reference_count(16)
    with pytest.raises(InvalidImageError, match="Leave out 1"):
        validate.validate_reference_count(17)


@pytest.mark.parametrize("number", [-1, 4, 1.5, True, "2", None])
def test_partial_images_have_limits(number: object) -> None:
    """
    None to three partial images can be asked for.
    """
    with pytest.raises(InvalidOptionError):
        validate.validate_partial_images(number)
    assert [validate.validate_partial_images(good) for good in range(4)] == [0, 1, 2, 3]
