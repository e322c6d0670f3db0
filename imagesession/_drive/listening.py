"""
What a watch stands on: a listener that is told, a library that is overheard, and a way to wait
that lets somebody be told meanwhile.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Protocol, cast

import attrs

from imagesession._model.progress import OnProgress, Progress
from imagesession._plan.store import Store
from imagesession.errors import CallError

log = logging.getLogger("imagesession")
# How often somebody is told that it goes on, in seconds.
BEAT = 0.5


def checked(on_progress: object) -> OnProgress:
    """
    Return what is called as a call gets on, if it can be.

    Raises:
        CallError: It cannot be called, or has to be awaited.
    """
    if not callable(on_progress):
        raise CallError(
            f"on_progress={on_progress!r} cannot be called. It takes a function of one argument, "
            "such as print."
        )
    if inspect.iscoroutinefunction(on_progress):
        raise CallError(
            "on_progress= takes a plain function, which is not awaited. Put what it gets into a "
            "queue, such as on_progress=queue.put_nowait, and await it elsewhere."
        )
    return cast("OnProgress", on_progress)


@attrs.define
class Listener:
    """
    Who is told: by one thread at a time, and no more once that went wrong.

    Attributes:
        on_progress: What is called.
        total: How many pictures it is told of.
    """

    on_progress: OnProgress
    total: int = 1
    _broken: bool = attrs.field(default=False, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)

    def tell(self, progress: Progress) -> None:
        """
        Tell how far it is.
        """
        with self._lock:
            if self._broken:
                return
            try:
                self.on_progress(progress)
            except Exception:  # what is paid for must not be lost for it
                self._broken = True
                log.exception("on_progress raised an error; it is not called again")


class Ears(Protocol):
    """
    Who overhears a library.
    """

    def heard(self, verb: str, args: tuple[Any, ...]) -> None:
        """Take note of what the library is about to do."""
        ...

    def happened(self, verb: str, args: tuple[Any, ...], result: object) -> None:
        """Take note of what the library has done."""
        ...


_OVERHEARD = frozenset({"intend", "note", "commit", "cool_down", "cooldown"})


def overhear(store: Store, ears: Ears) -> Store:
    """
    Return a library that does the same, and lets somebody know.
    """
    return cast("Store", _Overheard(store, ears))


class _Overheard:
    def __init__(self, store: Store, ears: Ears) -> None:
        self._store = store
        self._ears = ears

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the library has
        member = getattr(self._store, name)
        return functools.partial(self._hear, name, member) if name in _OVERHEARD else member

    def _hear(self, name: str, verb: Callable[..., object], /, *args: Any, **named: Any) -> object:  # noqa: ANN401 - as the library takes them
        self._ears.heard(name, args)
        result = verb(*args, **named)
        self._ears.happened(name, args, result)
        return result


def beating(
    do: Callable[[], object], left: Callable[[], float], beat: Callable[[], None]
) -> object:
    """
    Do something in a thread of its own; until it is done, call `beat` in this one.

    Args:
        do: What to do.
        left: Tells how many seconds are left until the next beat.
        beat: What is called then.
    """
    done: Future[object] = Future()

    def work() -> None:
        try:
            done.set_result(do())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)

    run = functools.partial(contextvars.copy_context().run, work)
    threading.Thread(target=run, name="imagesession waiting", daemon=True).start()
    while not wait({done}, max(0.0, left())).done:
        beat()
    return done.result()
