"""
A program that submits a batch and collects it, and kills itself at a durable step of its library.

    python -m tests.faults.batch_steps LIBRARY URL [forgetful | hasty]

It reads lines of a batch's name, a number and "before" or "after". For each line it forks, submits
and collects that batch, kills itself before or after the step of that number, and prints the exit
code: a negative signal, or the number of steps if there were fewer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import attrs

from imagesession import Studio
from imagesession._domain.batch import BatchRecord, BatchUpdate
from imagesession._engine.batches import reconcile, submit
from imagesession._engine.effects import StoreCall, Workflow
from imagesession._engine.request import StudioConfig
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store.batches import BatchStore
from tests.faults.dying import When, die_at_step
from tests.faults.steps import die_at

assert openai_clients
assert submit


def prompts(name: str) -> list[str]:
    """
    Return the prompts of a batch.
    """
    return [f"{name}, first", f"{name}, second"]


def submit_and_die(root: Path, url: str, name: str, number: int, when: When) -> int:
    """
    Submit a batch and collect it, and die at a step; return the number of steps if there are fewer.
    """
    studio = Studio(root, api_key="x", base_url=url)
    return die_at(
        root,
        number,
        when,
        lambda: studio.batches.create(prompts(name), name=name).wait(progress=False),
    )


# --- broken twins -------------------------------------------------------------------------------


def forget() -> None:
    """
    Do not record updates of a batch.
    """

    def update_in_memory(self: BatchStore, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        del self
        return attrs.evolve(record, **news)

    BatchStore.update = update_in_memory  # type: ignore[method-assign]


def hurry() -> None:
    """
    Record a batch as settled before any image is stored.
    """
    settle = vars(reconcile)["_settle"]

    def settle_early(record: BatchRecord, config: StudioConfig) -> Workflow[frozenset[str]]:
        yield from StoreCall(lambda store: store.batches.update(record, {"settled": True}))
        busy: frozenset[str] = yield from settle(record, config)
        return busy

    reconcile.__dict__["_settle"] = settle_early


# --- the program ------------------------------------------------------------------------------


def main() -> None:
    """
    Die at each step that stdin names.
    """
    library, url, *twins = sys.argv[1:]
    for twin in twins:
        {"forgetful": forget, "hasty": hurry}[twin]()

    def die(name: str, number: int, when: When) -> int:
        return submit_and_die(Path(library), url, name, number, when)

    die_at_step(die)


if __name__ == "__main__":
    main()
