"""
Prompts, prices and dates are formatted as short, harmless texts.
"""

from __future__ import annotations

import datetime as dt

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._display import formatting
from imagesession._domain.cost import Cost
from imagesession._domain.turn import ImportOrigin
from tests.display.growing import turn
from tests.strategies import texts, turns

DAY = dt.date(2026, 11, 1)


@given(texts)
def test_sanitized_text_is_one_encodable_line(text: str) -> None:
    """
    Any text becomes one line that can be encoded and does not change the writing direction.
    """
    line = formatting.sanitize_text(text)
    assert line.encode().decode() == line
    assert line == " ".join(line.split())
    assert not set(line) & set("\0\n\r\u2028\u202e\x1b")
    assert formatting.sanitize_text(line) == line


@given(texts, st.integers(2, 40))
def test_shortened_text_is_short_and_marks_the_cut(text: str, max_length: int) -> None:
    """
    At most `max_length` characters, with an ellipsis only if something was cut.
    """
    short = formatting.shorten(text, max_length)
    assert len(short) <= max_length
    full = formatting.sanitize_text(text)
    assert short == full or (short.endswith("…") and full.startswith(short[:-1]))


def test_text_is_shortened_between_words() -> None:
    """
    Text is cut between words, unless a single word is too long.
    """
    assert formatting.shorten("a minimalist logo of a fox", 20) == "a minimalist logo…"
    assert formatting.shorten("a" * 50, 10) == "a" * 9 + "…"
    assert formatting.shorten("x " * 5000, 10) == "x x x x…"


def test_joined_emoji_stay_together() -> None:
    """
    Zero-width joiners are kept.
    """
    assert (
        formatting.sanitize_text("a \U0001f468\u200d\U0001f469 b")
        == "a \U0001f468\u200d\U0001f469 b"
    )


@given(turns)
def test_every_turn_has_a_caption(item: object) -> None:
    """
    The displayed prompt is never empty.
    """
    assert formatting.display_prompt(item).strip()  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the strategy makes turns


def test_display_prompt_is_the_callers_text() -> None:
    """
    For a preset the description, for an improvement its goals, for a variation the prompt, for an
    import its origin.
    """
    plain = turn(1, prompt="a fox")
    preset_turn = attrs.evolve(plain, parameters={"description": "a lamp"})
    improvement = attrs.evolve(plain, parameters={"improvement_goals": "more contrast"})
    variation = attrs.evolve(plain, parameters={"take": 2, "takes": 3})
    imported = attrs.evolve(plain, prompt="", origin=ImportOrigin(file="cat.png"))
    analysis = attrs.evolve(plain, prompt=" ", kind="analysis")
    assert formatting.display_prompt(plain) == "a fox"
    assert formatting.display_prompt(preset_turn) == "a lamp"
    assert formatting.display_prompt(improvement) == "more contrast"
    assert formatting.display_prompt(variation) == "a fox (take 2 of 3)"
    assert formatting.display_prompt(imported) == "(cat.png was imported)"
    assert (
        formatting.display_prompt(attrs.evolve(imported, origin=ImportOrigin()))
        == "(an image was imported)"
    )
    assert formatting.display_prompt(analysis) == "(analysis)"


def test_display_text_of_an_analysis_is_its_summary() -> None:
    """
    An analysis, which is JSON, is displayed as its summary; other texts, and broken ones, as they
    are.
    """
    refused = attrs.evolve(turn(1, prompt="a fox"), text="I cannot make that.")
    analysis = attrs.evolve(refused, kind="analysis", text='{"summary": "Dark.", "findings": []}')
    assert formatting.display_text(refused) == "I cannot make that."
    assert formatting.display_text(analysis) == "Dark."
    assert formatting.display_text(attrs.evolve(analysis, text="[]")) == "[]"


@pytest.mark.parametrize(
    "cost,expected",
    [
        (None, ""),
        (Cost(mainline=0.01, image=0.02, prices=DAY), "$0.0300"),
        (Cost(mainline=None, image=0.02, prices=DAY), "$0.0200 or more"),
        (Cost(mainline=None, image=None, prices=DAY), "price unknown"),
    ],
)
def test_price_shows_what_is_known(cost: Cost | None, expected: str) -> None:
    """
    A price is shown in full, as a lower bound, or as unknown.
    """
    assert formatting.format_price(cost) == expected


def test_totals_counts_and_dates() -> None:
    """
    Costs add up, counts are pluralized, and dates are in UTC.
    """
    paid = attrs.evolve(turn(1), cost=Cost(mainline=0.5, image=1, prices=DAY))
    assert formatting.format_total_price([paid, turn(2), paid]) == "$3.00"
    assert not formatting.format_total_price([turn(2)])
    assert formatting.pluralize(1, "image") == "1 image"
    assert formatting.pluralize(1200, "image") == "1,200 images"
    late = dt.datetime(2026, 11, 24, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert formatting.format_day(late) == "25 November 2026"
    svg = attrs.evolve(turn(1).images[0], format="svg", width=0, height=0)
    assert formatting.format_size(svg) == "SVG"
    assert formatting.format_size(turn(1).images[0]) == "64×48 PNG"
