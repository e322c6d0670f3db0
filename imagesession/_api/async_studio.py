"""
The studio, awaited: the same methods as in `studio`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from imagesession._api import bulk, pickling, workflows
from imagesession._api.async_generation import AsyncGenerationVerbs
from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage, async_last_image
from imagesession._api.bulk import ImageRequests
from imagesession._api.config import (
    OFFLINE,
    OFFLINE_HOST,
    StudioParams,
    build_config,
    describe_provider,
    has_key,
    headers_of,
    host_of,
    open_store,
    resolve_credentials,
    takes_studio_params,
)
from imagesession._api.models import AsyncModelsResource
from imagesession._api.pending import AsyncRequestsResource, to_recovery_report
from imagesession._api.queue import AsyncImageQueue
from imagesession._api.resources import AsyncImagesResource, AsyncSessionsResource, id_or_name
from imagesession._api.results import Results
from imagesession._api.signatures import public
from imagesession._api.studio_base import AsyncStudioFacts
from imagesession._api.types import CallParams, ImageInput, SessionParams, takes_keywords
from imagesession._api.workflows import DEFAULT_CONCURRENCY
from imagesession._display import gallery
from imagesession._display.progress import for_many
from imagesession._domain.health import HealthReport
from imagesession._domain.options import OptionParams
from imagesession._domain.removal import ErasureReport
from imagesession._domain.reports import CostReport, Grouping, LibraryStats, RecoveryReport
from imagesession._domain.tree import MAIN
from imagesession._domain.turn import Turn
from imagesession._engine import bulk as engine_bulk
from imagesession._engine import queries, recovery, removal, reports, sessions
from imagesession._engine.validate import validate_label
from imagesession._runtime.lazy_client import AsyncClosableTransport

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._api.batch import AsyncBatchesResource
    from imagesession._domain.progress import OnProgress
    from imagesession._domain.turn import Api
    from imagesession._fake_openai import FakeOpenAI


@public
class AsyncStudio(AsyncStudioFacts, AsyncGenerationVerbs[AsyncSavedImage]):
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

        def connect() -> AsyncClosableTransport:
            from imagesession._runtime import openai_clients  # noqa: PLC0415 - loads openai

            return (
                openai_clients.connect_async(access)
                if client is None
                else openai_clients.wrap_async(client)
            )

        provider = describe_provider(access, client)
        config = build_config(options, host_of(access, client), headers_of(client))
        self._initialize(open_store(library, options), connect, provider, config, options)

    @classmethod
    @takes_studio_params
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: FakeOpenAI | None = None,
        **options: Unpack[StudioParams],
    ) -> Self:
        """
        Same as `Studio.offline`; awaits nothing.
        """
        from imagesession._fake_openai import AsyncFakeTransport, FakeOpenAI  # noqa: PLC0415 - loads Pillow

        config = build_config(options, OFFLINE_HOST)
        fake = provider or FakeOpenAI(dialect=config.server.name)

        def connect() -> AsyncClosableTransport:
            from imagesession._runtime import openai_clients  # noqa: PLC0415 - loads openai

            return openai_clients.connect_with_transport_async(AsyncFakeTransport(fake))

        studio = cls.__new__(cls)
        store = open_store(library, options, offline=True)
        studio._initialize(store, connect, OFFLINE, config, options)  # noqa: SLF001 - it is our own
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

    def as_owner(self, owner: str) -> Self:
        """
        Same as `Studio.as_owner`.
        """
        studio = object.__new__(type(self))
        studio._connection, studio._is_view = self._connection, True
        studio._runtime = pickling.as_owner(self._runtime, owner)
        return studio

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
        from imagesession._api.batch import AsyncBatchesResource  # noqa: PLC0415 - rarely needed

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
        begin = sessions.get_or_create_session if resume else sessions.create_session
        settings = workflows.session_settings(options)
        workflow = begin(description, settings, self._runtime.config)
        return AsyncImageSession(await self._runtime.run(workflow), MAIN, self._runtime)

    async def open(
        self, wanted: str, *, branch: str = MAIN, reopen: bool = False
    ) -> AsyncImageSession:
        """
        Same as `Studio.open`, but awaits.
        """
        record = await self._runtime.run(sessions.get_session(wanted, branch, reopen=reopen))
        return AsyncImageSession(record, branch, self._runtime)

    @takes_keywords(OptionParams)
    async def promote(
        self,
        image: ImageInput,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionParams],
    ) -> AsyncImageSession:
        """
        Same as `Studio.promote`, but awaits.
        """
        config = self._runtime.config
        workflow = workflows.create_from_image(image, description, name, options, config)
        record = await self._runtime.run(workflow)
        return AsyncImageSession(record, MAIN, self._runtime)

    @takes_keywords(CallParams)
    async def map(
        self,
        requests: ImageRequests,
        /,
        *,
        max_concurrency: int = DEFAULT_CONCURRENCY,
        images_per_minute: float | None = None,
        api: Api | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[CallParams],
    ) -> Results[AsyncSavedImage]:
        """
        Same as `Studio.map`, but awaits.
        """
        plan = bulk.plan_bulk(
            requests, options, self._runtime.config,
            max_concurrency=max_concurrency, images_per_minute=images_per_minute, api=api,
        )  # fmt: skip
        outcomes = await self._runtime.gather(
            plan.workflows,
            concurrency=plan.concurrency,
            pace=plan.pace,
            free=await self._runtime.run(plan.completed),
            on_progress=for_many(enabled=progress, on_progress=on_progress),
        )
        return workflows.to_results(outcomes, self._wrap, plan.keys)

    @takes_keywords(OptionParams)
    async def queue(
        self,
        requests: ImageRequests | None = None,
        /,
        *,
        name: str,
        **options: Unpack[OptionParams],
    ) -> AsyncImageQueue:
        """
        Same as `Studio.queue`, but awaits.
        """
        validate_label("The queue's name", name, empty=False)
        if requests is None:
            queue = AsyncImageQueue(name, self._runtime)
            await queue.status()
            return queue
        jobs = await self._runtime.run(
            bulk.plan_queue(requests, name, options, self._runtime.config)
        )
        return await asyncio.to_thread(AsyncImageQueue.create, name, self._runtime, jobs)

    async def recover(
        self,
        *,
        timeout: float = 30.0,  # noqa: ASYNC109 - as of the sync twin; nothing is cut off
    ) -> RecoveryReport[AsyncSavedImage]:
        """
        Same as `Studio.recover`, but awaits.
        """
        seconds = engine_bulk.validate_timeout(timeout)
        workflow = recovery.reconcile_all(self._runtime.config, seconds)
        settled, damaged = await self._runtime.run(workflow)
        return to_recovery_report(settled, self._wrap, damaged)

    async def costs(
        self,
        *,
        group_by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: AsyncImageSession | str | None = None,
    ) -> CostReport:
        """
        Same as `Studio.costs`, but awaits.
        """
        query = queries.spending_query(group_by, since, until, id_or_name(session))
        return await self._runtime.run(
            reports.costs(query, self._runtime.config, self._runtime.provider)
        )

    async def stats(self) -> LibraryStats:
        """
        Same as `Studio.stats`, but awaits.
        """
        root = self._runtime.library.address
        return await self._runtime.run(
            reports.stats(self._runtime.config, self._runtime.provider, root)
        )

    async def doctor(
        self, *, verify: bool = False, repair: bool = False, online: bool = False
    ) -> HealthReport:
        """
        Same as `Studio.doctor`, but awaits.
        """
        from imagesession._engine import health  # noqa: PLC0415 - rarely needed

        workflow = health.run_health_checks(
            self._runtime.config,
            self._runtime.provider,
            verify=verify,
            repair=repair,
            online=online,
        )
        return await self._runtime.run(workflow)

    async def empty_bin(self, *, older_than: dt.timedelta | None = None) -> ErasureReport:
        """
        Same as `Studio.empty_bin`, but awaits.
        """
        return await self._runtime.run(removal.empty_bin(older_than))

    async def prune(self, *, older_than: dt.timedelta, dry_run: bool = False) -> ErasureReport:
        """
        Same as `Studio.prune`, but awaits.
        """
        return await self._runtime.run(removal.prune(older_than, dry_run=dry_run))

    async def erase_owner(self, owner: str) -> ErasureReport:
        """
        Same as `Studio.erase_owner`, but awaits.
        """
        return await self._runtime.run(removal.erase_owner(owner))

    async def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `Studio.gallery`, but awaits.
        """
        return Path(await self._runtime.call_store(lambda store: gallery.write(store, path)))

    async def close(self) -> None:
        """
        Same as `Studio.close`, but awaits.
        """
        pickling.forget_open(self._runtime)
        if self._is_view:
            return
        transport = self._connection.close()
        if transport is not None:
            await transport.close()
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
        import anyio.to_thread  # noqa: PLC0415 - loads anyio, which a sync studio does not need

        await anyio.to_thread.run_sync(self._connection)

    def _wrap(self, turn: Turn, position: int = -1) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime, position)
