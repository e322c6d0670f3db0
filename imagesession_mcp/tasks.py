"""
Generations that outlive the call that started them.

A client may give up or leave. What it asked for is paid for, so the generation goes on, is kept,
and is found again under its id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

import attrs

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp.errors import ToolCallError

Generated: TypeAlias = "tuple[imagesession.AsyncSavedImage | ImageSessionError, ...]"
"""A picture, or the pictures of a batch, with an error in the place of each that failed."""
Generation: TypeAlias = Coroutine[Any, Any, Any]
"""A verb of the library under way: it returns a picture, or something that holds pictures."""
KEY_PREFIX = "mcp/"
"""Before a task's id, in the idempotency keys that the library records."""
STOP_TIMEOUT = 2.0
"""Seconds that running tasks have to finish, and then to end, when the server stops."""
_MAX_REMEMBERED = 500

no_time_limit: ContextVar[bool] = ContextVar("no_time_limit", default=False)
"""Whether the present call waits until its task is done, as for clients that poll it."""


def idempotency_key_for(task_id: str) -> str:
    """
    Return the idempotency key under which the library records a generation.
    """
    return KEY_PREFIX + task_id


@attrs.define(eq=False, kw_only=True)
class GenerationTask:
    """
    A picture, or a batch of them, that is being generated.

    Attributes:
        id: The generation_id, which is the client's request_id if it gave one.
        owner: The principal that called.
        fingerprint: The call's name and arguments, to tell a repetition from another call.
        batch: Whether it may bring several pictures.
        extra: What its result says beside what the pictures know of themselves.
        stage: What is being done.
        created: When it was created, by the monotonic clock.
        changed: Set when the client should hear of progress at once.
        task: The asyncio task; None before it is started.
    """

    id: str
    owner: str
    fingerprint: str
    batch: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    stage: str = "preparing"
    created: float = attrs.field(factory=time.monotonic)
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)
    task: asyncio.Task[Any] | None = None

    @property
    def key(self) -> str:
        """
        Its idempotency key in the library's records.
        """
        return idempotency_key_for(self.id)

    @property
    def seconds(self) -> float:
        """
        Seconds since it was created.
        """
        return time.monotonic() - self.created

    @property
    def is_started(self) -> bool:
        """
        Whether its generation was started.
        """
        return self.task is not None

    @property
    def is_done(self) -> bool:
        """
        Whether it has ended, in whatever way.
        """
        return self.task is not None and self.task.done()

    @property
    def has_failed(self) -> bool:
        """
        Whether it ended without all of its pictures, so that a repeated call starts it again.
        """
        task = self.task
        if task is None or not task.done():
            return False
        if task.cancelled() or task.exception() is not None:
            return True
        return any(isinstance(image, ImageSessionError) for image in self.result())

    def on_progress(self, event: imagesession.ProgressEvent) -> None:
        """
        Note its progress; the client hears of a partial image at once, of the rest in time.
        """
        which = f"{event.position + 1} of {event.total}: " if event.total > 1 else ""
        why = f" ({event.message})" if event.message else ""
        self.stage = f"{which}{event.stage}{why}"
        if event.stage == "partial_image":
            self.stage = f"{which}unfinished picture {event.partials} came"
            self.changed.set()

    async def wait_for_change(self, max_seconds: float) -> None:
        """
        Wait until it is done, or has news for the client, or the time is up.
        """
        assert self.task is not None  # noqa: S101 - tells the type checkers
        self.changed.clear()
        changed = asyncio.ensure_future(self.changed.wait())
        try:
            await asyncio.wait(
                {self.task, changed}, timeout=max_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()

    async def cancel(self, max_seconds: float) -> None:
        """
        Cancel it, and wait until it has ended or the time is up.
        """
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=max_seconds)

    def result(self) -> Generated:
        """
        Return its pictures, once it is done.

        Raises:
            ToolCallError: It was cancelled.
            ImageSessionError: It failed.
        """
        assert self.task is not None  # noqa: S101 - tells the type checkers
        if self.task.cancelled():
            raise ToolCallError(
                "cancelled",
                f"Generation {self.id} was cancelled. What was drawn until then may be billed.",
                {"generation_id": self.id},
            )
        return _images_of(self.task.result())


def _images_of(result: object) -> Generated:
    if isinstance(result, imagesession.Results):
        return cast("imagesession.Results[imagesession.AsyncSavedImage]", result).items
    if isinstance(result, imagesession.Improvement):
        return (cast("imagesession.Improvement[imagesession.AsyncSavedImage]", result).image,)
    return (cast("imagesession.AsyncSavedImage", result),)


@attrs.define(eq=False)
class TaskRegistry:
    """
    The tasks that run, and those that ended lately.
    """

    _tasks: dict[tuple[str, str], GenerationTask] = attrs.field(
        factory=dict[tuple[str, str], GenerationTask]
    )

    def start(self, task: GenerationTask, generation: Generation) -> GenerationTask:
        """
        Start a task, unless a repeated call has started it meanwhile.

        Returns:
            The task that runs.
        """
        try:
            running = self.find_repeated(task)
        except ToolCallError:
            generation.close()
            raise
        if running is not None:
            generation.close()
            return running
        self._forget_oldest()
        self._tasks[task.owner, task.id] = task
        task.task = asyncio.create_task(generation, name=f"generation {task.id}")
        # Its call may have ended when it fails, and then nothing else takes the exception.
        task.task.add_done_callback(_retrieve_exception)
        return task

    def find(self, owner: str, task_id: str) -> GenerationTask | None:
        """
        Return a task of a principal by its id, if the registry remembers it.
        """
        return self._tasks.get((owner, task_id))

    def find_repeated(self, task: GenerationTask) -> GenerationTask | None:
        """
        Return the task of an earlier call with the same id that did not fail.

        Raises:
            ToolCallError: That call was another one.
        """
        earlier = self.find(task.owner, task.id)
        if earlier is None or earlier.has_failed:
            return None
        if earlier.fingerprint != task.fingerprint:
            raise ToolCallError(
                "request_id_reused",
                f"request_id {task.id!r} was used for another call; nothing was sent. Give "
                "this one a request_id of its own.",
                {"generation_id": task.id},
            )
        return earlier

    def of(self, owner: str) -> tuple[GenerationTask, ...]:
        """
        Return a principal's tasks, the latest first.
        """
        return tuple(task for task in reversed(self._tasks.values()) if task.owner == owner)

    async def stop(self) -> None:
        """
        Give running tasks a moment to finish, and leave the rest to recovery.
        """
        running = [task.task for task in self._tasks.values() if task.task and not task.is_done]
        if not running:
            return
        await asyncio.wait(running, timeout=STOP_TIMEOUT)
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=STOP_TIMEOUT)

    def _forget_oldest(self) -> None:
        done = [key for key, task in self._tasks.items() if task.is_done]
        for key in done[: max(0, len(self._tasks) - _MAX_REMEMBERED)]:
            del self._tasks[key]


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    with suppress(asyncio.CancelledError):
        task.exception()
