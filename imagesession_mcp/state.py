"""
What lives as long as the server: its studios, and what is in the making.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context

from imagesession import AsyncStudio, Budget
from imagesession.errors import ImageSessionError
from imagesession_mcp.errors import RefusedCallError
from imagesession_mcp.settings import Settings
from imagesession_mcp.works import Works

OWNER = ""
"""Who calls where nobody has to say who they are: the person whose computer it is."""
INTENTS = "mcp/"
"""Before the ids of generations, in the library's own records."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RECOVERING = 30.0

log = logging.getLogger("imagesession_mcp")
OpenStudio: TypeAlias = Callable[[Settings, Path | None], AsyncStudio]


def open_studio(settings: Settings, library: Path | None) -> AsyncStudio:
    """
    Open a studio as the settings say.

    Args:
        settings: What the person decided.
        library: The folder where its pictures are kept.
    """
    budget = None if settings.daily_budget is None else Budget(per_day=settings.daily_budget)
    make = AsyncStudio.offline if settings.offline else AsyncStudio
    return make(
        library,
        budget=budget,
        patience=settings.patience,
        provider_state=settings.provider_state,
    )


@attrs.define(eq=False)
class State:
    """
    What lives as long as the server.

    Attributes:
        settings: What the person decided.
        open: Opens a studio.
        works: What is in the making.
    """

    settings: Settings
    open: OpenStudio = open_studio
    works: Works = attrs.field(factory=Works)
    _studios: dict[str, AsyncStudio] = attrs.field(factory=dict[str, AsyncStudio])
    _recovering: set[asyncio.Task[None]] = attrs.field(factory=set[asyncio.Task[None]])

    def studio(self, owner: str) -> AsyncStudio:
        """
        Return somebody's studio; what an earlier run left there is recovered beside.

        Raises:
            RefusedCallError: The name is none that a folder can have.
            LibraryError: The folder cannot be used.
        """
        if owner not in self._studios:
            library = self.settings.library
            if owner != OWNER:
                library = self.studio(OWNER).library / "principals" / _checked(owner)
            self._studios[owner] = self.open(self.settings, library)
            task = asyncio.create_task(self._set_going(self._studios[owner]), name="recovery")
            self._recovering.add(task)
            task.add_done_callback(self._recovering.discard)
        return self._studios[owner]

    async def _set_going(self, studio: AsyncStudio) -> None:
        """
        Load what takes most of a second while nobody is waiting, and settle what was left behind.
        """
        try:
            await studio._connect()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - loads what the first call needs, while nobody waits
            if self.settings.alone:
                # What is loaded stays. Looking through it for garbage, as Python does now and then,
                # stops everything for up to a fifth of a second.
                gc.freeze()
            found = await studio.recover(timeout=_RECOVERING)
        except ImageSessionError as error:
            log.info("Nothing was recovered: %s", error)
        else:
            if found.images or found.failed or found.left:
                log.info("Of an earlier run: %s", found)

    def roots(self, owner: str) -> tuple[Path, ...]:
        """
        Return the folders from which files are read for somebody.
        """
        folders = (self.studio(owner).library, *self.settings.allow_dirs)
        return tuple(folder.resolve() for folder in folders)

    def begin(self) -> None:
        """
        Open the library of the person whose computer it is, and recover what was left there.
        """
        try:
            self.studio(OWNER)
        except ImageSessionError as error:
            log.warning("The library cannot be used: %s", error)

    async def close(self) -> None:
        """
        End what can be ended soon, and leave the rest to be recovered.
        """
        for task in self._recovering:
            task.cancel()
        await self.works.stop()
        for studio in self._studios.values():
            await studio.close()


Ctx: TypeAlias = Context[Any, Any]


serving: ContextVar[State] = ContextVar("serving")
"""The state of the server that carries out the present request."""


def current_studio() -> AsyncStudio:
    """
    Return the studio of whoever sent the present request.
    """
    return serving.get().studio(owner_of())


def owner_of() -> str:
    """
    Return who calls.
    """
    token = get_access_token()
    return OWNER if token is None else _checked(token.client_id)


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None or ".." in name:
        raise RefusedCallError("no_access", "This token's name is none that a folder can have.")
    return name
