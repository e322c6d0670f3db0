"""
Costs are reported tokens times published prices, and never invented.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.cost import Cost, cost_of, format_usd, no_cost, sum_costs
from imagesession._domain.estimate import estimate
from imagesession._domain.model_catalog import Prices, load_catalogue
from imagesession._domain.options import GenerateOptions
from imagesession._domain.token_counts import Usage

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
def test_recorded_conversation_costs(model: str) -> None:
    """
    A mainline model's tokens have its published price, also under a dated name.
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
def test_recorded_image_costs(model: str, report: dict[str, Any], expected: float) -> None:
    """
    Text and images, input and output, have their own prices.
    """
    cost = cost_of(Usage(image=report), mainline=None, image=model, catalogue=CATALOGUE)
    assert math.isclose(expected, cost.total or 0.0)
    assert cost.prices == CATALOGUE.dated
    half = cost_of(Usage(image=report), mainline=None, image=model, catalogue=CATALOGUE, batch=True)
    assert math.isclose(expected / 2, half.total or 0.0)


def test_cached_tokens_have_their_own_prices() -> None:
    """
    Reading from the cache costs less than uncached input, and writing to it more.
    """
    details = {"cached_tokens": 2_000, "cache_write_tokens": 1_000}
    report = {"input_tokens": 4_000, "input_tokens_details": details, "output_tokens": 100}
    cost = cost_of(Usage(mainline=report), mainline="gpt-6-sol", image=None, catalogue=CATALOGUE)
    # 1000 × 2 + 2000 × 0.20 + 1000 × 2.50 + 100 × 10
    assert math.isclose(0.0059, cost.total or 0.0)


@pytest.mark.parametrize(
    "sent,context,expected",
    [
        (4_000, 1_500, 1_500 * 0.2e-6),
        (4_000, 3_500, 2_000 * 0.2e-6 + 1_000 * 2.5e-6 + 500 * 2e-6),
        (300_000, 1_000, 2 * 1_000 * 0.2e-6),
    ],
)
def test_earlier_turns_are_priced_as_the_beginning_of_the_input(
    sent: int, context: int, expected: float
) -> None:
    """
    Of the input, the cache holds the beginning, which earlier turns are; a long request is dearer
    in all its parts.
    """
    details = {"cached_tokens": 2_000, "cache_write_tokens": 1_000}
    report = {"input_tokens": sent, "input_tokens_details": details, "output_tokens": 100}
    cost = cost_of(
        Usage(mainline=report),
        mainline="gpt-6-sol",
        image=None,
        catalogue=CATALOGUE,
        context_tokens=context,
    )
    assert math.isclose(expected, cost.context)
    assert (cost.context_tokens, (cost + cost).context_tokens) == (context, 2 * context)


def test_earlier_turns_are_priced_at_given_prices() -> None:
    """
    With prices given by hand, what earlier turns cost is of these too.
    """
    catalogue = attrs.evolve(CATALOGUE, own_prices={"my-model": Prices(text_in=3.0, text_out=9.0)})
    cost = cost_of(
        Usage(mainline={"input_tokens": 2_000, "output_tokens": 100}),
        mainline="my-model",
        image=None,
        catalogue=catalogue,
        context_tokens=1_000,
    )
    assert math.isclose(0.0069, cost.mainline or 0.0)
    assert math.isclose(0.003, cost.context)


@pytest.mark.parametrize(
    "processing,expected",
    [
        ({}, 1.0),
        ({"tier": "default"}, 1.0),
        ({"tier": "flex"}, 0.5),
        ({"tier": "priority"}, 2.0),
        ({"window": "2h"}, 0.7),
        ({"window": "8h", "tier": "default"}, 0.6),
    ],
)
def test_processing_sets_the_price_of_the_mainline_model(
    processing: dict[str, Any], expected: float
) -> None:
    """
    A service tier or completion window multiplies the mainline model's price, and not the image
    model's; its estimate contains both possibilities.
    """
    report = {"input_tokens": 4_000, "output_tokens": 100}
    usage = Usage(mainline=report, image={"output_tokens": 784, "input_tokens": 10})
    cost = cost_of(usage, mainline="auto", image="auto", catalogue=CATALOGUE, **processing)
    standard = cost_of(usage, mainline="auto", image="auto", catalogue=CATALOGUE)
    assert math.isclose((standard.mainline or 0.0) * expected, cost.mainline or 0.0)
    assert cost.image == standard.image
    options = GenerateOptions(quality="low", service_tier=processing.get("tier", "auto"))
    result = estimate(options, CATALOGUE, within=processing.get("window", "soonest"))
    assert result.high is not None
    assert result.low < (cost.total or 0.0) < result.high
    assert ("not documented" in " ".join(result.assumptions)) == (expected != 1.0)


def test_unknown_price_of_a_tier_is_reported() -> None:
    """
    A tier without a published price leaves the cost unknown, and the estimate without a bound.
    """
    report = {"input_tokens": 4_000, "output_tokens": 100}
    usage = Usage(mainline=report, image={"output_tokens": 784, "input_tokens": 10})
    cost = cost_of(
        usage, mainline="gpt-6.2-sol", image="auto", catalogue=CATALOGUE, tier="ultrafast"
    )
    assert cost.total is None
    assert "gpt-6.2-sol at this service tier" in str(cost)
    options = GenerateOptions(model="gpt-6.2-sol", service_tier="priority")
    result = estimate(options, CATALOGUE)
    assert result.high is None
    assert "service tier priority is not known" in " ".join(result.assumptions)


