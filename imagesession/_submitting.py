"""
What a studio does with batches: submits them and finds them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import AnyDesk
from imagesession._managing import Jobs, Managing
from imagesession._model.options import OptionKeywords
from imagesession._plan import jobs
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Wish
from imagesession._signatures import takes_options
from imagesession.errors import CallError

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._batches import AsyncImageBatch, ImageBatch
    from imagesession._model.batches import BatchRecord


class _Submitting(Managing[AnyDesk]):
    """
    What both twins plan alike.
    """

    def _submission(
        self, named: jobs.Named, name: str | None, options: Mapping[str, Any]
    ) -> Flow[BatchRecord]:
        """
        Plan a batch.

        Raises:
            OptionError: What all of it asks for is wrong.
        """
        from imagesession._plan.batches import submitting  # noqa: PLC0415 - not everybody submits one

        submitting.check_count(named)
        self._terms.options.updated(options)
        wishes: list[tuple[str | None, Wish]] = []
        for number, (key, job) in enumerate(named, 1):
            try:
                wish, _ = yield from self._wish(job, key, options)
            except CallError as error:
                raise jobs.told_of(error, number, len(named), key) from error
            wishes.append((key, wish))
        return (yield from submitting.submit(wishes, name, self._terms))


class SubmitsBatches(_Submitting[Desk]):
    """
    Submits batches and finds them again.
    """

    @takes_options
    def batch(
        self,
        jobs_: Jobs,
        /,
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> ImageBatch:
        """
        Submit many pictures at once, for half the price: the provider makes them within a day.

        This returns as soon as the provider has taken them up. Collect them later, with this
        handle or with `open_batch` in any other program on the library.

        Each picture stands alone: in a session a prompt needs the answer to the one before, which
        a batch gives a day later. No mainline model leads, and the image model is named: left
        out, it is the newest that is made in batches.

        Args:
            jobs_: Prompts or `Job`s, as for `map`: all of them by words alone, or all of them
                with pictures to go by. Given as a mapping, its keys name them: what `map` or
                another batch has made under a name is not made again.
            name: Your own name for the batch. Called again under it with the same jobs, nothing
                is sent and the same batch is given: so a program may simply be run again.
            **options: What every job asks for unless it says otherwise; see `Options`.

        Raises:
            CallError: A job or an option is wrong, or there are more than 50,000 or 200 MB of
                them; nothing was sent.
            BudgetError: It could cost more than the budget leaves; nothing was sent.
            RejectedError: This provider takes no batches; `map` makes the same pictures.
            OutcomeUnknownError: It may have been taken up, and is not asked for again: `open_batch`
                finds it. Or a job of that name is not settled.
        """
        from imagesession._batches import ImageBatch  # noqa: PLC0415 - not everybody has one

        flow = self._submission(jobs.named(jobs_, "batch"), name, options)
        return ImageBatch(self._desk.do(flow), self._desk)

    def batches(self) -> tuple[ImageBatch, ...]:
        """
        Return all batches of the library, the latest first. Nobody is asked.
        """
        from imagesession._batches import ImageBatch  # noqa: PLC0415 - not everybody has one

        records = self._desk.ask(lambda store: store.list_batches())
        return tuple(ImageBatch(record, self._desk) for record in records)

    def open_batch(self, wanted: str) -> ImageBatch:
        """
        Open a batch again, in whichever program it was submitted. Nobody is asked.

        Args:
            wanted: Its id, its name (of several the latest), or the provider's id of it.

        Raises:
            NotFoundError: There is none; the error names some that exist.
        """
        from imagesession._batches import ImageBatch  # noqa: PLC0415 - not everybody has one

        return ImageBatch(self._desk.do(jobs.find_batch(wanted)), self._desk)


class AsyncSubmitsBatches(_Submitting[AsyncDesk]):
    """
    Same as `SubmitsBatches`, but awaits.
    """

    @takes_options
    async def batch(
        self,
        jobs_: Jobs,
        /,
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncImageBatch:
        """
        Same as `Studio.batch`, but awaits.
        """
        from imagesession._batches import AsyncImageBatch  # noqa: PLC0415 - not everybody has one

        flow = self._submission(jobs.named(jobs_, "batch"), name, options)
        return AsyncImageBatch(await self._desk.do(flow), self._desk)

    async def batches(self) -> tuple[AsyncImageBatch, ...]:
        """
        Same as `Studio.batches`, but awaits.
        """
        from imagesession._batches import AsyncImageBatch  # noqa: PLC0415 - not everybody has one

        records = await self._desk.ask(lambda store: store.list_batches())
        return tuple(AsyncImageBatch(record, self._desk) for record in records)

    async def open_batch(self, wanted: str) -> AsyncImageBatch:
        """
        Same as `Studio.open_batch`, but awaits.
        """
        from imagesession._batches import AsyncImageBatch  # noqa: PLC0415 - not everybody has one

        return AsyncImageBatch(await self._desk.do(jobs.find_batch(wanted)), self._desk)
