"""
What people and models wrote is shown in little room, and harms nothing.
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
from imagesession._engine import variations
from tests.display.growing import turn
from tests.strategies import texts, turns

DAY = dt.date(2026, 11, 1)


@given(texts)
def test_readable_text_can_be_written_and_stands_on_one_line(text: str) -> None:
    """
    Whatever was written, it becomes one line that can be encoded and turns no text around.
    """
    line = formatting.sanitize_text(text)
    assert line.encode().decode() == line
    assert line == " ".join(line.split())
    assert not set(line) & set("\0\n\r\u2028\u202e\x1b")
    assert formatting.sanitize_text(line) == line


@given(texts, st.integers(2, 40))
def test_shortened_text_is_short_and_says_that_it_goes_on(text: str, most: int) -> None:
    """
    No more characters than allowed; an ellipsis where, and only where, something was left out.
    """
    short = formatting.shortened(text, most)
    assert len(short) <= most
    whole = formatting.sanitize_text(text)
    assert short == whole or (short.endswith("…") and whole.startswith(short[:-1]))


def test_text_is_shortened_between_words() -> None:
    """
    A word stays whole, unless it is longer than what would be left.
    """
    assert formatting.shortened("a minimalist logo of a fox", 20) == "a minimalist logo…"
    assert formatting.shortened("a" * 50, 10) == "a" * 9 + "…"
    assert formatting.shortened("x " * 5000, 10) == "x x x x…"


def test_family_of_emoji_stays_together() -> None:
    """
    What joins characters to one is kept.
    """
    assert (
        formatting.sanitize_text("a \U0001f468\u200d\U0001f469 b")
        == "a \U0001f468\u200d\U0001f469 b"
    )


@given(turns)
def test_every_turn_says_something(item: object) -> None:
    """
    There is always something to stand beneath a picture.
    """
    assert formatting.display_prompt(item).strip()  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the strategy makes turns


def test_what_callers_said_is_shown_and_not_the_frame_around_it() -> None:
    """
    Of a preset the description, of several takes the prompt, of what was brought in its origin.
    """
    plain = turn(1, said="a fox")
    framed = attrs.evolve(plain, parameters={"description": "a lamp"})
    take = attrs.evolve(
        plain, prompt=variations.variation_prompt("a fox", 2, 3), parameters={"take": 2, "takes": 3}
    )
    brought = attrs.evolve(plain, prompt="", origin=ImportOrigin(file="cat.png"))
    silent = attrs.evolve(plain, prompt=" ", kind="analysis")
    assert formatting.display_prompt(plain) == "a fox"
    assert formatting.display_prompt(framed) == "a lamp"
    assert formatting.display_prompt(take) == "a fox (take 2 of 3)"
    assert formatting.display_prompt(brought) == "(cat.png was brought in)"
    assert (
        formatting.display_prompt(attrs.evolve(brought, origin=ImportOrigin()))
        == "(a picture was brought in)"
    )
    assert formatting.display_prompt(silent) == "(analysis)"


@pytest.mark.parametrize(
    "cost,expected",
    [
        (None, ""),
        (Cost(mainline=0.01, image=0.02, prices=DAY), "$0.0300"),
        (Cost(mainline=None, image=0.02, prices=DAY), "$0.0200 or more"),
        (Cost(mainline=None, image=None, prices=DAY), "price unknown"),
    ],
)
def test_prices_say_what_is_known(cost: Cost | None, expected: str) -> None:
    """
    A price in full, as far as it is known, or that it is not.
    """
    assert formatting.price(cost) == expected


def test_sums_counts_and_days() -> None:
    """
    Costs add up, one thing is not many, and a day is the same everywhere.
    """
    paid = attrs.evolve(turn(1), cost=Cost(mainline=0.5, image=1, prices=DAY))
    assert formatting.total_price([paid, turn(2), paid]) == "$3.00"
    assert not formatting.total_price([turn(2)])
    assert formatting.pluralize(1, "picture") == "1 picture"
    assert formatting.pluralize(1200, "branch", "branches") == "1,200 branches"
    late = dt.datetime(2026, 11, 24, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    assert formatting.day(late) == "25 November 2026"
    svg = attrs.evolve(turn(1).images[0], format="svg", width=0, height=0)
    assert formatting.size_of(svg) == "SVG"
    assert formatting.size_of(turn(1).images[0]) == "64×48 PNG"
