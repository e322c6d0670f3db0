"""
Log what a workflow does, without the words that were asked or answered.
"""

from __future__ import annotations

import logging
from typing import Any

from imagesession._plan.steps import Hear, Listen, Now, OnDisk, Recall, Send, Step
from imagesession._plan.wire import NoReplyError, Reply

log = logging.getLogger("imagesession")
log.addHandler(logging.NullHandler())


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
