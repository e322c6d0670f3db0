"""
Options normalise what they are given and refuse what no model takes.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from imagesession import GenerateOptions
from imagesession._domain.options import OPTION_NAMES, OptionParams, parse_size
from imagesession.errors import InvalidOptionError
from tests import strategies


@pytest.mark.parametrize("size", ["1536x864", "1536X864", "1536 × 864", (1536, 864), [1536, 864]])
def test_sizes_are_written_in_one_way(size: str | tuple[int, int]) -> None:
    """
    However a size is written, it is the same size.
    """
    assert GenerateOptions(size=size).size == "1536x864"


@pytest.mark.parametrize("size", ["", "big", "1024", "0x5", "-1x5", "1024x", (1,), None, "9" * 50])
def test_what_is_no_size_is_refused(size: str) -> None:
    """
    A size that cannot be read is refused with the way to write one.
    """
    with pytest.raises(InvalidOptionError, match="1536x864") as caught:
        GenerateOptions(size=size)
    assert caught.value.option == "size"


@pytest.mark.parametrize(
    "name,value,near",
    [
        ("quality", "hgh", "high"),
        ("background", "transparant", "transparent"),
        ("output_format", "jpg", "jpeg"),
        ("moderation", "lo", "low"),
    ],
)
def test_a_slip_names_what_was_meant(name: str, value: str, near: str) -> None:
    """
    A misspelt value is refused, naming the nearest good one.
    """
    with pytest.raises(InvalidOptionError) as caught:
        GenerateOptions().updated({name: value})
    assert caught.value.nearest[0] == near
    assert repr(near) in str(caught.value)


@pytest.mark.parametrize("name,value", [("output_compression", 101), ("frames", 1), ("frames", 17)])
def test_numbers_have_limits(name: str, value: int) -> None:
    """
    A number out of its limits is refused, naming the limit.
    """
    with pytest.raises(InvalidOptionError) as caught:
        GenerateOptions().updated({name: value})
    assert int(caught.value.nearest[0]) in {100, 2, 16}


@pytest.mark.parametrize("value", [True, 1.5, "9"])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    """
    True, fractions and texts are no numbers of frames.
    """
    with pytest.raises(InvalidOptionError):
        GenerateOptions().updated({"frames": value})


def test_an_unknown_option_names_the_one_that_was_meant() -> None:
    """
    A misspelt option is refused, naming the one that is meant.
    """
    with pytest.raises(InvalidOptionError, match="Did you mean 'quality'"):
        GenerateOptions().updated({"qualty": "high"})


def test_keywords_and_options_are_the_same() -> None:
    """
    The keyword arguments of the verbs are the fields of Options, in the same order.
    """
    assert tuple(OptionParams.__annotations__) == OPTION_NAMES


@given(strategies.options)
def test_what_changed_makes_the_same_options_again(options: GenerateOptions) -> None:
    """
    The options that differ from the defaults are enough to make them again.
    """
    assert GenerateOptions().updated(options.changed()) == options


def test_auto_is_no_size() -> None:
    """
    "auto" leaves the size open.
    """
    assert parse_size("auto") is None
