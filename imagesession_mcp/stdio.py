"""
The server over stdin and stdout. It stops when the client closes stdin, or at a signal.

The event loop itself reads and writes both. The SDK switches to threads three times for each
message and waits for the GIL each time: while images were being saved, a ping took 100 ms instead
of 20.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeAlias

import anyio
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import (
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks_extension import TasksExtension

DRAIN_TIMEOUT = 60.0
"""Seconds for which requests are still answered after the client closed stdin. A call returns
within `Settings.wait_seconds`, and clients that do not want to wait send a signal."""
_CHUNK = 1 << 16
# The most bytes that can be written to a ready pipe without blocking.
_PIPE_BUF = getattr(select, "PIPE_BUF", 512)
_CANCELLED = "notifications/cancelled"
_SUBSCRIBE = "subscriptions/listen"
_LAST_WRITES = 5.0  # seconds

Incoming: TypeAlias = SessionMessage | Exception


async def read_lines(fd: int) -> AsyncGenerator[str, None]:
    """
    Yield the lines that arrive at a file descriptor, until its end.
    """
    buffer = bytearray()
    while chunk := await _read(fd):
        start = len(buffer)
        buffer += chunk
        while end := buffer.find(b"\n", start) + 1:
            yield buffer[:end].decode("utf-8", "replace")
            del buffer[:end]
            start = 0
    if buffer:
        yield buffer.decode("utf-8", "replace")


async def _read(fd: int) -> bytes:
    with suppress(PermissionError):  # a file, which is always ready
        await anyio.wait_readable(fd)
    return os.read(fd, _CHUNK)


async def write(fd: int, text: str) -> None:
    """
    Write a text completely to a file descriptor, whose reader may be slow.

    Raises:
        BrokenPipeError: The reader has closed its end.
    """
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    unwritten = memoryview(text.encode("utf-8"))
    while unwritten:
        if not poll.poll(0):
            await anyio.wait_writable(fd)
        unwritten = unwritten[os.write(fd, unwritten[:_PIPE_BUF]) :]


@attrs.define(eq=False)
class StdioTransport:
    """
    Transports the messages of one client.

    Attributes:
        stdin: The file descriptor of the client's messages.
        stdout: The file descriptor of the server's.
        drain_timeout: Seconds for which requests are still answered after stdin was closed.
    """

    stdin: int
    stdout: int
    drain_timeout: float = DRAIN_TIMEOUT
    _receiving: anyio.CancelScope = attrs.field(factory=anyio.CancelScope, init=False)
    _unanswered: set[str] = attrs.field(factory=set[str], init=False)
    _answer: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def stop(self) -> None:
        """
        Stop without waiting for further requests or pending responses.
        """
        self._receiving.cancel()

    @asynccontextmanager
    async def streams(
        self,
    ) -> AsyncGenerator[
        tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]], None
    ]:
        """
        Yield the stream of the client's messages, and the stream for the server's.
        """
        incoming, requests = anyio.create_memory_object_stream[Incoming]()
        answers, outgoing = anyio.create_memory_object_stream[SessionMessage]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive, incoming)
            tasks.start_soon(self._send, outgoing)
            yield requests, answers
            # A client that does not read must not keep the server from ending.
            tasks.cancel_scope.deadline = anyio.current_time() + _LAST_WRITES

    async def _receive(self, incoming: MemoryObjectSendStream[Incoming]) -> None:
        async with incoming:
            with self._receiving:
                async for line in read_lines(self.stdin):
                    await incoming.send(self._parse(line))
                # The server stops when the messages end, so they end with the last answer.
                with anyio.move_on_after(self.drain_timeout):
                    while self._unanswered:
                        self._answer.clear()
                        await self._answer.wait()

    async def _send(self, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with outgoing:
            async for item in outgoing:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await write(self.stdout, text + "\n")
                except BrokenPipeError:
                    self.stop()  # the client has disconnected
                if isinstance(item.message, (JSONRPCResponse, JSONRPCError)):
                    self._answered(item.message.id)

    def _parse(self, line: str) -> Incoming:
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError as error:
            return error
        # A subscription is answered when it ends, which is when the client goes.
        if isinstance(message, JSONRPCRequest) and message.method != _SUBSCRIBE:
            self._unanswered.add(str(message.id))
        # A cancelled request gets no response.
        if isinstance(message, JSONRPCNotification) and message.method == _CANCELLED:
            self._answered((message.params or {}).get("requestId"))
        return SessionMessage(message)

    def _answered(self, request_id: object) -> None:
        # The SDK takes 7 and "7" for the same id.
        self._unanswered.discard(str(request_id))
        self._answer.set()


@contextmanager
def _redirected(fd: int, target: int) -> Generator[int, None, None]:
    """
    Yield a private copy of a standard stream, which is redirected meanwhile: a stray `input()` or
    `print()`, here or in a child process, must not read or write protocol messages.
    """
    private_fd = os.dup(fd)
    os.dup2(target, fd)
    try:
        yield private_fd
    finally:
        os.dup2(private_fd, fd)
        os.close(private_fd)


async def serve(settings: Settings) -> None:
    """
    Serve until the client closes stdin, or a signal stops the process.
    """
    server = build_server(settings, extensions=[TasksExtension()])
    if sys.platform == "win32":  # where pipes cannot be polled, and signals end the process
        await server.run_stdio_async()
        return
    with (
        open(os.devnull, "rb") as nothing,  # noqa: PTH123, ASYNC230 - at once
        _redirected(0, nothing.fileno()) as stdin,
        _redirected(1, 2) as stdout,
    ):
        transport = StdioTransport(stdin, stdout)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, transport.stop)
        low = server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - its own transports have it too
        async with transport.streams() as (requests, answers):
            await low.run(requests, answers, low.create_initialization_options())
