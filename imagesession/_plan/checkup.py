"""
Look at everything that a studio stands on, and say what to do about what is not right.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from imagesession._model.catalogue import Catalogue, Kind, Model
from imagesession._model.checkup import Check, Checkup
from imagesession._model.options import Options
from imagesession.errors import ImageSessionError

from .reports import listed_models
from .steps import AskProvider, Begin, Flow, OnDisk
from .wishes import Terms

_SOON = dt.timedelta(days=90)
_STALE = dt.timedelta(days=90)
_UPDATE = "pip install -U imagesession"


def look(terms: Terms, provider: str, *, verify: bool, online: bool) -> Flow[Checkup]:
    """
    Look at library, key and models.

    Args:
        terms: What the studio asks for by itself.
        provider: Who makes the pictures, in words.
        verify: Whether to read every picture and compare it with its record.
        online: Whether to ask the provider for its models, which is free.
    """
    begun = yield from Begin()
    today = begun.at.date()
    found = yield from OnDisk(lambda store: store.examine(verify=verify))
    key = yield from _key(provider)
    models = tuple(_models(terms.options, terms.catalogue, today))
    age = _age(terms.catalogue, today)
    lists = (yield from _listing(terms)) if online and key.state == "ok" else ()
    return Checkup(checks=(*found, key, *models, age, *lists))


def _key(provider: str) -> Flow[Check]:
    """
    Connect as a request would, without sending one.
    """
    try:
        yield from AskProvider()
    except ImageSessionError as error:
        return Check(
            name="key",
            state="problem",
            message=f"nothing can be asked of {provider}.",
            remedy=error.message,
        )
    return Check(name="key", message=f"a key is there, or none is needed: {provider}.")


def _models(options: Options, catalogue: Catalogue, today: dt.date) -> Iterator[Check]:
    chosen: tuple[tuple[str, Kind, str], ...] = (
        ("model", "mainline", _named(options.model, catalogue.mainline)),
        ("image_model", "image", _named(options.image_model, catalogue.image)),
    )
    for name, kind, wanted in chosen:
        yield _model(name, kind, wanted, catalogue, today)


def _named(wanted: str, default: str) -> str:
    return default if wanted == "auto" else wanted


def _model(name: str, kind: Kind, wanted: str, catalogue: Catalogue, today: dt.date) -> Check:
    known = catalogue.find(wanted)
    if known is None:
        return Check(
            name=name,
            message=f"{wanted} is not in the catalogue of {catalogue.dated}, so nothing is known "
            "of its limits, its price and its end.",
        )
    if known.kind != kind:
        return Check(
            name=name,
            state="problem",
            message=f"{wanted} is no {kind} model.",
            remedy=f'Choose another {name}, or "auto".',
        )
    if known.shutdown is None or known.shutdown - today > _SOON:
        return Check(name=name, message=f"{wanted} can be used{_until(known)}.")
    ended = known.is_retired(today)
    return Check(
        name=name,
        state="problem" if ended else "warning",
        message=f"{wanted} {'was' if ended else 'will be'} shut down on {known.shutdown}.",
        remedy=f'Choose {known.replacement or "another one"} as {name}, or "auto".',
    )


def _until(model: Model) -> str:
    return "" if model.shutdown is None else f" until {model.shutdown}"


def _age(catalogue: Catalogue, today: dt.date) -> Check:
    days = (today - catalogue.dated).days
    stale = today - catalogue.dated > _STALE
    return Check(
        name="catalogue",
        state="warning" if stale else "ok",
        message=f"what is known of models and prices is of {catalogue.dated}, {max(days, 0)} days "
        "ago.",
        remedy=f"Newer models and prices may be known by now: {_UPDATE}" if stale else "",
    )


def _listing(terms: Terms) -> Flow[tuple[Check, ...]]:
    """
    Ask the provider which models it has.
    """
    try:
        known = yield from listed_models()
    except ImageSessionError as error:
        return (
            Check(
                name="network",
                state="problem",
                message="the provider did not list its models.",
                remedy=error.message,
            ),
        )
    reached = Check(name="network", message=f"the provider lists {len(known)} models.")
    wanted = (
        _named(terms.options.model, terms.catalogue.mainline),
        _named(terms.options.image_model, terms.catalogue.image),
    )
    absent = [one for one in wanted if known.isdisjoint(_names(one, terms.catalogue))]
    return reached, Check(
        name="models listed",
        state="warning" if absent else "ok",
        message=f"{', '.join(absent)} not among them." if absent else f"{', '.join(wanted)}.",
        remedy="Choose others with model= and image_model=; studio.models.list(live=True) tells "
        "which there are."
        if absent
        else "",
    )


def _names(wanted: str, catalogue: Catalogue) -> set[str]:
    known = catalogue.find(wanted)
    return {wanted} if known is None else {wanted, known.id, *known.snapshots}
