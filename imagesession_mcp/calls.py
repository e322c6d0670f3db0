"""
What a call of a tool works with: whoever calls, their studio, and the things that it names.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import attrs
from mcp.types import CallToolResult

from imagesession import AsyncImageSession, AsyncSavedImage, AsyncStudio
from imagesession.errors import NotFoundError
from imagesession_mcp import files, results
from imagesession_mcp.errors import RefusedCallError
from imagesession_mcp.results import Facts
from imagesession_mcp.state import INTENTS, Ctx, State, owner_of, serving
from imagesession_mcp.works import HEARTBEAT, Drawn, Make, Work

T = TypeVar("T")
Place: TypeAlias = AsyncStudio | AsyncImageSession
"""Where a picture is made: alone, or in a session."""
Named: TypeAlias = AsyncSavedImage | bytes
"""A picture that a call names: one of the library, or a file that may be read."""

asked: ContextVar[str] = ContextVar("asked", default="")
"""The call that is being carried out, to tell whether one is repeated."""
_URI = re.compile(r"imagesession://images/([^/]+)")
_TAKES = 10
LOOK = 20.0
_PAUSE = 0.2
MAIN = "main"
STILL_PENDING = "still_pending"


@attrs.frozen
class Call:
    """
    Whoever calls, and what is theirs.

    Attributes:
        state: What lives as long as the server.
        owner: Who calls.
        studio: Their studio.
    """

    state: State
    owner: str
    studio: AsyncStudio

    @classmethod
    def now(cls) -> Call:
        """
        Find out who sent the present request.
        """
        state, owner = serving.get(), owner_of()
        return cls(state, owner, state.studio(owner))

    async def place(self, session_id: str | None, branch: str = MAIN) -> Place:
        """
        Return where a picture is made.
        """
        return await self.session(session_id, branch) if session_id else self.studio

    async def session(
        self, session_id: str, branch: str = MAIN, *, reopen: bool = False
    ) -> AsyncImageSession:
        """
        Return a session on one of its lines.

        Raises:
            RefusedCallError: There is none; it names some that there are.
        """
        try:
            return await self.studio.open(session_id, branch=branch, reopen=reopen)
        except NotFoundError as error:
            lacks_branch = MAIN in error.known  # which every session has, and no session is
            code = "branch_not_found" if lacks_branch else "session_not_found"
            known = "available_branches" if lacks_branch else "available_sessions"
            raise RefusedCallError(code, error.message, {known: list(error.known)}) from error

    async def image(self, image_id: str) -> AsyncSavedImage:
        """
        Return a picture of the library by its id or URI.

        Raises:
            RefusedCallError: There is none; it names some that there are.
        """
        uri = _URI.fullmatch(image_id)
        try:
            return await self.studio.images.get(uri[1] if uri else image_id)
        except NotFoundError as error:
            known = {"available_images": list(error.known)}
            raise RefusedCallError("image_not_found", error.message, known) from error

    async def picture(self, named: str, what: str) -> Named:
        """
        Return a picture that a call names: by its id, its URI, or the path of a file.

        Args:
            named: What the call says.
            what: The argument.

        Raises:
            RefusedCallError: There is no such picture, or no such file that may be read.
        """
        found = await self._found(named, what)
        if isinstance(found, AsyncSavedImage):
            return found
        return await asyncio.to_thread(files.read, found, self._roots(), what)

    @asynccontextmanager
    async def original(self, named: str, what: str) -> AsyncGenerator[AsyncSavedImage | Path, None]:
        """
        Give a picture that a call names with what lies beside it: a file as a copy, which nobody
        else can change meanwhile.
        """
        found = await self._found(named, what)
        if isinstance(found, AsyncSavedImage):
            yield found
            return
        with tempfile.TemporaryDirectory(prefix="imagesession-") as folder:
            copy = Path(folder) / found.name
            await asyncio.to_thread(_copy, found, copy, self._roots(), what)
            yield copy

    async def maybe_picture(self, named: str | None, what: str) -> Named | None:
        """
        Return a picture that a call names, if it names one.
        """
        return await self.picture(named, what) if named else None

    async def pictures(self, named: Iterable[str | None], what: str) -> list[Named]:
        """
        Return the pictures that a call names.
        """
        return [await self.picture(one, what) for one in named if one]

    async def _found(self, named: str, what: str) -> AsyncSavedImage | Path:
        """
        Return the picture of the library that is named, or where the file is that is.
        """
        if _URI.fullmatch(named) or not re.search(r"[/\\.:~]", named):
            return await self.image(named)
        real = await asyncio.to_thread(files.locate, named, self._roots(), what)
        return await self._kept_at(real) or real

    def _roots(self) -> tuple[Path, ...]:
        return self.state.roots(self.owner)

    async def _kept_at(self, real: Path) -> AsyncSavedImage | None:
        """
        Return the picture of the library that lies at a path, by the record beside it.
        """
        library = self.studio.library.resolve()
        if not real.is_relative_to(library):
            return None
        image_id = await asyncio.to_thread(_id_beside, real, (library,))
        if image_id is None:
            return None
        try:
            kept = await self.studio.images.get(image_id)
        except NotFoundError:
            return None
        return kept if kept.path.resolve() == real else None


def _id_beside(real: Path, roots: tuple[Path, ...]) -> str | None:
    try:
        facts: object = json.loads(files.read(real.with_suffix(".json"), roots, "image_path"))
    except (RefusedCallError, ValueError, RecursionError):
        return None
    image_id = cast("Facts", facts).get("image_id") if isinstance(facts, dict) else None
    return image_id if isinstance(image_id, str) else None


def _copy(real: Path, copy: Path, roots: tuple[Path, ...], what: str) -> None:
    copy.write_bytes(files.read(real, roots, what))
    for name in (f"{real.stem}.json", f"{real.stem}_metadata.json"):
        with suppress(RefusedCallError):
            beside = files.read(real.with_name(name), roots, what)
            copy.with_name(name).write_bytes(beside)


# --- drawing -----------------------------------------------------------------------------------


async def draw(
    ctx: Ctx,
    call: Call,
    make: Make,
    *,
    request_id: str | None,
    preview: bool,
    batch: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> CallToolResult:
    """
    Make a picture or a batch, and wait for it as long as clients do.

    Args:
        ctx: Reaches the client.
        call: Who asks for it.
        make: Makes it; what it is called is the work's id.
        request_id: What the client calls it.
        preview: Whether a preview is wanted.
        batch: Whether several may come.
        extra: What the result tells beside what the pictures know of themselves.
    """
    told = asked.get() if request_id else uuid.uuid4().hex
    work = Work(
        id=request_id or f"gen_{told[:12]}",
        owner=call.owner,
        asked=told,
        batch=batch,
        extra=extra or {},
    )

    async def carefully(begun: Work) -> Drawn:
        if request_id:
            await settle(call.studio, request_id, LOOK)
        return await make(begun)

    return await answer(ctx, call, call.state.works.begin(work, carefully), preview=preview)


async def answer(ctx: Ctx, call: Call, work: Work, *, preview: bool) -> CallToolResult:
    """
    Wait for something that is in the making, and return its result or how to come back for it.
    """

    async def report(seconds: float, stage: str) -> None:
        await ctx.report_progress(round(seconds, 3), None, f"{stage}, {seconds:.0f} s")

    settings = call.state.settings
    if not await call.state.works.wait(work, settings.wait_seconds, report):
        return results.hand_over(work.id, work.stage)
    return await results.show(
        work.result(),
        generation_id=work.id,
        batch=work.batch,
        extra=work.extra,
        preview_bytes=settings.preview_bytes if preview else 0,
    )


async def patiently(ctx: Ctx, work: Awaitable[T], stage: str) -> T:
    """
    Wait for something that takes seconds, and tell the client that it goes on.
    """
    task = asyncio.ensure_future(work)
    seconds = 0.0
    try:
        while not task.done():
            await ctx.report_progress(seconds, None, f"{stage}, {seconds:.0f} s")
            await asyncio.wait({task}, timeout=HEARTBEAT)
            seconds += HEARTBEAT
    finally:
        task.cancel()
    return task.result()


def intent_of(work_id: str) -> str:
    """
    Return how the library's records call a generation.
    """
    return INTENTS + work_id


async def kept(studio: AsyncStudio, work_id: str) -> tuple[AsyncSavedImage, ...]:
    """
    Return what was kept under a generation's id: a picture, the pictures of a batch, or nothing.

    Raises:
        OutcomeUnknownError: It was asked for, and nobody can tell what became of it.
    """
    single = await studio.images.find(idempotency_key=intent_of(work_id))
    if single is not None:
        return (single,)
    takes = [
        await studio.images.find(idempotency_key=f"{intent_of(work_id)}/{n}")
        for n in range(1, _TAKES + 1)
    ]
    return tuple(one for one in takes if one is not None)


async def turns_pending(studio: AsyncStudio, work_id: str) -> list[tuple[str, bool]]:
    """
    Return the turns of a generation that are not settled, and whether a program is at them.
    """
    intent = intent_of(work_id)
    return [
        (one.turn.id, one.running)
        for one in await studio.requests.pending()
        if one.turn.intent_id is not None
        and (one.turn.intent_id == intent or one.turn.intent_id.startswith(f"{intent}/"))
    ]


async def settle(studio: AsyncStudio, work_id: str, seconds: float) -> None:
    """
    Look up what an earlier run of the server may have left of a generation, which costs nothing.

    Args:
        studio: Whose it is.
        work_id: The generation.
        seconds: For how long to go on looking.

    Raises:
        RefusedCallError: It is not settled yet.
    """
    end = time.monotonic() + seconds
    while await turns_pending(studio, work_id):
        left = end - time.monotonic()
        if left <= 0:
            raise RefusedCallError(
                STILL_PENDING,
                f"Generation {work_id} was asked for before and is not settled yet; it is not "
                "asked for twice. Call get_generation for it later.",
                {"generation_id": work_id},
            )
        await studio.recover(timeout=left)
        # Whoever else is at it, such as the recovery that every start brings, needs a moment.
        await asyncio.sleep(min(left, _PAUSE))
