"""
Perform the effects of a workflow, one after the other.

There are two interpreters, a blocking and an awaiting one, that do the same. All decisions are made
in the workflow.
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
    GetBaseUrl,
    GetProviderName,
    MemoryCall,
    MonotonicTime,
    NewId,
    NextEvent,
    OpenStream,
    PixelCall,
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
from .threads import ARRIVING, FetchGate, run_in_thread, wait_shielded
from .transport import AsyncTransport, LazyTransport, Transport

if TYPE_CHECKING:
    from .progress import ProgressObserver

T = TypeVar("T")
# How many seconds a cancellation waits for the response to a paid request.
_CANCEL_WAIT_SECONDS = 10.0


@attrs.frozen
class WorkflowResult(Generic[T]):
    """
    A workflow's result, which follows its partial images.
    """

    value: T


# The first GetProviderName loads openai, which takes most of a second.
_WAITING_EFFECTS = (GetProviderName, Send, OpenStream, NextEvent, Sleep, WaitFor)


def address_of(transport: Transport | AsyncTransport, effect: GetProviderName | GetBaseUrl) -> str:
    return transport.provider() if isinstance(effect, GetProviderName) else transport.base_url()


# --- sync -------------------------------------------------------------------------------------


def run_workflow(
    workflow: Workflow[T],
    store: Store,
    connect: LazyTransport[Transport],
    observer: ProgressObserver | None = None,
) -> T:
    for event in iter_workflow(workflow, store, connect, observer):
        if isinstance(event, WorkflowResult):
            return event.value
    raise AssertionError("a workflow ended without a result")


def iter_workflow(
    workflow: Workflow[T],
    store: Store,
    connect: LazyTransport[Transport],
    observer: ProgressObserver | None = None,
) -> Generator[PartialImage | WorkflowResult[T], None, None]:
    """
    Run a workflow; yield its partial images and then its result.
    """
    with contextlib.closing(workflow), contextlib.ExitStack() as open_streams:
        interpreter = _SyncInterpreter(store, observer, connect, open_streams)
        interpreter.start()
        result: Any = None
        failure: TransportError | ImageSessionError | None = None
        while True:
            try:
                effect = workflow.send(result) if failure is None else workflow.throw(failure)
            except StopIteration as stop:
                interpreter.end()
                open_streams.close()  # read to their ends, so that connections are reused
                yield WorkflowResult(stop.value)
                return
            except ImageSessionError as error:
                interpreter.end(error)
                raise
            result = failure = None
            if isinstance(effect, EmitPartial):
                interpreter.report_partial()
                yield effect.partial
                continue
            try:
                result = interpreter.perform(effect)
            except (TransportError, ImageSessionError) as error:
                failure = error


@attrs.define
class _SyncInterpreter(Reporting):
    connect: LazyTransport[Transport]
    open_streams: contextlib.ExitStack
    events: Iterator[bytes] = attrs.field(factory=lambda: iter(()))

    def perform(self, effect: Effect[Any]) -> object:
        if isinstance(effect, ReportProgress):
            self.report(effect)
            return None
        run = functools.partial(self.do, effect)
        if self.observer is not None and isinstance(effect, _WAITING_EFFECTS):
            from .progress import run_with_heartbeat  # noqa: PLC0415 - only needed with an observer

            run = functools.partial(run_with_heartbeat, run, self.observer)
        try:
            result = run()
        except TransportError as error:
            log_effect(effect, error)
            raise
        log_effect(effect, result)
        return result

    def do(self, effect: Effect[Any]) -> object:
        match effect:
            case StoreCall() | PixelCall() | MemoryCall():
                return self.call(effect, self.connect)
            case NewId(after=after):
                return self.store.new_id(after)
            case MonotonicTime():
                return time.monotonic()
            case GetProviderName() | GetBaseUrl():
                return address_of(self.connect(), effect)
            case Send(request=request):
                return self.connect().send(request)
            case OpenStream(request=request):
                return self.listen(request)
            case NextEvent(within=within):
                self.hurry_stream(within)
                return next(self.events, None)
            case Sleep(seconds=seconds):
                time.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                concurrent.futures.wait((signal,), seconds)
                return None
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    def listen(self, request: HttpRequest) -> HttpResponse:
        opened = self.open_streams.enter_context(self.connect().listen(request))
        response, self.events, self.stream_deadline = opened
        return response


# --- async ------------------------------------------------------------------------------------


async def run_workflow_async(
    workflow: Workflow[T],
    store: Store,
    connect: LazyTransport[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> T:
    async with contextlib.aclosing(
        iter_workflow_async(workflow, store, connect, observer)
    ) as events:
        async for event in events:
            if isinstance(event, WorkflowResult):
                return event.value
    raise AssertionError("a workflow ended without a result")


async def iter_workflow_async(
    workflow: Workflow[T],
    store: Store,
    connect: LazyTransport[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> AsyncGenerator[PartialImage | WorkflowResult[T], None]:
    async with contextlib.AsyncExitStack() as open_streams:
        open_streams.callback(workflow.close)
        interpreter = _AsyncInterpreter(store, observer, connect, open_streams)
        open_streams.callback(interpreter.gate.leave)
        interpreter.start()
        result: Any = None
        failure: TransportError | ImageSessionError | None = None
        while True:
            try:
                effect = workflow.send(result) if failure is None else workflow.throw(failure)
            except StopIteration as stop:
                interpreter.raise_pending_cancellation()
                interpreter.end()
                await open_streams.aclose()
                yield WorkflowResult(stop.value)
                return
            except ImageSessionError as error:
                interpreter.raise_pending_cancellation()
                interpreter.end(error)
                raise
            result = failure = None
            if isinstance(effect, EmitPartial):
                interpreter.raise_pending_cancellation()
                interpreter.report_partial()
                yield effect.partial
                continue
            try:
                result = await interpreter.perform(effect)
            except (TransportError, ImageSessionError) as error:
                failure = error


async def _no_events() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncInterpreter(Reporting):
    connect: LazyTransport[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_no_events)
    cancelled: asyncio.CancelledError | None = None
    gate: FetchGate = attrs.field(factory=FetchGate)
    has_contacted_provider: bool = False
    is_waiting: bool = False
    # Whether a paid request was sent and its first event, which has the response id, is missing.
    is_unnamed: bool = False

    def raise_pending_cancellation(self) -> None:
        if self.cancelled is not None:
            raise self.cancelled

    def start(self) -> None:
        super().start()
        if self.observer is not None:
            from .progress import start_heartbeat  # noqa: PLC0415 - only needed with an observer

            heartbeat = start_heartbeat(self.observer, lambda: self.is_waiting)
            self.open_streams.callback(heartbeat.cancel)

    async def perform(self, effect: Effect[Any]) -> object:
        if isinstance(effect, ReportProgress):
            self.report(effect)
            return None
        self.is_waiting = isinstance(effect, _WAITING_EFFECTS)
        try:
            result = await self.do(effect)
        except TransportError as error:
            log_effect(effect, error)
            raise
        finally:
            self.is_waiting = False
        log_effect(effect, result)
        return result

    async def do(self, effect: Effect[Any]) -> object:
        match effect:
            case MemoryCall() | StoreCall(blocks=False):
                return self.call(effect, self.connect)
            case StoreCall() | PixelCall():
                # The disk may be slow, so it must not block the event loop. A cancellation must not
                # stop it from recording what was just received.
                work = functools.partial(self.call, effect, self.connect)
                return await self.shield(
                    run_in_thread(work, reading=not self.has_contacted_provider)
                )
            case NewId(after=after):
                return self.store.new_id(after)
            case MonotonicTime():
                return time.monotonic()
            case NextEvent() if self.is_unnamed:
                return await self.perform_io(effect)
            case NextEvent(holds_image=True):
                self.raise_pending_cancellation()
                with self.gate.held():
                    return await self.perform_io(effect)
            case _:
                self.raise_pending_cancellation()
                self.gate.leave()
                return await self.perform_io(effect)

    async def perform_io(self, effect: Effect[Any]) -> object:
        self.has_contacted_provider = True
        match effect:
            case GetProviderName() | GetBaseUrl():
                return address_of(await self.connected(), effect)
            case Send(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                sending = asyncio.ensure_future(self.connect().send(request))
                return await self.shield(sending, _CANCEL_WAIT_SECONDS)
            case OpenStream(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                self.is_unnamed = True
                return await self.shield(
                    asyncio.ensure_future(self.listen(request)), _CANCEL_WAIT_SECONDS
                )
            case Send(request=request):
                return await self.fetch(request)
            case OpenStream(request=request):
                return await self.listen(request)
            case NextEvent(within=within):
                self.hurry_stream(within)
                return await self.next_event()
            case Sleep(seconds=seconds):
                await anyio.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                await asyncio.wait({asyncio.wrap_future(signal)}, timeout=seconds)
                return None
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    async def shield(self, work: asyncio.Future[Any], seconds: float | None = None) -> object:
        """
        Complete work despite a cancellation, which is deferred until the result is on the disk.
        """
        cancelled = await wait_shielded(work, seconds)
        self.cancelled = self.cancelled or cancelled
        if not work.done():
            work.cancel()
            await wait_shielded(work)
        return work.result()

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """
        Send a request whose response may contain an image. The gate limits how many are in memory.
        """
        await self.gate.enter()
        return await self.connect().send(request)

    async def connected(self) -> AsyncTransport:
        """
        Connect in a thread, because the first call imports openai, which takes most of a second.
        """
        if self.connect.made is None:
            return await anyio.to_thread.run_sync(self.connect)
        return self.connect()

    async def listen(self, request: HttpRequest) -> HttpResponse:
        opened = await self.open_streams.enter_async_context(self.connect().listen(request))
        response, self.events, self.stream_deadline = opened
        return response

    async def next_event(self) -> bytes | None:
        """
        Wait for the next event. The first one of a paid request has the response id, by which the
        image can be recovered, so a cancellation is deferred until it is recorded.
        """
        if not self.is_unnamed:
            while (data := await anext(self.events, None)) is ARRIVING:
                await self.gate.enter()
            return data
        self.is_unnamed = False
        first = asyncio.ensure_future(_first_event(self.events))
        event: bytes | None = await self.shield(first, _CANCEL_WAIT_SECONDS)  # type: ignore[assignment]
        return event


async def _first_event(events: AsyncIterator[bytes]) -> bytes | None:
    while (data := await anext(events, None)) is ARRIVING:
        pass  # it has to be recorded, whatever its size
    return data
