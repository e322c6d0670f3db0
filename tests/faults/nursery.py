"""
A program that starts workers on one library, kills them at random, and starts them again.

    python -m tests.faults.nursery LIBRARY URL WORKERS EACH KILLS [stopped] [astray] [full] [blind]

It prints the number of kills. With `stopped`, every tenth victim is only stopped for a while. With
`astray`, each worker's clock is wrong by a day back to a year ahead, and jumps with every image.
With `full`, one in fifty writes fails. With `blind`, recovery does not read the journal: a broken
twin. Workers are forked, which takes milliseconds, while importing takes most of a second.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

import attrs
import pytest

from imagesession import ImageSession, Studio
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store.files import atomic_write
from imagesession._store.intents import IntentStore
from imagesession.errors import (
    BadRequestError,
    ImageSessionError,
    OutcomeUnknownError,
    StorageIOError,
    TransientError,
)

assert openai_clients
T = TypeVar("T")


DAY = 86_400.0
SHARE_OF_FAILING_WRITES, SHARE_OF_STOPS = 0.02, 0.1
# Seconds until a worker gives up a response that never comes; images take a tenth of one.
TIMEOUT = 5.0


def work(library: str, url: str, number: int, count: int, *troubles: str) -> None:
    """
    Generate images one after another, and continue where an earlier worker was killed.
    """
    chance = random.Random()  # noqa: S311 - not a secret
    if "full" in troubles:
        fail_writes(chance)
    lead_astray = clock(chance) if "astray" in troubles else int
    lead_astray()
    timeout = TIMEOUT if "full" in troubles else 600.0
    studio = attempt(lambda: Studio(library, api_key="x", base_url=url, timeout=timeout))
    attempt(lambda: studio.recover(timeout=0))
    session = attempt(lambda: studio.open(f"session {number}"))
    settled = {turn.idempotency_key for turn in attempt(session.turns)}
    for item in range(count):
        name = f"{number}-{item}"
        lead_astray()
        if name not in settled:
            request(session, name)


def request(session: ImageSession, name: str) -> None:
    """
    Request an image until it is made, or something has become of it: a request with an unknown
    outcome is not repeated, as that is for people to decide.
    """
    for _ in range(100):
        try:
            session.generate(f"teapot {name}", idempotency_key=name)
        except (OutcomeUnknownError, StorageIOError) as error:
            if isinstance(error, OutcomeUnknownError) or error.kept:
                return
        except (TransientError, BadRequestError):
            time.sleep(0.05)
        except ImageSessionError:
            return
        else:
            return


def attempt(look: Callable[[], T]) -> T:
    """
    Look at the library until it can be read.
    """
    while True:
        try:
            return look()
        except (StorageIOError, TransientError):
            time.sleep(0.01)


def clock(chance: random.Random) -> Callable[[], None]:
    """
    Return a function that sets this program's clock wrong, by a day back to a year ahead.
    """
    real, real_ns, offset = time.time, time.time_ns, 0.0

    def jump() -> None:
        nonlocal offset
        offset = chance.choice(
            (-DAY, -1200.0, 0.0, 1200.0, DAY, 365 * DAY, chance.uniform(-DAY, DAY))
        )

    time.time = lambda: real() + offset
    time.time_ns = lambda: real_ns() + int(offset * 1e9)
    return jump


def fail_writes(chance: random.Random) -> None:
    """
    Let some flushes fail, as on a disk that is full or wears out.
    """
    flush = atomic_write.fsync

    def fail(descriptor: int) -> None:
        if chance.random() < SHARE_OF_FAILING_WRITES:
            raise OSError(chance.choice((errno.ENOSPC, errno.EIO)), "the disk is out of order")
        flush(descriptor)

    atomic_write.fsync = fail


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
        troubles: What else goes wrong.
        kills: The number of kills.
    """

    library: str
    url: str
    count: int
    troubles: tuple[str, ...] = ()
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
            work(self.library, self.url, number, self.count, *self.troubles)
            code = 0
        except BaseException:  # noqa: BLE001 - it ends here, whatever it is
            traceback.print_exc()
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

    def stop(self, child: int, seconds: float) -> None:
        """
        Stop a worker for a while.
        """
        os.kill(child, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(child, signal.SIGCONT)

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
    library, url, workers, count, kills, *troubles = sys.argv[1:]
    if "blind" in troubles:
        pytest.MonkeyPatch().setattr(IntentStore, "pending", see_nothing)
    chance = random.Random(int(kills))  # noqa: S311 - the same every time
    nursery = Nursery(library, url, int(count), tuple(troubles))
    for number in range(int(workers)):
        nursery.start(number)
    while nursery.alive:
        time.sleep(chance.uniform(0.0, 0.16))
        nursery.reap()
        if nursery.alive and nursery.kills < int(kills):
            victim = chance.choice(tuple(nursery.alive))
            if "stopped" in troubles and chance.random() < SHARE_OF_STOPS:
                nursery.stop(victim, chance.uniform(0.1, 1.0))
            else:
                nursery.kill(victim)
    print(nursery.kills)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
