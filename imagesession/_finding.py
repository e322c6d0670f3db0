"""
What a studio finds and starts: sessions, and the pictures of its library.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import AnyDesk, AsyncSavedImage, Kept, Picture, SavedImage, source
from imagesession._library.ids import is_id
from imagesession._model.options import OptionKeywords
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import MAIN
from imagesession._model.turns import Kind
from imagesession._plan import promotion, sessions
from imagesession._plan.checks import check_label
from imagesession._plan.queries import image_query, session_page
from imagesession._plan.steps import Flow
from imagesession._session import AsyncImageSession, ImageSession
from imagesession._show import gallery
from imagesession._signatures import takes_options

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.turns import ProviderState


class _Looking(Generic[AnyDesk]):
    """
    Whatever has a desk.
    """

    _desk: AnyDesk

    def _promotion(
        self, image: Picture, description: str, name: str | None, options: OptionKeywords
    ) -> Flow[SessionRecord]:
        """
        Find out which picture is meant, and start a session from it.
        """
        kept = None
        if isinstance(image, Kept):
            kept = image.turn, image.position
        elif isinstance(image, str) and is_id(image):
            kept = yield from promotion.find(image)
        return (
            yield from promotion.promote(
                kept,
                source(image),
                description,
                name=name,
                choices=options,
                terms=self._desk.terms,
            )
        )


class Finds(_Looking[Desk]):
    """
    Finds and starts.
    """

    @takes_options
    def session(
        self,
        description: str,
        *,
        name: str | None = None,
        resume: bool = False,
        provider_state: ProviderState | None = None,
        remember: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> ImageSession:
        """
        Start a session.

        Args:
            description: What it is about; the model is told it with every turn.
            name: A label to find it by.
            resume: Whether to go on with the session of that name, if there is one, as it is.
            provider_state: What the provider keeps of its turns; left out, what the studio says.
            remember: How many earlier turns go along with a new one at most; left out, what the
                studio says.
            **options: What every turn asks for unless it says otherwise; see `Options`.

        Raises:
            CallError: provider_state or remember are not of their form.
            OptionError: An option is not one, or its value is not one that it takes.
            MaxSessionsReached: As many sessions are active as are allowed; it names the idlest.
        """
        begin = sessions.resume if resume else sessions.start
        settings = sessions.SessionSettings(
            name=name, options=options, provider_state=provider_state, remember=remember
        )
        flow = begin(description, settings, self._desk.terms)
        return ImageSession(self._desk.do(flow), MAIN, self._desk)

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

    def sessions(
        self, *, limit: int | None = None, before: ImageSession | str | None = None
    ) -> tuple[ImageSession, ...]:
        """
        Return the library's sessions, the latest first.

        Args:
            limit: At most so many; left out, all of them.
            before: Only those older than this session, or the session of this id: the last of one
                page gives the next.

        Raises:
            CallError: An argument is not of its form.
        """
        page = session_page(limit, _id_of(before))
        records = self._desk.ask(lambda store: store.list_sessions(*page))
        return tuple(ImageSession(record, MAIN, self._desk) for record in records)

    def images(
        self,
        *,
        session: ImageSession | str | None = None,
        kind: Kind | None = None,
        text: str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        limit: int = 50,
        before: SavedImage | str | None = None,
    ) -> tuple[SavedImage, ...]:
        """
        Return a page of the library's pictures, the latest first.

        Args:
            session: Only those of this session, or of the session of this id.
            kind: Only those made for this: "general", "product", "ui_asset", "edit",
                "improvement", "variation", "batch", "import" or "promotion".
            text: Only those whose prompt, revised prompt or folder's name holds this text; case
                does not count.
            since: Only those of this day or time, or later; days begin at midnight UTC.
            until: Only those of this day, or before this time.
            limit: At most so many.
            before: Only those older than this picture, or the picture of this id: the last of one
                page gives the next.

        Raises:
            CallError: An argument is not of its form.
        """
        query = image_query(
            _id_of(session), kind, text,
            since=since, until=until, limit=limit, before=_id_of(before),
        )  # fmt: skip
        found = self._desk.ask(lambda store: store.list_images(query))
        return tuple(SavedImage(turn, position, self._desk) for turn, position in found)

    def image(self, image_id: str) -> SavedImage:
        """
        Return a picture by its id.

        Raises:
            NotFoundError: There is none; the error names the latest ones.
        """
        wanted = check_label("The picture's id", image_id)
        turn, position = self._desk.ask(lambda store: store.find_image(wanted))
        return SavedImage(turn, position, self._desk)

    def made(self, intent_id: str) -> SavedImage | None:
        """
        Return the picture that was made under a name of your own; None if there is none.

        Args:
            intent_id: The name, as it was given to `generate` or another verb.

        Raises:
            OutcomeUnknownError: It was asked for, and nobody can tell what became of it.
        """
        wanted = check_label("intent_id", intent_id)
        turn = self._desk.ask(lambda store: store.find_intent(wanted))
        return None if turn is None else SavedImage(turn, len(turn.images) - 1, self._desk)

    @takes_options
    def promote(
        self,
        image: Picture,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> ImageSession:
        """
        Start a session from a picture: what it generates first refines that picture.

        Args:
            image: A picture of the library, its id, or any picture from elsewhere, with or
                without the metadata of this library or of older tools beside it.
            description: What the session is about; left out, what the picture was asked to be.
            name: A label to find it by.
            **options: What every turn asks for unless it says otherwise; see `Options`.

        Returns:
            The session, whose head is the picture. A one-shot's prompt, revised prompt and
            provider's context are carried over.

        Raises:
            PictureError: It is no picture.
            NotFoundError: There is no picture of that id.
            MaxSessionsReached: As many sessions are active as are allowed.
        """
        record = self._desk.do(self._promotion(image, description, name, options))
        return ImageSession(record, MAIN, self._desk)

    def import_image(self, image: Picture, *, prompt: str | None = None) -> SavedImage:
        """
        Keep a copy of a picture from elsewhere in the library.

        Args:
            image: A path, bytes, an open file or a PIL image. PNG, JPEG, WebP, GIF and SVG are
                kept to the byte; other formats are converted.
            prompt: What it shows; left out, what the metadata beside it says.

        Raises:
            PictureError: It is no picture.
        """
        turn = self._desk.do(promotion.bring_in(source(image), prompt))
        return SavedImage(turn, 0, self._desk)

    def import_session(self, path: str | os.PathLike[str]) -> ImageSession:
        """
        Bring an exported session back, into this library or another one.

        Ids are kept, and so are its branches, heads and lineages; it can be gone on with. All of
        it is checked first, and if anything is wrong, nothing is imported.

        Args:
            path: The folder or zip that `ImageSession.export` wrote.

        Raises:
            CallError: It is no export, or this library has that session already.
            RecordError: It is damaged, or was changed since it was written; the error names what.
            LibraryTooNewError: A newer imagesession wrote it.
        """
        record = self._desk.ask(lambda store: store.import_session(path))
        return ImageSession(record, MAIN, self._desk)

    def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Write a page of all that the library holds, to look at in any browser.

        It shows sessions as trees, searches and filters, and lays two pictures of a line over
        each other. It is one file that needs no network; thumbnails are in it, and the pictures
        themselves are shown from where they lie.

        Args:
            path: The page, ending in .html; an earlier gallery there is replaced.

        Returns:
            The path in full.

        Raises:
            CallError: The path is none, or does not end in .html.
            DiskError: Something other than a gallery is there, or it cannot be written.
        """
        return Path(self._desk.ask(lambda store: gallery.write(store, path)))


