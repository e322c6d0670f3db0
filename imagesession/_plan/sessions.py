"""
What can be done with sessions without asking a provider.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import get_args

import attrs

from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import MAIN, Move, Tree
from imagesession._model.turns import ProviderState, Turn
from imagesession.errors import CallError, MaxSessionsReached, NotFoundError, SessionClosedError

from .checks import check_label
from .steps import Begin, Flow, OnDisk
from .store import Store
from .wishes import Terms


@attrs.frozen(kw_only=True)
class Place:
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


def session_config(config: Terms, place: Place | None) -> Terms:
    """
    Return what holds for a session's turns: what it says itself, else what its studio says.
    """
    if place is None:
        return config
    record = place.record
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
            check_label("The name", self.name)
        check_memory(self.provider_state, self.remember)


def check_memory(provider_state: object, remember: object) -> None:
    """
    Refuse what cannot be remembered of a session.

    Raises:
        CallError: It is not of its form.
    """
    states = get_args(ProviderState)
    if provider_state is not None and provider_state not in states:
        listed = ", ".join(f'"{state}"' for state in states)
        raise CallError(f"provider_state={provider_state!r} is none of {listed}.")
    if remember is not None and (type(remember) is not int or remember < 1):
        raise CallError(f"remember={remember!r} is not a whole number of turns from 1.")


def start(description: str, settings: SessionSettings, terms: Terms) -> Flow[SessionRecord]:
    """
    Start a session.

    Raises:
        CallError: The description is no text.
        OptionError: A choice is not one that the option takes.
        MaxSessionsReached: As many sessions are active as are allowed.
    """
    check_label("The description", description)
    terms.options.updated(settings.options)
    begun = yield from Begin()
    yield from _check_room(terms, begun.at)
    record = SessionRecord(
        id=begun.id,
        description=description.strip(),
        name=settings.name,
        choices=dict(settings.options),
        provider_state=settings.provider_state,
        remember=settings.remember,
        created=begun.at,
    )
    yield from OnDisk(lambda store: store.save_session(record))
    return record


def resume(description: str, settings: SessionSettings, terms: Terms) -> Flow[SessionRecord]:
    """
    Go on with the session of a name, if there is one; else start it. One that was closed is opened
    again.

    Raises:
        CallError: There is no name to go by, or several sessions have it.
    """
    name = settings.name
    if name is None:
        raise CallError("resume=True goes by the session's name; give one with name=.")
    if (yield from OnDisk(lambda store: store.sessions_named(name))):
        return (yield from find(name, MAIN, reopen=True))
    return (yield from start(description, settings, terms))


def _check_room(terms: Terms, now: dt.datetime) -> Flow[None]:
    since = now - dt.timedelta(seconds=terms.idle_after)
    active = yield from OnDisk(lambda store: store.active_sessions(since))
    if len(active) < terms.max_sessions:
        return
    idlest = yield from OnDisk(lambda store: store.find_session(active[0].session_id))
    minutes = (now - active[0].last).total_seconds() / 60
    raise MaxSessionsReached(
        f"{len(active)} sessions are active, and max_sessions={terms.max_sessions} are allowed. "
        f"The idlest is {idlest.id} ({idlest.name or idlest.description[:40]}), for "
        f"{minutes:.0f} minutes: close it with studio.open({idlest.id!r}).close(). A session goes "
        f"idle by itself after {terms.idle_after / 60:.0f} minutes.",
        terms.max_sessions,
        idlest.id,
    )


def change(
    session_id: str, description: str | None, settings: SessionSettings, terms: Terms
) -> Flow[SessionRecord]:
    """
    Change what a session is about, what it is called, or what holds for its turns from now on.

    Raises:
        CallError: The description is no text.
        OptionError: A choice is not one that the option takes.
        SessionClosedError: The session was closed.
    """
    if description is not None:
        check_label("The description", description)
    terms.options.updated(settings.options)

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


def find(wanted: str, branch: str, *, reopen: bool) -> Flow[SessionRecord]:
    """
    Find a session by its id or its name, and make sure that it has the branch.

    Raises:
        NotFoundError: There is no such session or branch.
    """
    check_label("The session's id or name", wanted)
    record = yield from OnDisk(lambda store: store.find_session(wanted))
    tree = yield from OnDisk(lambda store: store.tree(record))
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


def locate(session_id: str, branch: str) -> Flow[Place]:
    """
    Read where a session's branch stands now, whoever moved it last.
    """
    record = yield from OnDisk(lambda store: store.find_session(session_id))
    tree = yield from OnDisk(lambda store: store.tree(record))
    return Place(record=record, tree=tree, branch=branch)


def locate_open(session_id: str, branch: str) -> Flow[Place]:
    """
    Read where an open session's branch stands now.

    Raises:
        SessionClosedError: The session was closed.
    """
    place = yield from locate(session_id, branch)
    _check_open(place.record)
    return place


def undo(session_id: str, branch: str, steps: int) -> Flow[Turn | None]:
    """
    Set a branch's head back.

    Raises:
        CallError: There are fewer turns than that.
    """
    return (yield from _move(session_id, branch, lambda tree, new: tree.undo(branch, steps, new)))


def redo(session_id: str, branch: str, steps: int) -> Flow[Turn | None]:
    """
    Set a branch's head forward again.

    Raises:
        CallError: Fewer turns than that were undone.
    """
    return (yield from _move(session_id, branch, lambda tree, new: tree.redo(branch, steps, new)))


def checkout(session_id: str, branch: str, wanted: str) -> Flow[Turn | None]:
    """
    Set a branch's head on a turn, named by its own id or a picture's.

    Raises:
        NotFoundError: The session has no such turn or picture.
        CallError: The turn brought no picture.
    """

    def plan(tree: Tree, move_id: str) -> Move:
        return tree.checkout(turn_of(tree, wanted), move_id)

    return (yield from _move(session_id, branch, plan))


def branch_off(session_id: str, at: str | None, branch: str, name: str | None) -> Flow[str]:
    """
    Start another line from a turn or picture; from the branch's head when none is named.

    Returns:
        The new branch's name.

    Raises:
        NotFoundError: The session has no such turn or picture.
        CallError: The name is taken, or the turn brought no picture.
    """
    if name is not None:
        check_label("The branch's name", name, empty=False)

    def plan(tree: Tree, move_id: str) -> tuple[str, Move]:
        if at is not None:
            return tree.new_branch(name), tree.checkout(turn_of(tree, at), move_id)
        head = tree.head(branch)
        return tree.new_branch(name), Move(id=move_id, head=head.id if head else None)

    return (yield from OnDisk(lambda store: _set_head(store, session_id, plan)))[0]


def close(session_id: str) -> Flow[None]:
    """
    Close a session; closing a closed one changes nothing.
    """
    begun = yield from Begin()

    def change(known: SessionRecord) -> SessionRecord:
        return attrs.evolve(known, closed=known.closed or begun.at)

    yield from _update(session_id, change)


def turn_of(tree: Tree, wanted: str) -> str:
    """
    Return the id of the turn that has this id, or that brought the picture that has it.

    Raises:
        CallError: It is no text.
    """
    check_label("The turn's or picture's id", wanted)
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


def _move(session_id: str, branch: str, plan: Callable[[Tree, str], Move]) -> Flow[Turn | None]:
    _, tree = yield from OnDisk(
        lambda store: _set_head(
            store, session_id, lambda tree, move_id: (branch, plan(tree, move_id))
        )
    )
    return tree.head(branch)


def _set_head(
    store: Store, session_id: str, plan: Callable[[Tree, str], tuple[str, Move]]
) -> tuple[str, Tree]:
    """
    Plan and record a move while no other process can come in between; return branch and tree.
    """
    moved: list[tuple[str, Tree]] = []

    def change(record: SessionRecord) -> SessionRecord:
        _check_open(record)
        tree = store.tree(record)
        branch, move = plan(tree, store.begin(after=tree.latest_id()).id)
        moved.append((branch, tree.moved(branch, move)))
        return attrs.evolve(record, moves={**record.moves, branch: move})

    store.update_session(session_id, change)
    return moved[0]


def _update(
    session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> Flow[SessionRecord]:
    return (yield from OnDisk(lambda store: store.update_session(session_id, change)))
