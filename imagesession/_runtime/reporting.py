"""
Tell whoever observes a workflow what it reports, and the log what it does, without the words that
were asked or answered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._engine.effects import (
    Effect,
    MemoryCall,
    MonotonicTime,
    NextEvent,
    OpenStream,
    ReportProgress,
    Send,
    StoreCall,
)
from imagesession._engine.http import HttpResponse, TransportError
from imagesession._engine.store import Store
from imagesession.errors import ImageSessionError

if TYPE_CHECKING:
    from .progress import ProgressObserver

log = logging.getLogger("imagesession")
log.addHandler(logging.NullHandler())


@attrs.define
class Reporting:
    """
    What hands of both kinds tell an observer and the log.
    """

    store: Store
    observer: ProgressObserver | None

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


def log_effect(step: Effect[Any], answer: object) -> None:
    """
    Log what was done, and what came of it.
    """
    if log.isEnabledFor(logging.DEBUG) and not isinstance(step, (MonotonicTime, NextEvent)):
        log.debug("%s: %s", _describe_effect(step), _describe_answer(answer))


def _describe_effect(step: Effect[Any]) -> str:
    match step:
        case Send(request=request) | OpenStream(request=request):
            return f"{type(step).__name__} {request.method} {request.path}"
        case StoreCall(do=do) | MemoryCall(do=do):
            return f"{type(step).__name__} {getattr(do, '__qualname__', '')}"
        case _:
            return repr(step)


def _describe_answer(answer: object) -> str:
    if isinstance(answer, TransportError):
        return f"there was no answer ({answer.reason})"
    if isinstance(answer, HttpResponse):
        return f"HTTP {answer.status}, {len(answer.body)} bytes"
    return type(answer).__name__
