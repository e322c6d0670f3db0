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
from imagesession._drive.connection import Closing, Connection
from imagesession._drive.desk import Desk
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

    from imagesession._api.batch import BatchesResource
    from imagesession._model.progress import OnProgress
    from imagesession._offline import OfflineProvider


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
        max_sessions: How many sessions may be active at once.
        idle_after: Seconds after which a session in which nothing happens counts as idle: it is
            no longer active, and becomes so again when it goes on.
        timeout: Seconds for an image in all: after that the call gives up, and `recover` finds
            the image later.
        patience: Seconds for which requests are retried, up to five times, while the provider
            rejects them before doing any work (too many at once, overloaded, unreachable). How
            long it says to wait is obeyed, by all programs that use this library. 0 raises the
            error at once.
        images_per_minute: How many requests all programs on this library may send a minute,
            evenly spaced; what your account's limit says.
        max_in_flight: How many requests all programs on this library may have under way at once;
            others wait for their turn, up to `timeout`. None for no limit.
        **options: The options of every image, unless a session or call says otherwise; see
            `Options`.

    Raises:
        LibraryError: The folder cannot be used, or a newer imagesession wrote it.
        OptionError: An option is not one, or its value is not one that it takes.
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

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect(access) if client is None else clients.wrap(client)

        provider, terms = describe_provider(access, client), build_config(options)
        self._initialize(resolve_library_path(library), connect, provider, terms)

    def _initialize(
        self, library: Path, connect: Callable[[], Closing], provider: str, terms: Terms
    ) -> None:
        self._connection = Connection(connect)
        self._runtime = Desk(
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
        Make a studio that needs no key and no network: sketches are drawn on this computer.

        They pass through the same client and the same protocol as a model's images, so that
        programs can be tried and tested with it; they are not a model's work.

        Args:
            library: The folder where images are kept. Left out, it is as for a `Studio`, but
                `imagesession offline` in the Pictures folder, apart from those that were paid for.
            provider: An `imagesession.testing.OfflineProvider` of your own.
            **options: As for a `Studio`.
        """
        from imagesession._offline import OfflineProvider, OfflineTransport  # noqa: PLC0415 - loads Pillow

        drawing = provider or OfflineProvider()

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_through(OfflineTransport(drawing))

        studio, terms = cls.__new__(cls), build_config(options)
        studio._initialize(resolve_library_path(library, offline=True), connect, OFFLINE, terms)  # noqa: SLF001 - it is our own
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
            **options: The options of every turn, unless it says otherwise; see `Options`.

        Raises:
            CallError: provider_state or remember is not valid.
            OptionError: An option is not one, or its value is not one that it takes.
            MaxSessionsReached: As many sessions are active as are allowed; it names the idlest.
        """
        begin = sessions.resume if resume else sessions.start
        settings = workflows.session_settings(options)
        flow = begin(description, settings, self._runtime.terms)
        return ImageSession(self._runtime.do(flow), MAIN, self._runtime)

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
        record = self._runtime.do(sessions.find(wanted, branch, reopen=reopen))
        return ImageSession(record, branch, self._runtime)

    @takes_keywords(OptionKeywords)
    def promote(
        self,
        image: ImageInput,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> ImageSession:
        """
        Start a session from an image: what it generates first refines that image.

        Args:
            image: An image of the library, its id, or any image from elsewhere, with or
                without the metadata of this library or of older tools beside it.
            description: What the session is about; left out, the prompt of the image.
            name: A label to find it by.
            **options: The options of every turn, unless it says otherwise; see `Options`.

        Returns:
            The session, whose head is the image. A one-shot's prompt, revised prompt and
            provider's context are carried over.

        Raises:
            PictureError: It is no image.
            NotFoundError: There is no image of that id.
            MaxSessionsReached: As many sessions are active as are allowed.
        """
        terms = self._runtime.terms
        workflow = workflows.create_from_image(image, description, name, options, terms)
        record = self._runtime.do(workflow)
        return ImageSession(record, MAIN, self._runtime)

    @takes_keywords(OptionKeywords)
    def map(
        self,
        requests: ImageRequests,
        /,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        images_per_minute: float | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[SavedImage]:
        """
        Make many images: several at a time, in order, each with its own end.

        Args:
            requests: Prompts or `Job`s. Given as a mapping, its keys name them: run again with the
                same names, only what is missing is made, and the rest is given from the library.
            concurrency: How many are under way at once, 1 to 64.
            images_per_minute: How many may be started a minute; what your account's limit says.
                What is given from the library does not count.
            progress: Whether to show a bar on standard error; left out, one is shown in a
                terminal or notebook.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: The options of every job, unless it says otherwise; see `Options`.

        Returns:
            The images in the order of the jobs; where one failed, its error is in its
            place, and the others go on.

        Raises:
            CallError: An argument is not valid; nothing was sent.
        """
        plan = bulk.plan_bulk(
            requests, options, self._runtime.terms,
            concurrency=concurrency, images_per_minute=images_per_minute,
        )  # fmt: skip
        completed = self._runtime.do(plan.completed())
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

    def recover(self, *, timeout: float = 30.0) -> Recovery[SavedImage]:
        """
        Settle requests without an end: of programs that were stopped, or calls that gave up.

        Nothing is sent again: images are looked up by the provider's ids, which is free. Requests
        of running programs are left to them. A studio does this by itself, without waiting,
        before its first request.

        Args:
            timeout: Seconds to wait, in all, for images that are not finished yet.

        Raises:
            AccessError: There is no key, or it may not do this.
        """
        seconds = jobs.check_wait(timeout)
        settled = self._runtime.do(recovery.reconcile_all(self._runtime.terms, seconds))
        return to_recovery_report(settled, self._wrap)

    def costs(
        self,
        *,
        group_by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: ImageSession | str | None = None,
    ) -> Spending:
        """
        Return what was spent on this library, from the usage that its providers reported, and
        what the budget leaves.

        Args:
            group_by: What to group it by: "day" (UTC), "session", "model", "kind" or "provider".
            since: Only from this day on.
            until: Only up to this day.
            session: Only for this session: itself, its id, or its name.

        Raises:
            CallError: An argument is not valid.
            NotFoundError: There is no such session; the error names some that exist.
        """
        query = queries.spending_query(group_by, since, until, id_or_name(session))
        return self._runtime.do(reports.costs(query, self._runtime.terms, self._runtime.provider))

    def stats(self) -> StudioStats:
        """
        Return figures of the library: sessions, images, turns and dollars.
        """
        root = str(self._runtime.library.layout.root)
        return self._runtime.do(reports.stats(self._runtime.terms, self._runtime.provider, root))

    def doctor(self, *, verify: bool = False, online: bool = False) -> Checkup:
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
        from imagesession._plan import checkup  # noqa: PLC0415 - hardly ever needed

        flow = checkup.look(
            self._runtime.terms, self._runtime.provider, verify=verify, online=online
        )
        return self._runtime.do(flow)

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
            CallError: The path is none, or does not end in .html.
            DiskError: Something other than a gallery is there, or it cannot be written.
        """
        return Path(self._runtime.ask(lambda store: gallery.write(store, path)))

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
            AccessError: There is no key.
        """
        self._connection()

    def _branch_head(self) -> Flow[Place | None]:
        return workflows.standalone()

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return workflows.display_studio(self._runtime, repr(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


Studio.__module__ = "imagesession"
