"""
Helpers of the server's tests: a server over an offline provider, and an in-memory client, in either
era of the protocol.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
import pytest
from mcp import Client
from mcp.server.extension import Extension
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

from imagesession import AsyncStudio, Budget
from imagesession_mcp.server import Server, build_server
from imagesession_mcp.settings import Settings
from tests.clock import HoldingProvider

Era: TypeAlias = Literal["auto", "legacy"]
LEGACY = pytest.param("legacy", marks=pytest.mark.faults)
BOTH_ERAS = pytest.mark.parametrize("era", ["auto", "legacy"], indirect=True)


@attrs.define
class Caller:
    """
    A client, and the progress notifications that it got.
    """

    client: Client
    progress: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])

    async def __call__(self, name: str, /, **arguments: Any) -> CallToolResult:
        """
        Call a tool.
        """
        return await self.client.call_tool(name, arguments, progress_callback=self._on_progress)

    async def success(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """
        Call a tool that must succeed, and return its parsed text.
        """
        result = await self(name, **arguments)
        assert not result.is_error, text(result)
        return text(result)

    async def failure(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """
        Call a tool that must fail, and return its parsed text.
        """
        result = await self(name, **arguments)
        assert result.is_error
        # Clients check structured content against the schema of a success.
        assert result.structured_content is None
        error = text(result)
        assert error["success"] is False
        assert error["error"]
        return error

    async def _on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        self.progress.append((progress, message or ""))


@attrs.define
class Room:
    """
    A library and a provider for servers that are started one after another.
    """

    library: Path
    era: Era
    provider: HoldingProvider = attrs.field(factory=HoldingProvider)

    def settings(self, **changes: Any) -> Settings:
        """
        Return settings for this library.
        """
        values: dict[str, Any] = {"library": self.library, "offline": True, **changes}
        return Settings(**values)

    def serve(self, extensions: Sequence[Extension] = (), **changes: Any) -> Server:
        """
        Build a server with this provider.
        """

        def open_studio(settings: Settings, library: Path | str | None) -> AsyncStudio:
            daily_budget, owner = settings.daily_budget, settings.owner
            budget = None if daily_budget is None else Budget(per_day=daily_budget)
            return AsyncStudio.offline(
                library, owner=owner, provider=self.provider, budget=budget, retry_timeout=0
            )

        settings = self.settings(**changes)
        return build_server(settings, open=open_studio, extensions=list(extensions))

    @asynccontextmanager
    async def connect(self, **changes: Any) -> AsyncGenerator[Caller, None]:
        """
        Start a server, connect a client, and stop both.
        """
        async with Client(self.serve(**changes), mode=self.era) as client:
            yield Caller(client)

    @property
    def posts(self) -> int:
        """
        The number of billed requests.
        """
        return self.provider.posts


Rooms: TypeAlias = Callable[..., Room]


def text(result: CallToolResult) -> dict[str, Any]:
    """
    Return a result's text, parsed.
    """
    block = next(block for block in result.content if isinstance(block, TextContent))
    payload: dict[str, Any] = json.loads(block.text)
    return payload


def images(result: CallToolResult) -> list[bytes]:
    """
    Return a result's previews.
    """
    return [
        base64.b64decode(block.data) for block in result.content if isinstance(block, ImageContent)
    ]


def links(result: CallToolResult) -> list[ResourceLink]:
    """
    Return a result's links.
    """
    return [block for block in result.content if isinstance(block, ResourceLink)]


def file_of(payload: dict[str, Any]) -> bytes:
    """
    Read the image file that a result names.
    """
    return Path(payload["image_path"]).read_bytes()


def remove(payload: dict[str, Any]) -> None:
    """
    Remove the image file that a result names.
    """
    Path(payload["image_path"]).unlink()