def test_unpublished_cache_price_gives_no_discount() -> None:
    """
    Without a published price, cached input costs as much as any input.
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
    Above 272,000 tokens all input costs twice as much, and the output 1.5 times as much.
    """
    report = {"input_tokens": sent, "output_tokens": 100}
    cost = cost_of(Usage(mainline=report), mainline="gpt-6-sol", image=None, catalogue=CATALOGUE)
    assert math.isclose(expected, cost.total or 0.0)


def test_missing_usage_is_unknown_cost() -> None:
    """
    A turn without reported usage has an unknown cost, not zero.
    """
    cost = cost_of(Usage(), mainline="gpt-6-luna", image="auto", catalogue=CATALOGUE)
    assert (cost.mainline, cost.image, cost.total, cost.known) == (None, None, None, 0.0)
    assert str(cost) == (
        "unknown (what gpt-6-luna used was not reported; "
        "what gpt-image-2.6-sunburst used was not reported)"
    )


def test_known_part_of_a_cost_is_reported() -> None:
    """
    A model without a price leaves its part unknown; the other part is still reported.
    """
    report = {"input_tokens": 1_000, "output_tokens": 100}
    usage = Usage(mainline=report, image=IMAGES[0][1])
    cost = cost_of(usage, mainline="my-model", image="gpt-image-2", catalogue=CATALOGUE)
    assert (cost.mainline, cost.total) == (None, None)
    assert math.isclose(0.003265, cost.known)
    assert str(cost) == "at least $0.0033 (the price of my-model is not known)"


def test_token_kind_without_a_price_leaves_the_part_unknown() -> None:
    """
    Text that an image model wrote, without a published price, is neither free nor estimated.
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


def test_unknown_model_without_tokens_costs_nothing() -> None:
    """
    Zero tokens cost nothing at any price.
    """
    nothing = {"input_tokens": 0, "output_tokens": 0}
    cost = cost_of(
        Usage(mainline=nothing, image=nothing), mainline="x", image="y", catalogue=CATALOGUE
    )
    assert cost.total == 0.0


def test_half_a_report_is_a_lower_bound() -> None:
    """
    If only input or output was reported, the cost is a lower bound.
    """
    cost = cost_of(
        Usage(mainline={"output_tokens": 1_000, "input_tokens": "many"}),
        mainline="gpt-6-sol",
        image=None,
        catalogue=CATALOGUE,
    )
    assert str(cost) == "at least $0.0100 (the input of gpt-6-sol was not reported)"


def test_svg_model_is_billed_separately() -> None:
    """
    The model that wrote an SVG has its own text price.
    """
    written = {"model": "gpt-6-sol", "input_tokens": 1_000, "output_tokens": 2_000}
    usage = Usage(image={**IMAGES[0][1], "svg_usage": written})
    cost = cost_of(usage, mainline=None, image="gpt-image-2", catalogue=CATALOGUE)
    assert math.isclose(0.003265 + 0.022, cost.total or 0.0)


@given(costs, costs)
def test_sum_keeps_known_and_unknown_parts(first: Cost, second: Cost) -> None:
    """
    A sum is known if both costs are; known amounts add up, and reasons for unknown ones are
    kept.
    """
    both = first + second
    assert (both.total is None) == (first.total is None or second.total is None)
    assert math.isclose(first.known + second.known, both.known, abs_tol=1e-6)
    assert set(both.unknown) == {*first.unknown, *second.unknown}
    assert both.prices == min(first.prices, second.prices)


@given(st.lists(costs, max_size=4))
def test_sum_of_any_number_of_costs(several: list[Cost]) -> None:
    """
    The sum of no costs is zero, and the order does not matter.
    """
    there, back = sum_costs(several, CATALOGUE), sum_costs(reversed(several), CATALOGUE)
    assert math.isclose(there.known, back.known, abs_tol=1e-6)
    assert math.isclose(sum(cost.known for cost in several), there.known, abs_tol=1e-6)
    assert str(no_cost(CATALOGUE)) == "$0.0000"


@given(costs)
def test_cost_round_trips_through_json(cost: Cost) -> None:
    """
    A cost that is written as JSON is read unchanged.
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
def test_invalid_cost_record_is_refused(data: dict[str, Any], where: str) -> None:
    """
    An invalid record is refused, and the message names the member.
    """
    with pytest.raises(ValueError, match=f"^{where} is "):
        Cost.read(data)


def test_minimal_cost_record_is_read() -> None:
    """
    Old records with only the amounts and the date can be read.
    """
    cost = Cost.read({"mainline": 0.002, "image": 0.0511, "prices": "2026-11-24"})
    assert cost == Cost(mainline=0.002, image=0.0511, prices=DAY)
    assert str(cost) == "$0.0531"


@pytest.mark.parametrize(
    "amount,text",
    [(0.0, "$0.0000"), (0.0531, "$0.0531"), (0.000018, "$0.000018"), (1234.5, "$1,234.50")],
)
def test_dollars_have_significant_digits(amount: float, text: str) -> None:
    """
    Small amounts are not rounded to zero, and large ones have only cents.
    """
    assert format_usd(amount) == text
