"""
The server over stdin and stdout: it ends when the client closes stdin, and when it is told to.

Both are read and written from the event loop itself. The SDK does so from threads, three times for
each message; each time Python's lock has to be waited for, and while pictures are being kept a ping
took 100 ms instead of 20.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import signal
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import cast

import attrs
from anyio import AsyncFile

from imagesession_mcp.server import Server, build_server
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks import Tasks

_PIECE = 1 << 16
# As much as can be written without waiting to a pipe that says that it can be written to.
_AT_ONCE = getattr(select, "PIPE_BUF", 512)
_MOMENT = 0.05
_LAST_ANSWERS = 1.0
"""Seconds for which the answers to what was asked last are waited for."""


@attrs.define(eq=False)
class Lines:
    """
    What a client says, line by line, until it closes its end or `end` is called.

    Args:
        source: The file descriptor that is read from.
        server: Who answers.
    """

    source: int
    server: Server
    _heard: bytearray = attrs.field(factory=bytearray, init=False)
    _ready: asyncio.Future[None] | None = attrs.field(default=None, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def end(self) -> None:
        """
        Take what was said until now for all that will be.
        """
        self._ended = True
        if self._ready is not None:
            _settle(self._ready)

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        start = 0
        while (at := self._heard.find(b"\n", start)) < 0:
            start = len(self._heard)
            piece = await self._hear()
            if not piece:
                break
            self._heard += piece
        line = bytes(self._heard[: at + 1 or len(self._heard)])
        if self._ended or not line:
            await self._answer_out()
            raise StopAsyncIteration
        del self._heard[: len(line)]
        return line.decode("utf-8", "replace")

    async def _hear(self) -> bytes:
        """
        Return what there is, once there is something; nothing at the end.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        try:
            loop.add_reader(self.source, _settle, self._ready)
        except PermissionError:
            pass  # a file, for which nobody need wait
        else:
            try:
                if not self._ended:
                    await self._ready
            finally:
                loop.remove_reader(self.source)
        return b"" if self._ended else os.read(self.source, _PIECE)

    async def _answer_out(self) -> None:
        """
        Let what was asked just before the end be answered, and what waits for the server to load.
        """
        end = math.inf
        await asyncio.sleep(0 if self._ended else _MOMENT)  # until what came last is counted
        while self.server.answering and not self._ended and time.monotonic() < end:
            if self.server.is_loaded:
                end = min(end, time.monotonic() + _LAST_ANSWERS)
            await asyncio.sleep(_MOMENT)


@attrs.define(eq=False)
class Mouth:
    """
    Says something to a client, who may take its time to listen.

    Args:
        target: The file descriptor that is written to.
        lines: What the client says: it says nothing more once it does not listen.
    """

    target: int
    lines: Lines

    async def write(self, text: str) -> None:
        """
        Say something.
        """
        rest = memoryview(text.encode("utf-8"))
        while rest:
            if not _takes_more(self.target):
                await self._is_listening()
            try:
                rest = rest[os.write(self.target, rest[:_AT_ONCE]) :]
            except BrokenPipeError:
                self.lines.end()
                return

    async def flush(self) -> None:
        """
        Do nothing: what was written was said.
        """

    async def _is_listening(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(self.target, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self.target)


def _takes_more(target: int) -> bool:
    """
    Tell whether something can be written without waiting for whoever reads it.
    """
    poll = select.poll()
    poll.register(target, select.POLLOUT)
    return bool(poll.poll(0))


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@contextmanager
def _private(descriptor: int, instead: int) -> Generator[int, None, None]:
    """
    Give what a standard stream leads to, which leads elsewhere meanwhile: what the process starts,
    a stray `input()` or `print()` must not take part in the conversation.

    Args:
        descriptor: The stream's.
        instead: Where it leads meanwhile.
    """
    private = os.dup(descriptor)
    os.dup2(instead, descriptor)
    try:
        yield private
    finally:
        os.dup2(private, descriptor)
        os.close(private)


@contextmanager
def _told_to_stop(lines: Lines) -> Generator[None, None, None]:
    """
    Let what the client says end when the process is told to stop.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lines.end)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


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
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123, ASYNC230 - at once
        lines = Lines(stack.enter_context(_private(0, nothing.fileno())), server)
        mouth = Mouth(stack.enter_context(_private(1, 2)), lines)
        stack.enter_context(_told_to_stop(lines))
        # As much of files as is made use of.
        await server.run_stdio_async(cast("AsyncFile[str]", lines), cast("AsyncFile[str]", mouth))
