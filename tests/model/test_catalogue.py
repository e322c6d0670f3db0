"""
The catalogue of models is whole, dated and consistent.
"""

from __future__ import annotations

import datetime as dt

import pytest

from imagesession._model.catalogue import Model, load_catalogue

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
def test_replacements_can_be_used(model: Model) -> None:
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
    alive = {model.id for model in CATALOGUE.alive("image", DAY)}
    assert "gpt-image-2" in alive
    assert "gpt-image-1" not in alive
    assert not alive & {model.id for model in CATALOGUE.alive("mainline", DAY)}


def test_unknown_models_are_unknown() -> None:
    """
    A model that is not in the catalogue is not made up.
    """
    assert CATALOGUE.find("my-own-model") is None
