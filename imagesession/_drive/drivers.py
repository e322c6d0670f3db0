"""
Carry out a flow's steps, one by one.

The two drivers stand side by side and say the same, one of them awaiting. Whatever is decided is
decided in the flow.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

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
    Send,
    Step,
    Wait,
)
from imagesession._plan.store import Store
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import ImageSessionError

T = TypeVar("T")
_DISK_THREADS = 8
# A picture that is fetched takes several times its size until it is on the disk.
_FETCHED_AT_ONCE = 32
# How long a cancellation waits for the reply to a request that is paid for.
_LAST_WAIT = 10.0
T_co = TypeVar("T_co", covariant=True)


@attrs.frozen
class Done(Generic[T]):
    """
    A flow's result; the last thing that comes out of it.
    """

    value: T


class Transport(Protocol):
    """
    Sends requests; raises `NoReplyError` where there is no answer, and nothing else.
    """

    def provider(self) -> str:
        """Name who answers."""
        ...

    def send(self, request: Request) -> Reply:
        """Send a request and read the whole reply."""
        ...

    def listen(
        self, request: Request
    ) -> contextlib.AbstractContextManager[Reply | Iterator[bytes]]:
        """Send a request; give the reply, or the events' data if it is a stream."""
        ...


class AsyncTransport(Protocol):
    """
    Same as `Transport`, but awaits.
    """

    def provider(self) -> str:
        """Name who answers. May take a second, the first time."""
        ...

    async def send(self, request: Request) -> Reply:
        """Send a request and read the whole reply."""
        ...

    def listen(
        self, request: Request
    ) -> contextlib.AbstractAsyncContextManager[Reply | AsyncIterator[bytes]]:
        """Send a request; give the reply, or the events' data if it is a stream."""
        ...


class Connector(Protocol[T_co]):
    """
    Gives the way to the provider, made when it is asked for first.
    """

    @property
    def made(self) -> T_co | None:
        """The way, if it is made already."""
        ...

    def __call__(self) -> T_co:
        """Give the way; make it if need be."""
        ...


# --- sync -------------------------------------------------------------------------------------


def drive(flow: Flow[T], store: Store, connect: Connector[Transport]) -> T:
    """
    Carry out a flow and return its result.

    Args:
        flow: What to do.
        store: The library.
        connect: Gives the way to the provider; called no sooner than a step needs it.
    """
    for event in stream(flow, store, connect):
        if isinstance(event, Done):
            return event.value
    raise AssertionError("a flow ended without a result")


def stream(
    flow: Flow[T], store: Store, connect: Connector[Transport]
) -> Generator[PartialImage | Done[T], None, None]:
    """
    Carry out a flow; yield the pictures on the way and then its result.
    """
    with contextlib.closing(flow), contextlib.ExitStack() as open_streams:
        hands = _Hands(store, connect, open_streams)
        answer: Any = None
        problem: NoReplyError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                yield Done(stop.value)
                return
            answer = problem = None
            if isinstance(step, Emit):
                yield step.partial
                continue
            try:
                answer = hands.carry_out(step)
            except (NoReplyError, ImageSessionError) as error:
                problem = error


@attrs.define
class _Hands:
    store: Store
    connect: Connector[Transport]
    open_streams: contextlib.ExitStack
    events: Iterator[bytes] = attrs.field(factory=lambda: iter(()))

    def carry_out(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do):
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
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    def listen(self, request: Request) -> Reply | None:
        opened = self.open_streams.enter_context(self.connect().listen(request))
        if isinstance(opened, Reply):
            return opened
        self.events = opened
        return None


# --- async ------------------------------------------------------------------------------------


async def drive_async(flow: Flow[T], store: Store, connect: Connector[AsyncTransport]) -> T:
    """
    Same as `drive`, but awaits.
    """
    async with contextlib.aclosing(stream_async(flow, store, connect)) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.value
    raise AssertionError("a flow ended without a result")


