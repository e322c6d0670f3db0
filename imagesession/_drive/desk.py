"""
What a studio hands to its sessions and pictures: a library, a way to the provider, and defaults.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from typing import TypeVar

import attrs

from imagesession._library.library import Library
from imagesession._model.partials import PartialImage
from imagesession._plan.steps import Flow, OnDisk
from imagesession._plan.store import Store
from imagesession._plan.wishes import Terms
from imagesession.errors import ImageSessionError

from .drivers import Done, drive, drive_async, stream, stream_async
from .many import Pace, Report, gather, gather_async, nothing
from .transports import AsyncTransport, Connector, Transport

T = TypeVar("T")
View = TypeVar("View")


@attrs.frozen(kw_only=True)
class _Shared:
    """
    Attributes:
        library: Where pictures are kept.
        terms: What holds for everything that is asked.
        provider: Who makes the pictures, in words.
    """

    library: Library
    terms: Terms
    provider: str


@attrs.frozen(kw_only=True)
class Desk(_Shared):
    """
    Carries out flows.

    Attributes:
        connect: Gives the way to the provider; called no sooner than one is needed.
    """

    connect: Connector[Transport]

    def do(self, flow: Flow[T]) -> T:
        """
        Carry out a flow and return its result.
        """
        return drive(flow, self.library, self.connect)

    def ask(self, do: Callable[[Store], T]) -> T:
        """
        Have the library do one thing, such as `ask(lambda store: store.list_sessions())`.
        """
        return self.do(iter(OnDisk(do)))

    def gather(
        self,
        flows: Sequence[Flow[T]],
        *,
        concurrency: int,
        pace: Pace | None = None,
        free: Collection[int] = (),
        report: Report = nothing,
    ) -> list[T | ImageSessionError]:
        """
        Carry out several flows at once; return each one's result, or its error in its place.
        """
        return gather(
            self.do, flows,
            concurrency=concurrency, pace=pace or Pace(), free=free, report=report,
        )  # fmt: skip

    def stream(
        self, flow: Flow[T], show: Callable[[T], View]
    ) -> Generator[PartialImage | View, None, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        with contextlib.closing(stream(flow, self.library, self.connect)) as events:
            for event in events:
                yield show(event.value) if isinstance(event, Done) else event


@attrs.frozen(kw_only=True)
class AsyncDesk(_Shared):
    """
    Same as `Desk`, but awaits.

    Attributes:
        connect: Gives the way to the provider; called no sooner than one is needed.
    """

    connect: Connector[AsyncTransport]

    async def do(self, flow: Flow[T]) -> T:
        """
        Carry out a flow and return its result.
        """
        return await drive_async(flow, self.library, self.connect)

    async def ask(self, do: Callable[[Store], T]) -> T:
        """
        Have the library do one thing, such as `ask(lambda store: store.list_sessions())`.
        """
        return await self.do(iter(OnDisk(do)))

    async def gather(
        self,
        flows: Sequence[Flow[T]],
        *,
        concurrency: int,
        pace: Pace | None = None,
        free: Collection[int] = (),
        report: Report = nothing,
    ) -> list[T | ImageSessionError]:
        """
        Same as `Desk.gather`, but awaits.
        """
        return await gather_async(
            self.do, flows,
            concurrency=concurrency, pace=pace or Pace(), free=free, report=report,
        )  # fmt: skip

    async def stream(
        self, flow: Flow[T], show: Callable[[T], View]
    ) -> AsyncGenerator[PartialImage | View, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        async with contextlib.aclosing(stream_async(flow, self.library, self.connect)) as events:
            async for event in events:
                yield show(event.value) if isinstance(event, Done) else event
