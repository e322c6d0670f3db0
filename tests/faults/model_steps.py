"""
What a library is asked to do in `test_model`, and a program that kills itself in the midst of it.

    python -m tests.faults.model_steps

It reads lines of an errand as quoted JSON, a number and "before" or "after". For each line it
forks, runs the errand, kills itself before or after the durable step of that number, and prints the
exit code: a negative signal, or the number of steps if there were fewer.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs

from imagesession import Studio, transfer
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.servers import builtin_servers
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from tests.faults.dying import When, die_at_step
from tests.faults.steps import die_at

assert openai_clients


@attrs.frozen(kw_only=True)
class Action:
    """
    A verb and what it is given.

    Attributes:
        verb: "start", "refine", "branch", "undo", "delete", "restore", "erase" or "transfer".
        session: The id of the session.
        branch: The branch.
        images: The ids of images; of a removal, none for the session itself.
        text: A prompt, a name, or the library to which another one is transferred.
    """

    verb: str
    session: str = ""
    branch: str = "main"
    images: tuple[str, ...] = ()
    text: str = ""


@attrs.frozen
class Errand:
    """
    An action, and the library and provider for it.
    """

    library: str
    provider: str
    action: Action

    def dump(self) -> str:
        """
        Return it as a text without spaces.
        """
        return quote(json.dumps(attrs.asdict(self)))

    @classmethod
    def read(cls, text: str) -> Errand:
        """
        Return what was dumped.
        """
        members: dict[str, Any] = json.loads(unquote(text))
        return cls(members["library"], members["provider"], Action(**members["action"]))

    def run(self) -> None:
        """
        Do it, as a program does that has just been started.
        """
        if self.action.verb == "transfer":
            transfer(self.library, self.action.text)
            return
        with Studio(self.library, api_key="x", base_url=self.provider) as studio:
            perform(studio, self.action)


def perform(studio: Studio, action: Action) -> None:
    """
    Carry an action out.
    """
    if action.verb == "start":
        studio.session("a tea shop", name=action.text, provider_state="conversation")
    elif action.verb in {"delete", "restore", "erase"}:
        kind, targets = ("images", action.images) if action.images else ("sessions", ())
        getattr(getattr(studio, kind), action.verb)(*(targets or [action.session]))
    else:
        session = studio.open(action.session, branch=action.branch)
        if action.verb == "undo":
            session.undo()
        elif action.verb == "branch":
            session.branch(action.text, at=action.images[0])
        elif action.images:
            studio.images.get(action.images[0]).refine(action.text)
        else:
            session.generate(action.text)


def die_on_servers(number: int, when: When, act: Callable[[], object]) -> int:
    """
    Do something, and die at a statement, commit or request to a bucket; return the number of these
    if there are fewer.
    """
    import obstore  # noqa: PLC0415 - of an extra
    import psycopg  # noqa: PLC0415 - as above

    count = 0

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            own = count
            if when == "before" and own == number:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if when == "after" and own == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    steps = ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit"), (obstore, "put"))
    for owner, name in (*steps, (obstore, "delete")):
        setattr(owner, name, dying(getattr(owner, name)))
    act()
    return count


def main() -> None:
    """
    Die at each step that stdin names.
    """

    def die(text: str, number: int, when: When) -> int:
        errand = Errand.read(text)
        written = errand.action.text if errand.action.verb == "transfer" else errand.library
        if "://" in written:
            return die_on_servers(number, when, errand.run)
        return die_at(Path(written), number, when, errand.run)

    # Otherwise each child imports and reads these for itself, which takes longer than its work.
    from imagesession._store.team import library  # noqa: PLC0415 - of an extra

    assert library
    load_catalogue()
    builtin_servers()
    die_at_step(die)


if __name__ == "__main__":
    main()
