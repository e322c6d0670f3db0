"""
Studios: where sessions and pictures are made and found again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from imagesession._drive.connection import Access, AsyncClosing, Closing, Connection
from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import AsyncSavedImage, Kept, Picture, Pictures, SavedImage
from imagesession._library.library import Library
from imagesession._model.catalogue import load_catalogue
from imagesession._model.options import OptionKeywords, Options
from imagesession._model.partials import PartialImage
from imagesession._model.tree import MAIN
from imagesession._model.turns import Turn
from imagesession._plan import flows, sessions
from imagesession._plan.checks import check_label
from imagesession._plan.store import ImageQuery
from imagesession._session import AsyncImageSession, ImageSession, view, view_async, wish_of
from imagesession._signatures import takes_options
from imagesession.errors import CallError

if TYPE_CHECKING:
    from typing import Self, Unpack

    import openai

    from imagesession._offline import OfflineProvider

AnyDesk = TypeVar("AnyDesk", Desk, AsyncDesk)
TIMEOUT = 600.0
"""Seconds after which a picture that was accepted is no longer waited for."""
OFFLINE = "offline: sketches drawn on this computer, not a model's work"


class _Face(Generic[AnyDesk]):
    """
    What both kinds of studio tell of themselves.
    """

    _desk: AnyDesk
    _provider: str

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
        return self._provider

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


class Studio(_Face[Desk]):
    """
    The way in: makes pictures and sessions, finds them again, and knows where they are kept.

    Args:
        library: The folder where pictures are kept. Left out, it is the environment variable
            IMAGESESSION_LIBRARY, or `imagesession` in the user's Pictures folder.
        api_key: Left out, it is the environment variable OPENAI_API_KEY.
        base_url: For servers that speak OpenAI's protocol. Left out, it is the environment
            variable OPENAI_BASE_URL, or OpenAI.
        client: An `openai.OpenAI` (or `openai.AzureOpenAI`) of your own, instead of the two above.
        timeout: Seconds after which a picture that was accepted is no longer waited for.
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
        timeout: float = TIMEOUT,
        **options: Unpack[OptionKeywords],
    ) -> None:
        access = _access(api_key, base_url)

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect(access) if client is None else clients.wrap(client)

        self._set_up(_folder(library), connect, _online(access, client), timeout, options)

    def _set_up(
        self,
        folder: Path,
        connect: Callable[[], Closing],
        provider: str,
        timeout: float,
        options: OptionKeywords,
    ) -> None:
        self._provider = provider
        self._connection = Connection(connect)
        self._desk = Desk(
            library=Library(folder),
            catalogue=load_catalogue(),
            options=Options().updated(options),
            timeout=_check_timeout(timeout),
            connect=self._connection,
        )

    @classmethod
    @takes_options
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: OfflineProvider | None = None,
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
            **options: As for a `Studio`.
        """
        from imagesession._offline import OfflineProvider, OfflineTransport  # noqa: PLC0415 - loads Pillow

        drawing = provider or OfflineProvider()

        def connect() -> Closing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_through(OfflineTransport(drawing))

        studio = cls.__new__(cls)
        studio._set_up(_folder(library, offline=True), connect, OFFLINE, TIMEOUT, options)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_options
    def from_env(
        cls, library: str | os.PathLike[str] | None = None, **options: Unpack[OptionKeywords]
    ) -> Self:
        """
        Make a studio that uses OpenAI if there is a key, and draws offline otherwise.

        `provider` says which of the two it is.

        Args:
            library: As for a `Studio`.
            **options: As for a `Studio`.
        """
        make = cls if _has_key() else cls.offline
        return make(library, **options)

    @takes_options
    def session(
        self, description: str, *, name: str | None = None, **options: Unpack[OptionKeywords]
    ) -> ImageSession:
        """
        Start a session.

        Args:
            description: What it is about; the model is told it with every turn.
            name: A label to find it by.
            **options: What every turn asks for unless it says otherwise; see `Options`.

        Raises:
            OptionError: An option is not one, or its value is not one that it takes.
        """
        record = self._desk.do(sessions.start(description, name, options))
        return ImageSession(record, MAIN, self._desk)

    def open(self, wanted: str, *, branch: str = MAIN, reopen: bool = False) -> ImageSession:
        """
        Open a session again, where it was left.

        Args:
            wanted: Its id, or its name if only one has it.
            branch: The line to go on with.
            reopen: Whether to go on with one that was closed.

        Raises:
            NotFoundError: There is no such session or branch; the error names some that exist.
        """
        record = self._desk.do(sessions.find(wanted, branch, reopen=reopen))
        return ImageSession(record, branch, self._desk)

    def sessions(self) -> tuple[ImageSession, ...]:
        """
        Return all sessions of the library, the latest first.
        """
        records = self._desk.ask(lambda store: store.list_sessions())
        return tuple(ImageSession(record, MAIN, self._desk) for record in records)

    def images(
        self, *, limit: int = 50, before: Kept | str | None = None
    ) -> tuple[SavedImage, ...]:
        """
        Return a page of the library's pictures, the latest first.

        Args:
            limit: At most so many.
            before: Only those older than this picture, or the picture of this id: the last of one
                page gives the next.
        """
        query = ImageQuery(limit=_check_limit(limit), before=_image_id(before))
        found = self._desk.ask(lambda store: store.list_images(query))
        return tuple(view(self._desk, turn, position) for turn, position in found)

    def image(self, image_id: str) -> SavedImage:
        """
        Return a picture by its id.

        Raises:
            NotFoundError: There is none; the error names the latest ones.
        """
        wanted = check_label("The picture's id", image_id)
        found = self._desk.ask(lambda store: store.find_image(wanted))
        return view(self._desk, *found)

    @takes_options
    def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage:
        """
        Make a single picture, outside of any session.

        Takes and raises the same as `ImageSession.generate`.
        """
        wish = wish_of(
            self._desk, {}, prompt=prompt, reference=reference, mask=mask, options=options
        )
        return self._last(self._desk.do(flows.generate(wish, self._desk.catalogue)))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Generator[PartialImage | SavedImage, None, None]:
        """
        Make a single picture and show it while it comes.

        Takes, yields and raises the same as `ImageSession.stream`.
        """
        wish = wish_of(
            self._desk,
            {},
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
            partial_images=partial_images,
        )
        return self._desk.stream(flows.generate(wish, self._desk.catalogue), self._last)

    def close(self) -> None:
        """
        Close the connections to the provider. Pictures and sessions stay; nothing need be saved.
        """
        made = self._connection.close()
        if made is not None:
            made.close()

    def _last(self, turn: Turn) -> SavedImage:
        return view(self._desk, turn, len(turn.images) - 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStudio(_Face[AsyncDesk]):
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
        timeout: float = TIMEOUT,
        **options: Unpack[OptionKeywords],
    ) -> None:
        access = _access(api_key, base_url)

        def connect() -> AsyncClosing:
            from imagesession._drive import clients  # noqa: PLC0415 - loads openai

            return clients.connect_async(access) if client is None else clients.wrap_async(client)

        self._set_up(_folder(library), connect, _online(access, client), timeout, options)

    def _set_up(
        self,
        folder: Path,
        connect: Callable[[], AsyncClosing],
        provider: str,
        timeout: float,
        options: OptionKeywords,
    ) -> None:
        self._provider = provider
        self._connection = Connection(connect)
        self._desk = AsyncDesk(
            library=Library(folder),
            catalogue=load_catalogue(),
            options=Options().updated(options),
            timeout=_check_timeout(timeout),
            connect=self._connection,
        )

    @classmethod
    @takes_options
    def offline(
        cls,
        library: str | os.PathLike[str] | None = None,
        *,
        provider: OfflineProvider | None = None,
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
        studio._set_up(_folder(library, offline=True), connect, OFFLINE, TIMEOUT, options)  # noqa: SLF001 - it is our own
        return studio

    @classmethod
    @takes_options
    def from_env(
        cls, library: str | os.PathLike[str] | None = None, **options: Unpack[OptionKeywords]
    ) -> Self:
        """
        Same as `Studio.from_env`; awaits nothing.
        """
        make = cls if _has_key() else cls.offline
        return make(library, **options)

    @takes_options
    async def session(
        self, description: str, *, name: str | None = None, **options: Unpack[OptionKeywords]
    ) -> AsyncImageSession:
        """
        Same as `Studio.session`, but awaits.
        """
        record = await self._desk.do(sessions.start(description, name, options))
        return AsyncImageSession(record, MAIN, self._desk)

    async def open(
        self, wanted: str, *, branch: str = MAIN, reopen: bool = False
    ) -> AsyncImageSession:
        """
        Same as `Studio.open`, but awaits.
        """
        record = await self._desk.do(sessions.find(wanted, branch, reopen=reopen))
        return AsyncImageSession(record, branch, self._desk)

    async def sessions(self) -> tuple[AsyncImageSession, ...]:
        """
        Same as `Studio.sessions`, but awaits.
        """
        records = await self._desk.ask(lambda store: store.list_sessions())
        return tuple(AsyncImageSession(record, MAIN, self._desk) for record in records)

    async def images(
        self, *, limit: int = 50, before: Kept | str | None = None
    ) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `Studio.images`, but awaits.
        """
        query = ImageQuery(limit=_check_limit(limit), before=_image_id(before))
        found = await self._desk.ask(lambda store: store.list_images(query))
        return tuple(view_async(self._desk, turn, position) for turn, position in found)

    async def image(self, image_id: str) -> AsyncSavedImage:
        """
        Same as `Studio.image`, but awaits.
        """
        wanted = check_label("The picture's id", image_id)
        found = await self._desk.ask(lambda store: store.find_image(wanted))
        return view_async(self._desk, *found)

    @takes_options
    async def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage:
        """
        Same as `Studio.generate`, but awaits.
        """
        wish = wish_of(
            self._desk, {}, prompt=prompt, reference=reference, mask=mask, options=options
        )
        return self._last(await self._desk.do(flows.generate(wish, self._desk.catalogue)))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncGenerator[PartialImage | AsyncSavedImage, None]:
        """
        Same as `Studio.stream`, but iterated with `async for`.
        """
        wish = wish_of(
            self._desk,
            {},
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
            partial_images=partial_images,
        )
        return self._desk.stream(flows.generate(wish, self._desk.catalogue), self._last)

    async def close(self) -> None:
        """
        Same as `Studio.close`, but awaits.
        """
        made = self._connection.close()
        if made is not None:
            await made.close()

    def _last(self, turn: Turn) -> AsyncSavedImage:
        return view_async(self._desk, turn, len(turn.images) - 1)

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


