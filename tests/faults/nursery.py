"""
A program that starts workers on one library, kills them at random, and starts them again.

    python -m tests.faults.nursery LIBRARY URL WORKERS EACH KILLS [blind]

It prints how often it killed. Where it is blind, recovery does not look into the journal. Workers
are forked, which takes milliseconds where importing takes most of a second.
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
from imagesession._runtime import (
    openai_clients,  # what takes long to import is there when workers begin
)
from imagesession._store.intent_leases import IntentLeases
from imagesession.errors import OutcomeUnknownError

assert openai_clients


def work(library: str, url: str, number: int, count: int) -> None:
    """
    Make pictures one after another, and go on where an earlier worker was killed.
    """
    studio = Studio(library, api_key="x", base_url=url)
    studio.recover(timeout=0)
    session = studio.open(f"session {number}")
    settled = {turn.idempotency_key for turn in session.turns()}
    for item in range(count):
        name = f"{number}-{item}"
        # What is settled as unknown is not asked for again: that is for people to decide.
        if name not in settled:
            with contextlib.suppress(OutcomeUnknownError):
                session.generate(f"teapot {name}", idempotency_key=name)


def see_nothing(_: IntentLeases) -> tuple[()]:
    """
    Find nothing that is not settled.
    """
    return ()


@attrs.define
class Nursery:
    """
    The workers that live.

    Attributes:
        library: Where they keep pictures.
        url: Where the provider is.
        count: How many pictures each makes.
        alive: Their numbers, by process.
        kills: How many were killed.
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

    def bury(self) -> None:
        """
        Take those out that have done all their work.
        """
        for child in tuple(self.alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                assert status == 0, f"worker {self.alive[child]} failed"
                del self.alive[child]


def main() -> None:
    """
    Let workers do their work, and kill some of them.
    """
    library, url, workers, count, kills, *blind = sys.argv[1:]
    if blind:  # a twin that must be caught
        pytest.MonkeyPatch().setattr(IntentLeases, "pending", see_nothing)
    chance = random.Random(int(kills))  # noqa: S311 - chance is to be the same every time
    nursery = Nursery(library, url, int(count))
    for number in range(int(workers)):
        nursery.start(number)
    while nursery.alive:
        time.sleep(chance.uniform(0.0, 0.16))
        nursery.bury()
        if nursery.alive and nursery.kills < int(kills):
            nursery.kill(chance.choice(tuple(nursery.alive)))
    print(nursery.kills)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
