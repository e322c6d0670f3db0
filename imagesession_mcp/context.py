"""
The context of a tool call: the caller's studio, and the sessions, images and tasks it names.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, cast

import attrs
from mcp.types import CallToolResult

import imagesession
from imagesession.errors import ImageSessionError, NotFoundError
from imagesession_mcp import results, safe_files
from imagesession_mcp.app_state import AppState, Ctx, app_state, current_principal
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.safe_files import AllowedFolders
from imagesession_mcp.tasks import Generation, GenerationTask, idempotency_key_for, no_time_limit

T = TypeVar("T")
SessionOrStudio: TypeAlias = "imagesession.AsyncStudio | imagesession.AsyncImageSession"
"""Where an image is generated: standalone, or in a session."""
InputImage: TypeAlias = "imagesession.AsyncSavedImage | bytes"
"""An image that a call names: one of the library, or the content of a file."""

Prepare: TypeAlias = "Callable[[GenerationTask], Awaitable[Generation]]"
"""Prepares the generation of a call's task."""

MAIN = "main"
IMAGE_URI = re.compile(r"imagesession://images/([^/]+)")
HEARTBEAT = 5.0
"""Seconds between two progress notifications."""
RECONCILE_TIMEOUT = 20.0
"""Seconds that a repeated call waits for a request left pending by an earlier run of the server."""
STILL_PENDING = "still_pending"
_MAX_BATCH = 10
_RECOVERY_PAUSE = 0.2
_NO_NOTE: Mapping[str, str] = MappingProxyType({})
_JOINED = {
    "repeated": "An earlier call with these arguments got no result, so this is its image, billed "
    "once. For another image, repeat the call with a request_id of your own."
}


