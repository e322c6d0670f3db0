"""
Generations that outlive the call that started them.

A client may cancel its call or disconnect. The request is billed anyway, so the generation
continues, its images are saved, and they can be found by the generation's id.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

import attrs

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp.errors import ToolCallError

Generated: TypeAlias = "tuple[imagesession.AsyncSavedImage | ImageSessionError, ...]"
"""An image, or the images of a batch, with an error in place of each that failed."""
Generation: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]
"""A method of the library with its arguments; it returns an image or a container of images."""
KEY_PREFIX = "mcp/"
"""The prefix of a task's id in the idempotency keys that the library records."""
GENERATED = "gen_"
"""The prefix of an id that no client chose; a fingerprint follows, and an underscore."""
REPEAT_SECONDS = 600.0
"""Seconds within which a call is taken for the repetition of one that got no result."""
STOP_TIMEOUT = 2.0
"""Seconds that running tasks have to finish, and again to be cancelled, when the server stops."""
_MAX_REMEMBERED = 500

no_time_limit: ContextVar[bool] = ContextVar("no_time_limit", default=False)
"""Whether the current call waits until its task is done, as for clients that poll it."""


@attrs.define(eq=False, kw_only=True)
class GenerationTask:
    """
    The generation of an image or a batch.

    Attributes:
        id: The generation_id: the client's request_id, if it sent one.
        owner: The principal that called.
        fingerprint: The tool and its arguments, to distinguish a repeated call from another.
        is_named: Whether the client chose the id.
        extra: Further fields of its result.
        created: The time of creation, by the monotonic clock.
        waiting: How many calls wait for it.
        is_delivered: Whether a call returned its result.
    """

    id: str
    owner: str
    fingerprint: str
    is_named: bool = False
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])
    stage: str = "preparing"
    created: float = attrs.field(factory=time.monotonic)
    waiting: int = 0
    is_delivered: bool = False
    work: asyncio.Task[Any] = attrs.field(init=False)

    def has_failed(self) -> bool:
        """
        Return whether it ended without all of its images, so that a repeated call starts it again.
        """
        if not self.work.done():
            return False
        if self.work.cancelled() or self.work.exception() is not None:
            return True
        return any(isinstance(image, ImageSessionError) for image in self.result())

    def on_progress(self, event: imagesession.ProgressEvent) -> None:
        """
        Record progress, which the next heartbeat reports.
        """
        prefix = f"{event.position + 1} of {event.total}: " if event.total > 1 else ""
        suffix = f" ({event.message})" if event.message else ""
        self.stage = f"{prefix}{event.stage}{suffix}"

    def result(self) -> Generated:
        """
        Return its images once it is done, or raise why there are none.
        """
        if self.work.cancelled():
            raise ToolCallError(
                "cancelled",
                f"Generation {self.id} was cancelled. Work done until then may be billed.",
                {"generation_id": self.id},
            )
        made = self.work.result()
        if isinstance(made, imagesession.Results):
            return cast("imagesession.Results[imagesession.AsyncSavedImage]", made).items
        if isinstance(made, imagesession.Improvement):
            return (cast("imagesession.Improvement[imagesession.AsyncSavedImage]", made).image,)
        return (cast("imagesession.AsyncSavedImage", made),)


@attrs.define(eq=False)
class TaskRegistry:
    """
    Running tasks, and those that ended recently.

    Attributes:
        left: The ids of tasks that an earlier run of the server left without a result, by principal
            and fingerprint.
    """

    left: dict[tuple[str, str], str] = attrs.field(factory=dict[tuple[str, str], str])
    _tasks: dict[tuple[str, str], GenerationTask] = attrs.field(
        factory=dict[tuple[str, str], GenerationTask]
    )
    _is_stopping: bool = False

    def start(self, task: GenerationTask, generation: Generation) -> GenerationTask:
        """
        Start a task, unless a repeated call has started it meanwhile, and return the one that runs.
        """
        running = self.find_repeated(task)
        if running is not None:
            return running
        done = [key for key, earlier in self._tasks.items() if earlier.work.done()]
        for key in done[: max(0, len(self._tasks) - _MAX_REMEMBERED)]:
            del self._tasks[key]
        self._tasks[task.owner, task.id] = task
        task.work = asyncio.create_task(generation(), name=f"generation {task.id}")
        # Its call may have ended before it fails, and then nothing else retrieves the exception.
        task.work.add_done_callback(_retrieve_exception)
        return task

    def leave(self, owner: str, turn: imagesession.Turn) -> None:
        """
        Note a turn that an earlier run of the server left pending a short time ago.
        """
        task_id = (turn.idempotency_key or "").removeprefix(KEY_PREFIX).partition("/")[0]
        age = (dt.datetime.now(dt.UTC) - turn.started).total_seconds()
        if task_id.startswith(GENERATED) and age < REPEAT_SECONDS:
            fingerprint = task_id.removeprefix(GENERATED).partition("_")[0]
            self.left[owner, fingerprint] = task_id

    def find(self, owner: str, task_id: str) -> GenerationTask | None:
        """
        Return a principal's task by its id; None if it is not in the registry.
        """
        return self._tasks.get((owner, task_id))

    def find_repeated(self, task: GenerationTask) -> GenerationTask | None:
        """
        Return the task of an earlier call that did not fail: with the same id, or, if the client
        chose none, with the same arguments and no result so far, because the client cancelled it,
        left, or ran out of time. Calls at the same time are no repetitions.
        """
        if self._is_stopping:
            raise ToolCallError("unavailable", "The server is stopping; nothing was sent.")
        if not task.is_named:
            return self._find_undelivered(task)
        earlier = self.find(task.owner, task.id)
        if earlier is None or earlier.has_failed():
            return None
        if earlier.fingerprint != task.fingerprint:
            raise ToolCallError(
                "request_id_reused",
                f"request_id {task.id!r} was used for another call; nothing was sent. Use a new "
                "request_id for this one.",
                {"generation_id": task.id},
            )
        return earlier

    def _find_undelivered(self, task: GenerationTask) -> GenerationTask | None:
        return next(
            (
                earlier
                for earlier in self.of(task.owner)
                if earlier.fingerprint == task.fingerprint
                and not (earlier.waiting or earlier.is_delivered or earlier.has_failed())
                and task.created - earlier.created < REPEAT_SECONDS
            ),
            None,
        )

    def of(self, owner: str) -> tuple[GenerationTask, ...]:
        """
        Return a principal's tasks, the latest first.
        """
        return tuple(task for task in reversed(self._tasks.values()) if task.owner == owner)

    async def stop(self) -> None:
        """
        Give running tasks a short time to finish, and leave the rest to recovery.
        """
        self._is_stopping = True
        running = [task.work for task in self._tasks.values() if not task.work.done()]
        if not running:
            return
        await asyncio.wait(running, timeout=STOP_TIMEOUT)
        for work in running:
            work.cancel()
        await asyncio.wait(running, timeout=STOP_TIMEOUT)


def _retrieve_exception(work: asyncio.Task[Any]) -> None:
    with suppress(asyncio.CancelledError):
        work.exception()
