"""
The effects that workflows yield, each with the type of its result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import attrs

from imagesession._domain.partial_image import PartialImage

from .http import HttpRequest, HttpResponse
from .pixels import Pixels
from .store import IdAndTime, Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from imagesession._domain.progress import Stage
    from imagesession._domain.turn import Turn

Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Effect(Generic[Answer]):
    """
    An action for the interpreter. The type of `answer = yield from effect` is its result's.
    """

    def __iter__(self) -> Generator[Effect[Any], Any, Answer]:
        answer: Answer = yield self
        return answer


Workflow: TypeAlias = Generator[Effect[Any], Any, Result]
"""
A generator that yields effects, is sent their results, and returns its own.

A `TransportError` or `ImageSessionError` of an effect is raised into it.
"""


@attrs.frozen
class StoreCall(Effect[Answer]):
    """
    Call the store, as in `StoreCall(lambda store: store.turns.commit(turn, images))`.

    Attributes:
        blocks: Whether it may wait for what the library is kept on.
    """

    do: Callable[[Store], Answer]
    blocks: bool = True


class Memory(Protocol):
    """
    What a program remembers about its provider while it runs, and stores nowhere.
    """

    # Whether a provider has accepted a request of this program.
    def has_accepted(self, provider: str) -> bool: ...
    def mark_accepted(self, provider: str) -> None: ...
    # The conversation in which this turn is the last; None if another program added it, or another
    # call has claimed it.
    def acquire_conversation(self, head: Turn) -> str | None: ...
    # The turn is the last in its conversation, which may be claimed again.
    def release_conversation(self, turn: Turn) -> None: ...


@attrs.frozen
class MemoryCall(Effect[Answer]):
    """
    Ask what this program remembers, which does not block, as in
    `MemoryCall(lambda memory: memory.has_accepted(provider))`.
    """

    do: Callable[[Memory], Answer]


@attrs.frozen
class PixelCall(Effect[Answer]):
    """
    Work on pixels, as in `PixelCall(lambda pixels: pixels.load(source))`.
    """

    do: Callable[[Pixels], Answer]


@attrs.frozen
class NewId(Effect[IdAndTime]):
    """
    Get a new id and the time; this does not block.

    Attributes:
        after: An id that the new one must be greater than.
    """

    after: str = ""


@attrs.frozen
class MonotonicTime(Effect[float]):
    """
    Read the monotonic clock, in seconds; this does not block. Each `deadline`, `until` and `end` of
    a workflow is a time of this clock.
    """


@attrs.frozen
class GetProviderName(Effect[str]):
    """
    Get the provider's name, which stays the same as long as its ids stay valid.
    """


@attrs.frozen
class GetBaseUrl(Effect[str]):
    """
    Get the provider's base URL, without user name and password.
    """


@attrs.frozen
class Send(Effect[HttpResponse]):
    """
    Send a request and read its whole reply.

    Attributes:
        paid: Whether it is a paid request. A cancellation then waits a while for its reply, which
            holds the id to look up the outcome by.
    """

    request: HttpRequest
    paid: bool = False


@attrs.frozen
class OpenStream(Effect[HttpResponse]):
    """
    Send a request whose reply is a stream of events.

    Its result is the reply: `opened`, with its events to come, or the reply that came instead of a
    stream.

    Attributes:
        paid: Whether it is a paid request. A cancellation then waits a while for the first event,
            which holds the response's id.
    """

    request: HttpRequest
    paid: bool = False


@attrs.frozen
class NextEvent(Effect["bytes | None"]):
    """
    Wait for the next event's data; None when the stream has ended.

    Attributes:
        holds_image: Whether an image of the stream is in memory meanwhile.
        within: Seconds from now within which the stream has to end; None for no limit but the
            request's own.
    """

    holds_image: bool = False
    within: float | None = None


@attrs.frozen
class Sleep(Effect[None]):
    """
    Wait for this many seconds.
    """

    seconds: float


@attrs.frozen
class WaitFor(Effect[None]):
    """
    Wait for a signal within this process.
    """

    signal: Future[None]
    seconds: float


@attrs.frozen
class EmitPartial(Effect[None]):
    """
    Hand the caller a partial image.
    """

    partial: PartialImage


@attrs.frozen
class ReportProgress(Effect[None]):
    """
    Report this workflow's progress to its observer and the log; this does not block.

    Attributes:
        stage: The stage that begins now; None if only the log gets something.
        log: A line for the log, without prompts and secrets; empty for none.
        cost: US dollars that were spent since the last report, as far as they are known.
    """

    stage: Stage | None = None
    message: str = ""
    turn_id: str | None = None
    log: str = ""
    warns: bool = False
    cost: float = 0.0