@attrs.frozen
class CallContext:
    """
    The caller and the server's state.

    Attributes:
        state: The server's state.
        principal: The caller's name.
        studio: The caller's studio.
    """

    state: AppState
    principal: str
    studio: imagesession.AsyncStudio

    @classmethod
    def from_request(cls) -> CallContext:
        """
        Return the context of the current request.
        """
        state, principal = app_state.get(), current_principal()
        return cls(state, principal, state.studio(principal))

    async def session_or_studio(
        self, session_id: str | None, branch: str = MAIN
    ) -> SessionOrStudio:
        """
        Return the session that a call names, or the studio if it names none.
        """
        return await self.session(session_id, branch) if session_id else self.studio

    async def session(
        self, session_id: str, branch: str = MAIN, *, reopen: bool = False
    ) -> imagesession.AsyncImageSession:
        """
        Return a session on one of its branches.

        Raises:
            ToolCallError: It does not exist; the error names some that do.
        """
        try:
            return await self.studio.open(session_id, branch=branch, reopen=reopen)
        except NotFoundError as error:
            lacks_branch = MAIN in error.known  # a branch of every session, but no session
            code = "branch_not_found" if lacks_branch else "session_not_found"
            known = "available_branches" if lacks_branch else "available_sessions"
            raise ToolCallError(code, error.message, {known: list(error.known)}) from error

    async def warnings(self, *models: str) -> dict[str, list[str]]:
        """
        Return what an agent should know of the models that it chose, as a field of a result.
        """
        notices: list[str] = []
        for name in models:
            with suppress(NotFoundError):  # "auto", or a model of another provider
                notice = (await self.studio.models.get(name)).notice
                notices += [notice] if notice else []
        return {"warnings": notices} if notices else {}

    async def image(self, image_id: str) -> imagesession.AsyncSavedImage:
        """
        Return an image of the library by its id or URI.

        Raises:
            ToolCallError: It does not exist; the error names some that do.
        """
        uri = IMAGE_URI.fullmatch(image_id)
        try:
            return await self.studio.images.get(uri[1] if uri else image_id)
        except NotFoundError as error:
            known = {"available_images": [results.short_id(image) for image in error.known]}
            raise ToolCallError("image_not_found", error.message, known) from error

    async def turn_or_image(
        self, session: imagesession.AsyncImageSession, name: str | None
    ) -> str | None:
        """
        Return the whole id of an image that a call names within a session; a turn's is whole.
        """
        if name is None or name in (await session.tree()).turns:
            return name
        with suppress(ToolCallError):
            return (await self.image(name)).id
        return name

    async def resolve_image(self, reference: str, argument: str) -> InputImage:
        """
        Return an image that a call names by its id, its URI, or the path of a file.

        Args:
            reference: The argument's value.
            argument: The argument's name.

        Raises:
            ToolCallError: The image does not exist, or the file may not be read.
        """
        located = await self._locate(reference, argument)
        if isinstance(located, imagesession.AsyncSavedImage):
            return located
        return await asyncio.to_thread(safe_files.read_allowed, located, self._folders(), argument)

    @asynccontextmanager
    async def resolve_original(
        self, reference: str, argument: str
    ) -> AsyncGenerator[imagesession.AsyncSavedImage | Path, None]:
        """
        Yield an image that a call names, with its metadata files: an image of the library, or a
        private copy of a file, which cannot change meanwhile.
        """
        located = await self._locate(reference, argument)
        if isinstance(located, imagesession.AsyncSavedImage):
            yield located
            return
        with tempfile.TemporaryDirectory(prefix="imagesession-") as folder:
            copy = Path(folder) / located.name
            await asyncio.to_thread(_copy, located, copy, self._folders(), argument)
            yield copy

    async def resolve_optional_image(
        self, reference: str | None, argument: str
    ) -> InputImage | None:
        """
        Return the image that a call names, or None.
        """
        return await self.resolve_image(reference, argument) if reference else None

    async def resolve_images(
        self, reference: Iterable[str | None] | None, argument: str
    ) -> list[InputImage]:
        """
        Return the images that a call names.
        """
        return [await self.resolve_image(name, argument) for name in reference or () if name]

    async def _locate(self, reference: str, argument: str) -> imagesession.AsyncSavedImage | Path:
        """
        Return the image of the library, or the real path of the file.
        """
        if IMAGE_URI.fullmatch(reference) or not re.search(r"[/\\.:~]", reference):
            return await self.image(reference)
        real_path = await asyncio.to_thread(
            safe_files.resolve_allowed, reference, self._folders(), argument
        )
        return await self._saved_at(real_path) or real_path

    def _folders(self) -> AllowedFolders:
        return self.state.allowed_folders(self.principal)

    async def _saved_at(self, real_path: Path) -> imagesession.AsyncSavedImage | None:
        """
        Return the image of the library whose file is at a path, by its metadata file.
        """
        library = await asyncio.to_thread(Path(self.studio.library).resolve)
        if not real_path.is_relative_to(library):
            return None
        image_id = await asyncio.to_thread(_recorded_id, real_path, AllowedFolders((library,)))
        if image_id is None:
            return None
        try:
            image = await self.studio.images.get(image_id)
        except NotFoundError:
            return None
        return image if image.path.resolve() == real_path else None

    # --- generations ---------------------------------------------------------------------------

    async def generate(
        self, ctx: Ctx, request_id: str | None, prepare: Prepare, *, batch: bool = False
    ) -> CallToolResult:
        """
        Generate as a call asks, unless it repeats an earlier call, and return the result, or a
        handle if it takes too long.

        Args:
            ctx: The request.
            request_id: The client's name for the call.
            prepare: Resolves what the call names, and returns the generation to run.
            batch: Whether it may generate several images.

        Raises:
            ToolCallError: The request_id was used for another call.
        """
        task = GenerationTask(
            id=request_id or f"gen_{uuid.uuid4().hex[:12]}",
            owner=self.principal,
            fingerprint=_fingerprint(ctx),
            is_named=request_id is not None,
            batch=batch,
        )
        if request_id is not None:
            # An earlier run of the server may have sent a request under the same id.
            task.before = partial(wait_until_settled, self.studio, request_id, RECONCILE_TIMEOUT)
        tasks = self.state.tasks
        earlier = tasks.find_repeated(task)
        task = earlier or tasks.start(task, await prepare(task))
        is_joined = earlier is not None and not task.is_named
        return await self.result_or_handle(ctx, task, _JOINED if is_joined else _NO_NOTE)

    async def result_or_handle(
        self, ctx: Ctx, task: GenerationTask, note: Mapping[str, str] = _NO_NOTE
    ) -> CallToolResult:
        """
        Wait for a task and return its result, or a handle for get_generation if it takes too long.

        If the client cancels the call, the waiting ends but the task continues.

        Args:
            ctx: The request.
            task: The task.
            note: Further fields of the result.
        """
        task.waiting += 1
        try:
            result = await self._wait_for_result(ctx, task, note)
        finally:
            task.waiting -= 1
        task.is_delivered |= task.is_done
        return result

    async def _wait_for_result(
        self, ctx: Ctx, task: GenerationTask, note: Mapping[str, str]
    ) -> CallToolResult:
        settings = self.state.settings
        deadline = float("inf") if no_time_limit.get() else time.monotonic() + settings.wait_seconds
        while not task.is_done and (remaining := deadline - time.monotonic()) > 0:
            await report_progress(ctx, task.seconds, task.stage)
            await task.wait(min(remaining, HEARTBEAT))
        if not task.is_done:
            return results.pending_result(task.id, task.stage, note)
        generated = task.result()
        turns = [item.turn for item in generated if not isinstance(item, ImageSessionError)]
        chosen = turns[0].options if turns else imagesession.GenerateOptions()
        warnings = await self.warnings(chosen.model, chosen.image_model)
        return await results.build_result(
            generated, settings, batch=task.batch, extra={**task.extra, **warnings, **note}
        )


