"""
Observe a workflow: tell a callback what the workflow reports, and that it still goes on.

Nothing is decided here, and nothing that goes wrong in a callback ends what it is told of.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import cast

import attrs

from imagesession._domain.progress import OnProgress, ProgressEvent, Stage
from imagesession._engine.effects import ReportProgress
from imagesession.errors import ImageSessionError, InvalidRequestError

log = logging.getLogger("imagesession")
HEARTBEAT_SECONDS = 0.5
"""How often a callback is told that a workflow goes on."""


def observers(on_progress: object, total: int = 1) -> list[ProgressObserver]:
    """
    Make what observes each of so many workflows for one callback.

    Raises:
        InvalidRequestError: It cannot be called, or has to be awaited.
    """
    guard = CallbackGuard(_checked(on_progress))
    return [ProgressObserver(guard, position, total) for position in range(total)]


def _checked(on_progress: object) -> OnProgress:
    if not callable(on_progress):
        raise InvalidRequestError(
            f"on_progress={on_progress!r} cannot be called. It takes a function of one argument, "
            "such as print."
        )
    if inspect.iscoroutinefunction(on_progress):
        raise InvalidRequestError(
            "on_progress= takes a plain function, which is not awaited. Put what it gets into a "
            "queue, such as on_progress=queue.put_nowait, and await it elsewhere."
        )
    return cast("OnProgress", on_progress)


@attrs.define
class CallbackGuard:
    """
    Calls a callback from one thread at a time, and no more once it has raised an error.
    """

    _on_progress: OnProgress
    _broken: bool = attrs.field(default=False, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)

    def call(self, progress: ProgressEvent) -> None:
        """
        Tell how far it is.
        """
        with self._lock:
            if self._broken:
                return
            try:
                self._on_progress(progress)
            except Exception:  # what is paid for must not be lost for it
                self._broken = True
                log.exception("on_progress raised an error; it is not called again")


@attrs.define
class ProgressObserver:
    """
    Tells a callback what one workflow is at.
    """

    _guard: CallbackGuard
    _position: int
    _total: int
    _start: float = attrs.field(factory=time.monotonic, init=False)
    _reported_at: float = attrs.field(default=0.0, init=False)
    _stage: Stage = attrs.field(default="preparing", init=False)
    _message: str = attrs.field(default="", init=False)
    _partials: int = attrs.field(default=0, init=False)
    _turn_id: str | None = attrs.field(default=None, init=False)

    def on_start(self) -> None:
        """
        Tell that the workflow begins.
        """
        self._start = time.monotonic()
        self._notify()

    def on_report(self, report: ReportProgress) -> None:
        """
        Tell what the workflow reports, unless it was told just so.
        """
        self._turn_id = report.turn_id or self._turn_id
        if report.stage is None or (report.stage, report.message) == (self._stage, self._message):
            return
        self._stage, self._message = report.stage, report.message
        self._notify()

    def on_partial(self) -> None:
        """
        Tell that an unfinished picture came.
        """
        self._partials += 1
        self._stage, self._message = "partial_image", ""
        self._notify()

    def on_end(self, error: ImageSessionError | None) -> None:
        """
        Tell how it ended.
        """
        self._stage = "completed" if error is None else "failed"
        self._message = "" if error is None else str(error)
        self._notify()

    def on_heartbeat(self) -> None:
        """
        Tell that it goes on.
        """
        if self._stage == "partial_image":
            self._stage = "generating"
        self._notify()

    @property
    def until_heartbeat(self) -> float:
        """
        How many seconds are left until the next heartbeat.
        """
        return max(0.0, self._reported_at + HEARTBEAT_SECONDS - time.monotonic())

    def _notify(self) -> None:
        self._reported_at = time.monotonic()
        progress = ProgressEvent(
            stage=self._stage,
            elapsed=self._reported_at - self._start,
            partials=self._partials,
            message=self._message,
            turn_id=self._turn_id,
            position=self._position,
            total=self._total,
        )
        self._guard.call(progress)


def run_with_heartbeat(do: Callable[[], object], observer: ProgressObserver) -> object:
    """
    Do something in a thread of its own; until it is done, let hearts beat in this one.
    """
    done: Future[object] = Future()

    def work() -> None:
        try:
            done.set_result(do())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)

    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(work,), name="imagesession waiting", daemon=True).start()
    while not wait({done}, observer.until_heartbeat).done:
        observer.on_heartbeat()
    return done.result()


def start_heartbeat(observer: ProgressObserver, waits: Callable[[], bool]) -> asyncio.Task[None]:
    """
    Let hearts beat in the event loop, while a workflow waits, until the task is cancelled.
    """

    async def beat() -> None:
        while True:
            await asyncio.sleep(observer.until_heartbeat or HEARTBEAT_SECONDS)
            if waits() and not observer.until_heartbeat:
                observer.on_heartbeat()

    return asyncio.ensure_future(beat())
