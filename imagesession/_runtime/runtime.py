"""
What a studio hands to its sessions and pictures: a library, a way to the provider, and defaults.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession._engine.effects import StoreCall, Workflow
from imagesession._engine.request import StudioConfig
from imagesession._engine.store import Store
from imagesession._store.repository import LibraryStore
from imagesession.errors import ImageSessionError, InvalidRequestError

from .concurrency import RateLimiter, Report, gather, gather_async, no_report
from .interpreter import WorkflowResult, drive_async, iter_workflow, run_workflow, stream_async
from .transport import AsyncTransport, LazyTransport, Transport

if TYPE_CHECKING:
    from imagesession._domain.progress import OnProgress

    from .progress import ProgressObserver

T = TypeVar("T")
View = TypeVar("View")


@attrs.frozen(kw_only=True)
class _Shared:
    """
    Attributes:
        library: Where pictures are kept.
        config: What holds for everything that is asked.
        provider: Who makes the pictures, in words.
    """

    library: LibraryStore
    config: StudioConfig
    provider: str


@attrs.frozen(kw_only=True)
class Runtime(_Shared):
    """
    Carries out flows.

    Attributes:
        connect: Gives the way to the provider; called no sooner than one is needed.
    """

    connect: LazyTransport[Transport]

    def run(self, flow: Workflow[T], on_progress: OnProgress | None = None) -> T:
        """
        Carry out a flow and return its result.

        Args:
            flow: What to do.
            on_progress: Who is told how far it is; None for nobody.

        Raises:
            InvalidRequestError: `on_progress` cannot be called.
        """
        try:
            return run_workflow(flow, self.library, self.connect, *_observed_by(on_progress))
        except InvalidRequestError as error:
            raise _without_our_frames(error) from error.__cause__

    def call_store(self, do: Callable[[Store], T]) -> T:
        """
        Have the library do one thing, such as `ask(lambda store: store.list_sessions())`.
        """
        return self.run(iter(StoreCall(do)))

    def gather(
        self,
        flows: Sequence[Workflow[T]],
        *,
        concurrency: int,
        pace: RateLimiter | None = None,
        free: Collection[int] = (),
        report: Report = no_report,
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Carry out several flows at once; return each one's result, or its error in its place.
        """

        def run(observed: _Observed[T]) -> T:
            flow, *observers = observed
            return run_workflow(flow, self.library, self.connect, *observers)

        return gather(
            run, _observed(flows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free, report=report,
        )  # fmt: skip

    def stream(
        self, flow: Workflow[T], show: Callable[[T], View], on_progress: OnProgress | None = None
    ) -> Generator[PartialImage | View, None, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        observers = _observed_by(on_progress)
        with contextlib.closing(
            iter_workflow(flow, self.library, self.connect, *observers)
        ) as events:
            try:
                for event in events:
                    yield show(event.value) if isinstance(event, WorkflowResult) else event
            except InvalidRequestError as error:
                raise _without_our_frames(error) from error.__cause__


@attrs.frozen(kw_only=True)
class AsyncRuntime(_Shared):
    """
    Same as `Runtime`, but awaits.

    Attributes:
        connect: Gives the way to the provider; called no sooner than one is needed.
    """

    connect: LazyTransport[AsyncTransport]

    async def run(self, flow: Workflow[T], on_progress: OnProgress | None = None) -> T:
        """
        Same as `Runtime.do`, but awaits.
        """
        try:
            return await drive_async(flow, self.library, self.connect, *_observed_by(on_progress))
        except InvalidRequestError as error:
            raise _without_our_frames(error) from error.__cause__

    async def call_store(self, do: Callable[[Store], T]) -> T:
        """
        Have the library do one thing, such as `ask(lambda store: store.list_sessions())`.
        """
        return await self.run(iter(StoreCall(do)))

    async def gather(
        self,
        flows: Sequence[Workflow[T]],
        *,
        concurrency: int,
        pace: RateLimiter | None = None,
        free: Collection[int] = (),
        report: Report = no_report,
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Same as `Runtime.gather`, but awaits.
        """

        async def run(observed: _Observed[T]) -> T:
            flow, *observers = observed
            return await drive_async(flow, self.library, self.connect, *observers)

        return await gather_async(
            run, _observed(flows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free, report=report,
        )  # fmt: skip

    async def stream(
        self, flow: Workflow[T], show: Callable[[T], View], on_progress: OnProgress | None = None
    ) -> AsyncGenerator[PartialImage | View, None]:
        """
        Carry out a flow; yield the pictures on the way and then its result, as it is shown.
        """
        running = stream_async(flow, self.library, self.connect, *_observed_by(on_progress))
        async with contextlib.aclosing(running) as events:
            try:
                async for event in events:
                    yield show(event.value) if isinstance(event, WorkflowResult) else event
            except InvalidRequestError as error:
                raise _without_our_frames(error) from error.__cause__


AnyRuntime = TypeVar("AnyRuntime", Runtime, AsyncRuntime)


def _without_our_frames(error: InvalidRequestError) -> InvalidRequestError:
    """
    Cut an error's traceback: a wrong argument is explained by the message and the caller's line,
    not by the thirty frames of the check that found it.
    """
    return error.with_traceback(None)


# A flow, and what observes it, if anything does.
_Observed: TypeAlias = "tuple[Workflow[T]] | tuple[Workflow[T], ProgressObserver]"


def _observed_by(on_progress: OnProgress | None) -> list[ProgressObserver]:
    """
    Return what observes one flow. Whoever does not ask for it pays nothing.
    """
    if on_progress is None:
        return []
    from .progress import observers  # noqa: PLC0415 - not everybody asks

    return observers(on_progress)


def _observed(flows: Sequence[Workflow[T]], on_progress: OnProgress | None) -> list[_Observed[T]]:
    if on_progress is None:
        return [(flow,) for flow in flows]
    from .progress import observers  # noqa: PLC0415 - not everybody asks

    return list(zip(flows, observers(on_progress, len(flows)), strict=True))
