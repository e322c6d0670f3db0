"""
Servers in separate processes, as clients start them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.mcp.serving import Era

ROOT = Path(__file__).parent.parent.parent
SERVER_MODULE = ("-m", "imagesession_mcp")
_ADDRESS = re.compile(r"listens on (http://\S+)")


@attrs.frozen
class Running:
    """
    A server that can be reached.

    Attributes:
        url: Its URL.
        process: Its process.
    """

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """
        Terminate the server, and return its exit status.
        """
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return this process's environment with additions.
    """
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


@contextmanager
def run_http_server(
    *arguments: str, program: Sequence[str] = (*SERVER_MODULE, "--http", "--port", "0"), **env: str
) -> Generator[Running, None, None]:
    """
    Run a server over HTTP within a `with` block.

    Args:
        *arguments: Further command-line arguments.
        program: The start of the command line.
        **env: Environment variables of the server.
    """
    # A file, because an unread pipe would fill up.
    with tempfile.TemporaryFile("w+") as stdout:
        with subprocess.Popen(
            [sys.executable, *program, *arguments],
            env=environment(env), cwd=ROOT, stderr=subprocess.PIPE, stdout=stdout, text=True,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            try:
                line = process.stderr.readline()
                address = _ADDRESS.search(line)
                assert address, line + process.stderr.read()
                yield Running(address[1], process)
            finally:
                process.kill()
        stdout.seek(0)
        assert stdout.read() == ""


@asynccontextmanager
async def connect_stdio(era: Era, *arguments: str, **env: str) -> AsyncGenerator[Client, None]:
    """
    Start a server over stdin and stdout, and connect a client to it.

    Args:
        era: The protocol's era.
        *arguments: The server's command-line arguments.
        **env: Environment variables of the server.
    """
    server = StdioServerParameters(
        command=sys.executable, args=[*SERVER_MODULE, *arguments], env=environment(env), cwd=ROOT
    )
    async with Client(server, mode=era) as client:
        yield client


@asynccontextmanager
async def connect_http(era: Era, url: str, token: str = "") -> AsyncGenerator[Client, None]:
    """
    Connect a client over HTTP.

    Args:
        era: The protocol's era.
        url: The server's URL.
        token: The client's bearer token.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client
