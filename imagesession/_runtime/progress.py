"""
Report a workflow's progress to a callback, with heartbeats while the workflow waits.

Nothing is decided here, and an error in a callback does not end the workflow.
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

from imagesession._domain.progress import ProgressCallback, ProgressEvent, Stage
from imagesession._domain.wording import quote
from imagesession._engine.effects import ReportProgress
from imagesession.errors import ImageSessionError, InvalidRequestError

log = logging.getLogger("imagesession")
HEARTBEAT_SECONDS = 0.5
"""Seconds between the progress events of a waiting workflow."""


def observers(on_progress: object, total: int = 1) -> list[ProgressObserver]:
    guard = CallbackGuard(_validate_callback(on_progress))
    return [ProgressObserver(guard, position, total) for position in range(total)]


def _validate_callback(on_progress: object) -> ProgressCallback:
    if not callable(on_progress):
        raise InvalidRequestError(
            f"on_progress={quote(on_progress)} cannot be called. Pass True for a line that "
            "renews itself, or a function of one argument."
        )
    if inspect.iscoroutinefunction(on_progress):
        raise InvalidRequestError(
            "on_progress= takes a plain function, which is not awaited. Put what it gets into a "
            "queue, such as on_progress=queue.put_nowait, and await it elsewhere."
        )
    return cast("ProgressCallback", on_progress)


@attrs.define
class CallbackGuard:
    _on_progress: ProgressCallback
    _broken: bool = attrs.field(default=False, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)

    def call(self, progress: ProgressEvent) -> None:
        with self._lock:
            if self._broken:
                return
            try:
                self._on_progress(progress)
            except Exception:  # a paid image must not be lost because of it
                self._broken = True
                log.exception("on_progress raised an error; it is not called again")


@attrs.define
class ProgressObserver:
    _guard: CallbackGuard
    _position: int
    _total: int
    _start: float = attrs.field(factory=time.monotonic, init=False)
    _reported_at: float = attrs.field(default=0.0, init=False)
    _stage: Stage = attrs.field(default="preparing", init=False)
    _message: str = attrs.field(default="", init=False)
    _partials: int = attrs.field(default=0, init=False)
    _turn_id: str | None = attrs.field(default=None, init=False)
    _cost: float = attrs.field(default=0.0, init=False)

    def on_start(self) -> None:
        self._start = time.monotonic()
        self._notify()

    def on_report(self, report: ReportProgress) -> None:
        """
        Pass on a report of the workflow, unless it repeats the last one.
        """
        self._turn_id = report.turn_id or self._turn_id
        self._cost += report.cost
        if report.stage is None or (report.stage, report.message) == (self._stage, self._message):
            return
        self._stage, self._message = report.stage, report.message
        self._notify()

    def on_partial(self) -> None:
        self._partials += 1
        self._stage, self._message = "partial_image", ""
        self._notify()

    def on_end(self, error: ImageSessionError | None) -> None:
        self._stage = "completed" if error is None else "failed"
        self._message = "" if error is None else str(error)
        self._notify()

    def on_heartbeat(self) -> None:
        if self._stage == "partial_image":
            self._stage = "generating"
        self._notify()

    @property
    def until_heartbeat(self) -> float:
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
            cost=self._cost,
        )
        self._guard.call(progress)


def run_with_heartbeat(run_effect: Callable[[], object], observer: ProgressObserver) -> object:
    done: Future[object] = Future()

    def work() -> None:
        try:
            done.set_result(run_effect())
        except BaseException as error:  # noqa: BLE001 - it is raised in the waiting thread
            done.set_exception(error)

    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(work,), name="imagesession waiting", daemon=True).start()
    while not wait({done}, observer.until_heartbeat).done:
        observer.on_heartbeat()
    return done.result()


def start_heartbeat(
    observer: ProgressObserver, is_waiting: Callable[[], bool]
) -> asyncio.Task[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(observer.until_heartbeat or HEARTBEAT_SECONDS)
            if is_waiting() and not observer.until_heartbeat:
                observer.on_heartbeat()

    return asyncio.ensure_future(beat())
