"""
What others wrote is quoted in messages within bounds.
"""

from __future__ import annotations

import pytest

from imagesession._domain.wording import quote, to_sentence


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, ["x"] * 10**5, "a\nb" * 10**5])
def test_quoted_argument_is_bounded(value: object) -> None:
    """
    However large an argument is, a message repeats at most 80 characters of it, on one line.
    """
    quoted = quote(value)
    assert len(quoted) <= 80
    assert "\n" not in quoted
    assert quoted.endswith("…")


def test_short_argument_is_quoted_whole() -> None:
    """
    A short argument is its `repr`.
    """
    assert [quote(value) for value in ("a b", None, 7)] == ["'a b'", "None", "7"]


@pytest.mark.parametrize(
    "text,sentence",
    [
        ("slow down", "slow down."),
        ("Slow down!", "Slow down!"),
        ("", ""),
        ("two\r\n  lines", "two lines."),
        ("<p>Too <b>many</b>\nrequests</p>", "Too many requests."),
        (
            "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>",
            "502 Bad Gateway.",
        ),
        ("<style>p {color: red}</style><p>Sign in &amp; pay</p>", "Sign in & pay."),
    ],
)
def test_provider_words_become_one_sentence(text: str, sentence: str) -> None:
    """
    Words of a provider have no HTML and no line breaks, and end in a full stop.
    """
    assert to_sentence(text) == sentence


def test_long_words_are_shortened() -> None:
    """
    Of a provider's long text, 500 characters are shown.
    """
    assert len(to_sentence("x " * 10_000)) == 500
