"""
Usage reports of any shape are read, and invalid members are ignored.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.token_counts import (
    TokenCounts,
    parse_image_usage,
    parse_svg_usage,
    parse_text_model_usage,
)

NAMES = st.sampled_from(
    [
        "input_tokens",
        "output_tokens",
        "prompt_tokens",
        "cached_tokens",
        "cached_tokens_details",
        "cached_text_tokens",
        "cached_image_tokens",
        "cache_write_tokens",
        "input_tokens_details",
        "output_tokens_details",
        "image_tokens",
        "text_tokens",
        "svg_usage",
        "model",
        "else",
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
reports = st.none() | st.dictionaries(NAMES, anything, max_size=10)


@given(reports)
def test_any_usage_report_gives_counts(report: dict[str, Any] | None) -> None:
    """
    No usage report raises an error, and no count is negative.
    """
    read = [
        parse_text_model_usage(report),
        parse_image_usage(report),
        *(t for _, t in parse_svg_usage(report)),
    ]
    for tokens in read:
        if tokens is not None:
            assert min(tokens.input, tokens.text_in, tokens.image_in) >= 0
            assert min(tokens.text_out, tokens.image_out) >= 0


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_input_tokens_add_up(sent: int, cached: int, written: int, received: int) -> None:
    """
    Tokens that were read from the cache or written to it are part of the input.
    """
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    tokens = parse_text_model_usage(
        {"input_tokens": sent, "input_tokens_details": details, "output_tokens": received}
    )
    assert tokens is not None
    assert (tokens.input, tokens.text_out, tokens.missing) == (sent, received, ())


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_text_and_image_tokens_add_up(text: int, image: int, cached: int) -> None:
    """
    Text and image tokens add up to the total, cached or not.
    """
    tokens = parse_image_usage(
        {
            "input_tokens": text + image,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image},
            "output_tokens": image,
            "cached_tokens": cached,
        }
    )
    assert tokens is not None
    assert tokens.text_in + tokens.text_in_cached == text
    assert tokens.image_in + tokens.image_in_cached == image
    assert tokens.text_in_cached + tokens.image_in_cached == min(cached, text + image)


@pytest.mark.parametrize(
    "report,expected",
    [
        ({"input_tokens": 9, "output_tokens": 5}, TokenCounts(image_in=9, image_out=5)),
        (
            {"input_tokens": 9, "input_tokens_details": {"text_tokens": 4}, "output_tokens": 5},
            TokenCounts(text_in=4, image_in=5, image_out=5),
        ),
        (
            {
                "output_tokens": 5,
                "output_tokens_details": {"text_tokens": 2},
                "input_tokens_details": {"text_tokens": 4, "image_tokens": "many"},
            },
            TokenCounts(text_in=4, text_out=2, image_out=3),
        ),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"text_tokens": 4, "image_tokens": 5},
                "output_tokens": 5,
                "cached_tokens": 6,
                "cached_tokens_details": {"cached_text_tokens": 1, "cached_image_tokens": 5},
            },
            TokenCounts(text_in=3, text_in_cached=1, image_in_cached=5, image_out=5),
        ),
        ({"output_tokens": 5}, TokenCounts(image_out=5, missing=("input",))),
        ({"input_tokens": -1, "output_tokens": True}, None),
        ({}, None),
        (None, None),
    ],
)
def test_unspecified_tokens_count_as_images(
    report: dict[str, Any] | None, expected: TokenCounts | None
) -> None:
    """
    An image model's tokens of no stated kind count as images, so that no cost is understated.
    """
    assert parse_image_usage(report) == expected


def test_prompt_and_completion_tokens_are_read() -> None:
    """
    The names of other servers for input and output tokens are understood.
    """
    report = {
        "prompt_tokens": 1125,
        "completion_tokens": 1120.0,
        "prompt_tokens_details": {"cached_tokens": 25},
    }
    assert parse_text_model_usage(report) == TokenCounts(
        text_in=1100, text_in_cached=25, text_out=1120
    )


def test_svg_usage_by_model() -> None:
    """
    The usage of one or several SVGs is returned with the models that wrote them.
    """
    item = {"model": "gpt-6-sol", "input_tokens": 512, "output_tokens": 2000, "reasoning_tokens": 0}
    reported = ("gpt-6-sol", TokenCounts(text_in=512, text_out=2000))
    assert [reported] == list(parse_svg_usage({"svg_usage": item}))
    assert [reported, reported] == list(parse_svg_usage({"svg_usage": [item, None, item]}))
    assert not list(parse_svg_usage({"output_tokens": 5}))
