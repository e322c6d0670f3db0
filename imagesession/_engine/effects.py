"""
The steps that flows yield, and what answers each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import attrs

from imagesession._domain.partial_image import PartialImage

from .http import HttpRequest, HttpResponse
from .store import IdAndTime, Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from imagesession._domain.progress import Stage

Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Effect(Generic[Answer]):
    """
    Something for the driver to do. `answer = yield from step` is typed by what answers it.
    """

    def __iter__(self) -> Generator[Effect[Any], Any, Answer]:
        answer: Answer = yield self
        return answer


Workflow: TypeAlias = Generator[Effect[Any], Any, Result]
"""
A plan: it yields steps, is sent their answers, and returns its result.

`TransportError` and `ImageSessionError` of a step are raised into it.
"""


@attrs.frozen
class StoreCall(Effect[Answer]):
    """
    Have the library do something, such as `StoreCall(lambda store: store.commit(turn, pictures))`.
    """

    do: Callable[[Store], Answer]


@attrs.frozen
class MemoryCall(Effect[Answer]):
    """
    Ask the library for what this program knows by heart, such as
    `MemoryCall(lambda store: store.lacks(provider, "responses"))`; nothing is waited for.
    """

    do: Callable[[Store], Answer]


@attrs.frozen
class NewId(Effect[IdAndTime]):
    """
    Take the time and a new id; nothing is waited for.

    Attributes:
        after: An id that the new one must be greater than.
    """

    after: str = ""


@attrs.frozen
class MonotonicTime(Effect[float]):
    """
    Read a clock that never runs backwards, in seconds; nothing is waited for.
    """


@attrs.frozen
class GetProviderName(Effect[str]):
    """
    Find out who will answer: a name that is the same as long as its ids mean the same.
    """


@attrs.frozen
class Send(Effect[HttpResponse]):
    """
    Send a request and read its whole reply.

    Attributes:
        request: What to send.
        paid: Whether it is paid for. A cancellation then waits a while for its reply, without which
            nobody could look up what was made.
    """

    request: HttpRequest
    paid: bool = False


@attrs.frozen
class OpenStream(Effect["HttpResponse | None"]):
    """
    Send a request whose answer is a stream of events.

    Answered by None once the stream is open, or by the reply that came instead of one.

    Attributes:
        request: What to send.
        paid: Whether it is paid for. A cancellation then waits a while for the first event, which
            names the response.
    """

    request: HttpRequest
    paid: bool = False


@attrs.frozen
class NextEvent(Effect["bytes | None"]):
    """
    Wait for the next event's data; None when the stream has ended.
    """


@attrs.frozen
class Sleep(Effect[None]):
    """
    Wait so many seconds.
    """

    seconds: float


@attrs.frozen
class WaitFor(Effect[None]):
    """
    Wait until something has happened in this process.

    Attributes:
        signal: Is done when it has.
        seconds: How long to wait for it at most.
    """

    signal: Future[None]
    seconds: float


@attrs.frozen
class EmitPartial(Effect[None]):
    """
    Hand the caller a picture on its way.
    """

    partial: PartialImage


@attrs.frozen
class ReportProgress(Effect[None]):
    """
    Tell whoever observes this workflow how far it is; nothing is waited for.

    Attributes:
        stage: What it is at from now on; None where only the log is told.
        message: What else there is to say, such as why it waits.
        turn_id: The turn that it is about, once there is one.
        log: A line for the log, which holds neither prompts nor secrets; empty for none.
        warns: Whether that line is a warning.
    """

    stage: Stage | None = None
    message: str = ""
    turn_id: str | None = None
    log: str = ""
    warns: bool = False
