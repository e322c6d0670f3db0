"""
What a tool works with: the caller's studio, and the sessions, images and tasks that a call names.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import attrs
from mcp.types import CallToolResult

import imagesession
from imagesession.errors import NotFoundError
from imagesession_mcp import results, safe_files
from imagesession_mcp.app_state import AppState, Ctx, app_state, current_principal
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.tasks import GenerationTask, idempotency_key_for, no_time_limit

T = TypeVar("T")
SessionOrStudio: TypeAlias = "imagesession.AsyncStudio | imagesession.AsyncImageSession"
"""Where a picture is made: alone, or in a session."""
InputImage: TypeAlias = "imagesession.AsyncSavedImage | bytes"
"""An image that a call names: one of the library, or a file's content."""

MAIN = "main"
IMAGE_URI = re.compile(r"imagesession://images/([^/]+)")
HEARTBEAT = 5.0
"""Seconds between two reports of progress."""
RECONCILE_TIMEOUT = 20.0
"""Seconds for which a repeated call waits for what an earlier run of the server left pending."""
STILL_PENDING = "still_pending"
_MAX_BATCH = 10
_RECOVERY_PAUSE = 0.2


@attrs.frozen
class CallContext:
    """
    What is the caller's.

    Attributes:
        state: What lives as long as the server.
        principal: Who calls.
        studio: Their studio.
    """

    state: AppState
    principal: str
    studio: imagesession.AsyncStudio

    @classmethod
    def from_request(cls) -> CallContext:
        """
        Find out who sent the present request.
        """
        state, principal = app_state.get(), current_principal()
        return cls(state, principal, state.studio(principal))

    async def session_or_studio(
        self, session_id: str | None, branch: str = MAIN
    ) -> SessionOrStudio:
        """
        Return the session that a call names; the studio, if it names none.
        """
        return await self.session(session_id, branch) if session_id else self.studio

    async def session(
        self, session_id: str, branch: str = MAIN, *, reopen: bool = False
    ) -> imagesession.AsyncImageSession:
        """
        Return a session on one of its branches.

        Raises:
            ToolCallError: There is none; the error names some that there are.
        """
        try:
            return await self.studio.open(session_id, branch=branch, reopen=reopen)
        except NotFoundError as error:
            lacks_branch = MAIN in error.known  # which every session has, and no session is
            code = "branch_not_found" if lacks_branch else "session_not_found"
            known = "available_branches" if lacks_branch else "available_sessions"
            raise ToolCallError(code, error.message, {known: list(error.known)}) from error

    async def image(self, image_id: str) -> imagesession.AsyncSavedImage:
        """
        Return an image of the library by its id or URI.

        Raises:
            ToolCallError: There is none; the error names some that there are.
        """
        uri = IMAGE_URI.fullmatch(image_id)
        try:
            return await self.studio.images.get(uri[1] if uri else image_id)
        except NotFoundError as error:
            known = {"available_images": list(error.known)}
            raise ToolCallError("image_not_found", error.message, known) from error

    async def resolve_image(self, named: str, argument: str) -> InputImage:
        """
        Return an image that a call names by its id, its URI, or the path of a file.

        Args:
            named: What the call says.
            argument: The argument that says it.

        Raises:
            ToolCallError: There is no such image, or no such file that may be read.
        """
        found = await self._locate(named, argument)
        if isinstance(found, imagesession.AsyncSavedImage):
            return found
        return await asyncio.to_thread(safe_files.read_allowed, found, self._roots(), argument)

    @asynccontextmanager
    async def resolve_original(
        self, named: str, argument: str
    ) -> AsyncGenerator[imagesession.AsyncSavedImage | Path, None]:
        """
        Give an image that a call names with the records beside it: a file as a private copy, which
        cannot change meanwhile.
        """
        found = await self._locate(named, argument)
        if isinstance(found, imagesession.AsyncSavedImage):
            yield found
            return
        with tempfile.TemporaryDirectory(prefix="imagesession-") as folder:
            copy = Path(folder) / found.name
            await asyncio.to_thread(_copy, found, copy, self._roots(), argument)
            yield copy

    async def resolve_optional_image(self, named: str | None, argument: str) -> InputImage | None:
        """
        Return an image that a call names, if it names one.
        """
        return await self.resolve_image(named, argument) if named else None

    async def resolve_images(
        self, named: Iterable[str | None] | None, argument: str
    ) -> list[InputImage]:
        """
        Return the images that a call names.
        """
        return [await self.resolve_image(name, argument) for name in named or () if name]

    async def _locate(self, named: str, argument: str) -> imagesession.AsyncSavedImage | Path:
        """
        Return the image of the library that is named, or the real path of the file.
        """
        if IMAGE_URI.fullmatch(named) or not re.search(r"[/\\.:~]", named):
            return await self.image(named)
        real = await asyncio.to_thread(safe_files.resolve_allowed, named, self._roots(), argument)
        return await self._saved_at(real) or real

    def _roots(self) -> tuple[Path, ...]:
        return self.state.allowed_folders(self.principal)

    async def _saved_at(self, real: Path) -> imagesession.AsyncSavedImage | None:
        """
        Return the image of the library whose file is at a path, by the record beside it.
        """
        library = self.studio.library.resolve()
        if not real.is_relative_to(library):
            return None
        image_id = await asyncio.to_thread(_recorded_id, real, (library,))
        if image_id is None:
            return None
        try:
            image = await self.studio.images.get(image_id)
        except NotFoundError:
            return None
        return image if image.path.resolve() == real else None

    # --- generations ---------------------------------------------------------------------------

    async def task(
        self, ctx: Ctx, request_id: str | None, *, batch: bool = False
    ) -> GenerationTask:
        """
        Return the task of a call that generates: that of an earlier call with the same request_id,
        else a new one, which is not started yet.

        Args:
            ctx: The request.
            request_id: The client's name for the call.
            batch: Whether it may bring several pictures.

        Raises:
            ToolCallError: The request_id was used for another call, or what an earlier run of the
                server sent under it is still pending.
        """
        fingerprint = _fingerprint(ctx) if request_id else ""
        task_id = request_id or f"gen_{uuid.uuid4().hex[:12]}"
        task = GenerationTask(
            id=task_id, owner=self.principal, fingerprint=fingerprint, batch=batch
        )
        if request_id is None:
            return task
        repeated = self.state.tasks.find_repeated(task)
        if repeated is None and await pending_turns(self.studio, request_id):
            settled = wait_until_settled(self.studio, request_id, RECONCILE_TIMEOUT)
            await with_progress(ctx, settled, "looking it up")
        return repeated or task

    async def result_or_handle(
        self, ctx: Ctx, task: GenerationTask, *, preview: bool
    ) -> CallToolResult:
        """
        Wait for a task and return its result; if that takes too long, how to come back for it.

        A client that gives up ends the waiting, and not the task.
        """
        settings = self.state.settings
        end = float("inf") if no_time_limit.get() else time.monotonic() + settings.wait_seconds
        while not task.is_done and (left := end - time.monotonic()) > 0:
            await report_progress(ctx, task.seconds, task.stage)
            await task.wait_for_change(min(left, HEARTBEAT))
        if not task.is_done:
            return results.pending_result(task.id, task.stage)
        return await results.build_result(
            task.result(),
            generation_id=task.id,
            batch=task.batch,
            extra=task.extra,
            preview_bytes=settings.preview_bytes if preview else 0,
        )