def _fingerprint(ctx: Ctx) -> str:
    """
    Return what identifies a repeated call: the tool and its arguments.
    """
    params = ctx.request_context.params or {}
    return json.dumps([params.get("name"), params.get("arguments") or {}], sort_keys=True)


def _recorded_id(real_path: Path, folders: AllowedFolders) -> str | None:
    record = real_path.with_suffix(".json")
    try:
        facts: object = json.loads(safe_files.read_allowed(record, folders, "image_path"))
    except (ToolCallError, ValueError, RecursionError):
        return None
    image_id = cast("dict[str, Any]", facts).get("image_id") if isinstance(facts, dict) else None
    return image_id if isinstance(image_id, str) else None


def _copy(real_path: Path, copy: Path, folders: AllowedFolders, argument: str) -> None:
    copy.write_bytes(safe_files.read_allowed(real_path, folders, argument))
    for name in (f"{real_path.stem}.json", f"{real_path.stem}_metadata.json"):
        with suppress(ToolCallError):
            record = safe_files.read_allowed(real_path.with_name(name), folders, argument)
            copy.with_name(name).write_bytes(record)


async def report_progress(ctx: Ctx, seconds: float, stage: str) -> None:
    """
    Report the current stage and the elapsed seconds to a client that asked for progress.
    """
    await ctx.report_progress(round(seconds, 3), None, f"{stage}, {seconds:.0f} s")


async def with_progress(ctx: Ctx, work: Awaitable[T], stage: str) -> T:
    """
    Await something that takes seconds, and report progress meanwhile.
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
    Return what was saved under a task's id: an image, the images of a batch, or nothing.

    Raises:
        OutcomeUnknownError: The request was sent, and its outcome cannot be determined.
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
    Recover the pending requests of a task from an earlier run of the server, at no cost.

    Raises:
        ToolCallError: A request is still pending.
    """
    deadline = time.monotonic() + max_seconds
    while await pending_turns(studio, task_id):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise ToolCallError(
                STILL_PENDING,
                f"Generation {task_id} was requested before and is not settled yet; nothing was "
                "sent again. Call get_generation for it later.",
                {"generation_id": task_id},
            )
        await studio.recover(timeout=remaining)
        # Another recovery may hold the lease, such as the one that runs at every start.
        await asyncio.sleep(min(remaining, _RECOVERY_PAUSE))