class AsyncFinds(_Looking[AsyncDesk]):
    """
    Same as `Finds`, but awaits.
    """

    @takes_options
    async def session(
        self,
        description: str,
        *,
        name: str | None = None,
        resume: bool = False,
        provider_state: ProviderState | None = None,
        remember: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncImageSession:
        """
        Same as `Studio.session`, but awaits.
        """
        begin = sessions.resume if resume else sessions.start
        settings = sessions.SessionSettings(
            name=name, options=options, provider_state=provider_state, remember=remember
        )
        flow = begin(description, settings, self._desk.terms)
        return AsyncImageSession(await self._desk.do(flow), MAIN, self._desk)

    async def open(
        self, wanted: str, *, branch: str = MAIN, reopen: bool = False
    ) -> AsyncImageSession:
        """
        Same as `Studio.open`, but awaits.
        """
        record = await self._desk.do(sessions.find(wanted, branch, reopen=reopen))
        return AsyncImageSession(record, branch, self._desk)

    async def sessions(
        self, *, limit: int | None = None, before: AsyncImageSession | str | None = None
    ) -> tuple[AsyncImageSession, ...]:
        """
        Same as `Studio.sessions`, but awaits.
        """
        page = session_page(limit, _id_of(before))
        records = await self._desk.ask(lambda store: store.list_sessions(*page))
        return tuple(AsyncImageSession(record, MAIN, self._desk) for record in records)

    async def images(
        self,
        *,
        session: AsyncImageSession | str | None = None,
        kind: Kind | None = None,
        text: str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        limit: int = 50,
        before: AsyncSavedImage | str | None = None,
    ) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `Studio.images`, but awaits.
        """
        query = image_query(
            _id_of(session), kind, text,
            since=since, until=until, limit=limit, before=_id_of(before),
        )  # fmt: skip
        found = await self._desk.ask(lambda store: store.list_images(query))
        return tuple(AsyncSavedImage(turn, position, self._desk) for turn, position in found)

    async def image(self, image_id: str) -> AsyncSavedImage:
        """
        Same as `Studio.image`, but awaits.
        """
        wanted = check_label("The picture's id", image_id)
        turn, position = await self._desk.ask(lambda store: store.find_image(wanted))
        return AsyncSavedImage(turn, position, self._desk)

    async def made(self, intent_id: str) -> AsyncSavedImage | None:
        """
        Same as `Studio.made`, but awaits.
        """
        wanted = check_label("intent_id", intent_id)
        turn = await self._desk.ask(lambda store: store.find_intent(wanted))
        return None if turn is None else AsyncSavedImage(turn, len(turn.images) - 1, self._desk)

    @takes_options
    async def promote(
        self,
        image: Picture,
        description: str = "",
        *,
        name: str | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncImageSession:
        """
        Same as `Studio.promote`, but awaits.
        """
        record = await self._desk.do(self._promotion(image, description, name, options))
        return AsyncImageSession(record, MAIN, self._desk)

    async def import_image(self, image: Picture, *, prompt: str | None = None) -> AsyncSavedImage:
        """
        Same as `Studio.import_image`, but awaits.
        """
        turn = await self._desk.do(promotion.bring_in(source(image), prompt))
        return AsyncSavedImage(turn, 0, self._desk)

    async def import_session(self, path: str | os.PathLike[str]) -> AsyncImageSession:
        """
        Same as `Studio.import_session`, but awaits.
        """
        record = await self._desk.ask(lambda store: store.import_session(path))
        return AsyncImageSession(record, MAIN, self._desk)

    async def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `Studio.gallery`, but awaits.
        """
        return Path(await self._desk.ask(lambda store: gallery.write(store, path)))


# --- what both share ---------------------------------------------------------------------------


def _id_of(thing: ImageSession | AsyncImageSession | Kept[Any] | str | None) -> str | None:
    known = (ImageSession, AsyncImageSession, Kept)
    return thing.id if isinstance(thing, known) else thing
