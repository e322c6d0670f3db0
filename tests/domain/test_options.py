"""
Options normalise their values, and refuse those that no model supports.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from imagesession import GenerateOptions
from imagesession._domain.options import OPTION_NAMES, OptionParams, parse_size
from imagesession.errors import InvalidOptionError
from tests import strategies


@pytest.mark.parametrize("size", ["1536x864", "1536X864", "1536 × 864", (1536, 864), [1536, 864]])
def test_sizes_are_normalised(size: str | tuple[int, int]) -> None:
    """
    All spellings of a size are equal.
    """
    assert GenerateOptions(size=size).size == "1536x864"


@pytest.mark.parametrize("size", ["", "big", "0x5", "-1x5", "1024x", (1,), None, "9" * 50])
def test_invalid_size_is_refused(size: str) -> None:
    """
    An invalid size is refused, and the message shows the right form.
    """
    with pytest.raises(InvalidOptionError, match="1536x864") as caught:
        GenerateOptions(size=size)
    assert caught.value.option == "size"


@pytest.mark.parametrize(
    "name,value,near",
    [
        ("quality", "hgh", "high"),
        ("background", "transparant", "transparent"),
        ("output_format", "jpgg", "jpeg"),
        ("quality", "standard", "medium"),
        ("background", "white", "opaque"),
        ("moderation", "lo", "low"),
        ("reasoning_effort", "minimum", "minimal"),
    ],
)
def test_misspelt_value_suggests_the_nearest(name: str, value: str, near: str) -> None:
    """
    A misspelt value is refused with the nearest valid one.
    """
    with pytest.raises(InvalidOptionError) as caught:
        GenerateOptions().updated({name: value})
    assert caught.value.nearest[0] == near
    assert repr(near) in str(caught.value)


@pytest.mark.parametrize(
    "name,value",
    [("output_compression", 101), ("frames", 1), ("frames", 17), ("compact_threshold", 999)],
)
def test_number_out_of_range_is_refused(name: str, value: int) -> None:
    """
    A number out of its range is refused with the nearest limit.
    """
    with pytest.raises(InvalidOptionError) as caught:
        GenerateOptions().updated({name: value})
    assert int(caught.value.nearest[0]) in {100, 2, 16, 20_000}


@pytest.mark.parametrize("value", ["", " ", 7, "x" * 129])
def test_safety_identifier_is_a_short_text(value: object) -> None:
    """
    A safety identifier has 1 to 128 characters, of which a message repeats at most 100.
    """
    with pytest.raises(InvalidOptionError, match="1 to 128 characters") as caught:
        GenerateOptions().updated({"safety_identifier": value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [True, 1.5, "9"])
def test_non_integer_is_refused(value: object) -> None:
    """
    True, fractions and texts are not numbers of frames.
    """
    with pytest.raises(InvalidOptionError):
        GenerateOptions().updated({"frames": value})


def test_misspelt_option_suggests_the_nearest() -> None:
    """
    A misspelt option is refused with the nearest option.
    """
    with pytest.raises(InvalidOptionError, match="Did you mean 'quality'"):
        GenerateOptions().updated({"qualty": "high"})


def test_keywords_match_the_options() -> None:
    """
    The keyword arguments of the verbs are the fields of `GenerateOptions`, in the same order.
    """
    assert tuple(OptionParams.__annotations__) == OPTION_NAMES


@given(strategies.options)
def test_changed_options_round_trip(options: GenerateOptions) -> None:
    """
    Options can be rebuilt from those that differ from the defaults.
    """
    assert GenerateOptions().updated(options.changed()) == options


def test_auto_is_not_a_size() -> None:
    """
    "auto" leaves the size open.
    """
    assert parse_size("auto") is None
