"""
Handles on batches: many pictures that the provider makes within a day, at half the price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Generic

import attrs

from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import AnyDesk, AsyncSavedImage, SavedImage
from imagesession._model.batches import BatchRecord, BatchStatus
from imagesession._model.estimates import Estimate
from imagesession._model.results import Results
from imagesession._model.turns import Turn
from imagesession._plan import jobs
from imagesession._plan.batches import collecting, following
from imagesession._show.progress import bar
from imagesession.errors import CallError, ImageSessionError

OnBatch = Callable[[BatchStatus], object]
"""What is called as a batch gets on."""


@attrs.frozen(eq=False, repr=False)
class _Handle(Generic[AnyDesk]):
    """
    What both kinds of batch hold: which one it is. Where it stands is read from the library every
    time, so that handles in other programs do not get in each other's way.
    """

    _record: BatchRecord
    _desk: AnyDesk

    @property
    def id(self) -> str:
        """
        Its id, with which `studio.open_batch` finds it again, in any program.
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
        The names of its pictures, where they were given names.
        """
        return self._record.keys

    @property
    def estimate(self) -> Estimate:
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
class ImageBatch(_Handle[Desk]):
    """
    Many pictures that the provider makes within a day, at half the price.

    Made by `Studio.batch`, found again by `Studio.open_batch`.
    """

    def status(self, *, live: bool = True) -> BatchStatus:
        """
        Tell where the batch stands; what is finished is saved.

        Args:
            live: Whether to ask the provider, which is free; without, it is what was heard last.

        Raises:
            OutcomeUnknownError: The provider does not know the batch any more.
            TryLaterError: The provider does not answer; nothing is lost.
        """
        return self._desk.do(following.stand(self._record, self._desk.terms, live=live))

    def results(self) -> Results[SavedImage]:
        """
        Save what the provider has made, each picture once however often this is called, and
        return it.

        Returns:
            The pictures in the order in which they were asked; where one failed, its error stands
            in its place.

        Raises:
            UnfinishedError: The provider is still at it.
            DiskError: The library cannot take a picture; it stays with the provider.
            TryLaterError: The provider does not answer; nothing is lost.
        """
        record, turns = self._desk.do(following.gather(self._record, self._desk.terms))
        return _results(record, turns, self._show)

    def wait(
        self,
        timeout: float | None = None,
        *,
        progress: bool | None = None,
        on_progress: OnBatch | None = None,
    ) -> Results[SavedImage]:
        """
        Wait until the provider is done, and return what `results` returns.

        Whoever stops waiting loses nothing: the batch goes on by itself.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes, which is a day at most.
            progress: Whether to show a bar on standard error; left out, one is shown in a
                terminal or notebook.
            on_progress: Called with the batch's status after every look at it.

        Raises:
            UnfinishedError: It was not done in that time.
            ImageSessionError: As for `results`.
        """
        seconds = _checked_timeout(timeout)
        with _watched(len(self), progress, on_progress) as tell:
            self._desk.do(following.follow(self._record, self._desk.terms, seconds, tell))
        return self.results()

    def cancel(self) -> BatchStatus:
        """
        Have the provider stop; what is made by then is paid for and saved, the rest is not made.

        Returns:
            Where it stands then: "cancelling", until the provider has stopped.

        Raises:
            OutcomeUnknownError: The provider's id of it is not known yet.
            TryLaterError: The provider does not answer.
        """
        return self._desk.do(following.stop(self._record, self._desk.terms))

    def _show(self, turn: Turn) -> SavedImage:
        return SavedImage(turn, len(turn.images) - 1, self._desk)


@attrs.frozen(eq=False, repr=False)
class AsyncImageBatch(_Handle[AsyncDesk]):
    """
    Same as `ImageBatch`, but its verbs await.
    """

    async def status(self, *, live: bool = True) -> BatchStatus:
        """
        Same as `ImageBatch.status`, but awaits.
        """
        return await self._desk.do(following.stand(self._record, self._desk.terms, live=live))

    async def results(self) -> Results[AsyncSavedImage]:
        """
        Same as `ImageBatch.results`, but awaits.
        """
        flow = following.gather(self._record, self._desk.terms)
        record, turns = await self._desk.do(flow)
        return _results(record, turns, self._show)

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
        seconds = _checked_timeout(timeout)
        with _watched(len(self), progress, on_progress) as tell:
            await self._desk.do(following.follow(self._record, self._desk.terms, seconds, tell))
        return await self.results()

    async def cancel(self) -> BatchStatus:
        """
        Same as `ImageBatch.cancel`, but awaits.
        """
        return await self._desk.do(following.stop(self._record, self._desk.terms))

    def _show(self, turn: Turn) -> AsyncSavedImage:
        return AsyncSavedImage(turn, len(turn.images) - 1, self._desk)


# --- what both share ---------------------------------------------------------------------------


def _results(
    record: BatchRecord, turns: tuple[Turn | None, ...], show: Callable[[Turn], Any]
) -> Results[Any]:
    """
    Put what came of a batch in the order in which it was asked.
    """
    found = (collecting.outcome_of(turn, record) for turn in turns)
    shown = (one if isinstance(one, ImageSessionError) else show(one) for one in found)
    return Results(tuple(shown), record.keys)


def _checked_timeout(timeout: float | None) -> float | None:
    return None if timeout is None else jobs.check_wait(timeout, "timeout")


@contextmanager
def _watched(
    total: int,
    wanted: bool | None,  # noqa: FBT001 - of this file alone
    on_progress: OnBatch | None,
) -> Generator[OnBatch, None, None]:
    """
    Show how a batch gets on, by a bar and to whoever wants to be told.
    """
    if on_progress is not None and not callable(on_progress):
        raise CallError(f"on_progress={on_progress!r} cannot be called.")
    shown = 0
    with bar(total, wanted=wanted) as report:

        def tell(status: BatchStatus) -> None:
            nonlocal shown
            for _ in range(max(status.completed + status.failed, status.saved) - shown):
                report()
                shown += 1
            if on_progress is not None:
                on_progress(status)

        yield tell


for _public in (ImageBatch, AsyncImageBatch):
    _public.__module__ = "imagesession"
