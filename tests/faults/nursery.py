"""
A program that starts workers on one library, kills them at random, and starts them again.

    python -m tests.faults.nursery LIBRARY URL WORKERS EACH KILLS [blind]

It prints the number of kills. With `blind`, recovery does not read the journal. Workers are forked,
which takes milliseconds, while importing takes most of a second.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time

import attrs
import pytest

from imagesession import Studio
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store.intents import IntentStore
from imagesession.errors import OutcomeUnknownError

assert openai_clients


def work(library: str, url: str, number: int, count: int) -> None:
    """
    Generate images one after another, and continue where an earlier worker was killed.
    """
    studio = Studio(library, api_key="x", base_url=url)
    studio.recover(timeout=0)
    session = studio.open(f"session {number}")
    settled = {turn.idempotency_key for turn in session.turns()}
    for item in range(count):
        name = f"{number}-{item}"
        # A request with an unknown outcome is not repeated: that is for people to decide.
        if name not in settled:
            with contextlib.suppress(OutcomeUnknownError):
                session.generate(f"teapot {name}", idempotency_key=name)


def see_nothing(_: IntentStore) -> tuple[()]:
    """
    Report no unsettled intents.
    """
    return ()


@attrs.define
class Nursery:
    """
    The workers that are running.

    Attributes:
        library: The library's folder.
        url: The provider's base URL.
        count: The number of images that each worker generates.
        alive: The workers' numbers, by process id.
        kills: The number of kills.
    """

    library: str
    url: str
    count: int
    alive: dict[int, int] = attrs.field(factory=dict[int, int])
    kills: int = 0

    def start(self, number: int) -> None:
        """
        Start a worker.
        """
        child = os.fork()
        if child:
            self.alive[child] = number
            return
        code = 1
        try:
            work(self.library, self.url, number, self.count)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)

    def kill(self, child: int) -> None:
        """
        Kill a worker, and start another in its place.
        """
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        number = self.alive.pop(child)
        if os.WIFSIGNALED(status):
            self.kills += 1
            self.start(number)

    def reap(self) -> None:
        """
        Remove the workers that have finished.
        """
        for child in tuple(self.alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                assert status == 0, f"worker {self.alive[child]} failed"
                del self.alive[child]


def main() -> None:
    """
    Run workers, and kill some of them.
    """
    library, url, workers, count, kills, *blind = sys.argv[1:]
    if blind:  # a broken twin
        pytest.MonkeyPatch().setattr(IntentStore, "pending", see_nothing)
    chance = random.Random(int(kills))  # noqa: S311 - the same every time
    nursery = Nursery(library, url, int(count))
    for number in range(int(workers)):
        nursery.start(number)
    while nursery.alive:
        time.sleep(chance.uniform(0.0, 0.16))
        nursery.reap()
        if nursery.alive and nursery.kills < int(kills):
            nursery.kill(chance.choice(tuple(nursery.alive)))
    print(nursery.kills)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
