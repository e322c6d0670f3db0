"""
Batches: many images that the provider makes within a day, at half the price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic

import attrs

from imagesession._api.async_session import AsyncSavedImage, async_last_image
from imagesession._api.bulk import ImageRequests, plan_batch
from imagesession._api.session import SavedImage, last_image
from imagesession._api.signatures import public_base
from imagesession._api.types import takes_keywords
from imagesession._api.workflows import ImageT, to_results
from imagesession._display.progress import bar
from imagesession._domain.batch import BatchRecord, BatchStatus
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.options import OptionParams
from imagesession._domain.results import Results
from imagesession._domain.turn import Turn
from imagesession._engine import bulk
from imagesession._engine.batches import poll, reconcile
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession.errors import InvalidRequestError

if TYPE_CHECKING:
    from typing import Unpack

OnBatch = Callable[[BatchStatus], object]
"""Called with the status of a batch after every poll."""


@public_base
@attrs.frozen(eq=False, repr=False)
class BatchFacts(Generic[AnyRuntime]):
    """
    What is known of a batch without reading it. Its status is read from the library every time, so
    that several programs can use the same batch.
    """

    _record: BatchRecord
    _runtime: AnyRuntime

    @property
    def id(self) -> str:
        """
        Its id, with which `studio.batches.get` finds it again, in any program.
        """
        return self._record.id

    @property
    def name(self) -> str | None:
        """
        Your own name for it.
        """
        return self._record.name

    @property
    def keys(self) -> tuple[str, ...]:
        """
        The names of its images, where they were given names.
        """
        return self._record.keys

    @property
    def estimate(self) -> CostEstimate:
        """
        What it could cost, at half the price.
        """
        return self._record.estimate

    @property
    def created(self) -> dt.datetime:
        """
        When it was submitted, in UTC.
        """
        return self._record.created

    def __len__(self) -> int:
        return len(self._record.items)

    def __repr__(self) -> str:
        label = self.name or self.id
        return f"<{type(self).__name__} {label!r}, {len(self)} pictures, {self._record.state}>"


@attrs.frozen(eq=False, repr=False)
class ImageBatch(BatchFacts[Runtime]):
    """
    Many images that the provider makes within a day, at half the price.

    Made by `BatchesResource.create`, found again by `BatchesResource.get`.
    """

    def status(self, *, live: bool = True) -> BatchStatus:
        """
        Return the status of the batch; images that are finished are saved.

        Args:
            live: Whether to ask the provider, which is free; otherwise it is the last known status.

        Raises:
            OutcomeUnknownError: The provider does not know the batch any more.
            TransientError: The provider does not answer; nothing is lost.
        """
        return self._runtime.run(poll.batch_status(self._record, self._runtime.config, live=live))

    def results(self) -> Results[SavedImage]:
        """
        Save what the provider has made, each image once however often this is called, and
        return it.

        Returns:
            The images in the order of the requests; where one failed, its error is in its
            place.

        Raises:
            BatchNotReadyError: The provider is still working on it.
            StorageIOError: The library cannot take an image; it stays with the provider.
            TransientError: The provider does not answer; nothing is lost.
        """
        record, turns = self._runtime.run(poll.collect_results(self._record, self._runtime.config))
        return _to_results(record, turns, self._wrap)

    def wait(
        self,
        timeout: float | None = None,
        *,
        progress: bool | None = None,
        on_progress: OnBatch | None = None,
    ) -> Results[SavedImage]:
        """
        Wait until the provider is done, and return what `results` returns.

        To stop waiting loses nothing: the batch continues by itself.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes, which is a day at most.
            progress: Whether to show a bar on standard error; left out, one is shown in a
                terminal or notebook.
            on_progress: Called with the batch's status after every poll.

        Raises:
            BatchNotReadyError: It was not done in that time.
            ImageSessionError: As for `results`.
        """
        seconds = _check_timeout(timeout)
        with _report_progress(len(self), progress, on_progress) as notify:
            self._runtime.run(poll.poll_batch(self._record, self._runtime.config, seconds, notify))
        return self.results()

    def cancel(self) -> BatchStatus:
        """
        Have the provider stop; what is made by then is paid for and saved, the rest is not made.

        Returns:
            Its status then: "cancelling", until the provider has stopped.

        Raises:
            OutcomeUnknownError: The provider's id of it is not known yet.
            TransientError: The provider does not answer.
        """
        return self._runtime.run(poll.cancel_batch(self._record, self._runtime.config))

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)


@attrs.frozen(eq=False, repr=False)
class AsyncImageBatch(BatchFacts[AsyncRuntime]):
    """
    Same as `ImageBatch`, but its verbs await.
    """

    async def status(self, *, live: bool = True) -> BatchStatus:
        """
        Same as `ImageBatch.status`, but awaits.
        """
        return await self._runtime.run(
            poll.batch_status(self._record, self._runtime.config, live=live)
        )

    async def results(self) -> Results[AsyncSavedImage]:
        """
        Same as `ImageBatch.results`, but awaits.
        """
        flow = poll.collect_results(self._record, self._runtime.config)
        record, turns = await self._runtime.run(flow)
        return _to_results(record, turns, self._wrap)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as of the sync twin; nothing is cut off
        *,
        progress: bool | None = None,
        on_progress: OnBatch | None = None,
    ) -> Results[AsyncSavedImage]:
        """
        Same as `ImageBatch.wait`, but awaits.
        """
        seconds = _check_timeout(timeout)
        with _report_progress(len(self), progress, on_progress) as notify:
            await self._runtime.run(
                poll.poll_batch(self._record, self._runtime.config, seconds, notify)
            )
        return await self.results()

    async def cancel(self) -> BatchStatus:
        """
        Same as `ImageBatch.cancel`, but awaits.
        """
        return await self._runtime.run(poll.cancel_batch(self._record, self._runtime.config))

    def _wrap(self, turn: Turn) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime)


@attrs.frozen(eq=False, repr=False)
class BatchesResource:
    """
    The batches of a library: `studio.batches`.
    """

    _runtime: Runtime

    @takes_keywords(OptionParams)
    def create(
        self,
        requests: ImageRequests,
        /,
        *,
        name: str | None = None,
        **options: Unpack[OptionParams],
    ) -> ImageBatch:
        """
        Submit many images at once, for half the price: the provider makes them within a day.

        This returns as soon as the provider has accepted them. Collect them later, with this
        handle or with `get` in any other program on the library.

        Each image stands alone: in a session a prompt needs the answer to the one before, which
        a batch gives a day later. No mainline model leads, and the image model is named: left
        out, it is the newest that is made in batches.

        Args:
            requests: Prompts or `ImageRequest`s, as for `Studio.map`: all of them by words alone,
                or all of them with images to go by. Given as a mapping, its keys name them: what
                `Studio.map` or another batch has made under a name is not made again.
            name: Your own name for the batch. Called again under it with the same jobs, nothing
                is sent and the same batch is given: so a program may simply be run again.
            **options: The options of every job, unless it says otherwise; see `GenerateOptions`.

        Raises:
            InvalidRequestError: A job or an option is wrong, or there are more than 50,000 or 200
                MB of them; nothing was sent.
            BudgetExceededError: It could cost more than the budget leaves; nothing was sent.
            BadRequestError: This provider takes no batches; `Studio.map` makes the same images.
            OutcomeUnknownError: It may have been accepted, and is not submitted again: `get` finds
                it. Or a job of that name is not settled.
        """
        workflow = plan_batch(requests, name, options, self._runtime.config)
        return ImageBatch(self._runtime.run(workflow), self._runtime)

    def list(self) -> tuple[ImageBatch, ...]:
        """
        Return all batches of the library, the latest first. Nothing is sent.
        """
        records = self._runtime.call_store(lambda store: store.list_batches())
        return tuple(ImageBatch(record, self._runtime) for record in records)

    def get(self, wanted: str) -> ImageBatch:
        """
        Return a batch that any program on the library submitted. Nothing is sent.

        Args:
            wanted: Its id, its name (of several the latest), or the provider's id of it.

        Raises:
            NotFoundError: There is none; the error names some that exist.
        """
        return ImageBatch(self._runtime.run(bulk.find_batch(wanted)), self._runtime)


@attrs.frozen(eq=False, repr=False)
class AsyncBatchesResource:
    """
    Same as `BatchesResource`, but awaits.
    """

    _runtime: AsyncRuntime

    @takes_keywords(OptionParams)
    async def create(
        self,
        requests: ImageRequests,
        /,
        *,
        name: str | None = None,
        **options: Unpack[OptionParams],
    ) -> AsyncImageBatch:
        """
        Same as `BatchesResource.create`, but awaits.
        """
        workflow = plan_batch(requests, name, options, self._runtime.config)
        return AsyncImageBatch(await self._runtime.run(workflow), self._runtime)

    async def list(self) -> tuple[AsyncImageBatch, ...]:
        """
        Same as `BatchesResource.list`, but awaits.
        """
        records = await self._runtime.call_store(lambda store: store.list_batches())
        return tuple(AsyncImageBatch(record, self._runtime) for record in records)

    async def get(self, wanted: str) -> AsyncImageBatch:
        """
        Same as `BatchesResource.get`, but awaits.
        """
        return AsyncImageBatch(await self._runtime.run(bulk.find_batch(wanted)), self._runtime)


# --- what both share ---------------------------------------------------------------------------


def _to_results(
    record: BatchRecord, turns: tuple[Turn | None, ...], wrap: Callable[[Turn], ImageT]
) -> Results[ImageT]:
    outcomes = (reconcile.item_result(turn, record) for turn in turns)
    return to_results(outcomes, wrap, record.keys)


def _check_timeout(timeout: float | None) -> float | None:
    return None if timeout is None else bulk.validate_timeout(timeout)


@contextmanager
def _report_progress(
    total: int,
    wanted: bool | None,  # noqa: FBT001 - of this file alone
    on_progress: OnBatch | None,
) -> Generator[OnBatch, None, None]:
    """
    Show the progress of a batch on a bar, and report it to the caller.
    """
    if on_progress is not None and not callable(on_progress):
        raise InvalidRequestError(f"on_progress={on_progress!r} cannot be called.")
    shown = 0
    with bar(total, wanted=wanted) as advance:

        def report_status(status: BatchStatus) -> None:
            nonlocal shown
            for _ in range(max(status.completed + status.failed, status.saved) - shown):
                advance()
                shown += 1
            if on_progress is not None:
                on_progress(status)

        yield report_status


for _public in (ImageBatch, AsyncImageBatch, BatchesResource, AsyncBatchesResource):
    _public.__module__ = "imagesession"
