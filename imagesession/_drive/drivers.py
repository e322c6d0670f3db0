"""
Carry out a flow's steps, one by one.

The two drivers stand side by side and say the same, one of them awaiting. Whatever is decided is
decided in the flow.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
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
    Send,
    Step,
    Wait,
)
from imagesession._plan.store import Store
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import ImageSessionError

from .loops import gate, in_thread, outlast
from .transports import AsyncTransport, Connector, Transport
from .watching import Attend

if TYPE_CHECKING:
    from .progress import Watch

log = logging.getLogger("imagesession")
log.addHandler(logging.NullHandler())
T = TypeVar("T")
# How long a cancellation waits for the reply to a request that is paid for.
_LAST_WAIT = 10.0


@attrs.frozen
class Done(Generic[T]):
    """
    A flow's result; the last thing that comes out of it.
    """

    value: T


@attrs.define
class _Watched:
    """
    What both kinds of hands know of who watches them.
    """

    store: Store
    watch: Watch | None = attrs.field(default=None, init=False)

    def begins_a_log(self) -> bool:
        return self.watch is None and log.isEnabledFor(logging.WARNING)

    def tell_partial(self) -> None:
        if self.watch is not None:
            self.watch.partial_came()

    def tell_end(self, error: ImageSessionError | None = None) -> None:
        if self.watch is not None:
            self.watch.ended(error)


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
                hands.tell_end()
                yield Done(stop.value)
                return
            except ImageSessionError as error:
                hands.tell_end(error)
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
class _Hands(_Watched):
    connect: Connector[Transport]
    open_streams: contextlib.ExitStack
    events: Iterator[bytes] = attrs.field(factory=lambda: iter(()))

    def carry_out(self, step: Step[Any]) -> object:
        if isinstance(step, Attend):
            self.attend(step.watch)
            return None
        if self.watch is None:
            return self.do(step)
        return self.watch.over(step, functools.partial(self.do, step))

    def attend(self, watch: Watch) -> None:
        self.watch = watch
        self.store = watch.overhear(self.store)

    def do(self, step: Step[Any]) -> object:
        match step:
            case OnDisk(do=do) | Recall(do=do):
                return do(self.store)
            case Begin(after=after):
                return self.store.begin(after)
            case Now():
                return time.monotonic()
            case AskProvider():
                return self.provider()
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

    def provider(self) -> str:
        if self.begins_a_log():
            self.attend(_logged())
        return self.connect().provider()

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
                hands.tell_end()
                yield Done(stop.value)
                return
            except ImageSessionError as error:
                hands.heed()
                hands.tell_end(error)
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


def _logged() -> Watch:
    """
    Make a watch that writes a log and tells nobody else.
    """
    from .progress import Watch  # noqa: PLC0415 - not needed before a provider is

    return Watch()


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


@attrs.define
class _AsyncHands(_Watched):
    connect: Connector[AsyncTransport]
    open_streams: contextlib.AsyncExitStack
    events: AsyncIterator[bytes] = attrs.field(factory=_nothing)
    cancelled: asyncio.CancelledError | None = None
    gate: asyncio.Semaphore | None = None
    has_asked: bool = False

    def heed(self) -> None:
        """
        Raise the cancellation that was held back, if there is one.
        """
        if self.cancelled is not None:
            raise self.cancelled

    async def carry_out(self, step: Step[Any]) -> object:
        if isinstance(step, Attend):
            self.attend(step.watch)
            return None
        if self.watch is None:
            return await self.do(step)
        return await self.watch.over_async(step, functools.partial(self.do, step))

    def attend(self, watch: Watch) -> None:
        self.watch = watch
        self.store = watch.overhear(self.store)
        self.open_streams.callback(watch.beat_along())

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
                return await self.provider()
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

    async def provider(self) -> str:
        if self.begins_a_log():
            self.attend(_logged())
        return (await self.connected()).provider()

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
