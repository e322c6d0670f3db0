"""
What a studio hands to its sessions and pictures: a library, a way to the provider, and defaults.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import attrs

from imagesession._library.library import Library
from imagesession._model.partials import PartialImage
from imagesession._plan.steps import Flow, OnDisk
from imagesession._plan.store import Store
from imagesession._plan.wishes import Terms
from imagesession.errors import CallError, ImageSessionError

from .drivers import Done, drive, drive_async, stream, stream_async
from .many import Pace, Report, gather, gather_async, nothing
from .transports import AsyncTransport, Connector, Transport

if TYPE_CHECKING:
    from imagesession._model.progress import OnProgress

    from .progress import ProgressObserver

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

    def do(self, flow: Flow[T], on_progress: OnProgress | None = None) -> T:
        """
        Carry out a flow and return its result.

        Args:
            flow: What to do.
            on_progress: Who is told how far it is; None for nobody.

        Raises:
            CallError: `on_progress` cannot be called.
        """
        try:
            return drive(flow, self.library, self.connect, *_observed_by(on_progress))
        except CallError as error:
            raise _without_our_frames(error) from error.__cause__

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
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Carry out several flows at once; return each one's result, or its error in its place.
        """

        def run(observed: _Observed[T]) -> T:
            flow, *observers = observed
            return drive(flow, self.library, self.connect, *observers)

        return gather(
            run, _observed(flows, on_progress),
            concurrency=concurrency, pace=pace or Pace(), free=free, report=report,
        )  # fmt: skip

    def stream(
        self, flow: Flow[T], show: Callable[[T], View], on_progress: OnProgress | None = None
    ) -> Generator[PartialImage | View, None, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        observers = _observed_by(on_progress)
        with contextlib.closing(stream(flow, self.library, self.connect, *observers)) as events:
            try:
                for event in events:
                    yield show(event.value) if isinstance(event, Done) else event
            except CallError as error:
                raise _without_our_frames(error) from error.__cause__


@attrs.frozen(kw_only=True)
class AsyncDesk(_Shared):
    """
    Same as `Desk`, but awaits.

    Attributes:
        connect: Gives the way to the provider; called no sooner than one is needed.
    """

    connect: Connector[AsyncTransport]

    async def do(self, flow: Flow[T], on_progress: OnProgress | None = None) -> T:
        """
        Same as `Desk.do`, but awaits.
        """
        try:
            return await drive_async(flow, self.library, self.connect, *_observed_by(on_progress))
        except CallError as error:
            raise _without_our_frames(error) from error.__cause__

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
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Same as `Desk.gather`, but awaits.
        """

        async def run(observed: _Observed[T]) -> T:
            flow, *observers = observed
            return await drive_async(flow, self.library, self.connect, *observers)

        return await gather_async(
            run, _observed(flows, on_progress),
            concurrency=concurrency, pace=pace or Pace(), free=free, report=report,
        )  # fmt: skip

    async def stream(
        self, flow: Flow[T], show: Callable[[T], View], on_progress: OnProgress | None = None
    ) -> AsyncGenerator[PartialImage | View, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        running = stream_async(flow, self.library, self.connect, *_observed_by(on_progress))
        async with contextlib.aclosing(running) as events:
            try:
                async for event in events:
                    yield show(event.value) if isinstance(event, Done) else event
            except CallError as error:
                raise _without_our_frames(error) from error.__cause__


AnyRuntime = TypeVar("AnyRuntime", Desk, AsyncDesk)


def _without_our_frames(error: CallError) -> CallError:
    """
    Cut an error's traceback: a wrong argument is explained by the message and the caller's line,
    not by the thirty frames of the check that found it.
    """
    return error.with_traceback(None)


# A flow, and what observes it, if anything does.
_Observed: TypeAlias = "tuple[Flow[T]] | tuple[Flow[T], ProgressObserver]"


def _observed_by(on_progress: OnProgress | None) -> list[ProgressObserver]:
    """
    Return what observes one flow. Whoever does not ask for it pays nothing.
    """
    if on_progress is None:
        return []
    from .progress import observers  # noqa: PLC0415 - not everybody asks

    return observers(on_progress)


def _observed(flows: Sequence[Flow[T]], on_progress: OnProgress | None) -> list[_Observed[T]]:
    if on_progress is None:
        return [(flow,) for flow in flows]
    from .progress import observers  # noqa: PLC0415 - not everybody asks

    return list(zip(flows, observers(on_progress, len(flows)), strict=True))
