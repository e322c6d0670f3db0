"""
Report a workflow to its observer and to the log, which never contains prompts or answers.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._engine.effects import (
    Effect,
    MemoryCall,
    MonotonicTime,
    NextEvent,
    OpenStream,
    PixelCall,
    ReportProgress,
    Send,
    StoreCall,
)
from imagesession._engine.http import HttpResponse, TransportError
from imagesession._engine.store import Store
from imagesession.errors import ImageSessionError

if TYPE_CHECKING:
    from .progress import ProgressObserver
    from .transport import Deadline, LazyTransport

log = logging.getLogger("imagesession")
log.addHandler(logging.NullHandler())


@attrs.define
class Reporting:
    """
    The part of both interpreters that reports to the observer and to the log.

    Attributes:
        stream_deadline: When the open stream has to end; None before one is opened.
    """

    store: Store
    observer: ProgressObserver | None
    stream_deadline: Deadline | None = attrs.field(default=None, init=False)

    def hurry_stream(self, seconds: float | None) -> None:
        """
        Have the open stream end within some seconds from now; None for no other limit.
        """
        if seconds is not None and self.stream_deadline is not None:
            end = time.monotonic() + seconds
            self.stream_deadline.end = min(self.stream_deadline.end, end)

    def call(
        self, effect: StoreCall[Any] | MemoryCall[Any] | PixelCall[Any], connect: LazyTransport[Any]
    ) -> object:
        if isinstance(effect, StoreCall):
            return effect.do(self.store)
        if isinstance(effect, MemoryCall):
            return effect.do(connect.memory)
        from imagesession._imaging.pixels import LibraryPixels  # noqa: PLC0415 - loads Pillow

        return effect.do(LibraryPixels(self.store.images))

    def start(self) -> None:
        if self.observer is not None:
            self.observer.on_start()

    def report(self, report: ReportProgress) -> None:
        if report.log:
            log.log(logging.WARNING if report.warns else logging.INFO, report.log)
        if self.observer is not None:
            self.observer.on_report(report)

    def report_partial(self) -> None:
        if self.observer is not None:
            self.observer.on_partial()

    def end(self, error: ImageSessionError | None = None) -> None:
        if self.observer is not None:
            self.observer.on_end(error)


def log_effect(effect: Effect[Any], result: object) -> None:
    if log.isEnabledFor(logging.DEBUG) and not isinstance(effect, (MonotonicTime, NextEvent)):
        log.debug("%s: %s", _describe_effect(effect), _describe_answer(result))


def _describe_effect(effect: Effect[Any]) -> str:
    match effect:
        case Send(request=request) | OpenStream(request=request):
            return f"{type(effect).__name__} {request.method} {request.path}"
        case StoreCall(do=do) | MemoryCall(do=do) | PixelCall(do=do):
            return f"{type(effect).__name__} {getattr(do, '__qualname__', '')}"
        case _:
            return repr(effect)


def _describe_answer(result: object) -> str:
    if isinstance(result, TransportError):
        return f"there was no answer ({result.reason})"
    if isinstance(result, HttpResponse):
        request = f", request {result.request_id}" if result.request_id else ""
        return f"HTTP {result.status}, {len(result.body)} bytes{request}"
    return type(result).__name__
