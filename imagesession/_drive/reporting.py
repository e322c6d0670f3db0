"""
Tell whoever observes a workflow what it reports, and the log what it does, without the words that
were asked or answered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._plan.steps import Hear, Listen, Now, OnDisk, Recall, ReportProgress, Send, Step
from imagesession._plan.store import Store
from imagesession._plan.wire import NoReplyError, Reply
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

    def tell_partial(self) -> None:
        if self.observer is not None:
            self.observer.on_partial()

    def end(self, error: ImageSessionError | None = None) -> None:
        if self.observer is not None:
            self.observer.on_end(error)


def log_effect(step: Step[Any], answer: object) -> None:
    """
    Log what was done, and what came of it.
    """
    if log.isEnabledFor(logging.DEBUG) and not isinstance(step, (Now, Hear)):
        log.debug("%s: %s", _describe_effect(step), _describe_answer(answer))


def _describe_effect(step: Step[Any]) -> str:
    match step:
        case Send(request=request) | Listen(request=request):
            return f"{type(step).__name__} {request.method} {request.path}"
        case OnDisk(do=do) | Recall(do=do):
            return f"{type(step).__name__} {getattr(do, '__qualname__', '')}"
        case _:
            return repr(step)


def _describe_answer(answer: object) -> str:
    if isinstance(answer, NoReplyError):
        return f"there was no answer ({answer.reason})"
    if isinstance(answer, Reply):
        return f"HTTP {answer.status}, {len(answer.body)} bytes"
    return type(answer).__name__