def _fingerprint(ctx: Ctx) -> str:
    """
    Return what makes two calls the same: the tool and its arguments, whether or not with a preview.
    """
    params = ctx.request_context.params or {}
    arguments: dict[str, Any] = {**(params.get("arguments") or {}), "preview": None}
    return json.dumps([params.get("name"), arguments], sort_keys=True)


def _recorded_id(real: Path, roots: tuple[Path, ...]) -> str | None:
    record = real.with_suffix(".json")
    try:
        facts: object = json.loads(safe_files.read_allowed(record, roots, "image_path"))
    except (ToolCallError, ValueError, RecursionError):
        return None
    image_id = cast("dict[str, Any]", facts).get("image_id") if isinstance(facts, dict) else None
    return image_id if isinstance(image_id, str) else None


def _copy(real: Path, copy: Path, roots: tuple[Path, ...], argument: str) -> None:
    copy.write_bytes(safe_files.read_allowed(real, roots, argument))
    for name in (f"{real.stem}.json", f"{real.stem}_metadata.json"):
        with suppress(ToolCallError):
            record = safe_files.read_allowed(real.with_name(name), roots, argument)
            copy.with_name(name).write_bytes(record)


async def report_progress(ctx: Ctx, seconds: float, stage: str) -> None:
    """
    Tell the client, if it asked for progress, what is being done and for how long.
    """
    await ctx.report_progress(round(seconds, 3), None, f"{stage}, {seconds:.0f} s")


async def with_progress(ctx: Ctx, work: Awaitable[T], stage: str) -> T:
    """
    Wait for something that takes seconds, and report progress meanwhile.
    """
    task = asyncio.ensure_future(work)
    seconds = 0.0
    try:
        while not task.done():
            await report_progress(ctx, seconds, stage)
            await asyncio.wait({task}, timeout=HEARTBEAT)
            seconds += HEARTBEAT
    finally:
        task.cancel()
    return task.result()


async def find_saved(
    studio: imagesession.AsyncStudio, task_id: str
) -> tuple[imagesession.AsyncSavedImage, ...]:
    """
    Return what was saved under a task's id: a picture, the pictures of a batch, or nothing.

    Raises:
        OutcomeUnknownError: It was sent, and its outcome cannot be found out.
    """
    key = idempotency_key_for(task_id)
    single = await studio.images.find(idempotency_key=key)
    if single is not None:
        return (single,)
    batch = [
        await studio.images.find(idempotency_key=f"{key}/{number}")
        for number in range(1, _MAX_BATCH + 1)
    ]
    return tuple(image for image in batch if image is not None)


async def pending_turns(studio: imagesession.AsyncStudio, task_id: str) -> list[str]:
    """
    Return the ids of a task's turns that are not settled.
    """
    key = idempotency_key_for(task_id)
    turns = [pending.turn for pending in await studio.requests.pending()]
    return [
        turn.id
        for turn in turns
        if turn.idempotency_key is not None
        and (turn.idempotency_key == key or turn.idempotency_key.startswith(f"{key}/"))
    ]


async def wait_until_settled(
    studio: imagesession.AsyncStudio, task_id: str, max_seconds: float
) -> None:
    """
    Recover what an earlier run of the server may have left of a task, which costs nothing.

    Raises:
        ToolCallError: It is still pending.
    """
    end = time.monotonic() + max_seconds
    while await pending_turns(studio, task_id):
        left = end - time.monotonic()
        if left <= 0:
            raise ToolCallError(
                STILL_PENDING,
                f"Generation {task_id} was asked for before and is not settled yet; it is not "
                "asked for twice. Call get_generation for it later.",
                {"generation_id": task_id},
            )
        await studio.recover(timeout=left)
        # Another recovery may hold the lease, such as the one that every start brings.
        await asyncio.sleep(min(left, _RECOVERY_PAUSE))
