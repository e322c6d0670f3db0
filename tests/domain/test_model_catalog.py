"""
The model catalogue is complete, dated and consistent.
"""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.model_catalog import ModelInfo, OutputTokenTable, load_catalogue

CATALOGUE = load_catalogue()
DAY = dt.date(2026, 11, 23)


def test_auto_models_are_available() -> None:
    """
    The models for "auto" are known, of the right kind, and have no announced shutdown.
    """
    for name, kind in ((CATALOGUE.mainline, "mainline"), (CATALOGUE.image, "image")):
        model = CATALOGUE.models[name]
        assert model.kind == kind
        assert model.shutdown is None


@pytest.mark.parametrize("model", CATALOGUE.models.values(), ids=lambda model: model.id)
def test_replacements_outlive_the_model(model: ModelInfo) -> None:
    """
    A recommended replacement is in the catalogue, of the same kind, and outlives the model.
    """
    if model.replacement is None:
        return
    replacement = CATALOGUE.models[model.replacement]
    assert replacement.kind == model.kind
    assert not replacement.is_retired(model.shutdown or DAY)


def test_model_is_retired_on_its_shutdown_date() -> None:
    """
    A model is available on the day before its announced shutdown and retired on that day.
    """
    model = CATALOGUE.models["gpt-image-1.5"]
    assert model.shutdown == dt.date(2026, 12, 1)
    assert not model.is_retired(dt.date(2026, 11, 30))
    assert model.is_retired(dt.date(2026, 12, 1))


def test_available_excludes_retired_models() -> None:
    """
    Models of a kind are listed without retired ones.
    """
    available = {model.id for model in CATALOGUE.available("image", DAY)}
    assert "gpt-image-2" in available
    assert "gpt-image-1" not in available
    assert not available & {model.id for model in CATALOGUE.available("mainline", DAY)}


def test_unknown_model_is_not_found() -> None:
    """
    A model that is not in the catalogue is not found.
    """
    assert CATALOGUE.find("my-own-model") is None


@pytest.mark.parametrize("model", CATALOGUE.models.values(), ids=lambda model: model.id)
def test_every_quality_has_a_figure_and_a_source(model: ModelInfo) -> None:
    """
    For every quality of a model there is a token count, with its source.
    """
    for quality in model.qualities:
        assert model.output.lookup(quality, 1024, 1024)
        assert model.output.marks[quality] in {"published", "measured", "scaled"}


@pytest.mark.parametrize("model", CATALOGUE.available("mainline", DAY), ids=lambda model: model.id)
def test_available_mainline_models_have_prices(model: ModelInfo) -> None:
    """
    Every available mainline model has prices, and cached input is cheaper.
    """
    prices = model.prices
    assert prices.text_in
    assert prices.text_out
    assert prices.text_in < prices.text_out
    assert (prices.text_in_cached or 0.0) < prices.text_in
    assert prices.text_in_written in {None, 1.25 * prices.text_in}


@pytest.mark.parametrize("model", CATALOGUE.available("image", DAY), ids=lambda model: model.id)
def test_available_image_models_have_prices(model: ModelInfo) -> None:
    """
    Text input, image input and image output have prices.
    """
    prices = model.prices
    assert prices.text_in
    assert prices.image_in
    assert prices.image_out
    # Tokens of no stated kind are billed as images, which is safe while those cost more.
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
def test_known_token_counts_of_images(
    model: str, quality: str, size: tuple[int, int], tokens: int
) -> None:
    """
    Published and billed token counts are reproduced exactly.
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
def test_published_prices_of_images(quality: str, size: tuple[int, int], price: float) -> None:
    """
    Tokens times price equals the price per image on the provider's page.
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
def test_scaled_figures_are_close(quality: str, size: tuple[int, int], billed: int) -> None:
    """
    Where no table is published, the figure is within a tenth of the billed one.
    """
    tokens = CATALOGUE.output_tokens("gpt-image-2.6-sunburst", quality, size)
    assert tokens is not None
    assert abs(tokens - billed) <= billed / 10


def test_unknown_models_have_no_token_counts() -> None:
    """
    Unknown models, models without figures, and unsupported qualities have no token count.
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
    A better quality takes at least as many tokens, and every image takes some.
    """
    facts = CATALOGUE.models[model]
    counts = [facts.output.lookup(quality, *size) or 0 for quality in facts.qualities]
    assert counts == sorted(counts)
    assert counts[0] > 0


@given(sizes)
def test_orientation_does_not_change_the_tokens(size: tuple[int, int]) -> None:
    """
    If tokens depend on the size, only the area and the shape matter.
    """
    output = OutputTokenTable(grid={"low": 16})
    assert output.lookup("low", *size) == output.lookup("low", *reversed(size))
