"""
A program that submits a batch and collects it, and dies at a durable step of its library.

    python -m tests.faults.batch_steps LIBRARY URL [forgetful | hasty]

It reads lines of a batch's name, a number and "before" or "after". For each it forks, goes through
a day with that batch, kills itself there, and prints how that ended: a negative signal, or the
number of steps where they were fewer.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import attrs

from imagesession import Studio
from imagesession._domain.batch import BatchRecord, BatchUpdate
from imagesession._engine.batches import reconcile, submit
from imagesession._engine.effects import StoreCall, Workflow
from imagesession._engine.request import StudioConfig
from imagesession._runtime import (
    openai_clients,  # what takes long to import is there before it forks
)
from imagesession._store.batches import BatchStore
from tests.faults.dying import When, die_at_step
from tests.faults.steps import Step, Watcher

assert openai_clients
assert submit


def prompts(name: str) -> list[str]:
    """
    Return what the batch of a name asks for.
    """
    return [f"{name}, first", f"{name}, second"]


def submit_and_die(root: Path, url: str, name: str, number: int, when: When) -> int:
    """
    Submit a batch and collect it, and die at a step; return how many there were if that is more.
    """
    count = 0

    def die(_: Step) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    studio = Studio(root, api_key="x", base_url=url)
    watcher = Watcher(root, before=die) if when == "before" else Watcher(root, after=die)
    with watcher.watching():
        studio.batches.create(prompts(name), name=name).wait(progress=False)
    return count


# --- twins that must be caught ------------------------------------------------------------------


def forget() -> None:
    """
    Write nothing down of what becomes known of a batch.
    """

    def forgets(self: BatchStore, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        del self
        return attrs.evolve(record, **news)

    BatchStore.update_batch = forgets  # type: ignore[method-assign]


def hurry() -> None:
    """
    Write down that all is settled before anything is kept.
    """
    settle = vars(reconcile)["_settle"]

    def settles(record: BatchRecord, config: StudioConfig) -> Workflow[frozenset[str]]:
        yield from StoreCall(lambda store: store.update_batch(record, {"settled": True}))
        busy: frozenset[str] = yield from settle(record, config)
        return busy

    reconcile.__dict__["_settle"] = settles


# --- the program ------------------------------------------------------------------------------


def main() -> None:
    """
    Die as told, again and again.
    """
    library, url, *twin = sys.argv[1:]
    for named in twin:
        {"forgetful": forget, "hasty": hurry}[named]()

    def die(name: str, number: int, when: When) -> int:
        return submit_and_die(Path(library), url, name, number, when)

    die_at_step(die)


if __name__ == "__main__":
    main()
