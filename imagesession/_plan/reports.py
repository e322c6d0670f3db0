"""
Tell how sessions and the library stand.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import attrs

from imagesession._model.budgets import Budget
from imagesession._model.catalogue import Catalogue, Kind, Model
from imagesession._model.costs import Cost, no_cost
from imagesession._model.reports import SessionStatus, Spending, Spent, State, StudioStats
from imagesession._model.turns import Turn
from imagesession._version import __version__
from imagesession.errors import LibraryError, NotFoundError, UnavailableError

from . import sessions
from .checks import check_label
from .failures import error_of
from .queries import check_choice
from .replies import is_success, read_json
from .sessions import Place
from .steps import Begin, Flow, OnDisk, Send
from .store import Activity, SpendingQuery, Store
from .tolerance import as_list, as_mapping, as_text
from .wire import NoReplyError, Request
from .wishes import Terms

_RECENT = 5


def status(session_id: str, branch: str, terms: Terms) -> Flow[SessionStatus]:
    """
    Tell where a session stands.
    """
    place = yield from sessions.locate(session_id, branch)
    begun = yield from Begin()
    since = begun.at - dt.timedelta(seconds=terms.idle_after)
    activity = yield from OnDisk(lambda store: store.activity(place.record))
    turns = tuple(place.tree.turns.values())
    images = [image for turn in turns for image in turn.images]
    paths = yield from OnDisk(
        lambda store: tuple(store.path(image) for image in images[::-1][:_RECENT])
    )
    asked = sum(turn.kind not in {"promotion", "import", "analysis"} for turn in turns)
    record = place.record
    return SessionStatus(
        session_id=record.id,
        session_name=record.name,
        description=record.description,
        state=_state(place, activity, since),
        created_at=record.created,
        last_activity=activity,
        model=terms.options.updated(record.choices).model,
        options=record.choices,
        branch=branch,
        branches=place.tree.branches(),
        head=place.head.images[-1].id if place.head else None,
        total_generations=len(images),
        turns=dict(Counter(turn.status for turn in turns)),
        recent_images=paths,
        cost=total_cost(turns, terms.catalogue),
        conversation_summary=f"{asked} user interactions, {len(images)} images generated",
    )


def _state(place: Place, activity: dt.datetime, since: dt.datetime) -> State:
    if place.record.closed is not None:
        return "closed"
    return "active" if activity >= since else "idle"


def total_cost(turns: tuple[Turn, ...], catalogue: Catalogue) -> Cost:
    """
    Add up what turns cost.
    """
    return sum((turn.cost for turn in turns if turn.cost), start=no_cost(catalogue))


def session_cost(session_id: str, branch: str, terms: Terms) -> Flow[Cost]:
    """
    Add up what a session cost so far.
    """
    place = yield from sessions.locate(session_id, branch)
    return total_cost(tuple(place.tree.turns.values()), terms.catalogue)


def costs(query: SpendingQuery, terms: Terms, provider: str) -> Flow[Spending]:
    """
    Add up what was spent, and what the budget leaves.

    Raises:
        NotFoundError: There is no such session.
    """
    wanted = query.session
    if wanted is not None:
        session = yield from OnDisk(lambda store: store.find_session(wanted))
        query = attrs.evolve(query, session=session.id)
    report = yield from spending(query, provider)
    return attrs.evolve(report, remaining=(yield from remaining(terms.budget, query.session)))


def remaining(budget: Budget | None, session_id: str | None) -> Flow[float | None]:
    """
    Return how many US dollars a budget leaves today, and in a session; None for no such limit.
    """
    if budget is None:
        return None
    today = (yield from Begin()).at.date()
    pending = yield from OnDisk(lambda store: store.pending())
    left: list[float] = []
    if budget.per_day is not None:
        reserved = [each.turn for each in pending if each.turn.started.date() == today]
        counted = yield from _counted(SpendingQuery(since=today, until=today), reserved)
        left.append(budget.per_day - counted)
    if budget.per_session is not None and session_id is not None:
        reserved = [each.turn for each in pending if each.turn.session == session_id]
        counted = yield from _counted(SpendingQuery(session=session_id), reserved)
        left.append(budget.per_session - counted)
    return max(min(left), 0.0) if left else None


def _counted(query: SpendingQuery, pending: Iterable[Turn]) -> Flow[float]:
    """
    Add up what a budget counts: what was spent, and what is reserved for requests on their way.
    """
    totals = yield from OnDisk(lambda store: store.spending(query))
    reserved = sum(turn.reserved or 0.0 for turn in pending)
    return sum(each.spent for each in totals) + reserved


def spending(query: SpendingQuery, provider: str) -> Flow[Spending]:
    """
    Add up what was spent.
    """
    tallies = yield from OnDisk(lambda store: store.spending(query))
    groups = {
        one.group: Spent(
            dollars=one.cost, uncertain=one.uncertain, images=one.images, turns=one.turns
        )
        for one in tallies
    }
    return Spending(group_by=query.by, groups=groups, provider=provider)


def models(terms: Terms, kind: Kind | None, *, live: bool) -> Flow[tuple[Model, ...]]:
    """
    Return the models that can be used today; with `live`, those that the provider lists.

    Source: https://developers.openai.com/api/reference/resources/models/methods/list
    """
    begun = yield from Begin()
    known: tuple[Kind, ...] = get_args(Kind)
    kinds: tuple[Kind, ...] = known if kind is None else (check_choice("kind", kind, known),)
    alive = [one for each in kinds for one in terms.catalogue.alive(each, begun.at.date())]
    if not live:
        return tuple(alive)
    listed = yield from listed_models()
    return tuple(one for one in alive if not listed.isdisjoint({one.id, *one.snapshots}))


def find_model(terms: Terms, name: str) -> Model:
    """
    Return what the catalogue knows of a model.

    Raises:
        NotFoundError: Nothing.
    """
    model = terms.catalogue.find(check_label("The model's name", name))
    if model is None:
        known = tuple(terms.catalogue.models)
        raise NotFoundError(
            f"The catalogue has no model {name!r}. It has {', '.join(known)}. A name that it does "
            "not have may be used all the same: it is passed on as it is.",
            name,
            known,
        )
    return model


def listed_models() -> Flow[set[str]]:
    """
    Ask the provider for the names of its models.

    Raises:
        ImageSessionError: It cannot be reached, or says no.
    """
    try:
        reply = yield from Send(Request(method="GET", path="/models", timeout=30.0))
    except NoReplyError as error:
        raise UnavailableError(
            f"The provider cannot be reached ({error.reason}). Check the network and the base URL."
        ) from error
    if not is_success(reply):
        raise error_of(reply)
    entries = as_list(read_json(reply).get("data"))
    return {as_text(as_mapping(entry).get("id")) for entry in entries}


def stats(terms: Terms, provider: str, library: str) -> Flow[StudioStats]:
    """
    Tell how the library stands, in numbers.
    """
    begun = yield from Begin()
    since = begun.at - dt.timedelta(seconds=terms.idle_after)
    active, known = yield from OnDisk(
        lambda store: (store.active_sessions(since), store.count_sessions())
    )
    spent = (yield from spending(SpendingQuery(), provider)).groups
    choices = yield from OnDisk(lambda store: _choices_of(active, store))
    models = (terms.options.updated(each).model for each in choices)
    today = spent.get(begun.at.date().isoformat())
    return StudioStats(
        version=__version__,
        provider=provider,
        library=library,
        active_sessions=len(active),
        max_sessions=terms.max_sessions,
        total_sessions=known,
        session_timeout_hours=terms.idle_after / 3600,
        total_images=sum(one.images for one in spent.values()),
        total_turns=sum(one.turns for one in spent.values()),
        models_in_use=tuple(dict.fromkeys(models)),
        spent_today=today.dollars if today else 0.0,
        spent=sum(one.dollars for one in spent.values()),
    )


def _choices_of(active: Iterable[Activity], store: Store) -> tuple[Mapping[str, Any], ...]:
    """
    Return what the turns of sessions ask for, of those whose records can be read.
    """
    choices: list[Mapping[str, Any]] = []
    for one in active:
        with contextlib.suppress(LibraryError):
            choices.append(store.find_session(one.session_id).choices)
    return tuple(choices)
