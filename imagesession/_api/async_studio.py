"""
The studio, awaited: the same methods as in `studio`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from imagesession._api import bulk, workflows
from imagesession._api.async_generation import AsyncGenerationVerbs
from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage, async_last_image
from imagesession._api.bulk import ImageRequests
from imagesession._api.config import (
    OFFLINE,
    StudioParams,
    build_config,
    describe_provider,
    has_key,
    resolve_credentials,
    resolve_library_path,
    takes_studio_params,
)
from imagesession._api.resources import (
    AsyncImagesResource,
    AsyncModelsResource,
    AsyncRequestsResource,
    AsyncSessionsResource,
    id_or_name,
    to_recovery_report,
)
from imagesession._api.types import ImageInput, SessionParams, takes_keywords
from imagesession._api.workflows import DEFAULT_CONCURRENCY
from imagesession._drive.connection import AsyncClosing, Connection
from imagesession._drive.desk import AsyncDesk
from imagesession._library.library import Library
from imagesession._model.checkup import Checkup
from imagesession._model.options import OptionKeywords
from imagesession._model.reports import Grouping, Recovery, Spending, StudioStats
from imagesession._model.results import Results
from imagesession._model.tree import MAIN
from imagesession._model.turns import Turn
from imagesession._plan import jobs, queries, recovery, reports, sessions
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Terms
from imagesession._show import gallery
from imagesession._show.progress import bar

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._api.batch import AsyncBatchesResource
    from imagesession._model.progress import OnProgress
    from imagesession._offline import OfflineProvider


class AsyncStudio(AsyncGenerationVerbs[AsyncSavedImage]):
    """
    Same as `Studio`, but its verbs await.
    """

    @takes_studio_params
    def __init__(
        self,
        library: str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: openai.AsyncOpenAI | None = None,
        **options: Unpack[StudioParams],
    ) -> None:
        access = resolve_credentials(api_key, base_url)

        def connect() -> AsyncClosing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_async(access) if client is None else clients.wrap_async(client)

        provider, terms = describe_provider(access, client), build_config(options)
        self._initialize(resolve_library_path(library), connect, provider, terms)

    def _initialize(
        self, library: Path, connect: Callable[[], AsyncClosing], provider: str, terms: Terms
    ) -> None:
        self._connection = Connection(connect)
        self._runtime = AsyncDesk(
            library=Library(library), terms=terms, provider=provider, connect=self._connection
        )

    @classmethod
    @takes_studio_params
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: OfflineProvider | None = None,
        **options: Unpack[StudioParams],
    ) -> Self:
        """
        Same as `Studio.offline`; awaits nothing.
        """
        from imagesession._offline import AsyncOfflineTransport, OfflineProvider  # noqa: PLC0415 - loads Pillow

        drawing = provider or OfflineProvider()

        def connect() -> AsyncClosing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_through_async(AsyncOfflineTransport(drawing))

        studio, terms = cls.__new__(cls), build_config(options)
        studio._initialize(resolve_library_path(library, offline=True), connect, OFFLINE, terms)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_studio_params
    def from_env(
        cls, library: str | os.PathLike[str] | None = None, **options: Unpack[StudioParams]
    ) -> Self:
        """
        Same as `Studio.from_env`; awaits nothing.
        """
        return cls(library, **options) if has_key() else cls.offline(library, **options)

    @property
    def library(self) -> Path:
        """
        The folder where images are kept.
        """
        return self._runtime.library.layout.root

    @property
    def provider(self) -> str:
        """
        The provider that makes the images, in words.
        """
        return self._runtime.provider

    @property
    def sessions(self) -> AsyncSessionsResource:
        """
        Same as `Studio.sessions`, but its methods await.
        """
        return AsyncSessionsResource(self._runtime)

    @property
    def images(self) -> AsyncImagesResource:
        """
        Same as `Studio.images`, but its methods await.
        """
        return AsyncImagesResource(self._runtime)

    @property
    def batches(self) -> AsyncBatchesResource:
        """
        Same as `Studio.batches`, but its methods await.
        """
        from imagesession._api.batch import AsyncBatchesResource  # noqa: PLC0415 - not everybody has one

        return AsyncBatchesResource(self._runtime)

    @property
    def models(self) -> AsyncModelsResource:
        """
        Same as `Studio.models`, but its methods await.
        """
        return AsyncModelsResource(self._runtime)

    @property
    def requests(self) -> AsyncRequestsResource:
        """
        Same as `Studio.requests`, but its methods await.
        """
        return AsyncRequestsResource(self._runtime)

    @takes_keywords(SessionParams)
    async def session(
        self, description: str, *, resume: bool = False, **options: Unpack[SessionParams]
    ) -> AsyncImageSession:
        """
        Same as `Studio.session`, but awaits.
        """
        begin = sessions.resume if resume else sessions.start
        settings = workflows.session_settings(options)
        flow = begin(description, settings, self._runtime.terms)
        return AsyncImageSession(await self._runtime.do(flow), MAIN, self._runtime)

    async def open(
        self, wanted: str, *, branch: str = MAIN, reopen: bool = False
    ) -> AsyncImageSession:
        """
        Same as `Studio.open`, but awaits.
        """
        record = await self._runtime.do(sessions.find(wanted, branch, reopen=reopen))
        return AsyncImageSession(record, branch, self._runtime)

    @takes_keywords(OptionKeywords)
    async def promote(
        self,
        image: ImageInput,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncImageSession:
        """
        Same as `Studio.promote`, but awaits.
        """
        terms = self._runtime.terms
        workflow = workflows.create_from_image(image, description, name, options, terms)
        record = await self._runtime.do(workflow)
        return AsyncImageSession(record, MAIN, self._runtime)

    @takes_keywords(OptionKeywords)
    async def map(
        self,
        requests: ImageRequests,
        /,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        images_per_minute: float | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[AsyncSavedImage]:
        """
        Same as `Studio.map`, but awaits.
        """
        plan = bulk.plan_bulk(
            requests, options, self._runtime.terms,
            concurrency=concurrency, images_per_minute=images_per_minute,
        )  # fmt: skip
        completed = await self._runtime.do(plan.completed())
        with bar(len(plan.workflows), wanted=progress) as advance:
            outcomes = await self._runtime.gather(
                plan.workflows,
                concurrency=plan.concurrency,
                pace=plan.pace,
                free=completed,
                report=advance,
                on_progress=on_progress,
            )
        return workflows.to_results(outcomes, self._wrap, plan.keys)

    async def recover(
        self,
        *,
        timeout: float = 30.0,  # noqa: ASYNC109 - as of the sync twin; nothing is cut off
    ) -> Recovery[AsyncSavedImage]:
        """
        Same as `Studio.recover`, but awaits.
        """
        seconds = jobs.check_wait(timeout)
        settled = await self._runtime.do(recovery.reconcile_all(self._runtime.terms, seconds))
        return to_recovery_report(settled, self._wrap)

    async def costs(
        self,
        *,
        group_by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: AsyncImageSession | str | None = None,
    ) -> Spending:
        """
        Same as `Studio.costs`, but awaits.
        """
        query = queries.spending_query(group_by, since, until, id_or_name(session))
        return await self._runtime.do(
            reports.costs(query, self._runtime.terms, self._runtime.provider)
        )

    async def stats(self) -> StudioStats:
        """
        Same as `Studio.stats`, but awaits.
        """
        root = str(self._runtime.library.layout.root)
        return await self._runtime.do(
            reports.stats(self._runtime.terms, self._runtime.provider, root)
        )

    async def doctor(self, *, verify: bool = False, online: bool = False) -> Checkup:
        """
        Same as `Studio.doctor`, but awaits.
        """
        from imagesession._plan import checkup  # noqa: PLC0415 - hardly ever needed

        flow = checkup.look(
            self._runtime.terms, self._runtime.provider, verify=verify, online=online
        )
        return await self._runtime.do(flow)

    async def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `Studio.gallery`, but awaits.
        """
        return Path(await self._runtime.ask(lambda store: gallery.write(store, path)))

    async def close(self) -> None:
        """
        Same as `Studio.close`, but awaits.
        """
        made = self._connection.close()
        if made is not None:
            await made.close()
        self._runtime.library.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _connect(self) -> None:
        """
        Same as `Studio._connect`, but awaits.
        """
        import anyio.to_thread  # noqa: PLC0415 - loads anyio, which a sync studio does not need

        await anyio.to_thread.run_sync(self._connection)

    def _branch_head(self) -> Flow[Place | None]:
        return workflows.standalone()

    def _wrap(self, turn: Turn) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return workflows.display_studio(self._runtime, repr(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


AsyncStudio.__module__ = "imagesession"
