"""
A server that is asked before it is loaded, is left before it is, or cannot be.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

from imagesession_mcp.features import Features
from imagesession_mcp.http import guarded, mount
from imagesession_mcp.lifespan import Lifespan
from imagesession_mcp.server import Server, build_server
from imagesession_mcp.settings import Doors, Principal, Settings
from imagesession_mcp.tasks import Tasks
from tests.mcp.processes import OURS, ROOT, environment
from tests.mcp.serving import Era, Room

pytestmark = pytest.mark.anyio
_ANN = "ann-0123456789abcdef"


@attrs.define
class Gate:
    """
    Keeps servers from being loaded until it is opened.
    """

    opened: threading.Event = attrs.field(factory=threading.Event)
    reached: threading.Event = attrs.field(factory=threading.Event)

    def load(self, server: Server) -> Features:
        """
        Load a server once the gate is open.
        """
        self.reached.set()
        assert self.opened.wait(20)
        return _load(server)


_load = Server.load


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Generator[Gate, None, None]:
    """
    Give a gate that is closed, and opened at the end.
    """
    shut = Gate()

    def load(server: Server) -> Features:
        return shut.load(server)

    monkeypatch.setattr(Server, "load", load)
    yield shut
    shut.opened.set()


def _questions(client: Client) -> dict[str, Callable[[], Awaitable[Any]]]:
    session = PromptReference(type="ref/prompt", name="quick_image")
    return {
        "tools": client.list_tools,
        "resources": client.list_resources,
        "templates": client.list_resource_templates,
        "prompts": client.list_prompts,
        "prompt": lambda: client.get_prompt("quick_image", {"picture": "a fox"}),
        "guide": lambda: client.read_resource("imagesession://guide"),
        "completion": lambda: client.complete(session, {"name": "session_id", "value": ""}),
        "call": lambda: client.call_tool("get_server_stats", {}),
        "picture": lambda: client.call_tool("generate_image", {"prompt": "a fox"}),
    }


async def _ask_all(client: Client, gate: Gate) -> dict[str, Any]:
    """
    Ask everything while nothing is loaded, and then load it.
    """
    heard: dict[str, Any] = {}

    async def ask(name: str, question: Callable[[], Awaitable[Any]]) -> None:
        heard[name] = await question()

    async with anyio.create_task_group() as group:
        for name, question in _questions(client).items():
            group.start_soon(ask, name, question)
        await anyio.sleep(0.2)
        assert heard == {}
        gate.opened.set()
    return heard


def _check(heard: dict[str, Any]) -> None:
    assert len(heard["tools"].tools) > 20
    assert len(heard["resources"].resources) == 2
    assert len(heard["templates"].resource_templates) == 3
    assert len(heard["prompts"].prompts) == 3
    assert "a fox" in str(heard["prompt"].messages[0].content)
    assert "generate_image" in heard["guide"].contents[0].text
    assert heard["completion"].completion.values == []
    assert not heard["call"].is_error
    assert not heard["picture"].is_error


@pytest.mark.parametrize("extensions", [[], [Tasks()]], ids=["plain", "tasks"])
async def test_what_is_asked_at_once_is_answered_once_it_is_loaded(
    room: Room, gate: Gate, extensions: list[Tasks]
) -> None:
    """
    A client is greeted before anything is loaded; whatever it asks then waits, and is answered.
    """
    async with Client(room.serve(extensions=extensions), mode=room.era) as client:
        assert client.server_capabilities.completions is not None
        assert not gate.opened.is_set()
        _check(await _ask_all(client, gate))


async def test_what_waits_is_told_when_the_server_ends() -> None:
    """
    A request that waits for the server to load is told that nothing was done when it ends before.
    """
    loading: asyncio.Task[Any] = asyncio.create_task(asyncio.sleep(60))
    waiting = asyncio.create_task(Lifespan(loading).ready())
    await asyncio.sleep(0)
    loading.cancel()
    with pytest.raises(MCPError, match="ending; nothing was done"):
        await waiting


@asynccontextmanager
async def _over_http(room: Room, *, token: str = "") -> AsyncGenerator[httpx2.AsyncClient, None]:
    """
    Serve to whoever has the token, within this process.
    """
    doors = Doors(principals=(Principal("ann", _ANN),))
    app = mount(guarded(room.settings(http=True), doors), doors)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), headers=headers, base_url="http://127.0.0.1"
        ) as http,
    ):
        yield http


async def test_over_http_as_well(room: Room, gate: Gate) -> None:
    """
    Over HTTP too, for those who may call; and it says that it is there.
    """
    async with _over_http(room, token=_ANN) as http:
        assert (await http.get("/healthz")).status_code == 200
        reached = streamable_http_client("http://127.0.0.1/mcp", http_client=http)
        async with Client(reached, mode=room.era) as client:
            _check(await _ask_all(client, gate))


async def test_who_may_not_call_is_told_before_it_is_loaded(room: Room, gate: Gate) -> None:
    """
    Whoever shows no token is turned away at once.
    """
    async with _over_http(room) as http:
        answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert answer.status_code == 401
    assert not gate.opened.is_set()
    gate.opened.set()


async def test_it_ends_before_it_is_loaded(room: Room, gate: Gate) -> None:
    """
    A client that leaves at once is not held up, and no library is opened for it.
    """
    async with Client(room.serve(), mode=room.era):
        assert await anyio.to_thread.run_sync(gate.reached.wait, 5)
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    gate.opened.set()
    await anyio.sleep(0.1)
    assert not room.library.exists()


async def test_what_cannot_be_loaded_is_told(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Where something is missing, the client is greeted, every request is told of it, none hangs, and
    the log has the reason.
    """

    def fail(_: Server) -> Features:
        raise ModuleNotFoundError("No module named 'PIL'")

    monkeypatch.setattr(Server, "load", fail)
    with anyio.fail_after(10):
        async with Client(room.serve(), mode=room.era) as client:
            for _ in range(2):
                for question in _questions(client).values():
                    with pytest.raises(MCPError, match=r"not be loaded \(ModuleNotFoundError\)"):
                        await question()
    assert "No module named 'PIL'" in caplog.text


def test_threads_load_it_once(tmp_path: Path) -> None:
    """
    Whoever asks first loads it, and all others get the same.
    """
    server = build_server(Settings(library=tmp_path, offline=True))
    loaded: list[Features] = []
    threads = [threading.Thread(target=lambda: loaded.append(server.load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(loaded) == 4
    assert len({id(one) for one in loaded}) == 1


def test_a_process_is_asked_in_its_first_millisecond(tmp_path: Path, era: Era) -> None:
    """
    A process that finds its questions before it runs answers all of them.
    """
    newest = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    meta = {
        **newest,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    params: dict[str, Any] = {} if era == "legacy" else {"_meta": meta}
    methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]
    first = ("initialize", hello) if era == "legacy" else ("server/discover", params)
    asked = [first, *((method, params) for method in methods)]
    with subprocess.Popen(
        [sys.executable, *OURS, "--offline", "--library", str(tmp_path)],
        env=environment(), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for number, (method, given) in enumerate(asked):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": given}
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        heard = [json.loads(process.stdout.readline()) for _ in asked]
        process.stdin.close()
        assert process.wait(20) == 0
    assert heard[0]["id"] == 0
    assert sorted(one["id"] for one in heard) == list(range(len(asked)))
    assert all("result" in one for one in heard), heard
