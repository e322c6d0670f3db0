"""
Whatever people and programs do, in any order, killed at any step and carried from one kind of
library to the other: it holds what a model of a few lines says.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from imagesession import Studio, transfer
from imagesession._api.config import open_store
from imagesession._domain.tree import Tree
from imagesession.testing import serve, tiny_image
from tests import team_servers
from tests.bench.server import FixedSketcher
from tests.clock import HoldingProvider
from tests.faults.dying import Kill, dying
from tests.faults.model_steps import Action, Errand, perform

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed"),
    pytest.mark.usefixtures("no_acceptance_timeout"),
]
SIZE = 64, 64
STORES = ("disk", "team")
MOST_STEPS = 40
State = Literal["kept", "binned", "erased"]


# --- the model --------------------------------------------------------------------------------


@attrs.define
class Node:
    """
    A turn of one image: its prompt, the number of its parent, its branch, and what became of it.
    """

    prompt: str
    parent: int | None
    branch: str
    state: State = "kept"


@attrs.define
class SessionModel:
    """
    A session: its turns, where each branch's head was put last, and what became of it.
    """

    turns: list[Node] = attrs.field(factory=list[Node])
    heads: dict[str, int | None] = attrs.field(factory=lambda: {"main": None})
    state: State = "kept"

    def head(self, branch: str) -> int | None:
        """
        Return the nearest turn that was not removed, from the head backwards.
        """
        number = self.heads[branch]
        while number is not None and self.turns[number].state != "kept":
            number = self.turns[number].parent
        return number

    def generate(self, branch: str, prompt: str) -> None:
        """
        Add a turn to a branch.
        """
        self.turns.append(Node(prompt, self.head(branch), branch))
        self.heads[branch] = len(self.turns) - 1

    def undo(self, branch: str) -> None:
        """
        Put a branch's head on the turn before it.
        """
        head = self.head(branch)
        assert head is not None
        self.heads[branch] = self.turns[head].parent
        self.heads[branch] = self.head(branch)

    def find(self, prompt: str) -> int:
        """
        Return the number of the turn of a prompt.
        """
        return [node.prompt for node in self.turns].index(prompt)

    def prompts(self, *states: State) -> set[str]:
        """
        Return the prompts of all turns to which something has happened.
        """
        return {node.prompt for node in self.turns if node.state in states}


@attrs.define
class Sight:
    """
    What people see of a library.

    Attributes:
        trees: Of each session its turns (prompt, number of the parent, branch) and heads.
        listed: The prompts of all images.
        binned: The prompts of all images in the bin.
        sessions_in_bin: The names of all sessions in the bin.
        paid: How many images were made.
    """

    trees: dict[str, tuple[list[tuple[str, int | None, str]], dict[str, str | None]]]
    listed: set[str]
    binned: set[str]
    sessions_in_bin: set[str]
    paid: int


@attrs.define
class Model:
    """
    A library: its sessions by name.
    """

    sessions: dict[str, SessionModel] = attrs.field(factory=dict[str, SessionModel])

    def see(self) -> Sight:
        """
        Return what people should see.
        """
        kept = {name: session for name, session in self.sessions.items() if session.state == "kept"}
        binned = {
            name: session for name, session in self.sessions.items() if session.state == "binned"
        }
        return Sight(
            trees={name: _tree_of(session) for name, session in kept.items()},
            listed=_joined(session.prompts("kept") for session in kept.values()),
            binned=_joined(
                [session.prompts("binned") for session in kept.values()]
                + [session.prompts("kept", "binned") for session in binned.values()]
            ),
            sessions_in_bin=set(binned),
            paid=sum(len(session.turns) for session in self.sessions.values()),
        )

    def after(self, name: str, verb: str, branch: str, image: str, text: str) -> list[Model]:
        """
        Return the states of a library to which a verb brings it, one after the other.
        """
        if verb == "transfer":
            return [self]
        after = copy.deepcopy(self)
        if verb == "start":
            after.sessions[text] = SessionModel()
            return [after]
        session = after.sessions[name]
        if verb in {"delete", "restore", "erase"}:
            removed = session.turns[session.find(image)] if image else session
            states: dict[str, State] = {"delete": "binned", "restore": "kept", "erase": "erased"}
            removed.state = states[verb]
        elif verb == "undo":
            session.undo(branch)
        elif verb == "branch":
            session.heads[text] = session.find(image)
        elif image:
            free = next(
                number for number in range(2, 99) if f"branch-{number}" not in session.heads
            )
            session.heads[f"branch-{free}"] = session.find(image)
            between = copy.deepcopy(after)
            session.generate(f"branch-{free}", text)
            return [between, after]
        else:
            session.generate(branch, text)
        return [after]


def _tree_of(
    session: SessionModel,
) -> tuple[list[tuple[str, int | None, str]], dict[str, str | None]]:
    turns = [
        (node.prompt if node.state == "kept" else "", node.parent, node.branch)
        for node in session.turns
    ]
    heads = {branch: session.head(branch) for branch in session.heads}
    return turns, {
        branch: None if head is None else session.turns[head].prompt
        for branch, head in heads.items()
    }


def _joined(sets: Any) -> set[str]:
    return set().union(*sets)


# --- the library ------------------------------------------------------------------------------


def look(studio: Studio) -> Sight:
    """
    Return what people see.
    """
    trees: dict[str, Any] = {}
    for session in studio.sessions.list():
        tree = session.tree()
        turns = [turn for turn in tree.turns.values() if turn.images or turn.deleted]
        numbers: dict[str | None, int] = {turn.id: number for number, turn in enumerate(turns)}
        heads = {branch: tree.head(branch) for branch in tree.branches()}
        trees[session.name or ""] = (
            [(turn.prompt, numbers.get(turn.parent), turn.branch) for turn in turns],
            {branch: head and head.prompt for branch, head in heads.items()},
        )
    return Sight(
        trees=trees,
        listed={image.prompt for image in studio.images.list(limit=10_000)},
        binned={image.prompt for image in studio.images.list(limit=10_000, deleted=True)},
        sessions_in_bin={session.name or "" for session in studio.sessions.list(deleted=True)},
        paid=studio.costs().total.images,
    )


@attrs.frozen
class World:
    """
    What all examples of a test share: a function that runs and kills programs, the store with which
    each begins, and where those on disk are.
    """

    kill: Kill
    first: str
    folder: Path


class LibraryMachine(RuleBasedStateMachine):
    """
    Does the same to a library and to its model.
    """

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.world.first
        self.model = Model()
        self.ids: dict[str, str] = {}
        self.count = 0
        self.open = contextlib.ExitStack()
        self.provider = HoldingProvider(sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))
        self.base_url = self.open.enter_context(serve(self.provider)).base_url
        self.move(self.new_library(self.kind))

    def new_library(self, kind: str) -> str:
        """
        Return where an empty library is.
        """
        if kind == "disk":
            return str(self.world.folder / uuid.uuid4().hex)
        servers = team_servers.servers()
        url = servers.new_library()
        self.open.callback(servers.drop_library, url)
        return url

    def move(self, library: str) -> None:
        """
        Use a library, from two programs.
        """
        self.library = library
        self.studios = [
            self.open.enter_context(Studio(library, api_key="x", base_url=self.base_url))
            for _ in range(2)
        ]

    def teardown(self) -> None:
        """
        Check the whole library, and remove it.
        """
        try:
            health = self.studios[0].doctor(verify=True)
            assert health.ok, health
            assert self.studios[0].requests.pending() == ()
            assert self.provider.posts == self.model.see().paid
        finally:
            self.open.close()

    # --- what can be done -----------------------------------------------------------------------

    def sessions(self, state: State = "kept") -> list[str]:
        """
        Return the names of sessions to which something has happened.
        """
        return [name for name, session in self.model.sessions.items() if session.state == state]

    def targets(self, verb: str) -> list[tuple[str, str]]:
        """
        Return what can be removed: sessions, and images of those that are not in the bin.
        """
        states: dict[str, Sequence[State]] = {
            "delete": ["kept"], "restore": ["binned"], "erase": ["kept", "binned"],
        }  # fmt: skip
        found = [(name, "") for state in states[verb] for name in self.sessions(state)]
        for name in self.sessions():
            images = self.model.sessions[name].prompts(*states[verb])
            found += [(name, prompt) for prompt in sorted(images)]
        return found

    def plan(self, data: st.DataObject, verb: str) -> tuple[Action, list[Model]] | None:
        """
        Choose what a verb is done to; None if there is nothing.
        """
        text = f"sketch {self.count}"
        name, branch, image = "", "main", ""
        if verb in {"delete", "restore", "erase"}:
            if not (targets := self.targets(verb)):
                return None
            name, image = data.draw(st.sampled_from(targets))
        elif verb == "transfer":
            text = self.new_library("team" if self.kind == "disk" else "disk")
        elif verb != "start":
            if not (names := self.sessions()):
                return None
            name = data.draw(st.sampled_from(names))
            session = self.model.sessions[name]
            branch = data.draw(st.sampled_from(sorted(session.heads)))
            images = ["", *sorted(session.prompts("kept"))]
            image = "" if verb == "undo" else data.draw(st.sampled_from(images))
            if (verb == "undo" and session.head(branch) is None) or (
                verb == "branch" and not image
            ):
                return None
        self.count += 1
        ids = (self.ids[image],) if image else ()
        action = Action(
            verb=verb, session=self.ids.get(name, ""), branch=branch, images=ids, text=text
        )
        return action, self.model.after(name, verb, branch, image, text)

    # --- rules ----------------------------------------------------------------------------------

    @rule(data=st.data(), where=st.integers(0, 1))
    def start(self, data: st.DataObject, where: int) -> None:
        """
        Start a session.
        """
        self.act(data, "start", where)

    @precondition(lambda self: self.sessions())
    @rule(data=st.data(), where=st.integers(0, 1), verb=st.sampled_from(["refine", "branch"]))
    def grow(self, data: st.DataObject, where: int, verb: str) -> None:
        """
        Refine a branch's head, or any image on a branch of its own; or start a branch.
        """
        self.act(data, verb, where)

    @precondition(lambda self: self.sessions())
    @rule(data=st.data(), where=st.integers(0, 1))
    def undo(self, data: st.DataObject, where: int) -> None:
        """
        Undo a turn.
        """
        self.act(data, "undo", where)

    @precondition(lambda self: self.model.sessions)
    @rule(
        data=st.data(),
        where=st.integers(0, 1),
        verb=st.sampled_from(["delete", "restore", "erase"]),
    )
    def remove(self, data: st.DataObject, where: int, verb: str) -> None:
        """
        Delete, restore or erase an image or a session.
        """
        self.act(data, verb, where)

    def act(self, data: st.DataObject, verb: str, where: int) -> None:
        """
        Do something in one of the two programs.
        """
        if planned := self.plan(data, verb):
            perform(self.studios[where], planned[0])
            self.model = planned[1][-1]

    @precondition(lambda self: self.model.sessions)
    @rule()
    def transfer(self) -> None:
        """
        Go on in a library of the other kind.
        """
        self.kind = "team" if self.kind == "disk" else "disk"
        target = self.new_library(self.kind)
        report = transfer(self.library, target)
        assert (report.missing, report.damaged) == ((), ())
        self.move(target)

    @rule(
        data=st.data(),
        verb=st.sampled_from(
            [
                "start",
                "refine",
                "refine",
                "branch",
                "undo",
                "delete",
                "restore",
                "erase",
                "transfer",
            ]
        ),
        step=st.integers(1, MOST_STEPS),
        when=st.sampled_from(["before", "after"]),
        is_claimed=st.booleans(),
    )
    def kill(
        self, data: st.DataObject, verb: str, step: int, when: Any, *, is_claimed: bool
    ) -> None:
        """
        Kill a program at a step of what it does. Another one claims what it left, and then looks
        what became of it: all of it has happened, or nothing.
        """
        planned = self.plan(data, verb)
        if planned is None:
            return
        action, states = planned
        code = self.world.kill(Errand(self.library, self.base_url, action).dump(), step, when)
        assert code < step, "it failed"
        self.end_leases()
        if is_claimed:
            self.claim()
        for studio in self.studios:
            assert studio.recover(timeout=0).still_pending == {}
        if verb == "transfer":
            assert transfer(self.library, action.text).missing == ()
            self.kind = "team" if self.kind == "disk" else "disk"
            self.move(action.text)
        seen = look(self.studios[0])
        allowed = [self.model, *states] if code < 0 else states[-1:]
        # Of states that look alike, the later one is right.
        (self.model, *_) = [state for state in reversed(allowed) if state.see() == seen] or allowed

    def end_leases(self) -> None:
        """
        Let the leases of a killed program run out, as they do by themselves.
        """
        if self.kind == "team":
            name = self.library.partition("?")[0].rpartition("/")[2]
            team_servers.servers().execute("UPDATE rights SET until = now()", name)

    def claim(self) -> None:
        """
        Claim the requests that a program left; meanwhile nobody else settles them.
        """
        with contextlib.closing(open_store(self.library, {})) as store:
            held = [store.intents.acquire(request.turn) for request in store.intents.pending()]
            assert None not in held
            assert len(self.studios[1].recover(timeout=0).still_pending) == len(held)
            for lease in held:
                assert lease is not None
                lease.release()

    # --- what holds -----------------------------------------------------------------------------

    @invariant()
    def is_as_the_model_says(self) -> None:
        """
        Both programs see what the model says; they are asked in turns.
        """
        self.studios.reverse()
        assert look(self.studios[0]) == self.model.see()
        sessions = self.studios[0].sessions.list()
        self.ids |= {session.name or "": session.id for session in sessions}
        self.ids |= {image.prompt: image.id for image in self.studios[0].images.list(limit=10_000)}


@pytest.fixture(params=STORES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[type[LibraryMachine]]:
    """
    The machine whose examples begin with a library of either kind.
    """
    team_servers.skip_if_missing()
    team_servers.servers()  # so that the programs know where S3 is
    with dying("tests.faults.model_steps") as kill:

        class Machine(LibraryMachine):
            world = World(kill, request.param, tmp_path)

        yield Machine


def how(examples: int, steps: int, **more: Any) -> settings:
    """
    Return how many examples of how many steps are tried.
    """
    slow = HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=slow, **more,
    )  # fmt: skip


def test_library_is_as_its_model(
    machine: type[LibraryMachine], pytestconfig: pytest.Config
) -> None:
    """
    Sessions, trees, heads, bin, costs and the number of paid images are those of the model after
    each step, on either store, from two programs, and after transfers between the stores.
    """
    short = how(2, 6, phases=[Phase.reuse, Phase.generate])
    is_long = pytestconfig.getoption("--faults")
    run_state_machine_as_test(machine, settings=how(15, 20) if is_long else short)


def test_first_opening_may_be_killed_at_any_step() -> None:
    """
    A program that is killed while it opens a library for the first time leaves one that the next
    program opens, and that still belongs to its bucket alone.
    """
    team_servers.skip_if_missing()
    servers = team_servers.servers()
    step, code = 0, -1
    with dying("tests.faults.model_steps") as kill:
        while code < 0:
            step += 1
            library = servers.new_library()
            start = Errand(library, "http://127.0.0.1:9", Action(verb="start", text="Tea"))
            code = kill(start.dump(), step, "before")
            with Studio.offline(library) as studio:
                studio.session("a mug")
            with Studio.offline(library) as studio:
                assert len(studio.sessions.list()) >= 1
            servers.drop_library(library)
    assert step > 5


@pytest.mark.faults
def test_model_notices_a_wrong_tree(
    machine: type[LibraryMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The test works: if undo moves the head of a branch to nowhere, it is noticed.
    """
    undo = Tree.undo

    def wrong(tree: Tree, branch: str, steps: int, move_id: str) -> Any:
        return attrs.evolve(undo(tree, branch, steps, move_id), head=None)

    monkeypatch.setattr(Tree, "undo", wrong)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine, settings=how(30, 30, phases=[Phase.generate], derandomize=True)
        )
