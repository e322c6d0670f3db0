"""
The catalogue of models is whole, dated and consistent.
"""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.model_catalog import ModelInfo, OutputTokenTable, load_catalogue

CATALOGUE = load_catalogue()
DAY = dt.date(2026, 11, 23)


def test_the_automatic_models_are_alive() -> None:
    """
    What "auto" stands for is known, is of the right kind and has no announced end.
    """
    for name, kind in ((CATALOGUE.mainline, "mainline"), (CATALOGUE.image, "image")):
        model = CATALOGUE.models[name]
        assert model.kind == kind
        assert model.shutdown is None


@pytest.mark.parametrize("model", CATALOGUE.models.values(), ids=lambda model: model.id)
def test_replacements_can_be_used(model: ModelInfo) -> None:
    """
    A recommended replacement is in the catalogue, of the same kind, and outlives the model.
    """
    if model.replacement is None:
        return
    instead = CATALOGUE.models[model.replacement]
    assert instead.kind == model.kind
    assert not instead.is_retired(model.shutdown or DAY)


def test_a_model_ends_on_its_day() -> None:
    """
    A model is alive on the day before its announced end and retired on that day.
    """
    model = CATALOGUE.models["gpt-image-1.5"]
    assert model.shutdown == dt.date(2026, 12, 1)
    assert not model.is_retired(dt.date(2026, 11, 30))
    assert model.is_retired(dt.date(2026, 12, 1))


def test_alive_leaves_out_what_has_ended() -> None:
    """
    Models of a kind are listed without those that have ended.
    """
    alive = {model.id for model in CATALOGUE.available("image", DAY)}
    assert "gpt-image-2" in alive
    assert "gpt-image-1" not in alive
    assert not alive & {model.id for model in CATALOGUE.available("mainline", DAY)}


def test_unknown_models_are_unknown() -> None:
    """
    A model that is not in the catalogue is not made up.
    """
    assert CATALOGUE.find("my-own-model") is None


@pytest.mark.parametrize("model", CATALOGUE.models.values(), ids=lambda model: model.id)
def test_every_quality_has_a_figure_and_a_source(model: ModelInfo) -> None:
    """
    For every quality that a model takes it is known what a picture takes, and where from.
    """
    for quality in model.qualities:
        assert model.output.lookup(quality, 1024, 1024)
        assert model.output.marks[quality] in {"published", "measured", "scaled"}


@pytest.mark.parametrize("model", CATALOGUE.available("mainline", DAY), ids=lambda model: model.id)
def test_living_mainline_models_have_prices(model: ModelInfo) -> None:
    """
    What a conversation costs is known for every model that is alive, and the cache saves.
    """
    prices = model.prices
    assert prices.text_in
    assert prices.text_out
    assert prices.text_in < prices.text_out
    assert (prices.text_in_cached or 0.0) < prices.text_in
    assert prices.text_in_written in {None, 1.25 * prices.text_in}


@pytest.mark.parametrize("model", CATALOGUE.available("image", DAY), ids=lambda model: model.id)
def test_living_image_models_have_prices(model: ModelInfo) -> None:
    """
    Words and pictures that go in and pictures that come out have prices.
    """
    prices = model.prices
    assert prices.text_in
    assert prices.image_in
    assert prices.image_out
    # What is not told apart is billed as pictures, which is only safe while they are dearer.
    assert prices.text_in <= prices.image_in
    assert (prices.text_out or 0.0) <= prices.image_out


