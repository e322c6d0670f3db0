"""
Which sizes a model takes, and what stands in for those that it does not.
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
def test_named_sizes_are_taken(width: int, height: int, rule: SizeRule) -> None:
    """
    Whatever size is not taken, there are one or two to name, and each of them is taken.
    """
    nearest = [parse_size(size) for size in nearest_sizes(rule, width, height)]
    assert 1 <= len(nearest) <= 2
    assert all(size is not None and is_supported(rule, *size) for size in nearest)


@given(edges, edges, rules)
def test_a_size_that_stands_in_is_taken(width: int, height: int, rule: SizeRule) -> None:
    """
    Whatever size is wanted, the one that stands in for it is taken, and stands in for itself.
    """
    taken = supported_size(rule, width, height)
    assert is_supported(rule, *taken)
    assert supported_size(rule, *taken) == taken


@given(edges, edges)
def test_few_sizes_keep_the_shape(width: int, height: int) -> None:
    """
    Where there are only a few sizes, none has a shape closer to the wanted one.
    """

    def bent(size: tuple[int, int]) -> float:
        return abs(math.log(size[0] / size[1]) - math.log(width / height))

    assert bent(supported_size(FIXED, width, height)) == min(map(bent, FIXED.fixed))


@pytest.mark.parametrize(
    "rule,wanted,taken",
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
def test_sizes_that_stand_in(
    rule: SizeRule, wanted: tuple[int, int], taken: tuple[int, int]
) -> None:
    """
    A size that is taken stays; squares stay square, wide ones wide and tall ones tall.
    """
    assert supported_size(rule, *wanted) == taken
