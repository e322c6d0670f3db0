"""
Studios: where sessions and pictures are made and found again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

from imagesession._drive.connection import AsyncClosing, Closing, Connection
from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._finding import AsyncFinds, Finds
from imagesession._images import AnyDesk
from imagesession._library.library import Library
from imagesession._managing import AsyncManages, Manages
from imagesession._model.options import OptionKeywords
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Terms
from imagesession._settings import (
    IDLE_AFTER,
    MAX_SESSIONS,
    OFFLINE,
    PATIENCE,
    TIMEOUT,
    check_terms,
    choose_folder,
    find_access,
    has_key,
    name_provider,
)
from imagesession._signatures import takes_options
from imagesession._submitting import AsyncSubmitsBatches, SubmitsBatches

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._model.budgets import Budget
    from imagesession._model.turns import ProviderState
    from imagesession._offline import OfflineProvider


class _Face(Generic[AnyDesk]):
    """
    What both kinds of studio tell of themselves.
    """

    _desk: AnyDesk

    @property
    def library(self) -> Path:
        """
        The folder where pictures are kept.
        """
        return self._desk.library.layout.root

    @property
    def provider(self) -> str:
        """
        Who makes the pictures, in words.
        """
        return self._desk.provider

    def _place(self) -> Flow[Place | None]:
        # What a studio makes stands alone.
        yield from ()
        return None

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        from imagesession._show import notebook  # noqa: PLC0415 - loads Pillow and Jinja

        words = str(self.library), self.provider, repr(self)
        return notebook.studio(self._desk.library, *words), {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


class Studio(_Face[Desk], Finds, SubmitsBatches, Manages):
    """
    The way in: makes pictures and sessions, finds them again, and knows where they are kept.

    Args:
        library: The folder where pictures are kept. Left out, it is the environment variable
            IMAGESESSION_LIBRARY, or `imagesession` in the user's Pictures folder.
        api_key: Left out, it is the environment variable OPENAI_API_KEY.
        base_url: For servers that speak OpenAI's protocol. Left out, it is the environment
            variable OPENAI_BASE_URL, or OpenAI.
        client: An `openai.OpenAI` (or `openai.AzureOpenAI`) of your own, instead of the two above.
        budget: What may be spent; a call that might exceed it is not sent.
        provider_state: What the provider keeps of a turn. "responses": the response, for 30 days
            or longer; the next turn names it, in some hundred bytes, from any program.
            "conversation": the items of a conversation, until it is deleted; a program that is
            killed before it knows a response's id finds the picture there. "none": nothing
            (`store=false`, for zero data retention); history goes along from the library.
        remember: How many earlier turns the model is told of at most; None for all. Each of them
            is billed again with every turn.
        max_sessions: How many sessions may be active at once.
        idle_after: Seconds after which a session in which nothing happens counts as idle: it is
            no longer active, and becomes so again when it goes on.
        timeout: Seconds for a picture in all: after that it is no longer waited for, and looked
            up later by `recover`.
        patience: Seconds for which to ask again while the provider turns requests away before
            doing any work (too many at once, overloaded, unreachable), up to five times. What it
            says of how long to wait is obeyed, by all programs that use this library. 0 raises
            the error at once.
        images_per_minute: How many requests all programs on this library may send a minute,
            evenly spaced; what your account's limit says.
        max_in_flight: How many requests all programs on this library may have under way at once;
            others wait for their turn, up to `timeout`. None for no limit.
        **options: What is asked of every picture, unless a session or call says otherwise; see
            `Options`.

    Raises:
        LibraryError: The folder cannot be used, or a newer imagesession wrote it.
        OptionError: An option is not one, or its value is not one that it takes.
    """

    _connection: Connection[Closing]

    @takes_options
    def __init__(
        self,
        library: str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: openai.OpenAI | None = None,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        access = find_access(api_key, base_url)

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect(access) if client is None else clients.wrap(client)

        terms = check_terms(
            options, budget=budget, provider_state=provider_state, remember=remember,
            max_sessions=max_sessions, idle_after=idle_after,
            timeout=timeout, patience=patience, images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
        )  # fmt: skip
        self._set_up(choose_folder(library), connect, name_provider(access, client), terms)

    def _set_up(
        self, folder: Path, connect: Callable[[], Closing], provider: str, terms: Terms
    ) -> None:
        self._connection = Connection(connect)
        self._desk = Desk(
            library=Library(folder), terms=terms, provider=provider, connect=self._connection
        )

    @classmethod
    @takes_options
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: OfflineProvider | None = None,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Self:
        """
        Make a studio that needs no key and no network: sketches are drawn on this computer.

        They pass through the same client and the same protocol as a model's pictures, so that
        programs can be tried and tested with it; they are not a model's work.

        Args:
            library: The folder where pictures are kept. Left out, it is as for a `Studio`, but
                `imagesession offline` in the Pictures folder, apart from those that were paid for.
            provider: An `imagesession.testing.OfflineProvider` of your own.
            budget: As for a `Studio`.
            provider_state: As for a `Studio`.
            remember: As for a `Studio`.
            max_sessions: As for a `Studio`.
            idle_after: As for a `Studio`.
            patience: As for a `Studio`.
            images_per_minute: As for a `Studio`.
            max_in_flight: As for a `Studio`.
            **options: As for a `Studio`.
        """
        from imagesession._offline import OfflineProvider, OfflineTransport  # noqa: PLC0415 - loads Pillow

        drawing = provider or OfflineProvider()

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_through(OfflineTransport(drawing))

        studio = cls.__new__(cls)
        terms = check_terms(
            options, budget=budget, provider_state=provider_state, remember=remember,
            max_sessions=max_sessions, idle_after=idle_after,
            timeout=TIMEOUT, patience=patience, images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
        )  # fmt: skip
        studio._set_up(choose_folder(library, offline=True), connect, OFFLINE, terms)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_options
    def from_env(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Self:
        """
        Make a studio that uses OpenAI if there is a key, and draws offline otherwise.

        `provider` says which of the two it is.

        Args:
            library: As for a `Studio`.
            budget: As for a `Studio`.
            provider_state: As for a `Studio`.
            remember: As for a `Studio`.
            max_sessions: As for a `Studio`.
            idle_after: As for a `Studio`.
            patience: As for a `Studio`.
            images_per_minute: As for a `Studio`.
            max_in_flight: As for a `Studio`.
            **options: As for a `Studio`.
        """
        make = cls if has_key() else cls.offline
        return make(
            library,
            budget=budget,
            provider_state=provider_state,
            remember=remember,
            max_sessions=max_sessions,
            idle_after=idle_after,
            patience=patience,
            images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
            **options,
        )

    def connect(self) -> None:
        """
        Make ready what talks to the provider, which otherwise takes most of a second of the first
        call. Nothing is sent.

        Raises:
            AccessError: There is no key.
        """
        self._connection()

    def close(self) -> None:
        """
        Close the connections to the provider. Pictures and sessions stay; nothing need be saved.
        """
        made = self._connection.close()
        if made is not None:
            made.close()
        self._desk.library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStudio(_Face[AsyncDesk], AsyncFinds, AsyncSubmitsBatches, AsyncManages):
    """
    Same as `Studio`, but its verbs await.
    """

    _connection: Connection[AsyncClosing]

    @takes_options
    def __init__(
        self,
        library: str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: openai.AsyncOpenAI | None = None,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        access = find_access(api_key, base_url)

        def connect() -> AsyncClosing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_async(access) if client is None else clients.wrap_async(client)

        terms = check_terms(
            options, budget=budget, provider_state=provider_state, remember=remember,
            max_sessions=max_sessions, idle_after=idle_after,
            timeout=timeout, patience=patience, images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
        )  # fmt: skip
        self._set_up(choose_folder(library), connect, name_provider(access, client), terms)

    def _set_up(
        self, folder: Path, connect: Callable[[], AsyncClosing], provider: str, terms: Terms
    ) -> None:
        self._connection = Connection(connect)
        self._desk = AsyncDesk(
            library=Library(folder), terms=terms, provider=provider, connect=self._connection
        )

    @classmethod
    @takes_options
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: OfflineProvider | None = None,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Self:
        """
        Same as `Studio.offline`; awaits nothing.
        """
        from imagesession._offline import AsyncOfflineTransport, OfflineProvider  # noqa: PLC0415 - loads Pillow

        drawing = provider or OfflineProvider()

        def connect() -> AsyncClosing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_through_async(AsyncOfflineTransport(drawing))

        studio = cls.__new__(cls)
        terms = check_terms(
            options, budget=budget, provider_state=provider_state, remember=remember,
            max_sessions=max_sessions, idle_after=idle_after,
            timeout=TIMEOUT, patience=patience, images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
        )  # fmt: skip
        studio._set_up(choose_folder(library, offline=True), connect, OFFLINE, terms)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_options
    def from_env(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        budget: Budget | None = None,
        provider_state: ProviderState = "responses",
        remember: int | None = None,
        max_sessions: int = MAX_SESSIONS,
        idle_after: float = IDLE_AFTER,
        patience: float = PATIENCE,
        images_per_minute: float | None = None,
        max_in_flight: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Self:
        """
        Same as `Studio.from_env`; awaits nothing.
        """
        make = cls if has_key() else cls.offline
        return make(
            library,
            budget=budget,
            provider_state=provider_state,
            remember=remember,
            max_sessions=max_sessions,
            idle_after=idle_after,
            patience=patience,
            images_per_minute=images_per_minute,
            max_in_flight=max_in_flight,
            **options,
        )

    async def connect(self) -> None:
        """
        Same as `Studio.connect`, but awaits.
        """
        import anyio.to_thread  # noqa: PLC0415 - loads anyio, which a sync studio does not need

        await anyio.to_thread.run_sync(self._connection)

    async def close(self) -> None:
        """
        Same as `Studio.close`, but awaits.
        """
        made = self._connection.close()
        if made is not None:
            await made.close()
        self._desk.library.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


# --- what both share ---------------------------------------------------------------------------


for _public in (Studio, AsyncStudio):
    _public.__module__ = "imagesession"