@pytest.mark.parametrize(
    "model,quality,size,tokens",
    [
        # The guide's table, and every recorded reply.
        ("gpt-image-1", "low", (1024, 1024), 272),
        ("gpt-image-1.5", "medium", (1536, 1024), 1568),
        ("gpt-image-1-mini", "high", (1024, 1536), 6240),
        # Billed.
        ("gpt-image-2", "low", (1024, 1024), 196),
        ("gpt-image-2", "low", (1280, 720), 106),
        ("gpt-image-2", "low", (1536, 864), 120),
        ("gpt-image-2", "low", (960, 720), 130),
        ("gpt-image-2", "low", (976, 704), 129),
        # The provider's calculator, as others quote it.
        ("gpt-image-2", "high", (1024, 1024), 7024),
        ("gpt-image-2", "high", (1536, 1024), 5488),
        ("gpt-image-2-2026-04-21", "high", (1792, 1024), 5063),
        ("gpt-image-2", "high", (3584, 2048), 12_329),
        ("gpt-image-2.5-flare", "low", (1024, 1024), 196),
        ("gpt-image-2.5-flare", "medium", (1024, 1024), 439),
        ("gpt-image-2.5-sunburst", "high", (1024, 1024), 1756),
        ("gpt-image-2.5-sunburst", "xhigh", (1024, 1024), 3122),
        ("gpt-image-2.5-sunburst", "max", (1024, 1024), 7024),
    ],
)
def test_pictures_take_the_tokens_that_are_known(
    model: str, quality: str, size: tuple[int, int], tokens: int
) -> None:
    """
    Published and billed figures come out exactly.
    """
    assert CATALOGUE.output_tokens(model, quality, size) == tokens


@pytest.mark.parametrize(
    "quality,size,price",
    [
        ("low", (1024, 1024), 0.006),
        ("low", (1024, 1536), 0.005),
        ("medium", (1024, 1024), 0.053),
        ("medium", (1536, 1024), 0.041),
        ("high", (1024, 1024), 0.211),
        ("high", (1024, 1536), 0.165),
    ],
)
def test_pictures_cost_what_is_published(quality: str, size: tuple[int, int], price: float) -> None:
    """
    Tokens times price is the price per picture of the provider's page.
    """
    tokens = CATALOGUE.output_tokens("gpt-image-2", quality, size)
    assert tokens is not None
    assert round(tokens * 30 / 1e6, 3) == price


@pytest.mark.parametrize(
    "quality,size,billed",
    [
        ("low", (1536, 1024), 664),
        ("high", (1536, 1024), 1353),
        ("high", (3840, 2160), 3337),
    ],
)
def test_what_is_scaled_comes_near(quality: str, size: tuple[int, int], billed: int) -> None:
    """
    Where no table is published ours is within a tenth of what was billed.
    """
    tokens = CATALOGUE.output_tokens("gpt-image-2.6-sunburst", quality, size)
    assert tokens is not None
    assert abs(tokens - billed) <= billed / 10


def test_what_is_not_known_has_no_tokens() -> None:
    """
    An unknown model, one without figures, and a quality that a model lacks have none.
    """
    size = (1024, 1024)
    assert CATALOGUE.output_tokens("my-own-model", "low", size) is None
    assert CATALOGUE.output_tokens("dall-e-3", "low", size) is None
    assert CATALOGUE.output_tokens("gpt-image-2", "max", size) is None
    assert CATALOGUE.output_tokens("gpt-image-1", "max", size) is None


sizes = st.tuples(st.integers(480, 3840), st.floats(1 / 3, 3)).map(
    lambda shape: (shape[0], int(shape[0] * shape[1]))
)


@given(st.sampled_from(["gpt-image-1.5", "gpt-image-2", "gpt-image-2.6-flare"]), sizes)
def test_tokens_grow_with_quality(model: str, size: tuple[int, int]) -> None:
    """
    A better quality takes no fewer tokens, and a picture takes some.
    """
    facts = CATALOGUE.models[model]
    counts = [facts.output.lookup(quality, *size) or 0 for quality in facts.qualities]
    assert counts == sorted(counts)
    assert counts[0] > 0


@given(sizes)
def test_a_picture_on_its_side_takes_as_much(size: tuple[int, int]) -> None:
    """
    Where tokens follow from the size, only the pixels and the shape count.
    """
    output = OutputTokenTable(grid={"low": 16})
    assert output.lookup("low", *size) == output.lookup("low", *reversed(size))
