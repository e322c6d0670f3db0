"""
Carry out a flow's steps, one by one.

The two drivers stand side by side and say the same, one of them awaiting. Whatever is decided is
decided in the flow.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
import attrs
from anyio.lowlevel import RunVar

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
                answer = await hands.carry_out(step)
            except (NoReplyError, ImageSessionError) as error:
                problem = error


_limiter: RunVar[anyio.CapacityLimiter] = RunVar("_limiter")


def _disk_threads() -> anyio.CapacityLimiter:
    """
    Return this event loop's limit of threads for the disk. They mostly wait for it to flush, so
    they must not use up the threads that everything else in the loop shares.
    """
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_DISK_THREADS)
        _limiter.set(limiter)
        return limiter


async def _in_thread(work: Callable[[], T]) -> T:
    """
    Work with the disk while the event loop goes on, and finish even when the caller is cancelled.
    """
    with anyio.CancelScope(shield=True):
        return await anyio.to_thread.run_sync(work, limiter=_disk_threads())
    raise AssertionError("a shielded scope is not left early")


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncHands:
    store: Store
    connect: Connector[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_nothing)

    async def carry_out(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do):
                # The disk may take its time; the event loop does not wait for it. Nor does a
                # cancellation keep it from writing down what was just heard.
                return await _in_thread(functools.partial(do, self.store))
            case Begin(after=after):
                return self.store.begin(after)
            case Now():
                return time.monotonic()
            case AskProvider():
                return (await self.connected()).provider()
            case Send(request=request):
                return await self.connect().send(request)
            case Listen(request=request):
                return await self.listen(request)
            case Hear():
                return await anext(self.events, None)
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
                return None
            case _:
                raise AssertionError(f"no driver knows the step {step!r}")

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