def _check_timeout(timeout: object) -> float:
    if isinstance(timeout, (int, float)) and timeout > 0:
        return float(timeout)
    raise CallError(f"timeout={timeout!r} is not a number of seconds greater than 0.")


def _check_limit(limit: object) -> int:
    if type(limit) is int and limit > 0:
        return limit
    raise CallError(f"limit={limit!r} is not a whole number from 1.")


def _has_key() -> bool:
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def _access(api_key: str | None, base_url: str | None) -> Access:
    return Access(
        api_key=api_key or os.environ.get("OPENAI_API_KEY"),
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
    )


def _online(access: Access, client: openai.OpenAI | openai.AsyncOpenAI | None) -> str:
    if client is not None:
        host = getattr(getattr(client, "base_url", None), "host", "an unknown place")
        return f"{type(client).__name__} at {host}"
    if access.base_url is not None:
        return f"the server at {access.base_url.split('//')[-1].split('/')[0].split('@')[-1]}"
    return "OpenAI"


def _folder(library: str | os.PathLike[str] | None, *, offline: bool = False) -> Path:
    chosen = library or os.environ.get("IMAGESESSION_LIBRARY")
    if chosen:
        return Path(chosen)
    import platformdirs  # noqa: PLC0415 - not everybody leaves the choice to it

    pictures = platformdirs.user_pictures_path()
    return pictures / ("imagesession offline" if offline else "imagesession")


def _image_id(image: Kept | str | None) -> str | None:
    if isinstance(image, Kept):
        return image.id
    return None if image is None else check_label("The picture's id", image)


for _public in (Studio, AsyncStudio):
    _public.__module__ = "imagesession"
