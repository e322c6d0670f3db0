"""
The server over streamable HTTP: who may call it, from where, and what they see.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import MCPError
from PIL import Image
from starlette.testclient import TestClient

import imagesession
from imagesession.testing import FakeOpenAI, serve, tiny_image
from imagesession_mcp.http import (
    GRACE,
    BearerTokens,
    build_asgi_app,
    build_authenticated_server,
    transport_security,
)
from imagesession_mcp.settings import HttpSettings, Principal, Settings
from imagesession_mcp.tasks import STOP_TIMEOUT
from tests.mcp.processes import OURS, Running, connected, listening
from tests.mcp.serving import Era, text

pytestmark = pytest.mark.anyio
ANN = "ann-0123456789abcdef"
BOB = "bob-0123456789abcdef"
TOKENS = f"# who may call\nann:{ANN}\n\nbob:{BOB}\n"
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
_ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """
    A server on this computer, for whoever calls.
    """
    library = tmp_path_factory.mktemp("open")
    allowed = library.parent / "allowed"
    allowed.mkdir()
    arguments = ("--offline", "--library", str(library), "--allow-dir", str(allowed))
    with listening(*arguments) as running:
        yield running


@pytest.fixture(scope="module")
def guarded_house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """
    A server on this computer, for two who have tokens.
    """
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(TOKENS)
    arguments = ("--offline", "--library", str(folder), "--token-file", str(folder / "tokens"))
    with listening(*arguments) as running:
        yield running


def _greet(url: str, **headers: str) -> httpx2.Response:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(url, json=_HELLO, headers={**_ACCEPT, **spelled})


async def test_client_generates_a_picture(open_house: Running, era: Era) -> None:
    """
    A client over HTTP gets a picture and hears how far it is; the file is on the disk.
    """
    received: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        received.append(progress)

    async with connected(era, open_house.url) as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "a red kettle"}, progress_callback=on_progress
        )
    with Image.open(text(result)["image_path"]) as picture:
        assert picture.size == (1024, 1024)
    assert received


async def test_requests_stand_alone(open_house: Running, era: Era) -> None:
    """
    Nothing is kept between requests, so there is no session that another copy would not know.
    """
    async with connected(era, open_house.url) as client:
        await client.list_tools()
    assert "mcp-session-id" not in _greet(open_house.url).headers


def test_health_check_answers(open_house: Running, guarded_house: Running) -> None:
    """
    /healthz answers without a token, for whoever watches over the server.
    """
    for house in (open_house, guarded_house):
        answer = httpx2.get(house.url.replace("/mcp", "/healthz"))
        assert answer.json() == {"status": "ok", "version": imagesession.__version__}


@pytest.mark.parametrize(
    "headers,status",
    [
        ({}, 200),
        ({"Origin": "http://localhost:5173"}, 200),
        ({"Host": "evil.example.com"}, 421),
        ({"Origin": "http://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_foreign_web_pages_are_refused(
    open_house: Running, headers: dict[str, str], status: int
) -> None:
    """
    A page that a browser shows cannot call, nor a name that was pointed at this computer.
    """
    assert _greet(open_house.url, **headers).status_code == status


@pytest.mark.parametrize("shown", ["", "Bearer wrong", f"Bearer {ANN[:-1]}", f"Basic {ANN}"])
def test_calls_without_the_token_are_refused(guarded_house: Running, shown: str) -> None:
    """
    Without the whole token nothing is told but that one is needed.
    """
    headers = {"Authorization": shown} if shown else {}
    answer = _greet(guarded_house.url, **headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_principals_are_isolated(guarded_house: Running, era: Era) -> None:
    """
    One who knows the ids of another's sessions and pictures still cannot see them.
    """
    async with connected(era, guarded_house.url, ANN) as ann:
        made = text(await ann.call_tool("create_image_session", {"description": "Ann's secret"}))
        call = {"session_id": made["session_id"], "prompt": "a kettle"}
        drawn = text(await ann.call_tool("generate_image_in_session", call))
    async with connected(era, guarded_house.url, BOB) as bob:
        listed = await bob.call_tool("list_active_sessions", {})
        assert made["session_id"] not in str(listed)
        for tool, arguments in (
            ("get_session_status", {"session_id": made["session_id"]}),
            ("view_image", {"image_id": drawn["image_id"]}),
            ("get_generation", {"generation_id": drawn["generation_id"]}),
            ("edit_image", {"image_path": drawn["image_path"], "prompt": "mine"}),
        ):
            result = await bob.call_tool(tool, arguments)
            assert result.is_error, tool
            assert "Ann's secret" not in str(result)
        with pytest.raises(MCPError, match="no picture"):
            await bob.read_resource(f"imagesession://images/{drawn['image_id']}")
    async with connected(era, guarded_house.url, ANN) as ann:
        assert not (await ann.call_tool("view_image", {"image_id": drawn["image_id"]})).is_error
    assert "/principals/ann/" in drawn["image_path"]


async def test_files_are_read_only_beneath_allowed_folders(open_house: Running, era: Era) -> None:
    """
    Over HTTP as over stdio, a file can be named only beneath the folders that the person allowed.
    """
    async with connected(era, open_house.url) as client:
        drawn = text(await client.call_tool("generate_image", {"prompt": "a kettle"}))
        library = Path(drawn["image_path"]).parent.parent
        allowed, outside = library.parent / "allowed" / "a.png", library.parent / "b.png"
        for file in (allowed, outside):
            file.write_bytes(tiny_image("png"))
        edit = {"prompt": "make it blue"}
        fine = await client.call_tool("edit_image", {"image_path": str(allowed), **edit})
        assert not fine.is_error, fine
        for path in (str(outside), "/etc/hostname", f"{library}/../b.png", f"file://{allowed}"):
            result = await client.call_tool("edit_image", {"image_path": path, **edit})
            assert result.is_error, path


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no signals there")
@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.faults)])
async def test_stopped_server_loses_nothing(tmp_path: Path, era: Era) -> None:
    """
    Stopped in the middle of a picture, the server ends within its periods of grace and about the
    time that it needs to start; the next one finds the picture, which was paid for once.
    """
    provider = FakeOpenAI(latency=3)
    with serve(provider) as served:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": served.base_url}
        call = {"prompt": "a kettle", "request_id": "kettle"}
        begun = time.monotonic()
        with listening("--library", str(tmp_path), **env) as running:
            starting = time.monotonic() - begun
            start, status = 0.0, 0
            async with anyio.create_task_group() as group:
                group.start_soon(_give_up_on, era, running.url, call)
                with anyio.fail_after(60):
                    while not _paid(provider):  # noqa: ASYNC110 - it is in another thread
                        await anyio.sleep(0.02)
                start = time.monotonic()
                status = await anyio.to_thread.run_sync(running.stop)
                group.cancel_scope.cancel()
            assert status in {0, -signal.SIGTERM}
            assert time.monotonic() - start < GRACE + 2 * STOP_TIMEOUT + 4 * starting
        with listening("--library", str(tmp_path), **env) as running:
            async with connected(era, running.url) as client:
                answer: dict[str, Any] = {}
                with anyio.fail_after(60):
                    while "image_path" not in answer:
                        given = {"generation_id": "kettle"}
                        answer = text(await client.call_tool("get_generation", given))
                        await anyio.sleep(0.1)
    assert await anyio.Path(answer["image_path"]).is_file()
    assert _paid(provider) == 1


def _paid(provider: FakeOpenAI) -> int:
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


async def _give_up_on(era: Era, url: str, call: dict[str, str]) -> None:
    with anyio.move_on_after(30):
        try:
            async with connected(era, url) as client:
                await client.call_tool("generate_image", call)
        except Exception:  # noqa: BLE001, S110 - whatever it hears when the server goes away
            pass


def test_taken_port_is_reported(tmp_path: Path) -> None:
    """
    When another program listens there, the server says so and ends with status 1.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, *OURS, "--offline", "--library", str(tmp_path)]
        ended = subprocess.run(
            [*command, "--http", "--port", port], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_token_identifies_its_principal() -> None:
    """
    A token stands for a name, and is itself told to nobody further on.
    """
    tokens = BearerTokens((Principal("ann", ANN), Principal("bob", BOB)))
    access = await tokens.verify_token(BOB)
    assert access is not None
    assert access.client_id == "bob"
    assert BOB not in repr(access)
    assert await tokens.verify_token("") is None
    assert await tokens.verify_token("\ud800") is None
    assert ANN not in repr(Principal("ann", ANN))


def test_hosts_and_origins_are_checked() -> None:
    """
    Whatever address it listens on, hosts and origins are checked; a wildcard is no name.
    """
    everywhere = transport_security(
        HttpSettings(host="0.0.0.0", allow_hosts=("images.example.com",))  # noqa: S104 - is refused
    )
    assert everywhere.enable_dns_rebinding_protection
    assert "images.example.com:*" in everywhere.allowed_hosts
    assert not any("0.0.0.0" in host for host in everywhere.allowed_hosts)  # noqa: S104 - as above
    six = transport_security(
        HttpSettings(host="fd00::1", allow_origins=("https://app.example.com",))
    )
    assert "[fd00::1]:*" in six.allowed_hosts
    assert "https://app.example.com" in six.allowed_origins


def test_allowed_host_and_origin_are_accepted(tmp_path: Path) -> None:
    """
    A host and an origin that the person allowed are let in; their like are not.
    """
    http = HttpSettings(
        allow_hosts=("images.example.com",), allow_origins=("https://app.example.com",)
    )
    settings = Settings(library=tmp_path, offline=True, http=True)
    app = build_asgi_app(build_authenticated_server(settings, http), http)
    with TestClient(app, base_url="http://images.example.com") as client:
        hello: dict[str, Any] = {"url": "/mcp", "json": _HELLO}
        allowed = {**_ACCEPT, "Origin": "https://app.example.com"}
        assert client.post(**hello, headers=allowed).status_code == 200
        other = {**_ACCEPT, "Origin": "https://app.example.com.evil.example"}
        assert client.post(**hello, headers=other).status_code == 403
        host = {**_ACCEPT, "Host": "images.example.com.evil.example"}
        assert client.post(**hello, headers=host).status_code == 421
