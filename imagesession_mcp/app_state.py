"""
The server's state: its studios and its tasks.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp.downloads import DownloadAddresses
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks import TaskRegistry

LOCAL_PRINCIPAL = ""
"""The principal of calls without a token: the person whose computer it is."""
_PRINCIPAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RECOVERY_TIMEOUT = 30.0

log = logging.getLogger("imagesession_mcp")
OpenStudio: TypeAlias = "Callable[[Settings, Path | str | None], imagesession.AsyncStudio]"
Ctx: TypeAlias = Context[Any, Any]


def open_studio(settings: Settings, library: Path | str | None) -> imagesession.AsyncStudio:
    """
    Open a studio with the server's settings.
    """
    daily_budget = settings.daily_budget
    limit = "per_day" if settings.owner is None else "per_owner_per_day"
    make = imagesession.AsyncStudio.offline if settings.offline else imagesession.AsyncStudio
    return make(
        library,
        owner=settings.owner,
        budget=None if daily_budget is None else imagesession.Budget(**{limit: daily_budget}),
        server=settings.server,
        api=settings.api,
        provider_state=settings.provider_state,
        max_active_sessions=settings.max_sessions,
        session_idle_timeout=settings.session_timeout,
    )


@attrs.define(eq=False)
class AppState:
    """
    State that lives as long as the server.

    Attributes:
        downloads: Makes addresses of images; None if there is no HTTP.
        noted: Set for each principal once what an earlier run left pending is known.
    """

    settings: Settings
    open: OpenStudio = open_studio
    tasks: TaskRegistry = attrs.field(factory=TaskRegistry)
    downloads: DownloadAddresses | None = None
    noted: defaultdict[str, asyncio.Event] = attrs.field(factory=lambda: defaultdict(asyncio.Event))
    _studios: dict[str, imagesession.AsyncStudio] = attrs.field(factory=dict[str, Any])
    _background: set[asyncio.Task[None]] = attrs.field(factory=set[asyncio.Task[None]])

    def start(self) -> None:
        """
        Open the library of the local principal in the background, and recover what is pending.
        """
        self._spawn(self._open_library())

    def studio(self, principal: str) -> imagesession.AsyncStudio:
        """
        Return a principal's studio. When it is opened, recovery starts in the background.
        """
        if principal not in self._studios:
            library, owner = self.settings.library, None
            if principal != LOCAL_PRINCIPAL:
                shared = self.studio(LOCAL_PRINCIPAL).library
                if isinstance(shared, Path):
                    library = shared / "principals" / principal
                elif len(self.settings.principals) > 1:
                    owner = principal
            budget = self.settings.budget_of(principal)
            settings = attrs.evolve(self.settings, daily_budget=budget, owner=owner)
            self._studios[principal] = studio = self.open(settings, library)
            self._spawn(self._recover_library(principal, studio))
        return self._studios[principal]

    def allowed_folders(self, principal: str) -> imagesession.AllowedFolders:
        """
        Return the folders from which a principal's files may be read: its library and those that
        the operator allowed, without the other principals' libraries in them.
        """
        library, all_libraries = (
            self.studio(principal).library,
            self.studio(LOCAL_PRINCIPAL).library,
        )
        # A library that is not a folder has no files that calls could name.
        own = (library,) if isinstance(library, Path) else ()
        return imagesession.AllowedFolders(
            tuple(folder.resolve() for folder in (*own, *self.settings.allow_dirs)),
            None if principal == LOCAL_PRINCIPAL else Path(all_libraries).resolve(),
            "The server's operator can allow further folders with --allow-dir.",
        )

    async def close(self) -> None:
        """
        Let tasks finish if they can do so soon, and leave the rest to recovery.
        """
        for task in self._background:
            task.cancel()
        await self.tasks.stop()
        for studio in self._studios.values():
            await studio.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _open_library(self) -> None:
        try:
            # The package imports a name when it is first used. That takes a third as long as the
            # rest of the start, so it runs in a thread while the client gets its first response.
            await asyncio.to_thread(getattr, imagesession, "AsyncStudio")
            self.studio(LOCAL_PRINCIPAL)
        except ImageSessionError as error:
            log.warning("The library cannot be used: %s", error)
        except Exception:
            log.exception("The library cannot be loaded")

    async def _recover_library(self, principal: str, studio: imagesession.AsyncStudio) -> None:
        """
        Note what an earlier run left pending, create the provider's client before a call needs it,
        and recover what is pending.
        """
        try:
            try:
                for pending in await studio.requests.pending():
                    if not pending.running:
                        self.tasks.leave(principal, pending.turn)
            finally:
                self.noted[principal].set()
            await studio._connect()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - creates the client ahead of the first call
            if self.settings.owns_process:
                # All modules are loaded by now. Without this, each full garbage collection scans
                # them and pauses the process for up to 0.2 seconds.
                gc.freeze()
            recovered = await studio.recover(timeout=_RECOVERY_TIMEOUT)
        except ImageSessionError as error:
            log.info("Nothing was recovered: %s", error)
        else:
            if recovered != type(recovered)():
                log.info("Recovered from an earlier run: %s", recovered)


app_state: ContextVar[AppState] = ContextVar("app_state")
"""The state of the server that handles the current request."""


def current_principal() -> str:
    """
    Return the principal that sent the current request, whose name is one for a folder.
    """
    token = get_access_token()
    if token is None:
        return LOCAL_PRINCIPAL
    if _PRINCIPAL_NAME.fullmatch(token.client_id) is None or ".." in token.client_id:
        raise ToolCallError("no_access", "The token's name is not valid as a folder name.")
    return token.client_id
