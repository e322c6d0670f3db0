"""
The server over stdin and stdout, started as clients start it.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCResponse
from PIL import Image

import imagesession
from imagesession import Studio
from imagesession.testing import FakeOpenAI, serve
from imagesession_mcp.stdio import StdioTransport, read_lines
from tests.clock import HoldingProvider
from tests.mcp.processes import ROOT, SERVER_MODULE, connect_stdio, environment
from tests.mcp.serving import Era, text

pytestmark = pytest.mark.anyio
unix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and signals are others there")
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


@contextmanager
def _start_server(*arguments: str, **env: str) -> Generator[subprocess.Popen[str], None, None]:
    with subprocess.Popen(
        [sys.executable, *SERVER_MODULE, *arguments],
        env=environment(env), cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def _write(process: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    results: dict[str, Any] = json.loads(process.stdout.readline())
    return results


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


def _count_requests(provider: FakeOpenAI) -> int:
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


async def test_client_generates_an_image(tmp_path: Path, era: Era) -> None:
    """
    A client that starts the server gets an image, whose file is on disk and valid.
    """
    async with connect_stdio(era, "--offline", "--library", str(tmp_path)) as client:
        assert client.server_info is not None
        assert client.server_info.name == "imagesession"
        assert client.server_info.version == imagesession.__version__
        payload = text(await client.call_tool("generate_image", {"prompt": "a red kettle"}))
    with Image.open(payload["image_path"]) as picture:
        assert picture.size == (1024, 1024)
    assert Path(payload["image_path"]).is_relative_to(tmp_path)


async def test_server_starts_without_a_key(tmp_path: Path, era: Era) -> None:
    """
    Without a key the server starts, and a call that generates names the missing variable.
    """
    async with connect_stdio(era, "--library", str(tmp_path)) as client:
        assert (await client.list_tools()).tools
        result = await client.call_tool("generate_image", {"prompt": "a red kettle"})
    assert result.is_error
    assert "OPENAI_API_KEY" in text(result)["error"]
    assert "--offline" in text(result)["error"]


@pytest.mark.faults
async def test_environment_configures_the_server(tmp_path: Path) -> None:
    """
    The environment can configure the server like the command line.
    """
    env = {"IMAGESESSION_LIBRARY": str(tmp_path), "IMAGESESSION_MCP_OFFLINE": "1"}
    async with connect_stdio("auto", **env) as client:
        payload = text(await client.call_tool("generate_image", {"prompt": "a red kettle"}))
    assert Path(payload["image_path"]).is_relative_to(tmp_path)


_ALL_MESSAGES = (
    _HELLO,
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    {**_call("generate_image", prompt="a red kettle"), "id": 3},
    {**_call("no_such_tool"), "id": 4},
)


@unix
@pytest.mark.parametrize("kind", ["pipe", pytest.param("file", marks=pytest.mark.faults)])
def test_requests_before_stdin_is_closed_are_answered(tmp_path: Path, kind: str) -> None:
    """
    All requests can be sent at once, from a pipe or a file: the server answers all of them before
    it exits with status 0, and writes nothing else to stdout.
    """
    messages = "".join(
        json.dumps(message) + "\n" for message in _ALL_MESSAGES
    ).rstrip()  # the last line has no end
    file = tmp_path / "asked"
    file.write_text(messages)
    with file.open() as source:
        stdin_source: dict[str, Any] = {"input": messages} if kind == "pipe" else {"stdin": source}
        done = subprocess.run(
            [sys.executable, *SERVER_MODULE, "--offline", "--library", str(tmp_path / "library")],
            **stdin_source, env=environment(), cwd=ROOT, text=True, capture_output=True, timeout=99,
            check=True,
        )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    results = {message["id"]: message.get("result") for message in answers}
    assert sorted(message["id"] for message in answers) == [1, 2, 3, 4]
    assert results[1]["serverInfo"]["name"] == "imagesession"
    assert Path(json.loads(results[3]["content"][0]["text"])["image_path"]).is_file()


@unix
@pytest.mark.faults
def test_empty_stdin_ends_the_server(tmp_path: Path) -> None:
    """
    With an empty stdin, the server exits at once without output.
    """
    done = subprocess.run(
        [sys.executable, *SERVER_MODULE, "--offline", "--library", str(tmp_path)],
        stdin=subprocess.DEVNULL, env=environment(), cwd=ROOT, capture_output=True, timeout=120,
        check=True,
    )  # fmt: skip
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


@unix
@unix
def test_person_at_a_terminal_is_told_what_it_is(tmp_path: Path) -> None:
    """
    Started by hand, on a terminal, the server says on stderr what it waits for.
    """
    controller, terminal = os.openpty()
    server = subprocess.Popen(
        [sys.executable, *SERVER_MODULE, "--offline", "--library", str(tmp_path)],
        stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, env=environment(),
    )  # fmt: skip
    try:
        assert server.stderr is not None
        assert "waits for an MCP client on this terminal; Ctrl+C" in server.stderr.readline()
    finally:
        server.kill()
        server.communicate()
        os.close(controller)
        os.close(terminal)


def test_closed_stdout_ends_the_server(tmp_path: Path) -> None:
    """
    If the client closes the server's stdout but not its stdin, the server exits.
    """
    with _start_server("--offline", "--library", str(tmp_path)) as process:
        _write(process, _HELLO)
        _read(process)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        _write(process, {"jsonrpc": "2.0", "id": 5, "method": "ping"})
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


@unix
def test_slow_client_gets_complete_responses(tmp_path: Path) -> None:
    """
    Responses that are larger than the pipe's buffer arrive completely even if read slowly, and
    requests sent meanwhile are answered too.
    """
    with _start_server("--offline", "--library", str(tmp_path)) as process:
        _write(process, _HELLO)
        _read(process)
        _write(
            process, *({"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(2, 12))
        )
        time.sleep(1.5)
        assert process.poll() is None
        answers = [_read(process) for _ in range(10)]
    assert {message["id"] for message in answers} == set(range(2, 12))
    assert sum(len(json.dumps(message)) for message in answers) > 2 * 65_536
    assert all(len(message["result"]["tools"]) > 15 for message in answers)


@unix
@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), max_size=8),
    cuts=st.lists(st.integers(1, 40), max_size=20),
)
def test_lines_are_reassembled(lines: list[str], cuts: list[int]) -> None:
    """
    Messages that arrive in arbitrary chunks are read line by line.
    """
    sent = "".join(line + "\n" for line in lines).encode()

    async def read() -> list[str]:
        source, target = os.pipe()

        async def write() -> None:
            unsent = sent
            for cut in (*cuts, len(sent)):
                os.write(target, unsent[:cut])
                unsent = unsent[cut:]
                await asyncio.sleep(0)
            os.close(target)

        writing = asyncio.ensure_future(write())
        try:
            received = [line async for line in read_lines(source)]
        finally:
            os.close(source)
        await writing
        return received

    assert asyncio.run(read()) == [line + "\n" for line in lines]


@asynccontextmanager
async def _closed_transport(
    *messages: dict[str, Any], drain_timeout: float = math.inf
) -> AsyncGenerator[tuple[StdioTransport, Any, Any], None]:
    """
    Yield a transport whose client sent messages and closed stdin, and its two streams.
    """
    stdin, client_out = os.pipe()
    client_in, stdout = os.pipe()
    os.write(client_out, "".join(json.dumps(message) + "\n" for message in messages).encode())
    os.close(client_out)
    transport = StdioTransport(stdin, stdout, drain_timeout)
    try:
        async with transport.streams() as (requests, answers):
            received = [await requests.receive() for _ in messages]
            assert len(received) == len(messages)
            await anyio.wait_all_tasks_blocked()
            yield transport, requests, answers
            with pytest.raises(anyio.EndOfStream):
                await requests.receive()
            await requests.aclose()
            await answers.aclose()
    finally:
        for descriptor in (stdin, stdout, client_in):
            os.close(descriptor)


@unix
async def test_server_runs_until_all_requests_are_answered() -> None:
    """
    After the client closed stdin, the server runs until its last request is answered.
    """
    async with _closed_transport(_HELLO, {**_HELLO, "id": 2}) as (_, requests, answers):
        for number in (1, 2):
            with pytest.raises(anyio.WouldBlock):
                requests.receive_nowait()
            answer = JSONRPCResponse(jsonrpc="2.0", id=number, result={})
            await answers.send(SessionMessage(answer))


@unix
async def test_drain_timeout_is_respected() -> None:
    """
    If a response does not arrive, the server stops after the timeout.
    """
    async with _closed_transport(_HELLO, drain_timeout=0):
        pass


@unix
async def test_stop_ends_the_draining() -> None:
    """
    A server that waits for its last responses stops at once when told to.
    """
    async with _closed_transport(_HELLO) as (transport, _, __):
        transport.stop()


@unix
async def test_cancelled_requests_are_not_waited_for() -> None:
    """
    A cancelled request has no response, and does not keep the server running.
    """
    params = {"requestId": 1}
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    async with _closed_transport(_HELLO, cancelled):
        pass


@unix
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.faults)]
)
def test_signal_ends_the_server(tmp_path: Path, number: signal.Signals) -> None:
    """
    A signal stops the server even while its client is idle, and without output.
    """
    with _start_server("--offline", "--library", str(tmp_path)) as process:
        _write(process, _HELLO)
        _read(process)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@unix
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(0, marks=pytest.mark.faults),
        pytest.param(signal.SIGTERM, marks=pytest.mark.faults),
        signal.SIGKILL,
    ],
    ids=["close", "term", "kill"],
)
async def test_killed_server_loses_nothing(tmp_path: Path, number: int) -> None:
    """
    If the server is stopped or killed during a generation that the provider has accepted, the
    restarted server finds the image, which was billed once.
    """
    provider = HoldingProvider()
    provider.hold()
    with serve(provider) as served:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": served.base_url}
        arguments = ("--library", str(tmp_path))
        with _start_server(*arguments, **env) as process:
            _write(process, _HELLO)
            _read(process)
            _write(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            _write(process, _call("generate_image", prompt="a kettle", request_id="kettle"))
            with anyio.fail_after(60):
                while not _is_accepted(tmp_path):  # noqa: ASYNC110 - by another program
                    await anyio.sleep(0.02)
            if number:
                os.kill(process.pid, number)
            else:
                assert process.stdin is not None
                process.stdin.close()
            process.wait(60)
        provider.finish()
        async with connect_stdio("auto", *arguments, **env) as client:
            with anyio.fail_after(60):
                answer = await _wait_for_image(client)
    assert _count_requests(provider) == 1
    with Studio(tmp_path, api_key="x", base_url="http://127.0.0.1:1") as studio:
        (image,) = studio.images.list()
        assert image.prompt == "a kettle"
        assert str(image.path) == answer["image_path"]


def _is_accepted(library: Path) -> bool:
    """
    Return whether the library has recorded the provider's id of a pending request.
    """
    files = (library / ".imagesession" / "journal").glob("*.jsonl")
    return any(b'{"response_id": "' in file.read_bytes() for file in files)


async def _wait_for_image(client: Any) -> dict[str, Any]:
    while True:
        result = await client.call_tool("get_generation", {"generation_id": "kettle"})
        if not result.is_error and "image_path" in text(result):
            return text(result)
        await anyio.sleep(0.1)
