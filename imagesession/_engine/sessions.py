"""
What can be done with sessions without asking a provider.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import get_args

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import MAIN, HeadMove, Tree
from imagesession._domain.turn import ProviderState, Turn
from imagesession.errors import (
    InvalidRequestError,
    NotFoundError,
    SessionClosedError,
    TooManySessionsError,
)

from .effects import NewId, StoreCall, Workflow
from .request import StudioConfig
from .store import Store
from .validate import validate_label


@attrs.frozen(kw_only=True)
class BranchHead:
    """
    Where in a session the next turn grows.

    Attributes:
        record: The session.
        tree: Its turns.
        branch: The line.
    """

    record: SessionRecord
    tree: Tree
    branch: str

    @property
    def head(self) -> Turn | None:
        """
        The turn that the next one grows on; None at the start.
        """
        return self.tree.head(self.branch)

    @property
    def past(self) -> tuple[Turn, ...]:
        """
        The turns that the next one continues, the oldest first.
        """
        return self.tree.lineage(self.head)


def session_config(config: StudioConfig, branch_head: BranchHead | None) -> StudioConfig:
    """
    Return what holds for a session's turns: what it says itself, else what its studio says.
    """
    if branch_head is None:
        return config
    record = branch_head.record
    return attrs.evolve(
        config,
        provider_state=record.provider_state or config.provider_state,
        remember=config.remember if record.remember is None else record.remember,
    )


@attrs.frozen(kw_only=True)
class SessionSettings:
    """
    What a session is called, and what holds for its turns; None leaves it as it was, or to the
    studio.

    Attributes:
        name: A label for people.
        options: What its turns ask for.
        provider_state: What the provider keeps of its turns.
        remember: How many earlier turns go along at most.
    """

    name: str | None = None
    options: Mapping[str, object] = attrs.field(factory=dict[str, object])
    provider_state: ProviderState | None = None
    remember: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.name is not None:
            validate_label("The name", self.name)
        check_memory(self.provider_state, self.remember)


def check_memory(provider_state: object, remember: object) -> None:
    """
    Refuse what cannot be remembered of a session.

    Raises:
        InvalidRequestError: It is not of its form.
    """
    states = get_args(ProviderState)
    if provider_state is not None and provider_state not in states:
        listed = ", ".join(f'"{state}"' for state in states)
        raise InvalidRequestError(f"provider_state={provider_state!r} is none of {listed}.")
    if remember is not None and (type(remember) is not int or remember < 1):
        raise InvalidRequestError(f"remember={remember!r} is not a whole number of turns from 1.")


def create_session(
    description: str, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    """
    Start a session.

    Raises:
        InvalidRequestError: The description is no text.
        InvalidOptionError: A choice is not one that the option takes.
        TooManySessionsError: As many sessions are active as are allowed.
    """
    validate_label("The description", description)
    config.options.updated(settings.options)
    begun = yield from NewId()
    yield from _check_room(config, begun.at)
    record = SessionRecord(
        id=begun.id,
        description=description.strip(),
        name=settings.name,
        choices=dict(settings.options),
        provider_state=settings.provider_state,
        remember=settings.remember,
        created=begun.at,
    )
    yield from StoreCall(lambda store: store.save_session(record))
    return record


def get_or_create_session(
    description: str, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    """
    Go on with the session of a name, if there is one; else start it. One that was closed is opened
    again.

    Raises:
        InvalidRequestError: There is no name to go by, or several sessions have it.
    """
    name = settings.name
    if name is None:
        raise InvalidRequestError("resume=True goes by the session's name; give one with name=.")
    if (yield from StoreCall(lambda store: store.sessions_named(name))):
        return (yield from get_session(name, MAIN, reopen=True))
    return (yield from create_session(description, settings, config))


def _check_room(config: StudioConfig, now: dt.datetime) -> Workflow[None]:
    since = now - dt.timedelta(seconds=config.session_idle_timeout)
    active = yield from StoreCall(lambda store: store.active_sessions(since))
    if len(active) < config.max_active_sessions:
        return
    idlest = yield from StoreCall(lambda store: store.find_session(active[0].session_id))
    minutes = (now - active[0].last).total_seconds() / 60
    raise TooManySessionsError(
        f"{len(active)} sessions are active, and max_active_sessions={config.max_active_sessions} "
        "are allowed. "
        f"The idlest is {idlest.id} ({idlest.name or idlest.description[:40]}), for "
        f"{minutes:.0f} minutes: close it with studio.open({idlest.id!r}).close(). A session goes "
        f"idle by itself after {config.session_idle_timeout / 60:.0f} minutes.",
        config.max_active_sessions,
        idlest.id,
    )


def update_session(
    session_id: str, description: str | None, settings: SessionSettings, config: StudioConfig
) -> Workflow[SessionRecord]:
    """
    Change what a session is about, what it is called, or what holds for its turns from now on.

    Raises:
        InvalidRequestError: The description is no text.
        InvalidOptionError: A choice is not one that the option takes.
        SessionClosedError: The session was closed.
    """
    if description is not None:
        validate_label("The description", description)
    config.options.updated(settings.options)

    def changed(known: SessionRecord) -> SessionRecord:
        _check_open(known)
        return attrs.evolve(
            known,
            description=known.description if description is None else description.strip(),
            name=settings.name or known.name,
            choices={**known.choices, **settings.options},
            provider_state=settings.provider_state or known.provider_state,
            remember=settings.remember or known.remember,
        )

    return (yield from _update(session_id, changed))


def get_session(wanted: str, branch: str, *, reopen: bool) -> Workflow[SessionRecord]:
    """
    Find a session by its id or its name, and make sure that it has the branch.

    Raises:
        NotFoundError: There is no such session or branch.
    """
    validate_label("The session's id or name", wanted)
    record = yield from StoreCall(lambda store: store.find_session(wanted))
    tree = yield from StoreCall(lambda store: store.tree(record))
    if branch not in tree.branches():
        raise NotFoundError(
            f"Session {record.id} has no branch {branch!r}; it has "
            f"{', '.join(map(repr, tree.branches()))}.",
            branch,
            tree.branches(),
        )
    if reopen and record.closed is not None:
        return (yield from _update(record.id, lambda known: attrs.evolve(known, closed=None)))
    return record


def load_branch(session_id: str, branch: str) -> Workflow[BranchHead]:
    """
    Read where a session's branch stands now, whoever moved it last.
    """
    record = yield from StoreCall(lambda store: store.find_session(session_id))
    tree = yield from StoreCall(lambda store: store.tree(record))
    return BranchHead(record=record, tree=tree, branch=branch)


def load_open_branch(session_id: str, branch: str) -> Workflow[BranchHead]:
    """
    Read where an open session's branch stands now.

    Raises:
        SessionClosedError: The session was closed.
    """
    branch_head = yield from load_branch(session_id, branch)
    _check_open(branch_head.record)
    return branch_head


def undo(session_id: str, branch: str, steps: int) -> Workflow[Turn | None]:
    """
    Set a branch's head back.

    Raises:
        InvalidRequestError: There are fewer turns than that.
    """
    return (
        yield from _update_head(session_id, branch, lambda tree, new: tree.undo(branch, steps, new))
    )


def redo(session_id: str, branch: str, steps: int) -> Workflow[Turn | None]:
    """
    Set a branch's head forward again.

    Raises:
        InvalidRequestError: Fewer turns than that were undone.
    """
    return (
        yield from _update_head(session_id, branch, lambda tree, new: tree.redo(branch, steps, new))
    )


def checkout(session_id: str, branch: str, wanted: str) -> Workflow[Turn | None]:
    """
    Set a branch's head on a turn, named by its own id or a picture's.

    Raises:
        NotFoundError: The session has no such turn or picture.
        InvalidRequestError: The turn brought no picture.
    """

    def plan(tree: Tree, move_id: str) -> HeadMove:
        return tree.checkout(resolve_turn_id(tree, wanted), move_id)

    return (yield from _update_head(session_id, branch, plan))


def create_branch(session_id: str, at: str | None, branch: str, name: str | None) -> Workflow[str]:
    """
    Start another line from a turn or picture; from the branch's head when none is named.

    Returns:
        The new branch's name.

    Raises:
        NotFoundError: The session has no such turn or picture.
        InvalidRequestError: The name is taken, or the turn brought no picture.
    """
    if name is not None:
        validate_label("The branch's name", name, empty=False)

    def plan(tree: Tree, move_id: str) -> tuple[str, HeadMove]:
        if at is not None:
            return tree.new_branch(name), tree.checkout(resolve_turn_id(tree, at), move_id)
        head = tree.head(branch)
        return tree.new_branch(name), HeadMove(id=move_id, head=head.id if head else None)

    return (yield from StoreCall(lambda store: _set_head(store, session_id, plan)))[0]


def close(session_id: str) -> Workflow[None]:
    """
    Close a session; closing a closed one changes nothing.
    """
    begun = yield from NewId()

    def change(known: SessionRecord) -> SessionRecord:
        return attrs.evolve(known, closed=known.closed or begun.at)

    yield from _update(session_id, change)


def resolve_turn_id(tree: Tree, wanted: str) -> str:
    """
    Return the id of the turn that has this id, or that brought the picture that has it.

    Raises:
        InvalidRequestError: It is no text.
    """
    validate_label("The turn's or picture's id", wanted)
    for turn in tree.turns.values():
        if any(image.id == wanted for image in turn.images):
            return turn.id
    return wanted


def _check_open(record: SessionRecord) -> None:
    if record.closed is not None:
        raise SessionClosedError(
            f"Session {record.id} was closed on {record.closed:%Y-%m-%d %H:%M} UTC. "
            f"studio.open({record.id!r}, reopen=True) goes on with it."
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
    Plan and record a move while no other process can come in between; return branch and tree.
    """
    moved: list[tuple[str, Tree]] = []

    def change(record: SessionRecord) -> SessionRecord:
        _check_open(record)
        tree = store.tree(record)
        branch, move = plan(tree, store.new_id(after=tree.latest_id()).id)
        moved.append((branch, tree.with_move(branch, move)))
        return attrs.evolve(record, moves={**record.moves, branch: move})

    store.update_session(session_id, change)
    return moved[0]


def _update(
    session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> Workflow[SessionRecord]:
    return (yield from StoreCall(lambda store: store.update_session(session_id, change)))
