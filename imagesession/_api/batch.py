"""
Batches: many images that the provider makes within 24 hours, at half the price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Generic

import attrs

from imagesession._api.async_session import AsyncSavedImage, async_last_image
from imagesession._api.bulk import ImageRequests, plan_batch
from imagesession._api.resource_base import AsyncRemovableResource, RemovableResource
from imagesession._api.results import Results
from imagesession._api.session import SavedImage, last_image
from imagesession._api.signatures import public, public_base
from imagesession._api.types import takes_keywords
from imagesession._api.workflows import ImageT, to_results
from imagesession._display.progress import bar
from imagesession._domain.batch import BatchRecord, BatchStatus
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.options import OptionParams
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._engine import bulk
from imagesession._engine.batches import poll, reconcile
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession.errors import InvalidRequestError

if TYPE_CHECKING:
    from typing import Unpack

OnBatch = Callable[[BatchStatus], object] | bool
"""Called with the status of a batch after every poll."""


@public_base
@attrs.frozen(eq=False, repr=False)
class BatchFacts(Generic[AnyRuntime]):
    """
    The fixed facts of a batch. Its status is read from the library every time, so that several
    programs can use the same batch.
    """

    _record: BatchRecord
    _runtime: AnyRuntime

    @property
    def id(self) -> str:
        """
        Its id, for `studio.batches.get` in any program.
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
        The names of its images; empty if they have none.
        """
        return self._record.keys

    @property
    def estimate(self) -> CostEstimate:
        """
        An estimate of its cost, at half the price.
        """
        return self._record.estimate

    @property
    def created(self) -> dt.datetime:
        """
        When it was prepared, in UTC.
        """
        return self._record.created

    def __len__(self) -> int:
        return len(self._record.items)

    def __repr__(self) -> str:
        label, plural = self.name or self.id, "s" * (len(self) != 1)
        return f"<{type(self).__name__} {label!r}, {len(self)} image{plural}, {self._record.state}>"


@public
@attrs.frozen(eq=False, repr=False)
class ImageBatch(BatchFacts[Runtime]):
    """
    Many images that the provider makes within 24 hours, at half the price.

    `BatchesResource.create` makes one, and `BatchesResource.get` finds it again.
    """

    def status(self, *, live: bool = True) -> BatchStatus:
        """
        Return the status of the batch, and save finished images.

        Args:
            live: Whether to ask the provider, which is free; otherwise the last known status is
                returned.

        Raises:
            OutcomeUnknownError: The provider no longer has the batch.
            TransientError: The provider cannot be reached; nothing is lost.
        """
        return self._runtime.run(poll.batch_status(self._record, self._runtime.config, live=live))

    def results(self) -> Results[SavedImage]:
        """
        Save and return the images. Each is saved once, even if this is called again.

        Returns:
            The images in the order of the requests, with an error in the place of each failed one.

        Raises:
            BatchNotReadyError: The provider is still working on it.
            StorageIOError: An image cannot be saved; it is still available from the provider.
            TransientError: The provider cannot be reached; nothing is lost.
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
        Wait until the batch has ended, and return its `results`.

        The wait can be interrupted at any time: the batch continues by itself.

        Args:
            timeout: The most seconds to wait; None for no limit (a batch takes up to 24 hours).
            progress: Whether to show a progress bar on standard error. Default: only in a terminal
                or notebook.
            on_progress: Called with the batch's status after every poll; True for the bar.

        Raises:
            BatchNotReadyError: It did not end within the timeout.
            ImageSessionError: As for `results`.
        """
        seconds = _check_timeout(timeout)
        with _report_progress(len(self), progress, on_progress) as notify:
            self._runtime.run(poll.poll_batch(self._record, self._runtime.config, seconds, notify))
        return self.results()

    def cancel(self) -> BatchStatus:
        """
        Cancel the batch. Images that are already made are billed and saved; others are not made.

        Returns:
            The new status: "cancelling", until the provider has stopped.

        Raises:
            OutcomeUnknownError: The provider's id of the batch is not known yet.
            TransientError: The provider cannot be reached.
        """
        return self._runtime.run(poll.cancel_batch(self._record, self._runtime.config))

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)


@public
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
        workflow = poll.collect_results(self._record, self._runtime.config)
        record, turns = await self._runtime.run(workflow)
        return _to_results(record, turns, self._wrap)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - same as the sync version
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


@public
@attrs.frozen(eq=False, repr=False)
class BatchesResource(RemovableResource[ImageBatch | str]):
    """
    The batches of a library: `studio.batches`.
    """

    _what: ClassVar[str] = "batches"

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
        Submit many images at half the price, which the provider makes within 24 hours.

        This returns as soon as the provider has accepted them. Collect them later, with the
        returned object or with `get` in any other program on the library.

        The images are standalone, because in a session a prompt needs the previous response. No
        mainline model is used. The default image model is the newest one that supports batches.

        Args:
            requests: Prompts or `ImageRequest`s, as for `Studio.map`: either all of them without
                input images or all of them with some. The keys of a mapping name them: an image
                that `Studio.map` or another batch made under the same name is not made again.
            name: Your own name for the batch. A second call with the same name and requests sends
                nothing and returns the same batch, so that a program can simply be run again.
            **options: The default options of all requests; see `GenerateOptions`.

        Raises:
            InvalidRequestError: A request or an option is not valid, or there are more than 50,000
                requests or 200 MB; nothing was sent.
            BudgetExceededError: It could cost more than the rest of the budget; nothing was sent.
            BadRequestError: This provider has no batches; `Studio.map` makes the same images.
            OutcomeUnknownError: It may have been accepted, so it is not submitted again: `get`
                finds it. Or an earlier request with one of the names is not settled.
        """
        workflow = plan_batch(requests, name, options, self._runtime.config)
        return ImageBatch(self._runtime.run(workflow), self._runtime)

    def list(self, *, deleted: bool = False) -> tuple[ImageBatch, ...]:
        """
        Return all batches of the library, the latest first, without asking the provider.

        Args:
            deleted: Only batches in the bin, in place of those that are not deleted.
        """
        records = self._runtime.call_store(lambda store: store.batches.list(deleted=deleted))
        return tuple(ImageBatch(record, self._runtime) for record in records)

    def get(self, wanted: str) -> ImageBatch:
        """
        Return a batch that any program on the library submitted, without asking the provider.

        Args:
            wanted: Its id, its name (the latest one with that name), or the provider's id.

        Raises:
            NotFoundError: There is no such batch; the error names some that exist.
        """
        return ImageBatch(self._runtime.run(bulk.find_batch(wanted)), self._runtime)


