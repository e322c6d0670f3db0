"""
The studio: where sessions and images are made and found again.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from imagesession._api import bulk, workflows
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
from imagesession._api.generation import GenerationVerbs
from imagesession._api.resources import (
    ImagesResource,
    ModelsResource,
    RequestsResource,
    SessionsResource,
    id_or_name,
    to_recovery_report,
)
from imagesession._api.session import ImageSession, SavedImage, last_image
from imagesession._api.types import ImageInput, SessionParams, takes_keywords
from imagesession._api.workflows import DEFAULT_CONCURRENCY
from imagesession._display import gallery
from imagesession._display.progress import bar
from imagesession._domain.health import HealthReport
from imagesession._domain.options import OptionParams
from imagesession._domain.reports import CostReport, Grouping, LibraryStats, RecoveryReport
from imagesession._domain.results import Results
from imagesession._domain.tree import MAIN
from imagesession._domain.turn import Turn
from imagesession._engine import bulk as engine_bulk
from imagesession._engine import queries, recovery, reports, sessions
from imagesession._engine.effects import Workflow
from imagesession._engine.request import StudioConfig
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.lazy_client import ClosableTransport, LazyClient
from imagesession._runtime.runtime import Runtime
from imagesession._store.repository import LibraryStore

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._api.batch import BatchesResource
    from imagesession._domain.progress import OnProgress
    from imagesession._fake_openai import FakeOpenAI


class Studio(GenerationVerbs[SavedImage]):
    """
    The way in: makes images and sessions, finds them again, and knows where they are kept.

    Args:
        library: The folder where images are kept. Left out, it is the environment variable
            IMAGESESSION_LIBRARY, or `imagesession` in the user's Pictures folder.
        api_key: Left out, it is the environment variable OPENAI_API_KEY.
        base_url: For servers that speak OpenAI's protocol. Left out, it is the environment
            variable OPENAI_BASE_URL, or OpenAI.
        client: An `openai.OpenAI` (or `openai.AzureOpenAI`) of your own, instead of the two above.
        budget: What may be spent; a call that might exceed it is not sent.
        provider_state: What the provider keeps of a turn. "responses": the response, for 30 days
            or longer; the next turn names it, in some hundred bytes, from any program.
            "conversation": the items of a conversation, until it is deleted; a program that is
            killed before it knows a response's id finds the image there. "none": nothing
            (`store=false`, for zero data retention); history goes along from the library.
        remember: How many earlier turns go to the model at most; None for all. Each of them
            is billed again with every turn.
        max_active_sessions: How many sessions may be active at once.
        session_idle_timeout: Seconds after which a session in which nothing happens counts as idle:
            it is no longer active, and becomes so again when it goes on.
        timeout: Seconds for an image in all: after that the call gives up, and `recover` finds
            the image later.
        patience: Seconds for which requests are retried, up to five times, while the provider
            rejects them before doing any work (too many at once, overloaded, unreachable). How
            long it says to wait is obeyed, by all programs that use this library. 0 raises the
            error at once.
        images_per_minute: How many requests all programs on this library may send a minute,
            evenly spaced; what your account's limit says.
        max_concurrency: How many requests all programs on this library may have under way at once;
            others wait for their turn, up to `timeout`. None for no limit.
        **options: The options of every image, unless a session or call says otherwise; see
            `GenerateOptions`.

    Raises:
        StorageError: The folder cannot be used, or a newer imagesession wrote it.
        InvalidOptionError: An option is not one, or its value is not one that it takes.
    """

    @takes_studio_params
    def __init__(
        self,
        library: str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: openai.OpenAI | None = None,
        **options: Unpack[StudioParams],
    ) -> None:
        access = resolve_credentials(api_key, base_url)

        def connect() -> ClosableTransport:
            from imagesession._runtime import openai_clients  # noqa: PLC0415 - loads openai

            return openai_clients.connect(access) if client is None else openai_clients.wrap(client)

        provider, config = describe_provider(access, client), build_config(options)
        self._initialize(resolve_library_path(library), connect, provider, config)

    def _initialize(
        self,
        library: Path,
        connect: Callable[[], ClosableTransport],
        provider: str,
        config: StudioConfig,
    ) -> None:
        self._connection = LazyClient(connect)
        self._runtime = Runtime(
            library=LibraryStore(library),
            config=config,
            provider=provider,
            connect=self._connection,
        )

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
        Make a studio that needs no key and no network: sketches are drawn on this computer.

        They pass through the same client and the same protocol as a model's images, so that
        programs can be tried and tested with it; they are not a model's work.

        Args:
            library: The folder where images are kept. Left out, it is as for a `Studio`, but
                `imagesession offline` in the Pictures folder, apart from those that were paid for.
            provider: An `imagesession.testing.FakeOpenAI` of your own.
            **options: As for a `Studio`.
        """
        from imagesession._fake_openai import FakeOpenAI, FakeTransport  # noqa: PLC0415 - loads Pillow

        drawing = provider or FakeOpenAI()

        def connect() -> ClosableTransport:
            from imagesession._runtime import openai_clients  # noqa: PLC0415 - loads openai

            return openai_clients.connect_with_transport(FakeTransport(drawing))

        studio, config = cls.__new__(cls), build_config(options)
        studio._initialize(resolve_library_path(library, offline=True), connect, OFFLINE, config)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_studio_params
    def from_env(
        cls, library: str | os.PathLike[str] | None = None, **options: Unpack[StudioParams]
    ) -> Self:
        """
        Make a studio that uses OpenAI if there is a key, and draws offline otherwise.

        `provider` says which of the two it is.

        Args:
            library: As for a `Studio`.
            **options: As for a `Studio`.
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
    def sessions(self) -> SessionsResource:
        """
        The sessions of the library: `list`, `get` and `import_archive`.
        """
        return SessionsResource(self._runtime)

    @property
    def images(self) -> ImagesResource:
        """
        The images of the library: `list`, `get`, `find` and `import_file`.
        """
        return ImagesResource(self._runtime)

    @property
    def batches(self) -> BatchesResource:
        """
        Images at half the price, made within a day: `create`, `list` and `get`.
        """
        from imagesession._api.batch import BatchesResource  # noqa: PLC0415 - not everybody has one

        return BatchesResource(self._runtime)

    @property
    def models(self) -> ModelsResource:
        """
        The models that can be used today: `list` and `get`.
        """
        return ModelsResource(self._runtime)

    @property
    def requests(self) -> RequestsResource:
        """
        The requests on their way to the provider: `pending` and `cancel`.
        """
        return RequestsResource(self._runtime)

    @takes_keywords(SessionParams)
    def session(
        self, description: str, *, resume: bool = False, **options: Unpack[SessionParams]
    ) -> ImageSession:
        """
        Start a session.

        Args:
            description: What it is about; it goes to the model with every turn.
            name: A label to find it by.
            resume: Whether to continue the session of that name, if there is one, as it is.
            provider_state: What the provider keeps of its turns; left out, what the studio says.
            remember: How many earlier turns go along with a new one at most; left out, what the
                studio says.
            **options: The options of every turn, unless it says otherwise; see `GenerateOptions`.

        Raises:
            InvalidRequestError: provider_state or remember is not valid.
            InvalidOptionError: An option is not one, or its value is not one that it takes.
            TooManySessionsError: As many sessions are active as are allowed; it names the idlest.
        """
        begin = sessions.get_or_create_session if resume else sessions.create_session
        settings = workflows.session_settings(options)
        flow = begin(description, settings, self._runtime.config)
        return ImageSession(self._runtime.run(flow), MAIN, self._runtime)

    def open(self, wanted: str, *, branch: str = MAIN, reopen: bool = False) -> ImageSession:
        """
        Open a session again, where it was left.

        Args:
            wanted: Its id, or its name if only one has it.
            branch: The branch to continue.
            reopen: Whether to continue one that was closed.

        Raises:
            NotFoundError: There is no such session or branch; the error names some that exist.
        """
        record = self._runtime.run(sessions.get_session(wanted, branch, reopen=reopen))
        return ImageSession(record, branch, self._runtime)

    @takes_keywords(OptionParams)
    def promote(
        self,
        image: ImageInput,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionParams],
    ) -> ImageSession:
        """
        Start a session from an image: what it generates first refines that image.

        Args:
            image: An image of the library, its id, or any image from elsewhere, with or
                without the metadata of this library or of older tools beside it.
            description: What the session is about; left out, the prompt of the image.
            name: A label to find it by.
            **options: The options of every turn, unless it says otherwise; see `GenerateOptions`.

        Returns:
            The session, whose head is the image. A one-shot's prompt, revised prompt and
            provider's context are carried over.

        Raises:
            InvalidImageError: It is no image.
            NotFoundError: There is no image of that id.
            TooManySessionsError: As many sessions are active as are allowed.
        """
        config = self._runtime.config
        workflow = workflows.create_from_image(image, description, name, options, config)
        record = self._runtime.run(workflow)
        return ImageSession(record, MAIN, self._runtime)

    @takes_keywords(OptionParams)
    def map(
        self,
        requests: ImageRequests,
        /,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        images_per_minute: float | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionParams],
    ) -> Results[SavedImage]:
        """
        Make many images: several at a time, in order, each with its own end.

        Args:
            requests: Prompts or `ImageRequest`s. Given as a mapping, its keys name them: run again
                with the same names, only what is missing is made, and the rest is given from the
                library.
            concurrency: How many are under way at once, 1 to 64.
            images_per_minute: How many may be started a minute; what your account's limit says.
                What is given from the library does not count.
            progress: Whether to show a bar on standard error; left out, one is shown in a
                terminal or notebook.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: The options of every job, unless it says otherwise; see `GenerateOptions`.

        Returns:
            The images in the order of the jobs; where one failed, its error is in its
            place, and the others go on.

        Raises:
            InvalidRequestError: An argument is not valid; nothing was sent.
        """
        plan = bulk.plan_bulk(
            requests, options, self._runtime.config,
            concurrency=concurrency, images_per_minute=images_per_minute,
        )  # fmt: skip
        completed = self._runtime.run(plan.completed())
        with bar(len(plan.workflows), wanted=progress) as advance:
            outcomes = self._runtime.gather(
                plan.workflows,
                concurrency=plan.concurrency,
                pace=plan.pace,
                free=completed,
                report=advance,
                on_progress=on_progress,
            )
        return workflows.to_results(outcomes, self._wrap, plan.keys)

    def recover(self, *, timeout: float = 30.0) -> RecoveryReport[SavedImage]:
        """
        Settle requests without an end: of programs that were stopped, or calls that gave up.

        Nothing is sent again: images are looked up by the provider's ids, which is free. Requests
        of running programs are left to them. A studio does this by itself, without waiting,
        before its first request.

        Args:
            timeout: Seconds to wait, in all, for images that are not finished yet.

        Raises:
            AuthenticationError: There is no key, or it may not do this.
        """
        seconds = engine_bulk.validate_timeout(timeout)
        settled = self._runtime.run(recovery.reconcile_all(self._runtime.config, seconds))
        return to_recovery_report(settled, self._wrap)

    def costs(
        self,
        *,
        group_by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: ImageSession | str | None = None,
    ) -> CostReport:
        """
        Return what was spent on this library, from the usage that its providers reported, and
        what the budget leaves.

        Args:
            group_by: What to group it by: "day" (UTC), "session", "model", "kind" or "provider".
            since: Only from this day on.
            until: Only up to this day.
            session: Only for this session: itself, its id, or its name.

        Raises:
            InvalidRequestError: An argument is not valid.
            NotFoundError: There is no such session; the error names some that exist.
        """
        query = queries.spending_query(group_by, since, until, id_or_name(session))
        return self._runtime.run(reports.costs(query, self._runtime.config, self._runtime.provider))

    def stats(self) -> LibraryStats:
        """
        Return figures of the library: sessions, images, turns and dollars.
        """
        root = str(self._runtime.library.layout.root)
        return self._runtime.run(reports.stats(self._runtime.config, self._runtime.provider, root))

    def doctor(self, *, verify: bool = False, online: bool = False) -> HealthReport:
        """
        Check that everything is as it should be: the library, the key and the models.
        Nothing is changed and nothing is paid for.

        Args:
            verify: Whether to read every image and compare it with its record, which takes a
                second for every gigabyte or so.
            online: Whether to ask the provider for its models; free, and needs the network.

        Returns:
            The results of all checks, and what to do about them; print it to read it.
        """
        from imagesession._engine import health  # noqa: PLC0415 - hardly ever needed

        flow = health.run_health_checks(
            self._runtime.config, self._runtime.provider, verify=verify, online=online
        )
        return self._runtime.run(flow)

    def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Write a page of all that the library holds, to look at in any browser.

        It shows sessions as trees, searches and filters, and lays two images of a line over
        each other. It is one file that needs no network; thumbnails are in it, and the images
        themselves are shown from where they lie.

        Args:
            path: The page, ending in .html; an earlier gallery there is replaced.

        Returns:
            The path in full.

        Raises:
            InvalidRequestError: The path is none, or does not end in .html.
            StorageIOError: Something other than a gallery is there, or it cannot be written.
        """
        return Path(self._runtime.call_store(lambda store: gallery.write(store, path)))

    def close(self) -> None:
        """
        Close the connections to the provider. Images and sessions stay; nothing need be saved.
        """
        made = self._connection.close()
        if made is not None:
            made.close()
        self._runtime.library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self) -> None:
        """
        Prepare the client, which otherwise takes most of a second of the first call. Nothing is
        sent.

        Raises:
            AuthenticationError: There is no key.
        """
        self._connection()

    def _branch_head(self) -> Workflow[BranchHead | None]:
        return workflows.standalone()

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return workflows.display_studio(self._runtime, repr(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


Studio.__module__ = "imagesession"
