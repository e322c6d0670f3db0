"""
The context of a tool call: the caller's studio, and the sessions, images and tasks it names.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
from mcp.types import CallToolResult

import imagesession
from imagesession.errors import ImageSessionError, NotFoundError
from imagesession_mcp import payloads, results
from imagesession_mcp.app_state import AppState, Ctx, app_state, current_principal
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.payloads import Payload
from imagesession_mcp.tasks import GENERATED, KEY_PREFIX, Generation, GenerationTask, no_time_limit

T = TypeVar("T")
SessionOrStudio: TypeAlias = "imagesession.AsyncStudio | imagesession.AsyncImageSession"
"""Where an image is generated: standalone, or in a session."""
InputImage: TypeAlias = "imagesession.AsyncSavedImage | bytes"
"""An image that a call names: one of the library, or the content of a file."""

MAIN = "main"
IMAGE_URI = re.compile(r"imagesession://images/([^/]+)")
HEARTBEAT = 5.0
"""Seconds between two progress notifications."""
RECONCILE_TIMEOUT = 20.0
"""Seconds that a repeated call waits for a request left pending by an earlier run of the server."""
_MAX_BATCH = 10
# Among how many sessions those of the same name are looked for.
_LATEST = 200
_RECOVERY_PAUSE = 0.2
_JOINED = {
    "repeated": "An earlier call with these arguments got no result, so this is its image, billed "
    "once. For another image, repeat the call with a request_id of your own."
}


@attrs.frozen
class CallContext:
    """
    The caller and the server's state.

    Attributes:
        ctx: The protocol's request; None for a resource.
        extra: Further fields of the result.
    """

    ctx: Ctx | None
    state: AppState
    principal: str
    studio: imagesession.AsyncStudio
    extra: dict[str, Any] = attrs.field(factory=dict[str, Any])

    @classmethod
    def from_request(cls, ctx: Ctx | None = None) -> CallContext:
        """
        Return the context of the current request.
        """
        state, principal = app_state.get(), current_principal()
        return cls(ctx, state, principal, state.studio(principal))

    async def session_or_studio(self, session_id: str | None, branch: str) -> SessionOrStudio:
        """
        Return the session that a call names, or the studio if it names none.
        """
        return await self.session(session_id, branch) if session_id else self.studio

    async def session(
        self, session_id: str, branch: str = MAIN, *, reopen: bool = False
    ) -> imagesession.AsyncImageSession:
        """
        Return a session on one of its branches; the error names some that exist.
        """
        try:
            session = await self.studio.open(session_id, branch=branch, reopen=reopen)
        except NotFoundError as error:
            lacks_branch = MAIN in error.known  # a branch of every session, but no session
            code = "branch_not_found" if lacks_branch else "session_not_found"
            known = "available_branches" if lacks_branch else "available_sessions"
            raise ToolCallError(code, error.message, {known: list(error.known)}) from error
        if (session.name or "").casefold() == session_id.casefold():
            await self._warn_of_namesakes(session)
        return session

    async def _warn_of_namesakes(self, session: imagesession.AsyncImageSession) -> None:
        name = (session.name or "").casefold()
        latest = await self.studio.sessions.list(limit=_LATEST)
        others = [each.id for each in latest if (each.name or "").casefold() == name]
        if len(others) > 1:
            known = ", ".join(other for other in others if other != session.id)
            self._warn(
                f"Other sessions have the name {session.name!r} too: {known}. This is the latest."
            )

    async def warn_of_models(self, options: imagesession.GenerateOptions) -> None:
        """
        Add what an agent should know of the models that it chose to the result.
        """
        for name in (options.model, options.image_model):
            with suppress(NotFoundError):  # "auto", or a model of another provider
                if notice := (await self.studio.models.get(name)).notice:
                    self._warn(notice)

    def _warn(self, warning: str) -> None:
        known = self.extra.get("warnings", ())
        self.extra["warnings"] = list(dict.fromkeys((*known, warning)))

    async def image(self, image_id: str) -> imagesession.AsyncSavedImage:
        """
        Return an image of the library by its id or URI; the error names some that exist.
        """
        uri = IMAGE_URI.fullmatch(image_id)
        try:
            return await self.studio.images.get(uri[1] if uri else image_id)
        except NotFoundError as error:
            known = {"available_images": [payloads.short_id(image) for image in error.known]}
            raise ToolCallError("image_not_found", error.message, known) from error

    async def resolve_image(self, reference: str | None, argument: str) -> InputImage | None:
        """
        Return an image that an argument names by its id, its URI, or the path of a file; None if
        the argument is missing.
        """
        located = await self._locate(reference, argument) if reference else None
        if not isinstance(located, Path):
            return located
        return await asyncio.to_thread(self._folders().read, located, argument)

    async def resolve_images(
        self, reference: Iterable[str | None] | None, argument: str
    ) -> list[InputImage]:
        """
        Return the images that an argument names.
        """
        named = [await self.resolve_image(name, argument) for name in reference or ()]
        return [image for image in named if image is not None]

    @asynccontextmanager
    async def resolve_original(
        self, reference: str, argument: str
    ) -> AsyncGenerator[imagesession.AsyncSavedImage | Path, None]:
        """
        Yield an image that a call names, with its metadata files: an image of the library, or a
        private copy of a file, which cannot change meanwhile.
        """
        located = await self._locate(reference, argument)
        if not isinstance(located, Path):
            yield located
            return
        with tempfile.TemporaryDirectory(prefix="imagesession-") as folder:
            yield await asyncio.to_thread(self._folders().copy, located, Path(folder), argument)

    async def _locate(self, reference: str, argument: str) -> imagesession.AsyncSavedImage | Path:
        if IMAGE_URI.fullmatch(reference) or not re.search(r"[/\\.:~]", reference):
            return await self.image(reference)
        real_path = await asyncio.to_thread(self._folders().resolve, reference, argument)
        return await self._saved_at(real_path) or real_path

    async def _saved_at(self, real_path: Path) -> imagesession.AsyncSavedImage | None:
        """
        Return the image of the library whose file is at a path, by the metadata file beside it.
        """
        record = real_path.with_suffix(".json")
        try:
            facts = json.loads(await asyncio.to_thread(self._folders().read, record))
            image = await self.studio.images.get(facts["image_id"])
        except (ImageSessionError, LookupError, RecursionError, TypeError, ValueError):
            return None
        return image if image.path.resolve() == real_path else None

    def _folders(self) -> imagesession.AllowedFolders:
        return self.state.allowed_folders(self.principal)

    # --- generations ---------------------------------------------------------------------------

    async def generate(
        self, prepare: Callable[[], Awaitable[Generation | Payload]], request_id: str | None
    ) -> CallToolResult:
        """
        Generate as a call asks, unless it repeats an earlier call, and return the result, or a
        handle if it takes too long. What is prepared may also be the payload of a result.
        """
        fingerprint, tasks = self._fingerprint(), self.state.tasks
        await self.state.noted[self.principal].wait()
        left = None if request_id else tasks.left.pop((self.principal, fingerprint), None)
        task = GenerationTask(
            id=request_id or left or f"{GENERATED}{fingerprint}_{uuid.uuid4().hex[:6]}",
            owner=self.principal,
            fingerprint=fingerprint,
            is_named=bool(request_id or left),
            extra=self.extra,
        )
        running = tasks.find_repeated(task)
        if running is None:
            generation = await prepare()
            if not callable(generation):
                return results.text_result({**generation, **self.extra})
            running = tasks.start(task, partial(self._perform, task, generation))
        is_joined = not request_id and (bool(left) or running is not task)
        return await self.result_or_handle(running, _JOINED if is_joined else {})

    async def _perform(self, task: GenerationTask, generation: Generation) -> object:
        # An earlier run of the server may have sent a request under the same id.
        if task.is_named and not await self.settle(task.id, RECONCILE_TIMEOUT):
            raise ToolCallError(
                "still_pending",
                f"Generation {task.id} was requested before and is not settled yet; nothing was "
                "sent again. Call get_generation for it later.",
                {"generation_id": task.id},
            )
        key = KEY_PREFIX + task.id
        return await generation(idempotency_key=key, on_progress=task.on_progress)

    async def result_or_handle(self, task: GenerationTask, note: Payload) -> CallToolResult:
        """
        Wait for a task and return its result, or a handle for get_generation if it takes too long,
        with a note. If the client cancels the call, the waiting ends but the task continues.
        """
        settings = self.state.settings
        max_seconds = float("inf") if no_time_limit.get() else settings.wait_seconds
        task.waiting += 1
        try:
            await self._wait(task.work, max_seconds, lambda: task.stage, task.created)
            if not task.work.done():
                return results.pending_result(task.id, task.stage, note)
            generated = task.result()
            made = [image for image in generated if not isinstance(image, ImageSessionError)]
            self.extra.update(task.extra)
            if made:
                await self.warn_of_models(made[0].turn.options)
            extra = {**self.extra, **note}
            batch = isinstance(task.work.result(), imagesession.Results)
            result = await results.build_result(generated, settings, batch=batch, extra=extra)
        finally:
            task.waiting -= 1
        task.is_delivered = True
        return result

    async def with_progress(self, work: Awaitable[T], stage: str) -> T:
        """
        Await something that takes seconds, and report progress meanwhile.
        """
        task = asyncio.ensure_future(work)
        try:
            await self._wait(task, float("inf"), lambda: stage, time.monotonic())
        finally:
            task.cancel()
        return task.result()

    async def _wait(
        self, work: asyncio.Future[Any], max_seconds: float, stage: Callable[[], str], since: float
    ) -> None:
        """
        Wait until something has ended or the time is up, and report to the client, if it asked for
        progress, the stage and the seconds since a time.
        """
        deadline = time.monotonic() + max_seconds
        while not work.done() and (remaining := deadline - time.monotonic()) > 0:
            seconds = time.monotonic() - since
            if self.ctx is not None:
                words = f"{stage()}, {seconds:.0f} s"
                await self.ctx.report_progress(round(seconds, 3), None, words)
            await asyncio.wait({work}, timeout=min(remaining, HEARTBEAT))

    def _fingerprint(self) -> str:
        """
        Return what identifies a repeated call, after a restart too: a digest of the tool and its
        arguments.
        """
        params = (self.ctx and self.ctx.request_context.params) or {}
        call = json.dumps([params.get("name"), params.get("arguments") or {}], sort_keys=True)
        return hashlib.sha256(call.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    # --- what earlier runs of the server left ---------------------------------------------------

    async def find_saved(self, task_id: str) -> list[imagesession.AsyncSavedImage]:
        """
        Return what was saved under a task's id: an image, the images of a batch, or nothing.

        Raises:
            OutcomeUnknownError: The request was sent, and its outcome cannot be determined.
        """
        key = KEY_PREFIX + task_id
        keys = (key, *(f"{key}/{number}" for number in range(1, _MAX_BATCH + 1)))
        found = [await self.studio.images.find(idempotency_key=each) for each in keys]
        return [image for image in found if image is not None]

    async def pending_turns(self, task_id: str) -> list[str]:
        """
        Return the ids of a task's turns that are not settled.
        """
        turns = [pending.turn for pending in await self.studio.requests.pending()]
        start = f"{KEY_PREFIX}{task_id}/"
        return [turn.id for turn in turns if f"{turn.idempotency_key}/".startswith(start)]

    async def settle(self, task_id: str, max_seconds: float) -> bool:
        """
        Recover the pending requests of a task from an earlier run of the server, at no cost, and
        return whether none is left pending.
        """
        deadline = time.monotonic() + max_seconds
        while await self.pending_turns(task_id):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            await self.studio.recover(timeout=remaining)
            # Another recovery may hold the lease, such as the one that runs at every start.
            await asyncio.sleep(min(remaining, _RECOVERY_PAUSE))
        return True
