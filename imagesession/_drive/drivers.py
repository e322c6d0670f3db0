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

from imagesession._model.partials import PartialImage
from imagesession._plan.steps import (
    AskProvider,
    Begin,
    Emit,
    Flow,
    Hear,
    Listen,
    Now,
    OnDisk,
    Recall,
    ReportProgress,
    Send,
    Step,
    Wait,
    WaitFor,
)
from imagesession._plan.store import Store
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import ImageSessionError

from .loops import gate, in_thread, outlast
from .reporting import Reporting, log_effect
from .transports import AsyncTransport, Connector, Transport

if TYPE_CHECKING:
    from .progress import ProgressObserver

T = TypeVar("T")
# How long a cancellation waits for the reply to a request that is paid for.
_LAST_WAIT = 10.0


@attrs.frozen
class Done(Generic[T]):
    """
    A flow's result; the last thing that comes out of it.
    """

    value: T


# The first AskProvider loads openai, which takes most of a second.
_WAITING = (AskProvider, Send, Listen, Hear, Wait, WaitFor)


# --- sync -------------------------------------------------------------------------------------


def drive(
    flow: Flow[T],
    store: Store,
    connect: Connector[Transport],
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
    for event in stream(flow, store, connect, observer):
        if isinstance(event, Done):
            return event.value
    raise AssertionError("a flow ended without a result")


def stream(
    flow: Flow[T],
    store: Store,
    connect: Connector[Transport],
    observer: ProgressObserver | None = None,
) -> Generator[PartialImage | Done[T], None, None]:
    """
    Carry out a flow; yield the pictures on the way and then its result.
    """
    with contextlib.closing(flow), contextlib.ExitStack() as open_streams:
        hands = _Hands(store, observer, connect, open_streams)
        hands.start()
        answer: Any = None
        problem: NoReplyError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                hands.end()
                yield Done(stop.value)
                return
            except ImageSessionError as error:
                hands.end(error)
                raise
            answer = problem = None
            if isinstance(step, Emit):
                hands.tell_partial()
                yield step.partial
                continue
            try:
                answer = hands.carry_out(step)
            except (NoReplyError, ImageSessionError) as error:
                problem = error


@attrs.define
class _Hands(Reporting):
    connect: Connector[Transport]
    open_streams: contextlib.ExitStack
    events: Iterator[bytes] = attrs.field(factory=lambda: iter(()))

    def carry_out(self, step: Step[Any]) -> object:
        if isinstance(step, ReportProgress):
            self.report(step)
            return None
        try:
            answer = self.do_observed(step)
        except NoReplyError as error:
            log_effect(step, error)
            raise
        log_effect(step, answer)
        return answer

    def do_observed(self, step: Step[Any]) -> object:
        if self.observer is None or not isinstance(step, _WAITING):
            return self.do(step)
        from .progress import run_with_heartbeat  # noqa: PLC0415 - loaded by whoever observes

        return run_with_heartbeat(functools.partial(self.do, step), self.observer)

    def do(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do) | Recall(do=do):
                return do(self.store)
            case Begin(after=after):
                return self.store.begin(after)
            case Now():
                return time.monotonic()
            case AskProvider():
                return self.connect().provider()
            case Send(request=request):
                return self.connect().send(request)
            case Listen(request=request):
                return self.listen(request)
            case Hear():
                return next(self.events, None)
            case Wait(seconds=seconds):
                time.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                concurrent.futures.wait((signal,), seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    def listen(self, request: Request) -> Reply | None:
        opened = self.open_streams.enter_context(self.connect().listen(request))
        if isinstance(opened, Reply):
            return opened
        self.events = opened
        return None


# --- async ------------------------------------------------------------------------------------


async def drive_async(
    flow: Flow[T],
    store: Store,
    connect: Connector[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> T:
    """
    Same as `drive`, but awaits.
    """
    async with contextlib.aclosing(stream_async(flow, store, connect, observer)) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.value
    raise AssertionError("a flow ended without a result")


async def stream_async(
    flow: Flow[T],
    store: Store,
    connect: Connector[AsyncTransport],
    observer: ProgressObserver | None = None,
) -> AsyncGenerator[PartialImage | Done[T], None]:
    """
    Same as `stream`, but awaits.
    """
    async with contextlib.AsyncExitStack() as open_streams:
        open_streams.callback(flow.close)
        hands = _AsyncHands(store, observer, connect, open_streams)
        open_streams.callback(hands.give_way)
        hands.start()
        answer: Any = None
        problem: NoReplyError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                hands.heed()
                hands.end()
                yield Done(stop.value)
                return
            except ImageSessionError as error:
                hands.heed()
                hands.end(error)
                raise
            answer = problem = None
            if isinstance(step, Emit):
                hands.heed()
                hands.tell_partial()
                yield step.partial
                continue
            try:
                answer = await hands.carry_out(step)
            except (NoReplyError, ImageSessionError) as error:
                problem = error


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncHands(Reporting):
    connect: Connector[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_nothing)
    cancelled: asyncio.CancelledError | None = None
    gate: asyncio.Semaphore | None = None
    has_asked: bool = False
    waits: bool = False
    # Whether the paid request is out and its first event, which names the response, is not here.
    is_unnamed: bool = False

    def heed(self) -> None:
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

    async def carry_out(self, step: Step[Any]) -> object:
        if isinstance(step, ReportProgress):
            self.report(step)
            return None
        self.waits = isinstance(step, _WAITING)
        try:
            answer = await self.do(step)
        except NoReplyError as error:
            log_effect(step, error)
            raise
        finally:
            self.waits = False
        log_effect(step, answer)
        return answer

    async def do(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do):
                # The disk may take its time; the event loop does not wait for it. Nor does a
                # cancellation keep it from writing down what was just heard.
                work = functools.partial(do, self.store)
                return await self.insist(in_thread(work, looking=not self.has_asked))
            case Recall(do=do):
                return do(self.store)
            case Begin(after=after):
                return self.store.begin(after)
            case Now():
                return time.monotonic()
            case Hear() if self.is_unnamed:
                return await self.reach_out(step)
            case _:
                self.heed()
                self.give_way()
                return await self.reach_out(step)

    async def reach_out(self, step: Step[Any]) -> object:
        """
        Carry out a step that waits for the provider, or for time to pass.
        """
        self.has_asked = True
        match step:
            case AskProvider():
                return (await self.connected()).provider()
            case Send(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                sending = asyncio.ensure_future(self.connect().send(request))
                return await self.insist(sending, _LAST_WAIT)
            case Listen(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                self.is_unnamed = True
                return await self.insist(asyncio.ensure_future(self.listen(request)), _LAST_WAIT)
            case Send(request=request):
                return await self.fetch(request)
            case Listen(request=request):
                return await self.listen(request)
            case Hear():
                return await self.hear()
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
                return None
            case WaitFor(signal=signal, seconds=seconds):
                await asyncio.wait({asyncio.wrap_future(signal)}, timeout=seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    async def insist(self, work: asyncio.Future[Any], seconds: float | None = None) -> object:
        """
        See something through, and hold a cancellation back until what came of it is on the disk.
        """
        cancelled = await outlast(work, seconds)
        self.cancelled = self.cancelled or cancelled
        if not work.done():
            work.cancel()
            await outlast(work)
        return work.result()

    async def fetch(self, request: Request) -> Reply:
        """
        Send a request whose reply may bring a picture; others wait until that is on the disk.
        """
        others = gate()
        await others.acquire()
        self.gate = others
        return await self.connect().send(request)

    def give_way(self) -> None:
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

    async def listen(self, request: Request) -> Reply | None:
        opened = await self.open_streams.enter_async_context(self.connect().listen(request))
        if isinstance(opened, Reply):
            return opened
        self.events = opened
        return None

    async def hear(self) -> bytes | None:
        """
        Wait for the next event. The first one of a paid request names the response, by which
        anybody can follow it: a cancellation waits until that is written down.
        """
        if not self.is_unnamed:
            return await anext(self.events, None)
        self.is_unnamed = False
        first = asyncio.ensure_future(_next(self.events))
        event: bytes | None = await self.insist(first, _LAST_WAIT)  # type: ignore[assignment]
        return event


async def _next(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)
