"""
Several programs that use one library concurrently, each with its own provider.

    python -m tests.faults.users LIBRARY ROOM COUNT HABIT CAP [unlocked] [behind] [counting]

They are forked, run COUNT operations each from a HABIT, and write reports to the folder ROOM. With
`behind`, their clocks are an hour slow. Two broken twins must be caught: with `unlocked`, the index
is not locked; with `counting`, ids grow by one instead of a random step.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Budget, SavedImage, Studio
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store import admission, ids
from imagesession._store.admission import admit
from imagesession._store.disk.database import Database
from imagesession.errors import BudgetExceededError, ImageSessionError, InvalidRequestError
from imagesession.testing import FakeOpenAI, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.pace import HANG

assert openai_clients

PROGRAMS = 8
TOGETHER = multiprocessing.Barrier(PROGRAMS)
HOUR_NS = 3_600_000_000_000
HABITS: dict[str, dict[str, int]] = {
    "mixed": {
        "one_shot": 2, "refine": 3, "list_all": 3, "find_one": 3, "search": 1, "branch": 1,
        "undo": 1, "redo": 1, "spending": 2,
    },
    "branching": {"branch": 1},
    "spending": {"one_shot": 1},
}  # fmt: skip


@attrs.define
class User:
    """
    A program, and the state that it expects.

    Attributes:
        studio: Its studio.
        number: Its number.
        made: Its images: their ids, and the digests of their bytes.
        branches: The branches that it started: a session's id and a name.
        heads: The expected head of its own branch in each session.
        done: How often each operation succeeded.
        problems: Unexpected results.
    """

    studio: Studio
    number: int
    chance: random.Random
    made: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    branches: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    heads: dict[str, str | None] = attrs.field(factory=dict[str, "str | None"])
    done: collections.Counter[str] = attrs.field(factory=collections.Counter[str])
    problems: list[str] = attrs.field(factory=list[str])
    turns: int = 0

    @property
    def own(self) -> str:
        """
        The name of its own branch.
        """
        return f"program {self.number}"

    def work(self, count: int, habit: dict[str, int]) -> None:
        """
        Run random operations.
        """
        self.settle_in()
        for verb in self.chance.choices(list(habit), list(habit.values()), k=count):
            try:
                getattr(self, verb)()
                self.done[verb] += 1
            except BudgetExceededError:
                self.done["over budget"] += 1
            except ImageSessionError as error:
                self.problems.append(f"{verb}: {error!r}")

    def settle_in(self) -> None:
        """
        Start a branch of its own in each session.
        """
        for session in self.studio.sessions.list():
            head = session.head()
            session.branch(self.own)
            self.branches.append((session.id, self.own))
            self.heads[session.id] = None if head is None else head.turn.id

    def _any_session(self) -> Any:
        return self.studio.open(self.chance.choice(list(self.heads)), branch=self.own)

    def _head(self, session: str) -> str | None:
        head = self.studio.open(session, branch=self.own).head()
        return None if head is None else head.turn.id

    def _expect(self, truth: object, words: str) -> None:
        if not truth:
            self.problems.append(words)

    def _keep(self, image: SavedImage) -> None:
        self.made.append((image.id, hashlib.sha256(image.bytes).hexdigest()))

    def one_shot(self) -> None:
        """
        Generate a standalone image.
        """
        prompt = f"teapot {self.number}"
        self._keep(self.studio.generate(prompt, quality="high", size="1024x1024"))

    def refine(self) -> None:
        """
        Generate an image on its own branch of a session.
        """
        session = self._any_session()
        image = session.generate("bluer")
        self._expect(image.parent == self.heads[session.id], "a picture grew from another")
        self.heads[session.id] = image.turn.id
        self._keep(image)

    def list_all(self) -> None:
        """
        List images; they are in order, and each is listed once.
        """
        ids = [image.id for image in self.studio.images.list(limit=200)]
        self._expect(ids == sorted(ids, reverse=True), "pictures are out of order")
        self._expect(len(ids) == len(set(ids)), "a picture is listed twice")

    def find_one(self) -> None:
        """
        Get one of its images by its id.
        """
        if self.made:
            image_id, digest = self.chance.choice(self.made)
            data = self.studio.images.get(image_id).bytes
            self._expect(hashlib.sha256(data).hexdigest() == digest, "a picture is another")

    def search(self) -> None:
        """
        Find its own images by their prompt.
        """
        found = self.studio.images.list(text=f"teapot {self.number}", limit=5)
        self._expect(all(image.prompt == f"teapot {self.number}" for image in found), "not its own")

    def branch(self) -> None:
        """
        Start another branch.
        """
        session = self._any_session()
        name = f"{self.own}, {len(self.branches)}"
        session.branch(name)
        self.branches.append((session.id, name))

    def undo(self) -> None:
        """
        Undo on its own branch.
        """
        self._move("undo")

    def redo(self) -> None:
        """
        Redo on its own branch.
        """
        self._move("redo")

    def _move(self, verb: str) -> None:
        session = self._any_session()
        self._expect(self._head(session.id) == self.heads[session.id], "a move was lost")
        with contextlib.suppress(InvalidRequestError):  # there is nothing left to undo
            head = getattr(session, verb)()
            self.heads[session.id] = None if head is None else head.turn.id

    def spending(self) -> None:
        """
        Sum the costs; turns that were counted stay counted.
        """
        turns = self.studio.costs().total.turns
        self._expect(turns >= self.turns, "turns are not counted any more")
        self.turns = turns

    def report(self) -> dict[str, object]:
        """
        Return what it did and expects.
        """
        return {
            "made": self.made, "branches": self.branches, "heads": self.heads,
            "own": self.own, "done": self.done, "problems": self.problems,
        }  # fmt: skip


@contextlib.contextmanager
def unlocked(self: Database, **_: object) -> Generator[sqlite3.Connection, None, None]:
    """
    Hold no lock, and meet the others where they would wait for it: a broken twin.
    """
    self.open_or_rebuild()
    meet("index", times=4)
    with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
        yield connection


_meetings: collections.Counter[str] = collections.Counter()


def meet(occasion: str, times: int = 1) -> None:
    """
    Wait until all programs have come here; only the first times.
    """
    _meetings[occasion] += 1
    if _meetings[occasion] <= times:
        with contextlib.suppress(threading.BrokenBarrierError):
            TOGETHER.wait(HANG)


def admit_together(*arguments: Any) -> Any:
    """
    Wait between the check of the budget and the writing of the intent.
    """
    allowed = admit(*arguments)
    meet("budget")
    return allowed


def slow_clock() -> None:
    """
    Use a clock that is an hour slow, as after it was set back.
    """
    real = time.time_ns
    time.time_ns = lambda: real() - HOUR_NS


def use(library: str, room: Path, number: int, *, count: int, habit: str, cap: float) -> None:
    """
    Use the library, and write a report.
    """
    colour = (number, 100, 200)
    provider = FakeOpenAI(sketcher=FixedSketcher(tiny_image(colour=colour), (64, 64)))
    studio = Studio.offline(library, provider=provider, budget=Budget(per_day=cap))
    user = User(studio, number, random.Random(number))  # noqa: S311 - the same every time
    meet("start")
    user.work(count, HABITS[habit])
    (room / f"{number}.json").write_text(json.dumps(user.report()))


def fork(do: Callable[[], None]) -> int:
    """
    Run a function in a child process, and return its process id.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        do()
        code = 0
    except BaseException:  # noqa: BLE001 - the child must print it before it exits
        traceback.print_exc()
        TOGETHER.abort()  # the others do not wait for it
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """
    Let several programs use a library concurrently.
    """
    library, room, count, habit, cap, *rest = sys.argv[1:]
    do = functools.partial(use, library, Path(room), count=int(count), habit=habit, cap=float(cap))
    if "unlocked" in rest:
        Database.locked = unlocked  # type: ignore[method-assign] # a broken twin
        admission.admit = admit_together  # type: ignore[assignment] # likewise
    if "behind" in rest:
        slow_clock()
    if "counting" in rest:
        pytest.MonkeyPatch().setattr(ids, "_STEP_BITS", 0)  # a broken twin
    children = [fork(functools.partial(do, number)) for number in range(PROGRAMS)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
