"""
Servers in processes of their own, as clients start them.
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
OURS = ("-m", "imagesession_mcp")
_ADDRESS = re.compile(r"listens on (http://\S+)")


@attrs.frozen
class Running:
    """
    A server that can be reached.

    Attributes:
        url: Where.
        process: Its process.
    """

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """
        Tell it to stop, and return its status.
        """
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return this process's environment with something beside.
    """
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


@contextmanager
def listening(
    *arguments: str, program: Sequence[str] = (*OURS, "--http", "--port", "0"), **env: str
) -> Generator[Running, None, None]:
    """
    Run a server over HTTP until it is left.

    Args:
        *arguments: More of its command line.
        program: The beginning of its command line.
        **env: Of its environment.
    """
    # A file, for a pipe that nobody reads would fill.
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
async def spawned(era: Era, *arguments: str, **env: str) -> AsyncGenerator[Client, None]:
    """
    Connect a client to a server that it starts and speaks with over stdin and stdout.

    Args:
        era: Of the protocol.
        *arguments: Of the server's command line.
        **env: Of its environment.
    """
    server = StdioServerParameters(
        command=sys.executable, args=[*OURS, *arguments], env=environment(env), cwd=ROOT
    )
    async with Client(server, mode=era) as client:
        yield client


@asynccontextmanager
async def connected(era: Era, url: str, token: str = "") -> AsyncGenerator[Client, None]:
    """
    Connect a client over HTTP.

    Args:
        era: Of the protocol.
        url: Of the server.
        token: What the client shows.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client
