"""
Costs are what was reported times what is published, and never made up.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.cost import Cost, cost_of, format_usd, no_cost, sum_costs
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.usage import Usage

CATALOGUE = load_catalogue()
DAY = dt.date(2026, 11, 24)

amounts = st.none() | st.floats(0, 1e6)
clauses = st.lists(st.text(max_size=8), max_size=3).map(tuple)
costs = st.builds(
    Cost,
    mainline=amounts,
    image=amounts,
    prices=st.dates(),
    part=st.floats(0, 1e3),
    unknown=clauses,
)

# As the real service reported them in 2025 and 2026, with the dollars worked out by hand.
MAINLINE = {
    # 3151 × 0.05 + 1970 × 0.40
    "gpt-5-nano-2025-08-07": (3151, 1970, 0.00094555),
    # 1889 × 1.25 + 1434 × 10
    "gpt-5-2025-08-07": (1889, 1434, 0.01670125),
}
IMAGES: list[tuple[str, dict[str, Any], float]] = [
    (
        "gpt-image-2",
        {
            "input_tokens": 17,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 17},
            "output_tokens": 106,
            "output_tokens_details": {"image_tokens": 106, "text_tokens": 0},
            "total_tokens": 123,
        },
        0.003265,  # 17 × 5 + 106 × 30
    ),
    (
        "gpt-image-1",
        {
            "input_tokens": 220,
            "input_tokens_details": {"image_tokens": 194, "text_tokens": 26},
            "output_tokens": 1056,
            "total_tokens": 1276,
        },
        0.04431,  # 26 × 5 + 194 × 10 + 1056 × 40
    ),
    (
        "gpt-image-1.5",
        {
            "input_tokens": 221,
            "input_tokens_details": {"image_tokens": 194, "text_tokens": 27},
            "output_tokens": 415,
            "output_tokens_details": {"image_tokens": 272, "text_tokens": 143},
            "total_tokens": 636,
        },
        0.011821,  # 27 × 5 + 194 × 8 + 272 × 32 + 143 × 10
    ),
]


@pytest.mark.parametrize("model", MAINLINE)
def test_recorded_conversations_cost_what_was_worked_out(model: str) -> None:
    """
    A mainline model's tokens cost its published price, by its dated name too.
    """
    sent, received, expected = MAINLINE[model]
    usage = Usage(
        mainline={
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": received,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sent + received,
        }
    )
    cost = cost_of(usage, mainline=model, image=None, catalogue=CATALOGUE)
    assert math.isclose(expected, cost.total or 0.0)
    assert cost.image == 0.0


@pytest.mark.parametrize("model,report,expected", IMAGES)
def test_recorded_pictures_cost_what_was_worked_out(
    model: str, report: dict[str, Any], expected: float
) -> None:
    """
    Text and pictures, in and out, cost their own prices.
    """
    cost = cost_of(Usage(image=report), mainline=None, image=model, catalogue=CATALOGUE)
    assert math.isclose(expected, cost.total or 0.0)
    assert cost.prices == CATALOGUE.dated
    half = cost_of(Usage(image=report), mainline=None, image=model, catalogue=CATALOGUE, batch=True)
    assert math.isclose(expected / 2, half.total or 0.0)


def test_the_cache_has_prices_of_its_own() -> None:
    """
    Reading from the cache is cheaper than reading anew, and writing to it dearer.
    """
    details = {"cached_tokens": 2_000, "cache_write_tokens": 1_000}
    report = {"input_tokens": 4_000, "input_tokens_details": details, "output_tokens": 100}
    cost = cost_of(Usage(mainline=report), mainline="gpt-6-sol", image=None, catalogue=CATALOGUE)
    # 1000 × 2 + 2000 × 0.20 + 1000 × 2.50 + 100 × 10
    assert math.isclose(0.0059, cost.total or 0.0)


def test_a_model_without_a_price_for_its_cache_gives_no_discount() -> None:
    """
    Where no price is published for cached input, it costs as much as any.
    """
    report = {
        "input_tokens": 1_000,
        "input_tokens_details": {"cached_tokens": 1_000},
        "output_tokens": 0,
    }
    cost = cost_of(Usage(mainline=report), mainline="gpt-5-pro", image=None, catalogue=CATALOGUE)
    assert math.isclose(0.015, cost.total or 0.0)


@pytest.mark.parametrize("sent,expected", [(272_000, 0.5450), (272_001, 1.088004 + 0.0015)])
def test_long_conversations_cost_more(sent: int, expected: float) -> None:
    """
    Above 272,000 tokens all input costs twice as much, and the answer half as much again.
    """
    report = {"input_tokens": sent, "output_tokens": 100}
    cost = cost_of(Usage(mainline=report), mainline="gpt-6-sol", image=None, catalogue=CATALOGUE)
    assert math.isclose(expected, cost.total or 0.0)


def test_a_turn_without_usage_is_unknown_and_not_free() -> None:
    """
    Where nothing was reported nothing is made up.
    """
    cost = cost_of(Usage(), mainline="gpt-6-luna", image="auto", catalogue=CATALOGUE)
    assert (cost.mainline, cost.image, cost.total, cost.known) == (None, None, None, 0.0)
    assert str(cost) == (
        "unknown (what gpt-6-luna used was not reported; "
        "what gpt-image-2.6-sunburst used was not reported)"
    )


def test_what_is_known_of_a_part_is_told() -> None:
    """
    A model without a price leaves its part unknown; the other part is still told.
    """
    report = {"input_tokens": 1_000, "output_tokens": 100}
    usage = Usage(mainline=report, image=IMAGES[0][1])
    cost = cost_of(usage, mainline="my-model", image="gpt-image-2", catalogue=CATALOGUE)
    assert (cost.mainline, cost.total) == (None, None)
    assert math.isclose(0.003265, cost.known)
    assert str(cost) == "at least $0.0033 (the price of my-model is not known)"


def test_a_kind_of_token_without_a_price_leaves_the_part_unknown() -> None:
    """
    Text that an image model wrote, at no published price, is neither free nor billed at a guess.
    """
    report = {
        "input_tokens": 0,
        "output_tokens": 300,
        "output_tokens_details": {"image_tokens": 200, "text_tokens": 100},
    }
    cost = cost_of(
        Usage(image=report), mainline=None, image="gpt-image-2.6-flare", catalogue=CATALOGUE
    )
    assert cost.image is None
    assert math.isclose(0.006, cost.known)
    assert "gpt-image-2.6-flare" in str(cost)


def test_an_unknown_model_that_used_nothing_costs_nothing() -> None:
    """
    No tokens cost nothing at any price.
    """
    nothing = {"input_tokens": 0, "output_tokens": 0}
    cost = cost_of(
        Usage(mainline=nothing, image=nothing), mainline="x", image="y", catalogue=CATALOGUE
    )
    assert cost.total == 0.0


def test_half_a_report_is_a_lower_bound() -> None:
    """
    Where only one side was reported the cost is at least that.
    """
    cost = cost_of(
        Usage(mainline={"output_tokens": 1_000, "input_tokens": "many"}),
        mainline="gpt-6-sol",
        image=None,
        catalogue=CATALOGUE,
    )
    assert str(cost) == "at least $0.0100 (the input of gpt-6-sol was not reported)"


def test_the_author_of_an_svg_is_billed_beside_the_picture() -> None:
    """
    The model that wrote an SVG costs its own text price.
    """
    written = {"model": "gpt-6-sol", "input_tokens": 1_000, "output_tokens": 2_000}
    usage = Usage(image={**IMAGES[0][1], "svg_usage": written})
    cost = cost_of(usage, mainline=None, image="gpt-image-2", catalogue=CATALOGUE)
    assert math.isclose(0.003265 + 0.022, cost.total or 0.0)


@given(costs, costs)
def test_sums_know_what_their_parts_know(item: Cost, two: Cost) -> None:
    """
    A sum is known if its parts are; either way what is known adds up, and what is not is said.
    """
    both = item + two
    assert (both.total is None) == (item.total is None or two.total is None)
    assert math.isclose(item.known + two.known, both.known, abs_tol=1e-6)
    assert set(both.unknown) == {*item.unknown, *two.unknown}
    assert both.prices == min(item.prices, two.prices)


@given(st.lists(costs, max_size=4))
def test_any_number_can_be_added(several: list[Cost]) -> None:
    """
    The sum of none is nothing, and the order does not matter.
    """
    there, back = sum_costs(several, CATALOGUE), sum_costs(reversed(several), CATALOGUE)
    assert math.isclose(there.known, back.known, abs_tol=1e-6)
    assert math.isclose(sum(cost.known for cost in several), there.known, abs_tol=1e-6)
    assert str(no_cost(CATALOGUE)) == "$0.0000"


@given(costs)
def test_costs_survive_json(cost: Cost) -> None:
    """
    What is written is read again.
    """
    assert Cost.read(json.loads(json.dumps(cost.plain()))) == cost


@pytest.mark.parametrize(
    "data,where",
    [
        ({"prices": "2026-11-24", "mainline": "much"}, "mainline"),
        ({"prices": "2026-11-24", "image": -1}, "image"),
        ({"prices": "2026-11-24", "image": float("nan")}, "image"),
        ({"prices": "2026-11-24", "image": 10**400}, "image"),
        ({"prices": "2026-11-24", "part": True}, "part"),
        ({"prices": "soon"}, "prices"),
        ({}, "prices"),
        ({"prices": "2026-11-24", "unknown": "why"}, "unknown"),
        ({"prices": "2026-11-24", "unknown": [1]}, "unknown"),
    ],
)
def test_damage_is_named(data: dict[str, Any], where: str) -> None:
    """
    What is not of the form is refused, and the message names the member.
    """
    with pytest.raises(ValueError, match=f"^{where} is "):
        Cost.read(data)


def test_old_records_need_no_more_than_the_amounts() -> None:
    """
    The amounts and the day are enough.
    """
    cost = Cost.read({"mainline": 0.002, "image": 0.0511, "prices": "2026-11-24"})
    assert cost == Cost(mainline=0.002, image=0.0511, prices=DAY)
    assert str(cost) == "$0.0531"


@pytest.mark.parametrize(
    "amount,text",
    [(0.0, "$0.0000"), (0.0531, "$0.0531"), (0.000018, "$0.000018"), (1234.5, "$1,234.50")],
)
def test_dollars_tell_something(amount: float, text: str) -> None:
    """
    Small amounts are not written as nothing, large ones not with a thousandth of a cent.
    """
    assert format_usd(amount) == text
