"""
The studio: opens a library, and makes and finds sessions and images.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from imagesession._api import bulk, pickling, workflows
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
from imagesession._api.generation import GenerationVerbs
from imagesession._api.models import ModelsResource
from imagesession._api.pending import RequestsResource, to_recovery_report
from imagesession._api.queue import ImageQueue
from imagesession._api.resources import ImagesResource, SessionsResource, id_or_name
from imagesession._api.results import Results
from imagesession._api.session import ImageSession, SavedImage, last_image
from imagesession._api.signatures import public
from imagesession._api.studio_base import SyncStudioFacts
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
from imagesession._runtime.lazy_client import ClosableTransport

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._api.batch import BatchesResource
    from imagesession._domain.progress import OnProgress
    from imagesession._domain.turn import Api
    from imagesession._fake_openai import FakeOpenAI


@public
class Studio(SyncStudioFacts, GenerationVerbs[SavedImage]):
    """
    The entry point: opens a library, makes images and sessions, and finds them again.

    Args:
        library: The folder where images are saved, or the URL of a library that many machines
            share: `postgresql://host/database?blobs=s3://bucket/prefix`. Default: the environment
            variable IMAGESESSION_LIBRARY, or `imagesession` in the user's Pictures folder.
        api_key: The API key. Default: the environment variable OPENAI_API_KEY.
        base_url: The address of a server with OpenAI's API. Default: the environment variable
            OPENAI_BASE_URL, or OpenAI.
        client: Your own `openai.OpenAI` (or `openai.AzureOpenAI`), instead of the two above.
        owner: Whose studio it is: your own id of a user, of at most 200 characters. It sees what
            belongs to this owner and nothing else, and what it makes is this owner's; names,
            idempotency keys and limits of sessions are the owner's own. Without one, a studio sees
            everything, and what it makes outside of an owner's sessions is nobody's.
        budget: What may be spent; a call that could exceed it is not sent.
        server: What is known of the server: a name of the built-in table ("openai", "azure", "xai",
            "openrouter", "localai", "litellm", "vllm-omni", "plain"), the path of a .toml table of
            your own, or its facts as a mapping. Default: recognised by the host of its address.
        api: The API that makes images. "responses": a mainline model leads, and a lost answer can
            be looked up. "images": the image model gets the prompt as it is, several images take
            one request, and no text model is billed; a lost answer is lost. A server without the
            former is used through the latter.
        prices: US dollars for an image by model, such as `{"sdxl": 0.01}`, or a mapping of prices
            per million tokens; "*" stands for any other image model. They have precedence.
        provider_state: What the provider keeps of a turn. "responses": the response, for 30 days
            or longer; the next turn refers to it by id, in some hundred bytes, from any program.
            "conversation": the items of a conversation, until it is deleted; if a program is killed
            before it knows a response's id, the image is recovered from there. "none": nothing
            (`store=false`, for zero data retention); history is sent from the library.
        remember: The most earlier turns that are sent as context; None for all. Each of them is
            billed again with every turn.
        max_active_sessions: How many sessions may be active at once.
        session_idle_timeout: Seconds without activity after which a session is idle: it no longer
            counts as active until its next turn.
        timeout: Seconds for one image in all; after that the call gives up, and `recover` finds the
            image later.
        retry_timeout: Seconds for which a request is attempted, but for at most half of the
            remaining `timeout`, while the provider rejects it before doing any work (rate limit,
            overload, unreachable). All programs on this library wait as long as the provider asks.
            0 raises the error at once.
        images_per_minute: How many requests all programs on this library may send per minute,
            evenly spaced, according to your account's limit. None for no limit.
        max_concurrency: How many requests all programs on this library may have under way at once;
            others wait, up to `timeout`. None for no limit.
        telemetry: Whether OpenTelemetry learns of each request: a span, and metrics of durations,
            tokens, US dollars and recoveries, without prompts; "prompts" puts them into the spans.
            Needs `pip install imagesession[otel]`.
        extra_headers: Headers of all paid requests, such as those of a gateway, in addition to the
            client's.
        extra_body: Fields of their bodies that this library has no option for.
        filename: The names of image files without their suffix, from these fields: `{slug}` (the
            first words of the prompt), `{session}`, `{turn}` (short ids), `{kind}`, `{branch}`,
            `{date}`, `{time}` (UTC) and `{n}` (a number that makes the name unique, also `{n:02}`).
            A name that is taken gets the next number, appended if the template has none.
        embed_metadata: Whether prompt and parameters are written into the files of images that
            are made: as XMP with IPTC's fields into PNG, JPEG and WebP, and as "parameters" into
            PNG. A signature in the file (C2PA) no longer matches it then; `SavedImage.verify`
            checks the bytes that were received. Files of other formats stay as received.
        mode: Who may read and write what is written, such as 0o640 for your group to read: images,
            records, exports, galleries. The library keeps it for all programs. Default: what it
            has, at first 0o600 for you alone. No effect on Windows.
        **options: The default options of every image; see `GenerateOptions`. Those of a session or
            a call have precedence.

    Raises:
        StorageError: The folder cannot be used, or was written by a newer imagesession.
        InvalidOptionError: There is no such option, or its value is not valid.
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
        Make a studio without key and network, whose images are sketches drawn on this computer.

        The sketches pass through the same client and protocol as a model's images, so that
        programs can be tried and tested; they are not a model's work.

        Args:
            library: The folder where images are saved. Default: as for a `Studio`, but
                `imagesession offline` in the Pictures folder, apart from paid images.
            provider: Your own `imagesession.testing.FakeOpenAI`. By default it speaks the dialect
                of `server`.
            **options: As for a `Studio`.
        """
        from imagesession._fake_openai import FakeOpenAI, FakeTransport  # noqa: PLC0415 - loads Pillow

        config = build_config(options, OFFLINE_HOST)
        fake = provider or FakeOpenAI(dialect=config.server.name)

        def connect() -> ClosableTransport:
            from imagesession._runtime import openai_clients  # noqa: PLC0415 - loads openai

            return openai_clients.connect_with_transport(FakeTransport(fake))

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
        Make a studio that uses OpenAI if OPENAI_API_KEY is set, and the offline provider otherwise.

        The property `provider` says which of the two it is.

        Args:
            library: As for a `Studio`.
            **options: As for a `Studio`.
        """
        return cls(library, **options) if has_key() else cls.offline(library, **options)

    def as_owner(self, owner: str) -> Self:
        """
        Return a studio that sees and spends what belongs to an owner, as `Studio(owner=...)` does.

        It uses this studio's connections and settings, so it costs nothing to make one for each
        call; closing it closes nothing.

        Args:
            owner: The owner's name: your own id of a user, exactly as written, of at most 200
                characters.

        Raises:
            InvalidRequestError: It is not a name, or this studio is another owner's.
        """
        studio = object.__new__(type(self))
        studio._connection, studio._is_view = self._connection, True
        studio._runtime = pickling.as_owner(self._runtime, owner)
        return studio

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
        Images at half the price, made within 24 hours: `create`, `list` and `get`.
        """
        from imagesession._api.batch import BatchesResource  # noqa: PLC0415 - rarely needed

        return BatchesResource(self._runtime)

    @property
    def models(self) -> ModelsResource:
        """
        The available models: `list` and `get`.
        """
        return ModelsResource(self._runtime)

    @property
    def requests(self) -> RequestsResource:
        """
        The requests that are under way: `pending` and `cancel`.
        """
        return RequestsResource(self._runtime)

    @takes_keywords(SessionParams)
    def session(
        self, description: str, *, resume: bool = False, **options: Unpack[SessionParams]
    ) -> ImageSession:
        """
        Create a session.

        Args:
            description: What it is about; it is sent to the model with every turn.
            name: A label to find it by.
            resume: Whether to continue the session with this `name` if there is one: it is reopened
                if it was closed, keeps its description, and takes the other arguments as `update`
                of a session does.
            provider_state: What the provider keeps of its turns. Default: the studio's setting.
            remember: The most earlier turns that are sent as context. Default: the studio's
                setting.
            api: The API that makes its images. Default: the studio's setting.
            references: Its reference board, see `ImageSession.update`.
            **options: The default options of its turns; see `GenerateOptions`.

        Raises:
            InvalidRequestError: `provider_state` or `remember` is not valid, or `resume` is set
                without `name`.
            InvalidOptionError: There is no such option, or its value is not valid.
            TooManySessionsError: The limit of active sessions is reached; the error names the
                idlest session.

        Warns:
            AmbiguousNameWarning: Several sessions have the name to resume; the latest is resumed.
        """
        create = sessions.get_or_create_session if resume else sessions.create_session
        settings = workflows.session_settings(options)
        workflow = create(description, settings, self._runtime.config)
        return ImageSession(self._runtime.run(workflow), MAIN, self._runtime)

    def open(self, wanted: str, *, branch: str = MAIN, reopen: bool = False) -> ImageSession:
        """
        Open an existing session.

        Args:
            wanted: Its name, its id, the short id that its `repr` shows, or its description.
            branch: The branch to continue.
            reopen: Whether to reopen the session if it was closed.

        Raises:
            NotFoundError: There is no such session or branch; the error names similar ones.

        Warns:
            AmbiguousNameWarning: Several sessions have that name; the latest is opened, and the
                warning has the ids of the others.
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
        Create a session from an image: its first turn refines that image.

        Args:
            image: An image of the library, its id, or any other image, with or without a metadata
                file of this library or of older tools beside it.
            description: What the session is about. Default: the image's prompt.
            name: A label to find it by.
            **options: The default options of its turns; see `GenerateOptions`.

        Returns:
            The session, whose head is the image. The prompt, revised prompt and provider context of
            a standalone image are carried over.

        Raises:
            InvalidImageError: It is not a readable image.
            NotFoundError: There is no image with that id.
            TooManySessionsError: The limit of active sessions is reached.
        """
        config = self._runtime.config
        workflow = workflows.create_from_image(image, description, name, options, config)
        record = self._runtime.run(workflow)
        return ImageSession(record, MAIN, self._runtime)

    @takes_keywords(CallParams)
    def map(
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
    ) -> Results[SavedImage]:
        """
        Make many images concurrently; a failed one does not stop the others.

        Args:
            requests: Prompts or `ImageRequest`s. The keys of a mapping name them: if it is run
                again with the same names, only missing images are made, and the others are returned
                from the library.
            max_concurrency: How many are under way at once, 1 to 64.
            images_per_minute: How many may be started per minute, according to your account's
                limit; images from the library do not count. None for no limit.
            api: As for `generate`.
            progress: Whether to show a progress bar with the cost so far on standard error.
                Default: only in a terminal or notebook.
            on_progress: As for `generate`; the event's `position` is the image's number, from 0.
            timeout: Seconds for each image, as for `generate`.
            extra_headers, extra_body: As for `generate`.
            **options: The default options of all requests; see `GenerateOptions`.

        Returns:
            The images in the order of the requests, with an error in the place of each failed one.

        Raises:
            InvalidRequestError: An argument is not valid; nothing was sent.
        """
        plan = bulk.plan_bulk(
            requests, options, self._runtime.config,
            max_concurrency=max_concurrency, images_per_minute=images_per_minute, api=api,
        )  # fmt: skip
        outcomes = self._runtime.gather(
            plan.workflows,
            concurrency=plan.concurrency,
            pace=plan.pace,
            free=self._runtime.run(plan.completed),
            on_progress=for_many(enabled=progress, on_progress=on_progress),
        )
        return workflows.to_results(outcomes, self._wrap, plan.keys)

    @takes_keywords(OptionParams)
    def queue(
        self,
        requests: ImageRequests | None = None,
        /,
        *,
        name: str,
        **options: Unpack[OptionParams],
    ) -> ImageQueue:
        """
        Let workers on any machines make many images: `python -m imagesession.worker URL`.

        This returns at once. Each image is paid for once, however often its worker is killed. Needs
        a library on PostgreSQL, and `pip install imagesession[cluster]`.

        Args:
            requests: Prompts or `ImageRequest`s, as for `map`; input images are images of this
                library. Left out, the queue of that name is opened.
            name: The queue's name. A second call with the same name and requests returns the same
                queue, so that a program can simply be run again.
            **options: The default options of all requests; see `GenerateOptions`.

        Raises:
            InvalidRequestError: A request or an option is not valid, the name has other requests,
                or the library is not on PostgreSQL; nothing was queued.
            NotFoundError: There is no queue of that name.
            StorageIOError: The database cannot be used.
        """
        validate_label("The queue's name", name, empty=False)
        if requests is None:
            queue = ImageQueue(name, self._runtime)
            queue.status()
            return queue
        plan = bulk.plan_queue(requests, name, options, self._runtime.config)
        return ImageQueue.create(name, self._runtime, self._runtime.run(plan))

    def recover(self, *, timeout: float = 30.0) -> RecoveryReport[SavedImage]:
        """
        Settle pending requests of programs that were stopped, and of calls that gave up.

        Nothing is sent again: images are looked up by the provider's ids, which is free. Requests
        of running programs are left alone. A studio does this by itself, without waiting, before
        its first request.

        Args:
            timeout: Seconds to wait, in all, for images that are not finished yet.

        Raises:
            AuthenticationError: There is no key, or it lacks the permission.
        """
        seconds = engine_bulk.validate_timeout(timeout)
        workflow = recovery.reconcile_all(self._runtime.config, seconds)
        settled, damaged = self._runtime.run(workflow)
        return to_recovery_report(settled, self._wrap, damaged)

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
        what is left of the budget. A studio of an owner reports that owner's.

        Args:
            group_by: How to group it: by "day" (UTC), "session", "model", "kind",
                "provider" or "owner".
            since: The first day.
            until: The last day.
            session: Only this session: the object, its id, or its name.

        Raises:
            InvalidRequestError: An argument is not valid.
            NotFoundError: There is no such session; the error names some that exist.
        """
        query = queries.spending_query(group_by, since, until, id_or_name(session))
        return self._runtime.run(reports.costs(query, self._runtime.config, self._runtime.provider))

    def stats(self) -> LibraryStats:
        """
        Return statistics of the library: sessions, images, turns and dollars.
        """
        root = self._runtime.library.address
        return self._runtime.run(reports.stats(self._runtime.config, self._runtime.provider, root))

    def doctor(
        self, *, verify: bool = False, repair: bool = False, online: bool = False
    ) -> HealthReport:
        """
        Check the library, the key and the models. Nothing is billed, and nothing is changed unless
        `repair` is given.

        Args:
            verify: Whether to read every image and compare it with its record, which takes about
                one second per gigabyte.
            repair: Whether to bring back records that are gone or damaged, from the metadata beside
                their images, to record images of which nothing else is left as imported ones, and
                where files are that were renamed or moved; the check "repair" says which. Nothing
                is removed: a damaged record is kept in quarantine.
            online: Whether to request the provider's list of models, which is free.

        Returns:
            The results of all checks, with remedies; print it for a readable list.

        Raises:
            StorageIOError: A record cannot be written.
        """
        from imagesession._engine import health  # noqa: PLC0415 - rarely needed

        workflow = health.run_health_checks(
            self._runtime.config,
            self._runtime.provider,
            verify=verify,
            repair=repair,
            online=online,
        )
        return self._runtime.run(workflow)

    def empty_bin(self, *, older_than: dt.timedelta | None = None) -> ErasureReport:
        """
        Erase what is in the bin for good; see `ImagesResource.erase`.

        Args:
            older_than: Only what was deleted longer ago than this, such as `timedelta(days=30)`.
                Default: everything.

        Returns:
            What was erased, and what the provider still has.

        Raises:
            InvalidRequestError: `older_than` is not a duration.
            StorageIOError: The library cannot be written.
        """
        return self._runtime.run(removal.empty_bin(older_than))

    def prune(self, *, older_than: dt.timedelta, dry_run: bool = False) -> ErasureReport:
        """
        Erase what is older than an age and has no star; see `ImagesResource.erase`.

        That is images, in the bin as well, turns without images, collected batches, and sessions
        in which nothing happened since and no image has a star, as a whole. What is under way is
        left alone. Costs and budgets stay as they were.

        Args:
            older_than: The age, such as `timedelta(days=365)`.
            dry_run: Whether to return what would be erased, and erase nothing.

        Returns:
            What was, or would be, erased, and what the provider still has.

        Raises:
            InvalidRequestError: `older_than` is not a duration.
            StorageIOError: The library cannot be written.
        """
        return self._runtime.run(removal.prune(older_than, dry_run=dry_run))

    def erase_owner(self, owner: str) -> ErasureReport:
        """
        Erase all that belongs to an owner; see `ImagesResource.erase`.

        Of it there stay only the places of turns in their trees and what they cost, and nothing
        says whose they were. If the program is stopped meanwhile, the next one goes on. What is
        requested for the owner meanwhile is not erased, so stop serving the owner before.

        Args:
            owner: The owner's name.

        Returns:
            What was erased, and what the provider still has.

        Raises:
            InvalidRequestError: A request of the owner is under way.
            NotFoundError: This studio is another owner's.
            StorageIOError: The library cannot be written.
        """
        return self._runtime.run(removal.erase_owner(owner))

    def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Write an HTML page of the whole library, for any browser.

        It shows sessions as trees, has search and filters, and compares any two images. It is a
        single file that needs no network; it contains the thumbnails and links to the images. Of
        more than 5,000 images, their data is in a folder beside it, such as `page-data`.

        Args:
            path: The file to write, ending in .html; an existing gallery is replaced.

        Returns:
            The absolute path.

        Raises:
            InvalidRequestError: It is not a path, or does not end in .html.
            StorageIOError: Another kind of file exists there, or it cannot be written.
        """
        return Path(self._runtime.call_store(lambda store: gallery.write(store, path)))

    def close(self) -> None:
        """
        Close the connections to the provider. Everything is saved already.
        """
        pickling.forget_open(self._runtime)
        if self._is_view:
            return
        transport = self._connection.close()
        if transport is not None:
            transport.close()
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
        Make the client, which otherwise takes most of a second of the first call. Nothing is sent.
        """
        self._connection()

    def _wrap(self, turn: Turn, position: int = -1) -> SavedImage:
        return last_image(turn, self._runtime, position)
