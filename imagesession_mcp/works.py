"""
Pictures in the making: begun by a call, and not ended with it.

A client may give up, or go away: what it asked for is paid for, so it is finished and kept, and
found again under the id that the call was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias

import attrs

from imagesession import AsyncSavedImage, Progress
from imagesession.errors import ImageSessionError
from imagesession_mcp.errors import RefusedCallError

Drawn: TypeAlias = tuple[AsyncSavedImage | ImageSessionError, ...]
"""What came: one picture, or a batch with errors in their places."""
Report: TypeAlias = Callable[[float, str], Awaitable[None]]
"""Tells a client how far it is: in seconds, and in words."""
HEARTBEAT = 5.0
GRACE = 2.0
_REMEMBERED = 500

unhurried: ContextVar[bool] = ContextVar("unhurried", default=False)
"""Whether calls wait for as long as it takes, as those of clients do that have tasks."""


@attrs.define(eq=False, kw_only=True)
class Work:
    """
    A picture, or a batch, in the making.

    Attributes:
        id: What it is called.
        owner: Whose it is.
        asked: What was asked, to tell whether it is asked for again.
        batch: Whether several may come.
        extra: What its result tells beside what the pictures know of themselves.
        stage: What is being done.
        begun: When, by the monotonic clock.
        news: Set when a client should hear of it at once.
        task: What makes it.
    """

    id: str
    owner: str
    asked: str
    batch: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    stage: str = "preparing"
    begun: float = attrs.field(factory=time.monotonic)
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    task: asyncio.Task[Drawn] | None = None

    @property
    def seconds(self) -> float:
        """
        For how long it has been under way.
        """
        return time.monotonic() - self.begun

    @property
    def is_done(self) -> bool:
        """
        Whether it has ended, in whatever way.
        """
        return self.task is not None and self.task.done()

    @property
    def failed(self) -> bool:
        """
        Whether it has ended without all that was asked for, so that asking again makes sense.
        """
        task = self.task
        if task is None or not task.done():
            return False
        if task.cancelled() or task.exception() is not None:
            return True
        return any(isinstance(one, ImageSessionError) for one in task.result())

    def watch(self, progress: Progress) -> None:
        """
        Note how far it is; unfinished pictures are news, and all else is told in time.
        """
        which = f"{progress.position + 1} of {progress.total}: " if progress.total > 1 else ""
        why = f" ({progress.message})" if progress.message else ""
        self.stage = f"{which}{progress.stage}{why}"
        if progress.stage == "partial":
            self.stage = f"{which}unfinished picture {progress.partials} came"
            self.news.set()

    def result(self) -> Drawn:
        """
        Return what came of it, once it has ended.

        Raises:
            RefusedCallError: It was cancelled.
            ImageSessionError: It failed.
        """
        assert self.task is not None  # noqa: S101 - told to the type checkers
        if self.task.cancelled():
            raise RefusedCallError(
                "cancelled",
                f"Generation {self.id} was cancelled. What was drawn until then may be billed.",
                {"generation_id": self.id},
            )
        return self.task.result()


Make: TypeAlias = Callable[[Work], Coroutine[Any, Any, Drawn]]


@attrs.define(eq=False)
class Works:
    """
    All that is in the making, and what has ended lately.
    """

    _known: dict[tuple[str, str], Work] = attrs.field(factory=dict[tuple[str, str], Work])

    def begin(self, work: Work, make: Make) -> Work:
        """
        Begin something, unless it was begun before under the same id.

        Args:
            work: What is asked.
            make: Makes it.

        Returns:
            The work that is under way or was done under that id; else the new one.

        Raises:
            RefusedCallError: Something else was asked under that id.
        """
        before = self._known.get((work.owner, work.id))
        if before is not None and not before.failed:
            if before.asked != work.asked:
                raise RefusedCallError(
                    "request_id_reused",
                    f"request_id {work.id!r} was used for another call; nothing was sent. Give "
                    "this one a request_id of its own.",
                    {"generation_id": work.id},
                )
            return before
        self._forget_oldest()
        self._known[work.owner, work.id] = work
        work.task = asyncio.create_task(make(work), name=f"generation {work.id}")
        # Nobody may be waiting any more when it fails.
        work.task.add_done_callback(_heed)
        return work

    def find(self, owner: str, work_id: str) -> Work | None:
        """
        Return what was begun under an id since the server started, if it is remembered.
        """
        return self._known.get((owner, work_id))

    def of(self, owner: str) -> tuple[Work, ...]:
        """
        Return somebody's works, the latest first.
        """
        return tuple(one for one in reversed(self._known.values()) if one.owner == owner)

    async def wait(self, work: Work, seconds: float, report: Report) -> bool:
        """
        Wait for something to end, and tell a client that it goes on.

        A client that gives up ends the waiting, and not the work.

        Args:
            work: What to wait for.
            seconds: For how long.
            report: Tells the client.

        Returns:
            Whether it has ended.
        """
        end = float("inf") if unhurried.get() else time.monotonic() + seconds
        while not work.is_done and (left := end - time.monotonic()) > 0:
            await report(work.seconds, work.stage)
            await _news_of(work, min(left, HEARTBEAT))
        return work.is_done

    async def stop(self) -> None:
        """
        Give what is under way a moment to end, and leave the rest to be recovered.
        """
        running = [one.task for one in self._known.values() if one.task and not one.is_done]
        if running:
            await asyncio.wait(running, timeout=GRACE)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=GRACE)

    def _forget_oldest(self) -> None:
        done = [key for key, one in self._known.items() if one.is_done]
        for key in done[: max(0, len(self._known) - _REMEMBERED)]:
            del self._known[key]


async def _news_of(work: Work, seconds: float) -> None:
    assert work.task is not None  # noqa: S101 - told to the type checkers
    work.news.clear()
    listening = asyncio.ensure_future(work.news.wait())
    try:
        await asyncio.wait(
            {work.task, listening}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        listening.cancel()


def _heed(task: asyncio.Task[Drawn]) -> None:
    with suppress(asyncio.CancelledError):
        task.exception()
