"""
The server over streamable HTTP: authentication, checks of host and origin, and isolation.
"""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from mcp import MCPError
from PIL import Image
from starlette.testclient import TestClient

import imagesession
from imagesession.testing import FakeOpenAI, serve, tiny_image
from imagesession_mcp import downloads
from imagesession_mcp.downloads import DownloadAddresses
from imagesession_mcp.http import (
    BearerTokens,
    bind,
    build_asgi_app,
    build_authenticated_server,
    transport_security,
)
from imagesession_mcp.option_values import Principal
from imagesession_mcp.settings import Settings
from tests.clock import HoldingProvider
from tests.mcp.processes import SERVER_MODULE, Running, connect_http, run_http_server
from tests.mcp.serving import BOTH_ERAS, Era, text

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
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """
    A server on this computer without tokens.
    """
    library = tmp_path_factory.mktemp("open")
    allowed = library.parent / "allowed"
    allowed.mkdir()
    arguments = ("--offline", "--library", str(library), "--allow-dir", str(allowed))
    with run_http_server(*arguments) as running:
        yield running


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    """
    A server on this computer with two principals.
    """
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(TOKENS)
    arguments = ("--offline", "--library", str(folder), "--token-file", str(folder / "tokens"))
    with run_http_server(*arguments) as running:
        yield running


def _initialize(url: str, **headers: str) -> httpx2.Response:
    header_names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(url, json=_HELLO, headers={**_ACCEPT, **header_names}, timeout=60)


@BOTH_ERAS
async def test_client_generates_an_image(open_server: Running, era: Era) -> None:
    """
    A client over HTTP gets an image and progress notifications; the file is on disk.
    """
    received: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        received.append(progress)

    async with connect_http(era, open_server.url) as client:
        result = await client.call_tool(
            "generate_image", {"prompt": "a red kettle"}, progress_callback=on_progress
        )
    with Image.open(text(result)["image_path"]) as picture:
        assert picture.size == (1024, 1024)
    assert received


@BOTH_ERAS
async def test_requests_are_stateless(open_server: Running, era: Era) -> None:
    """
    No session is kept between requests, so any instance can answer them.
    """
    async with connect_http(era, open_server.url) as client:
        await client.list_tools()
    assert "mcp-session-id" not in _initialize(open_server.url).headers


def test_health_check_answers(open_server: Running, token_server: Running) -> None:
    """
    /healthz answers without a token, for monitoring.
    """
    for server in (open_server, token_server):
        answer = httpx2.get(server.url.replace("/mcp", "/healthz"), timeout=60)
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
def test_foreign_hosts_and_origins_are_rejected(
    open_server: Running, headers: dict[str, str], status: int
) -> None:
    """
    Requests from foreign web pages, and to rebound host names, are rejected.
    """
    assert _initialize(open_server.url, **headers).status_code == status


