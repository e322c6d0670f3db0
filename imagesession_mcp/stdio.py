"""
The server over stdin and stdout: it ends when the client closes stdin, and when it is told to.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks import Tasks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 16


class Interruptible(io.RawIOBase):
    """
    Reads from a file descriptor until something else can be read from another: that is the end.

    A thread that waits for a client's next message cannot be stopped in another way.
    """

    def __init__(self, source: int, stop: int) -> None:
        super().__init__()
        self._source = source
        self._stop = stop

    def readable(self) -> bool:
        """
        Say that it can be read from.
        """
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """
        Read what there is, once there is something.

        Args:
            buffer: Where to.

        Returns:
            How many bytes; 0 at the end.
        """
        ready, _, _ = select.select([self._source, self._stop], [], [])
        if self._stop in ready:
            return 0
        view = memoryview(buffer)
        read = os.read(self._source, len(view))
        view[: len(read)] = read
        return len(read)


@contextmanager
def _stdin_until_told() -> Generator[None, None, None]:
    """
    Let stdin end when the process is told to stop, as it does when the client closes it.

    What the process starts, or a stray `input()`, reads nothing instead of the client's messages.
    """
    loop = asyncio.get_running_loop()
    source, (told, tell) = os.dup(0), os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    before, reader = sys.stdin, io.BufferedReader(Interruptible(source, told), _BUFFER)
    sys.stdin = io.TextIOWrapper(reader, encoding="utf-8", errors="replace")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, os.write, tell, b".")
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        sys.stdin = before


async def serve(settings: Settings) -> None:
    """
    Serve until the client closes stdin, or a signal tells to stop.

    Args:
        settings: How the server runs.
    """
    server = build_server(settings, extensions=[Tasks()])
    if sys.platform == "win32":  # where pipes cannot be waited for, and signals end the process
        await server.run_stdio_async()
        return
    with _stdin_until_told():
        await server.run_stdio_async()