async def stream_async(
    flow: Flow[T], store: Store, connect: Connector[AsyncTransport]
) -> AsyncGenerator[PartialImage | Done[T], None]:
    """
    Same as `stream`, but awaits.
    """
    async with contextlib.AsyncExitStack() as open_streams:
        open_streams.callback(flow.close)
        hands = _AsyncHands(store, connect, open_streams)
        open_streams.callback(hands.give_way)
        answer: Any = None
        problem: NoReplyError | ImageSessionError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                hands.heed()
                yield Done(stop.value)
                return
            except ImageSessionError:
                hands.heed()
                raise
            answer = problem = None
            if isinstance(step, Emit):
                hands.heed()
                yield step.partial
                continue
            try:
                answer = await hands.carry_out(step)
            except (NoReplyError, ImageSessionError) as error:
                problem = error


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadPoolExecutor] = WeakKeyDictionary()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _gate() -> asyncio.Semaphore:
    """
    Return what keeps a crowd from fetching all of its pictures into memory at once.
    """
    return _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_FETCHED_AT_ONCE))


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """
    Work with the disk while the event loop goes on.

    The disk has a few threads of its own in each loop. They mostly wait for it to flush, so they
    must not use up those that everything else in the loop shares; and what was begun there is
    carried through, whatever becomes of the task that began it.
    """
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = ThreadPoolExecutor(_DISK_THREADS, "imagesession disk")
    return loop.run_in_executor(_pools[loop], work)


async def _outlast(
    work: asyncio.Future[Any], seconds: float | None = None
) -> asyncio.CancelledError | None:
    """
    Wait for what a cancellation of this task does not stop.

    A task's own `cancel()` goes through the shields of anyio, so both kinds are held back here.

    Args:
        work: What to wait for.
        seconds: How long to go on waiting when this task is cancelled; None for no limit.

    Returns:
        The cancellation that was held back, if there was one.
    """
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError as error:
        end = None if seconds is None else time.monotonic() + seconds
        with anyio.CancelScope(shield=True):
            while not work.done() and (end is None or time.monotonic() < end):
                with contextlib.suppress(asyncio.CancelledError):
                    left = None if end is None else end - time.monotonic()
                    await asyncio.wait({work}, timeout=left)
        return error
    return None


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncHands:
    store: Store
    connect: Connector[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_nothing)
    cancelled: asyncio.CancelledError | None = None
    gate: asyncio.Semaphore | None = None

    def heed(self) -> None:
        """
        Raise the cancellation that was held back, if there is one.
        """
        if self.cancelled is not None:
            raise self.cancelled

    async def carry_out(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do):
                # The disk may take its time; the event loop does not wait for it. Nor does a
                # cancellation keep it from writing down what was just heard.
                return await self.insist(_in_thread(functools.partial(do, self.store)))
            case Begin(after=after):
                return self.store.begin(after)
            case Now():
                return time.monotonic()
            case _:
                self.heed()
                self.give_way()
                return await self.reach_out(step)

    async def reach_out(self, step: Step[Any]) -> object:
        """
        Carry out a step that waits for the provider, or for time to pass.
        """
        match step:
            case AskProvider():
                return (await self.connected()).provider()
            case Send(request=request, paid=True):
                await anyio.lowlevel.checkpoint_if_cancelled()
                sending = asyncio.ensure_future(self.connect().send(request))
                return await self.insist(sending, _LAST_WAIT)
            case Send(request=request):
                return await self.fetch(request)
            case Listen(request=request):
                return await self.listen(request)
            case Hear():
                return await anext(self.events, None)
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

    async def insist(self, work: asyncio.Future[Any], seconds: float | None = None) -> object:
        """
        See something through, and hold a cancellation back until what came of it is on the disk.
        """
        cancelled = await _outlast(work, seconds)
        self.cancelled = self.cancelled or cancelled
        if not work.done():
            work.cancel()
            await _outlast(work)
        return work.result()

    async def fetch(self, request: Request) -> Reply:
        """
        Send a request whose reply may bring a picture; others wait until that is on the disk.
        """
        gate = _gate()
        await gate.acquire()
        self.gate = gate
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
