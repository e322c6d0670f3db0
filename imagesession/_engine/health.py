"""
Look at everything that a studio stands on, and say what to do about what is not right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from imagesession._domain.health import HealthCheck, HealthReport
from imagesession._domain.model_catalog import Kind, ModelCatalog, ModelInfo
from imagesession._domain.options import GenerateOptions
from imagesession.errors import ImageSessionError

from .effects import GetProviderName, NewId, StoreCall, Workflow
from .reports import listed_models
from .request import StudioConfig

_SOON = dt.timedelta(days=90)
_STALE = dt.timedelta(days=90)
_UPDATE = "pip install -U imagesession"


def run_health_checks(
    config: StudioConfig, provider: str, *, verify: bool, online: bool
) -> Workflow[HealthReport]:
    """
    Look at library, key and models.

    Args:
        config: What the studio asks for by itself.
        provider: Who makes the pictures, in words.
        verify: Whether to read every picture and compare it with its record.
        online: Whether to ask the provider for its models, which is free.
    """
    begun = yield from NewId()
    today = begun.at.date()
    found = yield from StoreCall(lambda store: store.check_health(verify=verify))
    key = yield from _key(provider)
    models = tuple(_models(config.options, config.catalogue, today))
    age = _age(config.catalogue, today)
    lists = (yield from _listing(config)) if online and key.state == "ok" else ()
    return HealthReport(checks=(*found, key, *models, age, *lists))


def _key(provider: str) -> Workflow[HealthCheck]:
    """
    Connect as a request would, without sending one.
    """
    try:
        yield from GetProviderName()
    except ImageSessionError as error:
        return HealthCheck(
            name="key",
            state="problem",
            message=f"nothing can be asked of {provider}.",
            remedy=error.message,
        )
    return HealthCheck(name="key", message=f"a key is there, or none is needed: {provider}.")


def _models(
    options: GenerateOptions, catalogue: ModelCatalog, today: dt.date
) -> Iterator[HealthCheck]:
    chosen: tuple[tuple[str, Kind, str], ...] = (
        ("model", "mainline", _named(options.model, catalogue.mainline)),
        ("image_model", "image", _named(options.image_model, catalogue.image)),
    )
    for name, kind, wanted in chosen:
        yield _model(name, kind, wanted, catalogue, today)


def _named(wanted: str, default: str) -> str:
    return default if wanted == "auto" else wanted


def _model(
    name: str, kind: Kind, wanted: str, catalogue: ModelCatalog, today: dt.date
) -> HealthCheck:
    known = catalogue.find(wanted)
    if known is None:
        return HealthCheck(
            name=name,
            message=f"{wanted} is not in the catalogue of {catalogue.dated}, so nothing is known "
            "of its limits, its price and its end.",
        )
    if known.kind != kind:
        return HealthCheck(
            name=name,
            state="problem",
            message=f"{wanted} is no {kind} model.",
            remedy=f'Choose another {name}, or "auto".',
        )
    if known.shutdown is None or known.shutdown - today > _SOON:
        return HealthCheck(name=name, message=f"{wanted} can be used{_until(known)}.")
    ended = known.is_retired(today)
    return HealthCheck(
        name=name,
        state="problem" if ended else "warning",
        message=f"{wanted} {'was' if ended else 'will be'} shut down on {known.shutdown}.",
        remedy=f'Choose {known.replacement or "another one"} as {name}, or "auto".',
    )


def _until(model: ModelInfo) -> str:
    return "" if model.shutdown is None else f" until {model.shutdown}"


def _age(catalogue: ModelCatalog, today: dt.date) -> HealthCheck:
    days = (today - catalogue.dated).days
    stale = today - catalogue.dated > _STALE
    return HealthCheck(
        name="catalogue",
        state="warning" if stale else "ok",
        message=f"what is known of models and prices is of {catalogue.dated}, {max(days, 0)} days "
        "ago.",
        remedy=f"Newer models and prices may be known by now: {_UPDATE}" if stale else "",
    )


def _listing(config: StudioConfig) -> Workflow[tuple[HealthCheck, ...]]:
    """
    Ask the provider which models it has.
    """
    try:
        known = yield from listed_models()
    except ImageSessionError as error:
        return (
            HealthCheck(
                name="network",
                state="problem",
                message="the provider did not list its models.",
                remedy=error.message,
            ),
        )
    reached = HealthCheck(name="network", message=f"the provider lists {len(known)} models.")
    wanted = (
        _named(config.options.model, config.catalogue.mainline),
        _named(config.options.image_model, config.catalogue.image),
    )
    absent = [text for text in wanted if known.isdisjoint(_names(text, config.catalogue))]
    return reached, HealthCheck(
        name="models listed",
        state="warning" if absent else "ok",
        message=f"{', '.join(absent)} not among them." if absent else f"{', '.join(wanted)}.",
        remedy="Choose others with model= and image_model=; studio.models.list(live=True) tells "
        "which there are."
        if absent
        else "",
    )


def _names(wanted: str, catalogue: ModelCatalog) -> set[str]:
    known = catalogue.find(wanted)
    return {wanted} if known is None else {wanted, known.id, *known.snapshots}
