"""
A program that deletes, restores, erases or empties the bin, and kills itself at a durable step of
its library.

    python -m tests.faults.removal_steps LIBRARY URL [forgetful]

It reads lines of a verb and an id as "verb:kind:id", or "erase:owner:name", a number and "before"
or "after". For each
line it forks, carries the removal out, kills itself before or after the step of that number, and
prints the exit code: a negative signal, or the number of steps if there were fewer.
"""

from __future__ import annotations

import sys
from pathlib import Path

from imagesession import Studio
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store.disk.facts import DiskFacts
from imagesession._store.ports import Key
from tests.faults.dying import When, die_at_step
from tests.faults.steps import die_at

assert openai_clients


def remove_and_die(root: Path, url: str, name: str, number: int, when: When) -> int:
    """
    Carry a removal out, and die at a step; return the number of steps if there are fewer.
    """
    verb, kind, removed_id = name.split(":")
    studio = Studio(root, api_key="x", base_url=url)
    if verb == "empty_bin":
        return die_at(root, number, when, studio.empty_bin)
    remove = studio.erase_owner if kind == "owner" else getattr(getattr(studio, kind), verb)
    return die_at(root, number, when, lambda: remove(removed_id))


def forget() -> None:
    """
    Do not record removals before they are carried out.
    """
    put_new = DiskFacts.put_new

    def put_others(self: DiskFacts, facts: dict[Key, bytes]) -> None:
        put_new(self, {key: data for key, data in facts.items() if key.kind != "removal"})

    DiskFacts.put_new = put_others  # type: ignore[method-assign,assignment] # a broken twin


def main() -> None:
    """
    Die at each step that stdin names.
    """
    library, url, *forgetful = sys.argv[1:]
    if forgetful:
        forget()

    def die(name: str, number: int, when: When) -> int:
        return remove_and_die(Path(library), url, name, number, when)

    die_at_step(die)


if __name__ == "__main__":
    main()
