"""
Requests right after connecting, immediate disconnects, and a library that cannot be loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

from imagesession import AsyncStudio
from imagesession_mcp.http import build_asgi_app, build_authenticated_server
from imagesession_mcp.option_values import Principal
from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks_extension import TasksExtension
from tests.mcp.processes import ROOT, SERVER_MODULE, environment
from tests.mcp.serving import BOTH_ERAS, Era, Room, text

pytestmark = pytest.mark.anyio
_ANN = "ann-0123456789abcdef"


def _requests(client: Client) -> dict[str, Callable[[], Awaitable[Any]]]:
    prompt = PromptReference(type="ref/prompt", name="quick_image")
    return {
        "tools": client.list_tools,
        "resources": client.list_resources,
        "templates": client.list_resource_templates,
        "prompts": client.list_prompts,
        "prompt": lambda: client.get_prompt("quick_image", {"image": "a fox"}),
        "guide": lambda: client.read_resource("imagesession://guide"),
        "completion": lambda: client.complete(prompt, {"name": "session_id", "value": ""}),
        "call": lambda: client.call_tool("get_server_stats", {}),
        "picture": lambda: client.call_tool("generate_image", {"prompt": "a fox"}),
    }


async def _check_answers(client: Client) -> None:
    """
    Send all requests at once, and check the responses.
    """
    answers: dict[str, Any] = {}

    async def send(name: str, request: Callable[[], Awaitable[Any]]) -> None:
        answers[name] = await request()

    async with anyio.create_task_group() as group:
        for name, request in _requests(client).items():
            group.start_soon(send, name, request)
    assert len(answers["tools"].tools) > 15
    assert len(answers["resources"].resources) == 2
    assert len(answers["templates"].resource_templates) == 3
    assert len(answers["prompts"].prompts) == 3
    assert "a fox" in str(answers["prompt"].messages[0].content)
    assert "generate_image" in answers["guide"].contents[0].text
    assert answers["completion"].completion.values == []
    assert not answers["call"].is_error
    assert not answers["picture"].is_error


@BOTH_ERAS
@pytest.mark.parametrize("extensions", [[], [TasksExtension()]], ids=["plain", "tasks"])
async def test_first_requests_are_answered(room: Room, extensions: list[TasksExtension]) -> None:
    """
    Requests sent right after connecting are answered.
    """
    async with Client(room.serve(extensions=extensions), mode=room.era) as client:
        assert client.server_capabilities.completions is not None
        assert client.server_info is not None
        icons = client.server_info.icons
        assert icons
        assert "<svg" in unquote(icons[0].src)
        await _check_answers(client)


@asynccontextmanager
async def _over_http(room: Room) -> AsyncGenerator[httpx2.AsyncClient, None]:
    """
    Serve over HTTP within this process, for a caller with a token.
    """
    settings = room.settings(http=True, principals=(Principal("ann", _ANN),))
    app = build_asgi_app(build_authenticated_server(settings), settings)
    headers = {"Authorization": f"Bearer {_ANN}"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), headers=headers, base_url="http://127.0.0.1"
        ) as http,
    ):
        yield http


@BOTH_ERAS
async def test_first_requests_over_http_are_answered(room: Room) -> None:
    """
    First requests over HTTP are answered too, and /healthz is available.
    """
    async with _over_http(room) as http:
        assert (await http.get("/healthz")).status_code == 200
        transport = streamable_http_client("http://127.0.0.1/mcp", http_client=http)
        async with Client(transport, mode=room.era) as client:
            await _check_answers(client)


@BOTH_ERAS
async def test_server_stops_if_its_client_disconnects_at_once(room: Room) -> None:
    """
    A client that disconnects at once does not wait for the server to load.
    """
    with anyio.fail_after(60):
        async with Client(room.serve(), mode=room.era):
            pass


@BOTH_ERAS
async def test_library_that_cannot_be_loaded_is_reported(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """
    If a part of the installation is missing, the server starts and lists its tools; each call is
    answered with an error, and the log has the reason.
    """

    def fail(_: Settings, __: Path | str | None) -> AsyncStudio:
        raise ModuleNotFoundError("No module named 'PIL'")

    server = build_server(room.settings(), open=fail)
    async with Client(server, mode=room.era) as client:
        assert len((await client.list_tools()).tools) > 15
        for _ in range(2):
            result = await client.call_tool("get_server_stats", {})
            assert result.is_error
            assert text(result)["code"] == "internal_error"
    assert "No module named 'PIL'" in caplog.text


def test_server_starts_without_the_library() -> None:
    """
    A server can be built, and answer `initialize`, before the library and its dependencies are
    imported.
    """
    program = """
import sys
from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Settings
build_server(Settings(offline=True))
print(sorted({"PIL", "openai", "sqlite3"} & sys.modules.keys()))
"""
    command = [sys.executable, "-c", program]
    process_result = subprocess.run(
        command, env=environment(), cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert process_result.stdout == "[]\n"


def test_requests_that_wait_for_the_process_are_answered(tmp_path: Path, era: Era) -> None:
    """
    Requests that are on stdin when the process starts are all answered.
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
    requests = [first, *((method, params) for method in methods)]
    with subprocess.Popen(
        [sys.executable, *SERVER_MODULE, "--offline", "--library", str(tmp_path)],
        env=environment(), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for number, (method, parameters) in enumerate(requests):
            message = {
                "jsonrpc": "2.0",
                "id": number,
                "method": method,
                "params": parameters,
            }
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in requests]
        process.stdin.close()
        assert process.wait(60) == 0
    assert answers[0]["id"] == 0
    assert sorted(answer["id"] for answer in answers) == list(range(len(requests)))
    assert all("result" in answer for answer in answers), answers
