"""
How long a server lives: what it works with is loaded while its first clients are greeted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
from mcp import MCPError
from mcp.types import CONNECTION_CLOSED, INTERNAL_ERROR

from imagesession_mcp.settings import Settings

if TYPE_CHECKING:
    from imagesession_mcp.state import OpenStudio, State

log = logging.getLogger("imagesession_mcp")


@attrs.frozen(eq=False)
class Lifespan:
    """
    The life of a server.

    Attributes:
        loading: Loads what it works with.
    """

    loading: asyncio.Task[State]

    async def ready(self) -> None:
        """
        Wait until everything is loaded, and let the present request find it.

        Raises:
            MCPError: It could not be loaded, or the server ends before it is.
        """
        if not self.loading.done():
            await asyncio.wait({self.loading})
        if self.loading.cancelled():
            raise MCPError(CONNECTION_CLOSED, "This server is ending; nothing was done.")
        try:
            state = self.loading.result()
        except Exception as error:
            raise MCPError(
                INTERNAL_ERROR,
                f"This server could not be loaded ({type(error).__name__}); its log says why. "
                "Only whoever runs it can help; imagesession may have to be installed anew.",
            ) from error
        from imagesession_mcp.state import serving  # noqa: PLC0415 - loaded by now

        serving.set(state)


@asynccontextmanager
async def living(
    load: Callable[[], object], settings: Settings, open: OpenStudio | None
) -> AsyncGenerator[Lifespan, None]:
    """
    Load what a server works with while it runs, and close it when it ends.

    Args:
        load: Loads what the server offers; it is called in a thread.
        settings: What the person decided.
        open: Opens a studio; None for the usual way.
    """
    loading = asyncio.create_task(_load(load, settings, open), name="loading")
    try:
        yield Lifespan(loading)
    finally:
        loading.cancel()  # of no effect once it is done
        await asyncio.wait({loading})
        if not loading.cancelled() and loading.exception() is None:
            await loading.result().close()


async def _load(load: Callable[[], object], settings: Settings, open: OpenStudio | None) -> State:
    try:
        await asyncio.to_thread(load)
        from imagesession_mcp.state import State, open_studio  # noqa: PLC0415 - loaded by now

        state = State(settings, open or open_studio)
        state.begin()
    except Exception:
        log.exception("The server could not be loaded")
        raise
    return state
