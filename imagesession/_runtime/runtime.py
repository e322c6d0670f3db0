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

from .concurrency import RateLimiter, gather, gather_async
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

    from imagesession._domain.progress import OnProgress, ProgressCallback

    from .progress import ProgressObserver

T = TypeVar("T")
View = TypeVar("View")
# A workflow, and its observer if there is a callback.
_Observed: TypeAlias = "tuple[Workflow[T], ProgressObserver | None]"


@attrs.frozen(kw_only=True)
class _RuntimeBase:
    """
    Attributes:
        reopen: The function that opens it again in another process, and its arguments.
        show_progress: Returns a callback that shows the progress of a call.
        whole: Of an owner's view: the runtime of the studio that it is a view of, which so stays
            open as long as the view does.
    """

    library: LibraryStore
    config: StudioConfig
    provider: str
    reopen: tuple[Callable[..., object], tuple[object, ...]] = attrs.field(repr=False)
    show_progress: Callable[[], ProgressCallback] = attrs.field(repr=False)
    whole: Runtime | AsyncRuntime | None = attrs.field(default=None, repr=False)

    def _observers(
        self, on_progress: OnProgress | None, total: int = 1
    ) -> Sequence[ProgressObserver | None]:
        if on_progress is None or on_progress is False:
            return [None] * total
        from .progress import observers  # noqa: PLC0415 - only needed with a callback

        return observers(self.show_progress() if on_progress is True else on_progress, total)

    def _observed(
        self, workflows: Sequence[Workflow[T]], on_progress: OnProgress | None
    ) -> list[_Observed[T]]:
        return list(zip(workflows, self._observers(on_progress, len(workflows)), strict=True))

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
        try:
            return run_workflow(workflow, self.library, self.connect, *self._observers(on_progress))
        except InvalidRequestError as error:
            raise _without_traceback(error) from error.__cause__

    def call_store(self, do: Callable[[Store], T]) -> T:
        """
        Call the library, such as `call_store(lambda store: store.sessions.list())`.
        """
        return self.run(iter(StoreCall(do)))

    def gather(
        self,
        workflows: Sequence[Workflow[T]],
        *,
        concurrency: int,
        pace: RateLimiter | None = None,
        free: Collection[int] = (),
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        """
        Run several workflows concurrently; return each one's result, or its error in its place.
        """

        def run(observed: _Observed[T]) -> T:
            workflow, observer = observed
            return run_workflow(workflow, self.library, self.connect, observer)

        return gather(
            run, self._observed(workflows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free,
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
        observers = self._observers(on_progress)
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
        try:
            return await run_workflow_async(
                workflow, self.library, self.connect, *self._observers(on_progress)
            )
        except InvalidRequestError as error:
            raise _without_traceback(error) from error.__cause__

    async def call_store(self, do: Callable[[Store], T]) -> T:
        return await self.run(iter(StoreCall(do)))

    async def gather(
        self,
        workflows: Sequence[Workflow[T]],
        *,
        concurrency: int,
        pace: RateLimiter | None = None,
        free: Collection[int] = (),
        on_progress: OnProgress | None = None,
    ) -> list[T | ImageSessionError]:
        async def run(observed: _Observed[T]) -> T:
            workflow, observer = observed
            return await run_workflow_async(workflow, self.library, self.connect, observer)

        return await gather_async(
            run, self._observed(workflows, on_progress),
            concurrency=concurrency, pace=pace or RateLimiter(), free=free,
        )  # fmt: skip

    async def stream(
        self,
        workflow: Workflow[T],
        show: Callable[[T], View],
        on_progress: OnProgress | None = None,
    ) -> AsyncGenerator[PartialImage | View, None]:
        running = iter_workflow_async(
            workflow, self.library, self.connect, *self._observers(on_progress)
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
