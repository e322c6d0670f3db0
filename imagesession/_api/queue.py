"""
Queues: many images that workers on any machines make.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic

import attrs

from imagesession._api.async_session import AsyncSavedImage, async_last_image
from imagesession._api.results import Results
from imagesession._api.session import SavedImage, last_image
from imagesession._api.signatures import public_base
from imagesession._api.workflows import to_results
from imagesession._display.progress import bar
from imagesession._domain.extras import needs_extra
from imagesession._domain.reports import QueueStatus
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine import bulk
from imagesession._engine.batches.reconcile import rebuild_error
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
        queue._jobs.create(runtime.library.ports, runtime.library.owner, name, requests)
        return queue

    def _states(self) -> list[tuple[str, str]]:
        library = self._runtime.library
        found: list[tuple[str, str]] = self._jobs.find(library.ports, library.owner, self.name)
        return found

    def _status(self) -> QueueStatus:
        return QueueStatus.of(state for _, state in self._states())

    def _cancel(self) -> QueueStatus:
        library = self._runtime.library
        self._jobs.cancel(library.ports, library.owner, self.name)
        return self._status()

    def _outcomes(self) -> tuple[list[Turn | ImageSessionError], tuple[str, ...]]:
        jobs = self._states()
        status = QueueStatus.of(state for _, state in jobs)
        if not status.ended:
            raise BatchNotReadyError(f"The queue {quote(self.name)} has not ended: {status}.")
        return [self._outcome(*job) for job in jobs], tuple(key for key, _ in jobs)

    def _outcome(self, key: str, state: str) -> Turn | ImageSessionError:
        if state == "cancelled":
            return RequestNotSentError("The queue was cancelled before a worker began this image.")
        turn = self._runtime.library.intents.last_under(
            bulk.idempotency_key_for(f"{self.name}/{key}")
        )
        if turn is None:
            return RequestNotSentError("No request was sent; the worker's log says why.")
        return turn if turn.has_image else rebuild_error(turn.failure)

    def _looks(
        self, timeout: float | None, show: Callable[[int, float], object]
    ) -> Iterator[float]:
        """
        Look until the queue has ended; yield the seconds to wait before the next look.
        """
        end = None if timeout is None else time.monotonic() + bulk.validate_timeout(timeout)
        while True:
            status = self._status()
            show(status.finished, 0.0)
            if status.ended or (end is not None and time.monotonic() >= end):
                return
            yield _POLL_SECONDS


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
        outcomes, keys = self._outcomes()
        return to_results(outcomes, lambda turn: last_image(turn, self._runtime), keys)

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
            for seconds in self._looks(timeout, show):
                time.sleep(seconds)
        return self.results()

    def cancel(self) -> QueueStatus:
        """
        Cancel the images that no worker has begun. Those under way are paid for, and are finished.
        """
        return self._cancel()


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
        outcomes, keys = await asyncio.to_thread(self._outcomes)
        return to_results(outcomes, lambda turn: async_last_image(turn, self._runtime), keys)

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
            looks = self._looks(timeout, show)
            while (seconds := await asyncio.to_thread(next, looks, None)) is not None:  # noqa: ASYNC110
                await asyncio.sleep(seconds)
        return await self.results()

    async def cancel(self) -> QueueStatus:
        """
        Same as `ImageQueue.cancel`, but awaits.
        """
        return await asyncio.to_thread(self._cancel)


for _public in (ImageQueue, AsyncImageQueue):
    _public.__module__ = "imagesession"
