"""
Watch the durable steps of a library, to record them or to die at one of them.

    python -m tests.faults.steps LIBRARY URL [forgetful]

The program reads lines of a session's id, a number and "before" or "after". For each line it forks,
generates an image in that session, kills itself before or after the step of that number, and prints
the exit code: a negative signal, or the number of steps if there were fewer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from imagesession import Studio
from imagesession._runtime import openai_clients  # slow to import, so imported before forking
from imagesession._store.intents import IntentStore
from tests.faults.dying import When, die_at_step

assert openai_clients

Verb: TypeAlias = Literal["create", "write", "flush", "link", "replace", "remove", "make"]


@attrs.frozen
class Step:
    """
    A call that changes a disk, or flushes a change.

    Attributes:
        verb: The kind of change.
        path: The path within the library.
        source: The other name of a file that gets a new name.
        data: The written bytes.
    """

    verb: Verb
    path: str
    source: str = ""
    data: bytes = attrs.field(default=b"", repr=False)


def _nothing(_: Step) -> None:
    pass


@attrs.define
class Watcher:
    """
    Intercepts a library's calls of the operating system.

    Attributes:
        root: The library's folder.
        before: Called before each step.
        after: Called after each step.
    """

    root: Path
    before: Callable[[Step], None] = _nothing
    after: Callable[[Step], None] = _nothing
    _names: dict[int, str] = attrs.field(factory=dict[int, str], init=False)

    @contextlib.contextmanager
    def watching(self) -> Generator[None, None, None]:
        """
        Watch for the duration of the block.
        """
        watchers: dict[str, Callable[..., Any]] = {
            "open": self._open, "write": self._write, "fsync": self._fsync,
            "link": self._name("link"), "replace": self._name("replace"),
            "rename": self._name("replace"), "unlink": self._single("remove"),
            "mkdir": self._single("make"),
        }  # fmt: skip
        real = {name: getattr(os, name) for name in watchers}
        for name, watched in watchers.items():
            setattr(os, name, _bound(watched, real[name]))
        try:
            yield
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _place(self, path: Any, folder: int | None = None) -> str | None:
        """
        Return the full path of a file within the library; None if it is elsewhere.
        """
        text = str(path) if isinstance(path, (str, Path)) else ""
        within = self._names.get(folder) if folder is not None else None
        whole = text if folder is None else f"{within}/{text}"
        if not whole.startswith(f"{self.root}/") or "/index." in whole:
            return str(self.root) if whole == str(self.root) else None
        return whole

    def _take(self, step: Step | None, act: Callable[[], Any]) -> Any:
        if step is None:
            return act()
        self.before(step)
        result = act()
        self.after(step)
        return result

    def _step(self, verb: Verb, where: str | None, source: str = "", data: bytes = b"") -> Any:
        if where is None:
            return None
        root = str(self.root)
        return Step(
            verb, os.path.relpath(where, root), source and os.path.relpath(source, root), data
        )

    def _open(self, real: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        where = self._place(path, kwargs.get("dir_fd"))
        made = bool(flags & os.O_CREAT) and where is not None and not Path(where).exists()
        step = self._step("create", where) if made else None
        descriptor: int = self._take(step, lambda: real(path, flags, *args, **kwargs))
        self._names.pop(descriptor, None)
        if where is not None:
            self._names[descriptor] = where
        return descriptor

    def _write(self, real: Any, descriptor: int, data: Any) -> int:
        step = self._step("write", self._names.get(descriptor), data=bytes(data))
        written: int = self._take(step, lambda: real(descriptor, data))
        return written

    def _fsync(self, real: Any, descriptor: int) -> None:
        self._take(self._step("flush", self._names.get(descriptor)), lambda: real(descriptor))

    def _name(self, verb: Verb) -> Callable[..., Any]:
        def name(real: Any, source: Any, target: Any, **kwargs: Any) -> Any:
            where = self._place(target, kwargs.get("dst_dir_fd"))
            step = self._step(verb, where, source=str(source))
            return self._take(step, lambda: real(source, target, **kwargs))

        return name

    def _single(self, verb: Verb) -> Callable[..., Any]:
        def run_one(real: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
            where = self._place(path, kwargs.get("dir_fd"))
            return self._take(self._step(verb, where), lambda: real(path, *args, **kwargs))

        return run_one


def _bound(watched: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return watched(real, *args, **kwargs)

    return call


def is_folder(root: Path, step: Step) -> bool:
    """
    Tell whether a step's path is a folder.
    """
    path = root / step.path
    return path.exists() and stat.S_ISDIR(path.stat().st_mode)


# --- the program ------------------------------------------------------------------------------


def die_at(root: Path, number: int, when: When, act: Callable[[], object]) -> int:
    """
    Do something, and die at a step of it; return the number of steps if there are fewer.
    """
    count = 0

    def die(_: Step) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    watcher = Watcher(root, before=die) if when == "before" else Watcher(root, after=die)
    with watcher.watching():
        act()
    return count


def generate_and_die(root: Path, url: str, session: str, number: int, when: When) -> int:
    """
    Generate an image, and die at a step; return the number of steps if there are fewer.
    """
    opened = Studio(root, api_key="x", base_url=url).open(session)
    return die_at(root, number, when, lambda: opened.generate("a teapot"))


def main() -> None:
    """
    Die at each step that stdin names.
    """
    library, url, *forgetful = sys.argv[1:]
    if forgetful:
        IntentStore.record_response_id = lambda *_: None  # type: ignore[method-assign] # a broken twin

    def die(name: str, number: int, when: When) -> int:
        return generate_and_die(Path(library), url, name, number, when)

    die_at_step(die)


if __name__ == "__main__":
    main()
