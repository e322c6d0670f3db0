"""
Create, find, change and export sessions; none of it calls the provider.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping

import attrs

from imagesession._domain.caller_warnings import warn_caller
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import MAIN, HeadMove, Tree
from imagesession._domain.turn import SHORT_ID, Api, ProviderState, Reference, Turn
from imagesession._domain.wording import list_some, quote
from imagesession.errors import (
    IncompleteExportWarning,
    InvalidRequestError,
    NotFoundError,
    SessionClosedError,
    TooManySessionsError,
)

from .effects import NewId, StoreCall, Workflow
from .find_session import find_session, latest_of
from .pixels import Source
from .reference_board import keep_references
from .request import StudioConfig
from .store import Store
from .validate import validate_api, validate_label, validate_memory, validate_models


@attrs.frozen(kw_only=True)
class BranchHead:
    """
    The end of a session's branch, on which the next turn grows.
    """

    record: SessionRecord
    tree: Tree
    branch: str

    @functools.cached_property
    def head(self) -> Turn | None:
        return self.tree.head(self.branch)

    @functools.cached_property
    def past(self) -> tuple[Turn, ...]:
        """
        The turns that the next one continues, the oldest first; see `Tree.context`.
        """
        return self.tree.context(self.head)


def session_config(
    config: StudioConfig, branch_head: BranchHead | None, api: Api | None = None
) -> StudioConfig:
    """
    Return the configuration of a turn: the call's own API, its session's settings, else its
    studio's.
    """
    if branch_head is None:
        return config if api is None else attrs.evolve(config, api=validate_api(api))
    record = branch_head.record
    return attrs.evolve(
        config,
        api=validate_api(record.api or config.api if api is None else api),
        provider_state=record.provider_state or config.provider_state,
        remember=config.remember if record.remember is None else record.remember,
    )


@attrs.frozen(kw_only=True)
class SessionSettings:
    """
    A session's name and the settings of its turns; None keeps the present value, or the studio's.

    Attributes:
        remember: How many earlier turns are sent as context at most.
        references: The images of its reference board; none to empty it.
    """

    name: str | None = None
    options: Mapping[str, object] = attrs.field(factory=dict[str, object])
    provider_state: ProviderState | None = None
    remember: int | None = None
    api: Api | None = None
    references: tuple[Source, ...] | None = None

    def __attrs_post_init__(self) -> None:
        if self.name is not None:
            validate_label("The name", self.name)
        validate_memory(self.provider_state, self.remember)
        if self.api is not None:
            validate_api(self.api)


def create_session(
    description: str, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    validate_label("The description", description)
    new = yield from NewId()
    _validate_choices(settings, config, new.at)
    yield from _check_session_limit(config, new.at)
    references = yield from keep_references(settings.references or ())
    record = SessionRecord(
        id=new.id,
        owner=new.owner,
        description=description.strip(),
        name=settings.name,
        choices=dict(settings.options),
        provider_state=settings.provider_state,
        remember=settings.remember,
        api=settings.api,
        references=references,
        created=new.at,
    )
    yield from StoreCall(lambda store: store.sessions.save(record))
    return record


def get_or_create_session(
    description: str, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    """
    Return the session that has this name, reopened if it was closed, with these settings; else
    create it.
    """
    name = settings.name
    if name is None:
        raise InvalidRequestError("resume=True finds a session by its name; pass name=.")
    named = yield from StoreCall(lambda store: store.sessions.named(name))
    owner = (yield from NewId()).owner
    own = tuple(record for record in named if record.owner == owner)
    if not own:
        return (yield from create_session(description, settings, config))
    record = yield from get_session(latest_of(name, own).id, MAIN, reopen=True)
    changed = attrs.evolve(settings, name=None)
    if changed == SessionSettings():
        return record
    return (yield from update_session(record.id, None, changed, config))


def _validate_choices(settings: SessionSettings, config: StudioConfig, now: dt.datetime) -> None:
    options = config.options.updated(settings.options)
    if settings.options.keys() & {"model", "image_model"}:
        validate_models(options, config.catalogue, now.date())


def _check_session_limit(config: StudioConfig, now: dt.datetime) -> Workflow[None]:
    since = now - dt.timedelta(seconds=config.session_idle_timeout)
    active = yield from StoreCall(lambda store: store.sessions.active(since))
    if len(active) < config.max_active_sessions:
        return
    idlest = yield from StoreCall(lambda store: store.sessions.find(active[0].session_id))
    minutes = (now - active[0].last).total_seconds() / 60
    raise TooManySessionsError(
        f"{len(active)} sessions are active, and max_active_sessions={config.max_active_sessions} "
        "are allowed. "
        f"Close the one that is idle longest, {idlest.id} "
        f"({idlest.name or idlest.description[:40]}; {minutes:.0f} minutes), with "
        f"studio.open({idlest.id!r}).close(), or wait until a session has been idle for "
        f"{config.session_idle_timeout / 60:.0f} minutes.",
        config.max_active_sessions,
        idlest.id,
    )


def update_session(
    session_id: str, description: str | None, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    if description is not None:
        validate_label("The description", description)
    _validate_choices(settings, config, (yield from NewId()).at)
    references = yield from _changed_references(session_id, settings)

    def change(record: SessionRecord) -> SessionRecord:
        _check_open(record)
        return attrs.evolve(
            record,
            description=record.description if description is None else description.strip(),
            name=settings.name or record.name,
            choices={**record.choices, **settings.options},
            provider_state=settings.provider_state or record.provider_state,
            remember=settings.remember or record.remember,
            api=settings.api or record.api,
            references=record.references if references is None else references,
        )

    return (yield from _update(session_id, change))


def _changed_references(
    session_id: str, settings: SessionSettings
) -> Workflow[tuple[Reference, ...] | None]:
    if settings.references is None:
        return None
    record = yield from StoreCall(lambda store: store.sessions.find(session_id))
    _check_open(record)
    return (yield from keep_references(settings.references, record.references, record.owner))


def get_session(id_or_name: str, branch: str, *, reopen: bool) -> Workflow[SessionRecord]:
    record = yield from find_session(id_or_name)
    tree = yield from StoreCall(lambda store: store.sessions.tree(record))
    if branch not in tree.branches():
        raise NotFoundError(
            f"Session {record.id} has no branch {quote(branch)}; it has "
            f"{', '.join(map(repr, tree.branches()))}.",
            branch,
            tree.branches(),
        )
    if reopen and record.closed is not None:
        return (yield from _update(record.id, lambda stored: attrs.evolve(stored, closed=None)))
    return record


def load_branch(session_id: str, branch: str) -> Workflow[BranchHead]:
    record = yield from StoreCall(lambda store: store.sessions.find(session_id))
    tree = yield from StoreCall(lambda store: store.sessions.tree(record))
    return BranchHead(record=record, tree=tree, branch=branch)


def load_open_branch(session_id: str, branch: str) -> Workflow[BranchHead]:
    branch_head = yield from load_branch(session_id, branch)
    _check_open(branch_head.record)
    return branch_head


def undo(session_id: str, branch: str, steps: int) -> Workflow[Turn | None]:
    return (
        yield from _update_head(session_id, branch, lambda tree, new: tree.undo(branch, steps, new))
    )


def redo(session_id: str, branch: str, steps: int) -> Workflow[Turn | None]:
    return (
        yield from _update_head(session_id, branch, lambda tree, new: tree.redo(branch, steps, new))
    )


def checkout(session_id: str, branch: str, turn_or_image_id: str) -> Workflow[Turn | None]:
    def plan(tree: Tree, move_id: str) -> HeadMove:
        return tree.checkout(resolve_turn_id(tree, turn_or_image_id), move_id)

    return (yield from _update_head(session_id, branch, plan))


def create_branch(session_id: str, at: str | None, branch: str, name: str | None) -> Workflow[str]:
    if name is not None:
        validate_label("The branch's name", name, empty=False)

    def plan(tree: Tree, move_id: str) -> tuple[str, HeadMove]:
        if at is not None:
            return tree.new_branch(name), tree.checkout(resolve_turn_id(tree, at), move_id)
        head = tree.head(branch)
        return tree.new_branch(name), HeadMove(id=move_id, head=head.id if head else None)

    return (yield from StoreCall(lambda store: _set_head(store, session_id, plan)))[0]


def close(session_id: str) -> Workflow[None]:
    now = yield from NewId()

    def change(record: SessionRecord) -> SessionRecord:
        return attrs.evolve(record, closed=record.closed or now.at)

    yield from _update(session_id, change)


def export_session(session_id: str, path: object) -> Workflow[str]:
    written, missing = yield from StoreCall(
        lambda store: store.exports.export_session(session_id, path)
    )
    if missing:
        warn_caller(
            f"{written} is without {list_some(missing)}: the library does not have these files any "
            "more. studio.doctor() says what they were called.",
            IncompleteExportWarning,
        )
    return written


def resolve_turn_id(tree: Tree, turn_or_image_id: str) -> str:
    """
    Return the turn's id for the id of a turn or of one of its images, whole or its last characters;
    an unknown id unchanged.
    """
    validate_label("The turn's or image's id", turn_or_image_id)
    end = turn_or_image_id.upper()
    for turn in tree.turns.values():
        if len(end) >= SHORT_ID and any(image.id.endswith(end) for image in turn.images):
            return turn.id
    return turn_or_image_id


def _check_open(record: SessionRecord) -> None:
    if record.closed is not None:
        raise SessionClosedError(
            f"Session {record.id} was closed on {record.closed:%Y-%m-%d %H:%M} UTC. "
            f"Continue it with studio.open({record.id!r}, reopen=True)."
        )


def _update_head(
    session_id: str, branch: str, plan: Callable[[Tree, str], HeadMove]
) -> Workflow[Turn | None]:
    _, tree = yield from StoreCall(
        lambda store: _set_head(
            store, session_id, lambda tree, move_id: (branch, plan(tree, move_id))
        )
    )
    return tree.head(branch)


def _set_head(
    store: Store, session_id: str, plan: Callable[[Tree, str], tuple[str, HeadMove]]
) -> tuple[str, Tree]:
    """
    Plan and record a move in one store update, so that no other process interferes; return the
    branch and the tree.
    """
    moved: list[tuple[str, Tree]] = []

    def change(record: SessionRecord) -> SessionRecord:
        _check_open(record)
        tree = store.sessions.tree(record)
        branch, move = plan(tree, store.new_id(after=tree.latest_id()).id)
        moved.append((branch, tree.with_move(branch, move)))
        return attrs.evolve(record, moves={**record.moves, branch: move})

    store.sessions.update(session_id, change)
    return moved[0]


def _update(
    session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> Workflow[SessionRecord]:
    return (yield from StoreCall(lambda store: store.sessions.update(session_id, change)))