@public
@attrs.frozen(eq=False, repr=False)
class AsyncBatchesResource(AsyncRemovableResource[AsyncImageBatch | str]):
    """
    Same as `BatchesResource`, but awaits.
    """

    _what: ClassVar[str] = "batches"

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

    async def list(self, *, deleted: bool = False) -> tuple[AsyncImageBatch, ...]:
        """
        Same as `BatchesResource.list`, but awaits.
        """
        records = await self._runtime.call_store(lambda store: store.batches.list(deleted=deleted))
        return tuple(AsyncImageBatch(record, self._runtime) for record in records)

    async def get(self, wanted: str) -> AsyncImageBatch:
        """
        Same as `BatchesResource.get`, but awaits.
        """
        return AsyncImageBatch(await self._runtime.run(bulk.find_batch(wanted)), self._runtime)


# --- shared helpers ----------------------------------------------------------------------------


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
    show_bar: bool | None,  # noqa: FBT001 - private
    on_progress: OnBatch | None,
) -> Generator[Callable[[BatchStatus], object]]:
    if isinstance(on_progress, bool):
        show_bar, on_progress = on_progress or show_bar, None
    if on_progress is not None and not callable(on_progress):
        raise InvalidRequestError(
            f"on_progress={quote(on_progress)} cannot be called; pass a function."
        )
    with bar(total, enabled=show_bar) as show:

        def report_status(status: BatchStatus) -> None:
            show(max(status.completed + status.failed, status.saved), status.cost.known)
            if on_progress is not None:
                on_progress(status)

        yield report_status
