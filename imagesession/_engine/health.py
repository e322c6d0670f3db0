"""
Check everything that a studio depends on, and suggest a remedy for each problem.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from imagesession._domain.health import HealthCheck, HealthReport
from imagesession._domain.model_catalog import Kind, ModelCatalog, ModelInfo
from imagesession._domain.options import GenerateOptions
from imagesession._domain.wording import quote
from imagesession.errors import ImageSessionError

from .effects import GetProviderName, NewId, StoreCall, Workflow
from .reports import fetch_model_ids
from .request import StudioConfig

_SOON = dt.timedelta(days=90)
_STALE = dt.timedelta(days=90)
_UPDATE = "pip install -U imagesession"


def run_health_checks(
    config: StudioConfig, provider: str, *, verify: bool, repair: bool = False, online: bool
) -> Workflow[HealthReport]:
    now = yield from NewId()
    today = now.at.date()
    library = yield from StoreCall(lambda store: store.check_health(verify=verify, repair=repair))
    key = yield from _check_key(provider)
    models = tuple(_check_models(config.options, config.catalogue, today))
    age = _check_catalogue_age(config.catalogue, today)
    lists = (yield from _check_listed_models(config)) if online and key.state == "ok" else ()
    return HealthReport(checks=(*library, key, *models, age, *lists))


def _check_key(provider: str) -> Workflow[HealthCheck]:
    """
    Set up the provider's client as for a request, without sending one.
    """
    try:
        yield from GetProviderName()
    except ImageSessionError as error:
        return HealthCheck(
            name="key",
            state="problem",
            message=f"no request can be sent to {provider}.",
            remedy=error.message,
        )
    return HealthCheck(name="key", message=f"there is an API key, or none is needed: {provider}.")


def _check_models(
    options: GenerateOptions, catalogue: ModelCatalog, today: dt.date
) -> Iterator[HealthCheck]:
    chosen: tuple[tuple[str, Kind, str], ...] = (
        ("model", "mainline", catalogue.resolve("mainline", options.model)),
        ("image_model", "image", catalogue.resolve("image", options.image_models[0])),
    )
    for name, kind, model_id in chosen:
        yield _check_model(name, kind, model_id, catalogue, today)


def _check_model(
    name: str, kind: Kind, model_id: str, catalogue: ModelCatalog, today: dt.date
) -> HealthCheck:
    model = catalogue.find(model_id)
    if model is None:
        return HealthCheck(
            name=name,
            message=f"{model_id} is not in the catalogue of {catalogue.dated}, so its limits, "
            "price and shutdown date are not known.",
        )
    if model.kind != kind:
        return HealthCheck(
            name=name,
            state="problem",
            message=f"{model_id} is not a model of kind {quote(kind)}.",
            remedy=f'Choose another {name}, or "auto".',
        )
    if model.shutdown is None or model.shutdown - today > _SOON:
        return HealthCheck(name=name, message=f"{model_id} can be used{_until(model)}.")
    ended = model.is_retired(today)
    return HealthCheck(
        name=name,
        state="problem" if ended else "warning",
        message=f"{model_id} {'was' if ended else 'will be'} shut down on {model.shutdown}.",
        remedy=f'Choose {model.replacement or "another one"} as {name}, or "auto".',
    )


def _until(model: ModelInfo) -> str:
    return "" if model.shutdown is None else f" until {model.shutdown}"


def _check_catalogue_age(catalogue: ModelCatalog, today: dt.date) -> HealthCheck:
    days = (today - catalogue.dated).days
    stale = today - catalogue.dated > _STALE
    return HealthCheck(
        name="catalogue",
        state="warning" if stale else "ok",
        message=f"the catalogue of models and prices is of {catalogue.dated}, {max(days, 0)} days "
        "ago.",
        remedy=f"Get newer models and prices: {_UPDATE}" if stale else "",
    )


def _check_listed_models(config: StudioConfig) -> Workflow[tuple[HealthCheck, ...]]:
    try:
        listed = yield from fetch_model_ids()
    except ImageSessionError as error:
        return (
            HealthCheck(
                name="network",
                state="problem",
                message="the provider did not list its models.",
                remedy=error.message,
            ),
        )
    reached = HealthCheck(name="network", message=f"the provider lists {len(listed)} models.")
    model_ids = (
        config.catalogue.resolve("mainline", config.options.model),
        config.catalogue.resolve("image", config.options.image_models[0]),
    )
    absent = [
        model_id
        for model_id in model_ids
        if listed.isdisjoint(_all_names(model_id, config.catalogue))
    ]
    return reached, HealthCheck(
        name="models listed",
        state="warning" if absent else "ok",
        message=f"{', '.join(absent)} not among them." if absent else f"{', '.join(model_ids)}.",
        remedy="Choose others with model= and image_model=; studio.models.list(live=True) lists "
        "them."
        if absent
        else "",
    )


def _all_names(model_id: str, catalogue: ModelCatalog) -> set[str]:
    model = catalogue.find(model_id)
    return {model_id} if model is None else {model_id, model.id, *model.snapshots}
