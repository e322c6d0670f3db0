"""
Report the status and cost of sessions and of the library.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import attrs

from imagesession._domain.budget import Budget
from imagesession._domain.cost import Cost, no_cost
from imagesession._domain.model_catalog import Kind, ModelCatalog, ModelInfo
from imagesession._domain.reports import CostGroup, CostReport, LibraryStats, SessionStatus, State
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._version import __version__
from imagesession.errors import NotFoundError, StorageError

from . import sessions
from .coerce import as_list, as_mapping, as_text
from .effects import NewId, StoreCall, Workflow
from .free_requests import read_object, send_free
from .http import HttpRequest
from .image_queries import SpendingQuery
from .queries import check_choice, with_session_id
from .request import StudioConfig
from .sessions import BranchHead
from .store import SessionActivity, Store
from .validate import validate_label

_RECENT = 5


def status(session_id: str, branch: str, config: StudioConfig) -> Workflow[SessionStatus]:
    branch_head = yield from sessions.load_branch(session_id, branch)
    now = yield from NewId()
    since = now.at - dt.timedelta(seconds=config.session_idle_timeout)
    activity = yield from StoreCall(lambda store: store.sessions.activity(branch_head.record))
    turns = tuple(branch_head.tree.turns.values())
    images = [image for turn in turns for image in turn.images]
    paths = yield from StoreCall(
        lambda store: tuple(store.images.path(image) for image in images[::-1][:_RECENT])
    )
    requested = sum(turn.kind not in {"promotion", "import", "analysis"} for turn in turns)
    record = branch_head.record
    return SessionStatus(
        session_id=record.id,
        session_name=record.name,
        description=record.description,
        state=_state(branch_head, activity, since),
        created_at=record.created,
        last_activity=activity,
        model=config.options.updated(record.choices).model,
        options=record.choices,
        references=tuple(reference.role for reference in record.references),
        branch=branch,
        branches=branch_head.tree.branches(),
        head=branch_head.head.images[-1].id if branch_head.head else None,
        total_generations=len(images),
        turns=dict(Counter(turn.status for turn in turns)),
        recent_images=paths,
        cost=total_cost(turns, config.catalogue),
        conversation_summary=f"{requested} user interactions, {len(images)} images generated",
    )


def _state(branch_head: BranchHead, activity: dt.datetime, since: dt.datetime) -> State:
    if branch_head.record.closed is not None:
        return "closed"
    return "active" if activity >= since else "idle"


def total_cost(turns: tuple[Turn, ...], catalogue: ModelCatalog) -> Cost:
    return sum((turn.cost for turn in turns if turn.cost), start=no_cost(catalogue))


def session_cost(session_id: str, branch: str, config: StudioConfig) -> Workflow[Cost]:
    branch_head = yield from sessions.load_branch(session_id, branch)
    return total_cost(tuple(branch_head.tree.turns.values()), config.catalogue)


def costs(query: SpendingQuery, config: StudioConfig, provider: str) -> Workflow[CostReport]:
    query = yield from with_session_id(query)
    report = yield from spending(query, provider)
    return attrs.evolve(report, remaining=(yield from remaining(config.budget, query.session)))


def remaining(budget: Budget | None, session_id: str | None) -> Workflow[float | None]:
    """
    Return how many US dollars a budget leaves today, and in a session; None for no such limit. For
    an owner, today's is what the owner may still spend.
    """
    if budget is None:
        return None
    now = yield from NewId()
    today = now.at.date()
    per_day = budget.per_day if now.owner is None else budget.per_owner_per_day
    pending = yield from StoreCall(lambda store: store.intents.pending())
    left: list[float] = []
    if per_day is not None:
        reserved = [intent.turn for intent in pending if intent.turn.started.date() == today]
        counted = yield from _counted(SpendingQuery(since=today, until=today), reserved)
        left.append(per_day - counted)
    if budget.per_session is not None and session_id is not None:
        reserved = [intent.turn for intent in pending if intent.turn.session == session_id]
        counted = yield from _counted(SpendingQuery(session=session_id), reserved)
        left.append(budget.per_session - counted)
    return max(min(left), 0.0) if left else None


def _counted(query: SpendingQuery, pending: Iterable[Turn]) -> Workflow[float]:
    """
    Add up what a budget counts: what was spent, and what is reserved for pending requests.
    """
    totals = yield from StoreCall(lambda store: store.images.spending(query))
    reserved = sum(turn.reserved or 0.0 for turn in pending)
    return sum(group.spent for group in totals) + reserved


def spending(query: SpendingQuery, provider: str) -> Workflow[CostReport]:
    tallies = yield from StoreCall(lambda store: store.images.spending(query))
    groups = {
        totals.group: CostGroup(
            dollars=totals.cost,
            uncertain=totals.uncertain,
            images=totals.images,
            turns=totals.turns,
            context_dollars=totals.context,
            context_tokens=totals.context_tokens,
        )
        for totals in tallies
    }
    return CostReport(group_by=query.by, groups=groups, provider=provider)


def models(
    config: StudioConfig, kind: Kind | None, *, live: bool
) -> Workflow[tuple[ModelInfo, ...]]:
    # https://developers.openai.com/api/reference/resources/models/methods/list
    now = yield from NewId()
    all_kinds: tuple[Kind, ...] = get_args(Kind)
    kinds: tuple[Kind, ...] = (
        all_kinds if kind is None else (check_choice("kind", kind, all_kinds),)
    )
    available = [
        model
        for model_kind in kinds
        for model in config.catalogue.available(model_kind, now.at.date())
    ]
    if not live:
        return tuple(available)
    listed = yield from fetch_model_ids()
    return tuple(
        model for model in available if not listed.isdisjoint({model.id, *model.snapshots})
    )


def find_model(config: StudioConfig, name: str) -> ModelInfo:
    model = config.catalogue.find(validate_label("The model's name", name))
    if model is None:
        known = tuple(config.catalogue.models)
        raise NotFoundError(
            f"The catalogue has no model {quote(name)}; it has {', '.join(known)}. Other models "
            "can be used all the same: their names are sent as they are.",
            name,
            known,
        )
    return model


def fetch_model_ids() -> Workflow[set[str]]:
    reply = yield from send_free(HttpRequest(method="GET", path="/models", timeout=30.0))
    entries = as_list(read_object(reply).get("data"))
    return {as_text(as_mapping(entry).get("id")) for entry in entries}


def stats(config: StudioConfig, provider: str, library: str) -> Workflow[LibraryStats]:
    now = yield from NewId()
    since = now.at - dt.timedelta(seconds=config.session_idle_timeout)
    active, session_count = yield from StoreCall(
        lambda store: (store.sessions.active(since), store.sessions.count())
    )
    spent = (yield from spending(SpendingQuery(), provider)).groups
    choices = yield from StoreCall(lambda store: _choices_of(active, store))
    models = (config.options.updated(options).model for options in choices)
    today = spent.get(now.at.date().isoformat())
    return LibraryStats(
        version=__version__,
        provider=provider,
        library=library,
        active_sessions=len(active),
        max_active_sessions=config.max_active_sessions,
        total_sessions=session_count,
        session_timeout_hours=config.session_idle_timeout / 3600,
        total_images=sum(group.images for group in spent.values()),
        total_turns=sum(group.turns for group in spent.values()),
        models_in_use=tuple(dict.fromkeys(models)),
        spent_today=today.dollars if today else 0.0,
        spent=sum(group.dollars for group in spent.values()),
    )


def _choices_of(active: Iterable[SessionActivity], store: Store) -> tuple[Mapping[str, Any], ...]:
    """
    Return the options of the active sessions whose records can be read.
    """
    choices: list[Mapping[str, Any]] = []
    for activity in active:
        with contextlib.suppress(StorageError):
            choices.append(store.sessions.find(activity.session_id).choices)
    return tuple(choices)
