"""
Supported sizes, and the substitutes of unsupported ones.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.model_catalog import SizeRule
from imagesession._domain.options import parse_size
from imagesession._domain.sizes import is_supported, nearest_sizes, supported_size

FREE = SizeRule()
FIXED = SizeRule(fixed=((1024, 1024), (1536, 1024), (1024, 1536)))
edges = st.integers(1, 20_000)
rules = st.sampled_from([FREE, FIXED])


@given(edges, edges, rules)
def test_nearest_sizes_are_supported(width: int, height: int, rule: SizeRule) -> None:
    """
    For any unsupported size, one or two supported ones are named.
    """
    nearest = [parse_size(size) for size in nearest_sizes(rule, width, height)]
    assert 1 <= len(nearest) <= 2
    assert all(size is not None and is_supported(rule, *size) for size in nearest)


@given(edges, edges, rules)
def test_substitute_size_is_supported(width: int, height: int, rule: SizeRule) -> None:
    """
    The substitute of any size is supported, and is its own substitute.
    """
    expected = supported_size(rule, width, height)
    assert is_supported(rule, *expected)
    assert supported_size(rule, *expected) == expected


@given(edges, edges)
def test_fixed_sizes_keep_the_shape(width: int, height: int) -> None:
    """
    Among fixed sizes, none has a closer aspect ratio than the substitute.
    """

    def distance(size: tuple[int, int]) -> float:
        return abs(math.log(size[0] / size[1]) - math.log(width / height))

    assert distance(supported_size(FIXED, width, height)) == min(map(distance, FIXED.fixed))


@pytest.mark.parametrize(
    "rule,requested,expected",
    [
        (FREE, (1536, 864), (1536, 864)),
        (FREE, (512, 512), (816, 816)),
        (FREE, (8000, 4000), (3840, 1920)),
        (FIXED, (832, 832), (1024, 1024)),
        (FIXED, (2048, 2048), (1024, 1024)),
        (FIXED, (2560, 1440), (1536, 1024)),
        (FIXED, (1440, 2560), (1024, 1536)),
    ],
)
def test_substitute_sizes(
    rule: SizeRule, requested: tuple[int, int], expected: tuple[int, int]
) -> None:
    """
    Supported sizes are unchanged; squares stay square, wide ones wide and tall ones tall.
    """
    assert supported_size(rule, *requested) == expected