@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Bearer {ANN[:-1]}", f"Basic {ANN}"])
def test_calls_without_a_valid_token_are_rejected(token_server: Running, header: str) -> None:
    """
    Without a valid token the response says only that one is required.
    """
    headers = {"Authorization": header} if header else {}
    answer = _initialize(token_server.url, **headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_principals_are_isolated(token_server: Running, era: Era) -> None:
    """
    A principal cannot see another's sessions and images, even by their ids.
    """
    async with connect_http(era, token_server.url, ANN) as ann:
        session = text(await ann.call_tool("create_image_session", {"description": "Ann's secret"}))
        call = {
            "session_id": session["session_id"],
            "prompt": "a kettle",
            "request_id": f"kettle-{era}",
        }
        image = text(await ann.call_tool("generate_image_in_session", call))
    async with connect_http(era, token_server.url, BOB) as bob:
        listed = await bob.call_tool("list_active_sessions", {})
        assert session["session_id"] not in str(listed)
        for tool, arguments in (
            ("get_session_status", {"session_id": session["session_id"]}),
            ("view_image", {"image_id": image["image_id"]}),
            ("get_generation", {"generation_id": f"kettle-{era}"}),
            ("edit_image", {"image_path": image["image_path"], "prompt": "mine"}),
        ):
            result = await bob.call_tool(tool, arguments)
            assert result.is_error, tool
            assert "Ann's secret" not in str(result)
        with pytest.raises(MCPError, match="no image"):
            await bob.read_resource(f"imagesession://images/{image['image_id']}")
    async with connect_http(era, token_server.url, ANN) as ann:
        assert not (await ann.call_tool("view_image", {"image_id": image["image_id"]})).is_error
    assert "/principals/ann/" in image["image_path"]


async def test_remote_caller_uses_its_own_picture_and_gets_the_file(
    token_server: Running, era: Era
) -> None:
    """
    A caller elsewhere uploads a photo, edits it, and downloads the whole result from an address
    that needs no token; an address that was altered, or made for another, is refused.
    """
    async with connect_http(era, token_server.url, ANN) as ann:
        data = base64.b64encode(tiny_image(size=(256, 256))).decode()
        photo = text(await ann.call_tool("upload_image", {"data": data, "prompt": "my dog"}))
        edit = {"image_path": photo["image_id"], "prompt": "with a hat"}
        edited = text(await ann.call_tool("edit_image", edit))
        view = text(await ann.call_tool("view_image", {"image_id": edited["image_id"]}))
    address = httpx2.URL(view["download_url"])
    answer = httpx2.get(address)
    assert answer.content == await anyio.Path(edited["image_path"]).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    changes: tuple[dict[str, Any], ...] = (
        {"for": "bob"},
        {"expires": "99999999999"},
        {"expires": "x"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ü"},
    )
    for change in changes:
        refused = httpx2.get(address.copy_merge_params(change))
        assert refused.status_code == 403, change
        assert "view_image" in refused.json()["error"]
    other = address.copy_with(path=f"/images/{photo['image_id']}")
    assert httpx2.get(other).status_code == 403
    assert httpx2.get(address.copy_with(query=None)).status_code == 403


def test_addresses_expire_and_belong_to_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An address expires after ten minutes, is known to every instance with the same tokens, and to
    no other server.
    """
    ann = (Principal("ann", ANN),)
    headers = {"host": "images.example.com", "x-forwarded-proto": "https"}
    address = httpx2.URL(DownloadAddresses(ann).make(headers, "ann", "IMAGE"))
    assert str(address).startswith("https://images.example.com/images/IMAGE?")
    assert DownloadAddresses(ann).check("IMAGE", address.params) == "ann"
    assert DownloadAddresses((Principal("ann", BOB),)).check("IMAGE", address.params) is None
    assert DownloadAddresses(()).check("IMAGE", address.params) is None
    monkeypatch.setattr(downloads, "LIFETIME", -1)
    late = httpx2.URL(DownloadAddresses(ann).make(headers, "ann", "IMAGE"))
    assert DownloadAddresses(ann).check("IMAGE", late.params) is None


async def test_files_are_read_only_within_allowed_folders(open_server: Running, era: Era) -> None:
    """
    Over HTTP as over stdio, only files within the allowed folders are read.
    """
    async with connect_http(era, open_server.url) as client:
        image = text(await client.call_tool("generate_image", {"prompt": "a kettle"}))
        library = Path(image["image_path"]).parent.parent
        allowed, outside = library.parent / "allowed" / "a.png", library.parent / "b.png"
        for file in (allowed, outside):
            file.write_bytes(tiny_image("png"))
        edit = {"prompt": "make it blue"}
        allowed_result = await client.call_tool("edit_image", {"image_path": str(allowed), **edit})
        assert not allowed_result.is_error, allowed_result
        for path in (str(outside), "/etc/hostname", f"{library}/../b.png", f"file://{allowed}"):
            result = await client.call_tool("edit_image", {"image_path": path, **edit})
            assert result.is_error, path


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no signals there")
@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.faults)])
async def test_stopped_server_loses_nothing(tmp_path: Path, era: Era) -> None:
    """
    Stopped during a generation, the server exits without waiting for it; after a restart it finds
    the image, which was billed once.
    """
    provider = HoldingProvider()
    provider.hold()
    with serve(provider) as served:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": served.base_url}
        call = {"prompt": "a kettle", "request_id": "kettle"}
        with run_http_server("--library", str(tmp_path), **env) as running:
            status = 0
            async with anyio.create_task_group() as group:
                group.start_soon(_call_and_disconnect, era, running.url, call)
                with anyio.fail_after(60):
                    while not _count_requests(provider):  # noqa: ASYNC110 - it is in another thread
                        await anyio.sleep(0.02)
                status = await anyio.to_thread.run_sync(running.stop)
                group.cancel_scope.cancel()
            assert status in {0, -signal.SIGTERM}
        provider.finish()
        with run_http_server("--library", str(tmp_path), **env) as running:
            async with connect_http(era, running.url) as client:
                answer: dict[str, Any] = {}
                with anyio.fail_after(60):
                    while "image_path" not in answer:
                        query = {"generation_id": "kettle"}
                        answer = text(await client.call_tool("get_generation", query))
                        await anyio.sleep(0.1)
    assert await anyio.Path(answer["image_path"]).is_file()
    assert _count_requests(provider) == 1


async def test_client_that_left_and_returns_pays_once(tmp_path: Path, era: Era) -> None:
    """
    A client whose connection ends during a call, and that makes the call again on a new one, gets
    the first call's picture, billed once.
    """
    provider = FakeOpenAI(latency=2)
    with serve(provider) as served:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": served.base_url}
        call = {"prompt": "a kettle"}
        with run_http_server("--library", str(tmp_path), **env) as running:
            async with anyio.create_task_group() as group:
                group.start_soon(_call_and_disconnect, era, running.url, call)
                with anyio.fail_after(60):
                    while not _count_requests(provider):  # noqa: ASYNC110 - it is in another thread
                        await anyio.sleep(0.02)
                group.cancel_scope.cancel()
            async with connect_http(era, running.url) as client:
                answer = text(await client.call_tool("generate_image", call))
    assert "billed once" in answer["repeated"]
    assert _count_requests(provider) == 1


def _count_requests(provider: FakeOpenAI) -> int:
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


async def _call_and_disconnect(era: Era, url: str, call: dict[str, str]) -> None:
    with anyio.move_on_after(30):
        try:
            async with connect_http(era, url) as client:
                await client.call_tool("generate_image", call)
        except Exception:  # noqa: BLE001, S110 - any error when the server stops
            pass


def test_occupied_port_is_reported(tmp_path: Path) -> None:
    """
    If the port is in use, the server says so and exits with status 1.
    """
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        command = [sys.executable, *SERVER_MODULE, "--offline", "--library", str(tmp_path)]
        result = subprocess.run(
            [*command, "--http", "--port", port], capture_output=True, text=True, check=False
        )
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no signals there")
def test_client_that_leaves_writes_one_line(tmp_path: Path) -> None:
    """
    A client that disconnects in the middle of its request leaves one line in the log.
    """
    with run_http_server("--offline", "--library", str(tmp_path)) as running:
        url = urlsplit(running.url)
        assert url.port
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{url.port}\r\nContent-Length: 500\r\n"
        for name, value in {**_ACCEPT, "Content-Type": "application/json"}.items():
            head += f"{name}: {value}\r\n"
        with socket.create_connection(("127.0.0.1", url.port)) as connection:
            connection.sendall(f"{head}\r\n{{".encode())
        assert httpx2.get(running.url.replace("/mcp", "/healthz")).status_code == 200
        running.stop()
        assert running.process.stderr is not None
        lines = running.process.stderr.read().split("streamable_http.py")
    assert "A client left" in lines[0]
    assert "Traceback" not in "".join(lines)


def test_answers_are_sent_at_once() -> None:
    """
    Connections do not wait to fill a packet, which would delay each answer by 40 ms.
    """
    with (
        bind(Settings(port=0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.figures
def test_light_calls_over_http_are_fast(open_server: Running, pytestconfig: pytest.Config) -> None:
    """
    /healthz answers within 5 ms, and list_images within 10.
    """
    slack = float(pytestconfig.getoption("--figures") or 1)
    call: dict[str, Any] = {
        **_HELLO,
        "method": "tools/call",
        "params": {"name": "list_images", "arguments": {}},
    }
    with httpx2.Client(headers=_ACCEPT) as client:

        def health() -> None:
            client.get(open_server.url.replace("/mcp", "/healthz")).raise_for_status()

        def images() -> None:
            client.post(open_server.url, json=call).raise_for_status()

        for send, limit in ((health, 0.005), (images, 0.010)):
            seconds = sorted(_seconds(send) for _ in range(40))
            assert seconds[20] <= limit * slack, (send.__name__, seconds[20])


def _seconds(send: Callable[[], None]) -> float:
    start = time.perf_counter()
    send()
    return time.perf_counter() - start


async def test_token_identifies_its_principal() -> None:
    """
    A token is mapped to its principal, and is not passed on.
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
    Hosts and origins are checked for every address; a wildcard address is not a host name.
    """
    wildcard = transport_security(
        Settings(host="0.0.0.0", allow_hosts=("images.example.com",))  # noqa: S104 - is refused
    )
    assert wildcard.enable_dns_rebinding_protection
    assert "images.example.com:*" in wildcard.allowed_hosts
    assert not any("0.0.0.0" in host for host in wildcard.allowed_hosts)  # noqa: S104 - as above
    ipv6 = transport_security(Settings(host="fd00::1", allow_origins=("https://app.example.com",)))
    assert "[fd00::1]:*" in ipv6.allowed_hosts
    assert "https://app.example.com" in ipv6.allowed_origins


def test_allowed_host_and_origin_are_accepted(tmp_path: Path) -> None:
    """
    Allowed hosts and origins are accepted; similar ones are not.
    """
    settings = Settings(
        library=tmp_path, offline=True, http=True,
        allow_hosts=("images.example.com",), allow_origins=("https://app.example.com",),
    )  # fmt: skip
    app = build_asgi_app(build_authenticated_server(settings), settings)
    with TestClient(app, base_url="http://images.example.com") as client:
        hello: dict[str, Any] = {"url": "/mcp", "json": _HELLO}
        allowed = {**_ACCEPT, "Origin": "https://app.example.com"}
        assert client.post(**hello, headers=allowed).status_code == 200
        other = {**_ACCEPT, "Origin": "https://app.example.com.evil.example"}
        assert client.post(**hello, headers=other).status_code == 403
        host = {**_ACCEPT, "Host": "images.example.com.evil.example"}
        assert client.post(**hello, headers=host).status_code == 421
