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
from contextlib import ExitStack, asynccontextmanager, contextmanager
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


@attrs.define(eq=False)
class StdinReader:
    """
    Reads lines from a file descriptor until its end, or until `stop` is called.

    Attributes:
        fd: The file descriptor.
        is_stopped: Whether `stop` was called.
    """

    fd: int
    is_stopped: bool = attrs.field(default=False, init=False)
    _ready: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def stop(self) -> None:
        """
        Stop reading.
        """
        self.is_stopped = True
        self._ready.set()

    async def lines(self) -> AsyncGenerator[str, None]:
        """
        Yield the lines.
        """
        buffer = bytearray()
        while chunk := await self._read():
            start = len(buffer)
            buffer += chunk
            while (end := buffer.find(b"\n", start) + 1) and not self.is_stopped:
                yield _text(buffer[:end])
                del buffer[:end]
                start = 0
        if buffer and not self.is_stopped:
            yield _text(buffer)

    async def _read(self) -> bytes:
        """
        Wait for data and return it; empty at the end.
        """
        loop = asyncio.get_running_loop()
        if not self.is_stopped:
            self._ready.clear()
            try:
                loop.add_reader(self.fd, self._ready.set)
            except PermissionError:
                pass  # a file, which is always ready
            else:
                try:
                    await self._ready.wait()
                finally:
                    loop.remove_reader(self.fd)
        return b"" if self.is_stopped else os.read(self.fd, _CHUNK)


def _text(line: bytearray) -> str:
    return line.decode("utf-8", "replace")


@attrs.define(eq=False)
class StdoutWriter:
    """
    Writes to a file descriptor whose reader may be slow.

    Attributes:
        fd: The file descriptor.
    """

    fd: int

    async def write(self, text: str) -> None:
        """
        Write a text completely.

        Raises:
            BrokenPipeError: The reader has closed its end.
        """
        unwritten = memoryview(text.encode("utf-8"))
        while unwritten:
            if not _is_writable(self.fd):
                await self._wait_until_writable()
            unwritten = unwritten[os.write(self.fd, unwritten[:_PIPE_BUF]) :]

    async def _wait_until_writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self.fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self.fd)


def _is_writable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


@attrs.define(eq=False)
class StdioTransport:
    """
    Transports the messages of one client.

    Attributes:
        reader: Reads the client's messages.
        writer: Writes the server's.
        drain_timeout: Seconds for which requests are still answered after stdin was closed.
    """

    reader: StdinReader
    writer: StdoutWriter
    drain_timeout: float = DRAIN_TIMEOUT
    _unanswered: set[str] = attrs.field(factory=set[str], init=False)
    _drained: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def stop(self) -> None:
        """
        Stop without waiting for pending responses.
        """
        self.reader.stop()
        self._drained.set()

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
            async for line in self.reader.lines():
                await incoming.send(self._parse(line))
            await self._drain()

    async def _send(self, outgoing: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with outgoing:
            async for item in outgoing:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await self.writer.write(text + "\n")
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
        if not self._unanswered:
            self._drained.set()

    async def _drain(self) -> None:
        """
        Wait until all requests are answered, because the server stops when the messages end.
        """
        if self._unanswered and not self.reader.is_stopped:
            self._drained.clear()
            with anyio.move_on_after(self.drain_timeout):
                await self._drained.wait()


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


@contextmanager
def _stop_on_signals(transport: StdioTransport) -> Generator[None, None, None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, transport.stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def serve(settings: Settings) -> None:
    """
    Serve until the client closes stdin, or a signal stops the process.
    """
    server = build_server(settings, extensions=[TasksExtension()])
    if sys.platform == "win32":  # where pipes cannot be polled, and signals end the process
        await server.run_stdio_async()
        return
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123, ASYNC230 - at once
        reader = StdinReader(stack.enter_context(_redirected(0, nothing.fileno())))
        writer = StdoutWriter(stack.enter_context(_redirected(1, 2)))
        transport = StdioTransport(reader, writer)
        stack.enter_context(_stop_on_signals(transport))
        async with transport.streams() as (requests, answers):
            await server.run_streams(requests, answers)
