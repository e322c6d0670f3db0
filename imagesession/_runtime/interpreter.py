"""
Carry out a flow's steps, one by one.

The two drivers stand side by side and say the same, one of them awaiting. Whatever is decided is
decided in the flow.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession._engine.effects import (
    Effect,
    EmitPartial,
    GetProviderName,
    MemoryCall,
    MonotonicTime,
    NewId,
    NextEvent,
    OpenStream,
    ReportProgress,
    Send,
    Sleep,
    StoreCall,
    WaitFor,
    Workflow,
)
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._engine.store import Store
from imagesession.errors import ImageSessionError

from .reporting import Reporting, log_effect
from .threads import fetch_gate, in_thread, wait_shielded
from .transport import AsyncTransport, LazyTransport, Transport

if TYPE_CHECKING:
    from .progress import ProgressObserver

T = TypeVar("T")
# How long a cancellation waits for the reply to a request that is paid for.
_LAST_WAIT = 10.0


@attrs.frozen
class WorkflowResult(Generic[T]):
    """
    A flow's result; the last thing that comes out of it.
    """

    value: T


# The first GetProviderName loads openai, which takes most of a second.
_WAITING = (GetProviderName, Send, OpenStream, NextEvent, Sleep, WaitFor)


# --- sync -------------------------------------------------------------------------------------


def run_workflow(
    flow: Workflow[T],
    store: Store,
    connect: LazyTransport[Transport],
    observer: ProgressObserver | None = None,
) -> T:
    """
    Carry out a flow and return its result.

    Args:
        flow: What to do.
        store: The library.
        connect: Gives the way to the provider; called no sooner than a step needs it.
        observer: Who is told how far it is.
    """
    for event in iter_workflow(flow, store, connect, observer):
        if isinstance(event, WorkflowResult):
            return event.value
    raise AssertionError("a flow ended without a result")


def iter_workflow(
    flow: Workflow[T],
    store: Store,
    connect: LazyTransport[Transport],
    observer: ProgressObserver | None = None,
) -> Generator[PartialImage | WorkflowResult[T], None, None]:
    """
    Carry out a flow; yield the pictures on the way and then its result.
    """
    with contextlib.closing(flow), contextlib.ExitStack() as open_streams:
        hands = _SyncInterpreter(store, observer, connect, open_streams)
        hands.start()
        answer: Any = None
        problem: TransportError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                hands.end()
                yield WorkflowResult(stop.value)
                return
            except ImageSessionError as error:
                hands.end(error)
                raise
            answer = problem = None
            if isinstance(step, EmitPartial):
                hands.report_partial()
                yield step.partial
                continue
            try:
                answer = hands.perform(step)
            except (TransportError, ImageSessionError) as error:
                problem = error


@attrs.define
class _SyncInterpreter(Reporting):
    connect: LazyTransport[Transport]
    open_streams: contextlib.ExitStack
    events: Iterator[bytes] = attrs.field(factory=lambda: iter(()))

    def perform(self, step: Effect[Any]) -> object:
        if isinstance(step, ReportProgress):
            self.report(step)
            return None
        try:
            answer = self.perform_observed(step)
        except TransportError as error:
            log_effect(step, error)
            raise
        log_effect(step, answer)
        return answer

    def perform_observed(self, step: Effect[Any]) -> object:
        if self.observer is None or not isinstance(step, _WAITING):
            return self.do(step)
        from .progress import run_with_heartbeat  # noqa: PLC0415 - loaded by whoever observes

        return run_with_heartbeat(functools.partial(self.do, step), self.observer)

    def do(self, step: Effect[Any]) -> object:
        match step:
            case StoreCall(do=do) | MemoryCall(do=do):
                return do(self.store)
            case NewId(after=after):
                return self.store.new_id(after)
            case MonotonicTime():
                return time.monotonic()
            case GetProviderName():
                return self.connect().provider()
            case Send(request=request):
                return self.connect().send(request)
            case OpenStream(request=request):
                return self.listen(request)
            case NextEvent():
                return next(self.events, None)
            case Sleep(seconds=seconds):
                time.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                concurrent.futures.wait((signal,), seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    def listen(self, request: HttpRequest) -> HttpResponse | None:
        opened = self.open_streams.enter_context(self.connect().listen(request))
        if isinstance(opened, HttpResponse):
            return opened
        self.events = opened
        return None


# --- async ------------------------------------------------------------------------------------


async def drive_async(
    flow: Workflow[T],
    store: Store,
    connect: LazyTransport[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> T:
    """
    Same as `drive`, but awaits.
    """
    async with contextlib.aclosing(stream_async(flow, store, connect, observer)) as events:
        async for event in events:
            if isinstance(event, WorkflowResult):
                return event.value
    raise AssertionError("a flow ended without a result")


async def stream_async(
    flow: Workflow[T],
    store: Store,
    connect: LazyTransport[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> AsyncGenerator[PartialImage | WorkflowResult[T], None]:
    """
    Same as `stream`, but awaits.
    """
    async with contextlib.AsyncExitStack() as open_streams:
        open_streams.callback(flow.close)
        hands = _AsyncInterpreter(store, observer, connect, open_streams)
        open_streams.callback(hands.release_fetch_gate)
        hands.start()
        answer: Any = None
        problem: TransportError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                hands.raise_pending_cancellation()
                hands.end()
                yield WorkflowResult(stop.value)
                return
            except ImageSessionError as error:
                hands.raise_pending_cancellation()
                hands.end(error)
                raise
            answer = problem = None
            if isinstance(step, EmitPartial):
                hands.raise_pending_cancellation()
                hands.report_partial()
                yield step.partial
                continue
            try:
                answer = await hands.perform(step)
            except (TransportError, ImageSessionError) as error:
                problem = error


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncInterpreter(Reporting):
    connect: LazyTransport[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_nothing)
    cancelled: asyncio.CancelledError | None = None
    gate: asyncio.Semaphore | None = None
    has_asked: bool = False
    waits: bool = False
    # Whether the paid request is out and its first event, which names the response, is not here.
    is_unnamed: bool = False

    def raise_pending_cancellation(self) -> None:
        """
        Raise the cancellation that was held back, if there is one.
        """
        if self.cancelled is not None:
            raise self.cancelled

    def start(self) -> None:
        super().start()
        if self.observer is not None:
            from .progress import start_heartbeat  # noqa: PLC0415 - loaded by whoever observes

            heartbeat = start_heartbeat(self.observer, lambda: self.waits)
            self.open_streams.callback(heartbeat.cancel)

    async def perform(self, step: Effect[Any]) -> object:
        if isinstance(step, ReportProgress):
            self.report(step)
            return None
        self.waits = isinstance(step, _WAITING)
        try:
            answer = await self.do(step)
        except TransportError as error:
            log_effect(step, error)
            raise
        finally:
            self.waits = False
        log_effect(step, answer)
        return answer

    async def do(self, step: Effect[Any]) -> object:
        match step:
            case StoreCall(do=do):
                # The disk may take its time; the event loop does not wait for it. Nor does a
                # cancellation keep it from writing down what was just heard.
                work = functools.partial(do, self.store)
                return await self.shield(in_thread(work, looking=not self.has_asked))
            case MemoryCall(do=do):
                return do(self.store)
            case NewId(after=after):
                return self.store.new_id(after)
            case MonotonicTime():
                return time.monotonic()
            case NextEvent() if self.is_unnamed:
                return await self.perform_io(step)
            case _:
                self.raise_pending_cancellation()
                self.release_fetch_gate()
                return await self.perform_io(step)

    async def perform_io(self, step: Effect[Any]) -> object:
        """
        Carry out a step that waits for the provider, or for time to pass.
        """
        self.has_asked = True
        match step:
            case GetProviderName():
                return (await self.connected()).provider()
            case Send(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                sending = asyncio.ensure_future(self.connect().send(request))
                return await self.shield(sending, _LAST_WAIT)
            case OpenStream(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                self.is_unnamed = True
                return await self.shield(asyncio.ensure_future(self.listen(request)), _LAST_WAIT)
            case Send(request=request):
                return await self.fetch(request)
            case OpenStream(request=request):
                return await self.listen(request)
            case NextEvent():
                return await self.next_event()
            case Sleep(seconds=seconds):
                await anyio.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                await asyncio.wait({asyncio.wrap_future(signal)}, timeout=seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    async def shield(self, work: asyncio.Future[Any], seconds: float | None = None) -> object:
        """
        See something through, and hold a cancellation back until what came of it is on the disk.
        """
        cancelled = await wait_shielded(work, seconds)
        self.cancelled = self.cancelled or cancelled
        if not work.done():
            work.cancel()
            await wait_shielded(work)
        return work.result()

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """
        Send a request whose reply may bring a picture; others wait until that is on the disk.
        """
        others = fetch_gate()
        await others.acquire()
        self.gate = others
        return await self.connect().send(request)

    def release_fetch_gate(self) -> None:
        """
        Let others fetch: what was fetched is on the disk, or brought nothing.
        """
        if self.gate is not None:
            self.gate.release()
            self.gate = None

    async def connected(self) -> AsyncTransport:
        """
        Connect in a thread: the first time, it imports openai, which takes most of a second.
        """
        if self.connect.made is None:
            return await anyio.to_thread.run_sync(self.connect)
        return self.connect()

    async def listen(self, request: HttpRequest) -> HttpResponse | None:
        opened = await self.open_streams.enter_async_context(self.connect().listen(request))
        if isinstance(opened, HttpResponse):
            return opened
        self.events = opened
        return None

    async def next_event(self) -> bytes | None:
        """
        Wait for the next event. The first one of a paid request names the response, by which
        anybody can follow it: a cancellation waits until that is written down.
        """
        if not self.is_unnamed:
            return await anext(self.events, None)
        self.is_unnamed = False
        first = asyncio.ensure_future(_next(self.events))
        event: bytes | None = await self.shield(first, _LAST_WAIT)  # type: ignore[assignment]
        return event


async def _next(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)
