"""
Queues: many images that workers on any machines make.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic

import attrs

from imagesession._api.async_session import AsyncSavedImage, async_last_image
from imagesession._api.results import Results
from imagesession._api.session import SavedImage, last_image
from imagesession._api.signatures import public, public_base
from imagesession._api.workflows import ImageT, to_results
from imagesession._display.progress import bar
from imagesession._domain.extras import needs_extra
from imagesession._domain.reports import QueueStatus
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine import bulk
from imagesession._engine.batches.reconcile import rebuild_error
from imagesession._engine.effects import MonotonicTime, Sleep, StoreCall, Workflow
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession.errors import BatchNotReadyError, ImageSessionError, RequestNotSentError

if TYPE_CHECKING:
    from typing import Self

_POLL_SECONDS = 0.5


@public_base
@attrs.frozen(eq=False)
class QueueFacts(Generic[AnyRuntime]):
    """
    What both twins of a queue share. Its status is read from the database every time, so that
    several programs can use the same queue.
    """

    name: str
    _runtime: AnyRuntime = attrs.field(repr=False)

    @property
    def _jobs(self) -> ModuleType:
        with needs_extra("cluster", "A queue"):
            from imagesession._store.team import jobs  # noqa: PLC0415 - an extra
        return jobs

    @classmethod
    def create(cls, name: str, runtime: AnyRuntime, requests: list[dict[str, Any]]) -> Self:
        """
        Queue the jobs that `plan_queue` has made.
        """
        queue = cls(name, runtime)
        queue._jobs.create(runtime.library, name, requests)
        return queue

    def _states(self) -> dict[str, str]:
        found: dict[str, str] = self._jobs.find(self._runtime.library, self.name)
        return found

    def _status(self) -> QueueStatus:
        return QueueStatus.of(self._states().values())

    def _cancel(self) -> QueueStatus:
        self._jobs.cancel(self._runtime.library, self.name)
        return self._status()

    def _results(self, wrap: Callable[[Turn, AnyRuntime], ImageT]) -> Results[ImageT]:
        states = self._states()
        status = QueueStatus.of(states.values())
        if not status.ended:
            raise BatchNotReadyError(f"The queue {quote(self.name)} has not ended: {status}.")
        outcomes = [self._outcome(key, state) for key, state in states.items()]
        return to_results(outcomes, lambda turn: wrap(turn, self._runtime), tuple(states))

    def _outcome(self, key: str, state: str) -> Turn | ImageSessionError:
        if state == "cancelled":
            return RequestNotSentError("The queue was cancelled before a worker began this image.")
        turn = self._runtime.library.intents.last_under(
            bulk.idempotency_key_for(f"{self.name}/{key}")
        )
        if turn is None:
            return RequestNotSentError("No request was sent; the worker's log says why.")
        return turn if turn.has_image else rebuild_error(turn.failure)

    def _poll(self, timeout: float | None, show: Callable[[int, float], object]) -> Workflow[None]:
        start = yield from MonotonicTime()
        end = math.inf if timeout is None else start + bulk.validate_timeout(timeout)
        while True:
            status = yield from StoreCall(lambda _: self._status())
            show(status.finished, 0.0)
            if status.ended or (yield from MonotonicTime()) >= end:
                return
            yield from Sleep(_POLL_SECONDS)


@public
@attrs.frozen(eq=False)
class ImageQueue(QueueFacts[Runtime]):
    """
    Many images that workers on any machines make: `python -m imagesession.worker URL`.

    `Studio.queue` makes one, and opens it again in any program.

    Attributes:
        name: Its name.
    """

    def status(self) -> QueueStatus:
        """
        Return how many images are made.

        Raises:
            StorageIOError: The database cannot be used.
        """
        return self._status()

    def results(self) -> Results[SavedImage]:
        """
        Return the images in the order of the requests, with an error in the place of each failed
        one.

        Raises:
            BatchNotReadyError: The queue has not ended.
            StorageIOError: The database cannot be used.
        """
        return self._results(last_image)

    def wait(
        self, timeout: float | None = None, *, progress: bool | None = None
    ) -> Results[SavedImage]:
        """
        Wait until all images are made, and return them. The workers need nobody who waits.

        Args:
            timeout: The most seconds to wait; None for no limit.
            progress: Whether to show a progress bar on standard error. Default: only in a terminal
                or notebook.

        Raises:
            BatchNotReadyError: They were not made within the timeout.
            StorageIOError: The database cannot be used.
        """
        with bar(self._status().total, enabled=progress) as show:
            self._runtime.run(self._poll(timeout, show))
        return self.results()

    def cancel(self) -> QueueStatus:
        """
        Cancel the images that no worker has begun. Those under way are paid for, and are finished.
        """
        return self._cancel()


@public
@attrs.frozen(eq=False)
class AsyncImageQueue(QueueFacts[AsyncRuntime]):
    """
    Same as `ImageQueue`, but its verbs await.

    Attributes:
        name: Its name.
    """

    async def status(self) -> QueueStatus:
        """
        Same as `ImageQueue.status`, but awaits.
        """
        return await asyncio.to_thread(self._status)

    async def results(self) -> Results[AsyncSavedImage]:
        """
        Same as `ImageQueue.results`, but awaits.
        """
        return await asyncio.to_thread(self._results, async_last_image)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - same as the sync version
        *,
        progress: bool | None = None,
    ) -> Results[AsyncSavedImage]:
        """
        Same as `ImageQueue.wait`, but awaits.
        """
        with bar((await self.status()).total, enabled=progress) as show:
            await self._runtime.run(self._poll(timeout, show))
        return await self.results()

    async def cancel(self) -> QueueStatus:
        """
        Same as `ImageQueue.cancel`, but awaits.
        """
        return await asyncio.to_thread(self._cancel)
