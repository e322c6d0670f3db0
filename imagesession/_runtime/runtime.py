"""
The runtime that a studio shares with its sessions and images: library, provider, configuration.
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
from imagesession._store.library import LibraryStore
from imagesession.errors import ImageSessionError, InvalidRequestError

from .concurrency import RateLimiter, Report, gather, gather_async, no_report
from .interpreter import (
    WorkflowResult,
    iter_workflow,
    iter_workflow_async,
    run_workflow,
    run_workflow_async,
)
from .transport import AsyncTransport, LazyTransport, Transport

if TYPE_CHECKING:
    from typing import Self

    from imagesession._domain.progress import OnProgress

    from .progress import ProgressObserver

T = TypeVar("T")
View = TypeVar("View")


@attrs.frozen(kw_only=True)
class _RuntimeBase:
    """
    Attributes:
        library: The library on disk.
        config: The configuration of all requests.
        provider: A description of the provider.
        reopen: The function that opens it again in another process, and its arguments.
    """

    library: LibraryStore
    config: StudioConfig
    provider: str
    reopen: tuple[Callable[..., object], tuple[object, ...]] = attrs.field(repr=False)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reopen

    def __deepcopy__(self, _: object) -> Self:
        return self


@attrs.frozen(kw_only=True)
class Runtime(_RuntimeBase):
    """
    Runs workflows.

    Attributes:
        connect: Returns the transport; called only when it is needed.
    """

    connect: LazyTransport[Transport]

    def run(self, workflow: Workflow[T], on_progress: OnProgress | None = None) -> T:
        """
        Run a workflow and return its result.

        Args:
            workflow: The workflow.
            on_progress: Called with progress events; None for no reports.

        Raises:
            InvalidRequestError: `on_progress` is not a plain callable.
        """
        try:
            return run_workflow(workflow, self.library, self.connect, *_observers_for(on_progress))
        except InvalidRequestError as error:
            raise _without_traceback(error) from error.__cause__

    def call_store(self, do: Callable[[Store], T]) -> T:
        """
        Call the library, such as `call_store(lambda store: store.list_sessions())`.
        """
        return self.run(iter(StoreCall(do)))

    def gather(
        self,
        workflows: Sequence[Workflow[T]],
        *,
        concurrency: int,
        pace: RateLimiter | None = None,
        free: Collection[int] = (),
        report: Report = no_report,
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Run several workflows concurrently; return each one's result, or its error in its place.
        """

        def run(observed: _Observed[T]) -> T:
            workflow, *observers = observed
            return run_workflow(workflow, self.library, self.connect, *observers)

        return gather(
            run, _observed(workflows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free, report=report,
        )  # fmt: skip

    def stream(
        self,
        workflow: Workflow[T],
        show: Callable[[T], View],
        on_progress: OnProgress | None = None,
    ) -> Generator[PartialImage | View, None, None]:
        """
        Run a workflow; yield its partial images and then its result, passed through `show`.
        """
        observers = _observers_for(on_progress)
        with contextlib.closing(
            iter_workflow(workflow, self.library, self.connect, *observers)
        ) as events:
            try:
                for event in events:
                    yield show(event.value) if isinstance(event, WorkflowResult) else event
            except InvalidRequestError as error:
                raise _without_traceback(error) from error.__cause__


@attrs.frozen(kw_only=True)
class AsyncRuntime(_RuntimeBase):
    """
    Same as `Runtime`, but awaits.

    Attributes:
        connect: Returns the transport; called only when it is needed.
    """

    connect: LazyTransport[AsyncTransport]

    async def run(self, workflow: Workflow[T], on_progress: OnProgress | None = None) -> T:
        """
        Same as `Runtime.run`, but awaits.
        """
        try:
            return await run_workflow_async(
                workflow, self.library, self.connect, *_observers_for(on_progress)
            )
        except InvalidRequestError as error:
            raise _without_traceback(error) from error.__cause__

    async def call_store(self, do: Callable[[Store], T]) -> T:
        """
        Call the library, such as `call_store(lambda store: store.list_sessions())`.
        """
        return await self.run(iter(StoreCall(do)))

    async def gather(
        self,
        workflows: Sequence[Workflow[T]],
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
            workflow, *observers = observed
            return await run_workflow_async(workflow, self.library, self.connect, *observers)

        return await gather_async(
            run, _observed(workflows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free, report=report,
        )  # fmt: skip

    async def stream(
        self,
        workflow: Workflow[T],
        show: Callable[[T], View],
        on_progress: OnProgress | None = None,
    ) -> AsyncGenerator[PartialImage | View, None]:
        """
        Same as `Runtime.stream`, but iterated with `async for`.
        """
        running = iter_workflow_async(
            workflow, self.library, self.connect, *_observers_for(on_progress)
        )
        async with contextlib.aclosing(running) as events:
            try:
                async for event in events:
                    yield show(event.value) if isinstance(event, WorkflowResult) else event
            except InvalidRequestError as error:
                raise _without_traceback(error) from error.__cause__


AnyRuntime = TypeVar("AnyRuntime", Runtime, AsyncRuntime)


def _without_traceback(error: InvalidRequestError) -> InvalidRequestError:
    """
    Remove an error's traceback: a wrong argument is explained by the message and the caller's line,
    not by the thirty frames of the check that found it.
    """
    return error.with_traceback(None)


# A workflow, and its observer if there is one.
_Observed: TypeAlias = "tuple[Workflow[T]] | tuple[Workflow[T], ProgressObserver]"


def _observers_for(on_progress: OnProgress | None) -> list[ProgressObserver]:
    """
    Return the observer of one workflow, if there is a callback.
    """
    if on_progress is None:
        return []
    from .progress import observers  # noqa: PLC0415 - only needed with a callback

    return observers(on_progress)


def _observed(
    workflows: Sequence[Workflow[T]], on_progress: OnProgress | None
) -> list[_Observed[T]]:
    if on_progress is None:
        return [(workflow,) for workflow in workflows]
    from .progress import observers  # noqa: PLC0415 - only needed with a callback

    return list(zip(workflows, observers(on_progress, len(workflows)), strict=True))
