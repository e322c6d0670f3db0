"""
The resources of a studio: sessions, images and pending requests.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Collection
from typing import Any, ClassVar

import attrs

from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage, async_last_image
from imagesession._api.image import ImageFacts
from imagesession._api.resource_base import AsyncRemovableResource, RemovableResource
from imagesession._api.results import Images
from imagesession._api.session import (
    ImageOrTurn,
    ImageSession,
    SavedImage,
    SessionFacts,
    last_image,
)
from imagesession._api.signatures import public
from imagesession._api.types import ImageInput, to_source
from imagesession._domain.tree import MAIN
from imagesession._domain.turn import Kind
from imagesession._engine import imports, queries, sessions
from imagesession._engine.validate import validate_label


@public
@attrs.frozen(eq=False, repr=False)
class SessionsResource(RemovableResource[ImageSession | str]):
    """
    The sessions of a library: `studio.sessions`.
    """

    _what: ClassVar[str] = "sessions"

    def list(
        self,
        *,
        limit: int | None = None,
        before: ImageSession | str | None = None,
        deleted: bool = False,
    ) -> tuple[ImageSession, ...]:
        """
        Return the library's sessions, the latest first.

        Args:
            limit: The most sessions to return. Default: all of them.
            before: Only sessions older than this one (the object or its id). Pass the last one of a
                page to get the next page.
            deleted: Only sessions in the bin, in place of those that are not deleted.

        Raises:
            InvalidRequestError: An argument is not valid.
        """
        page = queries.session_page(limit, id_or_name(before))
        records = self._runtime.call_store(
            lambda store: store.sessions.list(*page, deleted=deleted)
        )
        return tuple(ImageSession(record, MAIN, self._runtime) for record in records)

    def get(self, wanted: str) -> ImageSession:
        """
        Return a session, open or closed, on its main branch; `Studio.open` opens other branches.

        Args:
            wanted: As for `Studio.open`.

        Raises:
            NotFoundError: There is no such session; the error names similar ones.
        """
        record = self._runtime.run(sessions.get_session(wanted, MAIN, reopen=False))
        return ImageSession(record, MAIN, self._runtime)

    def import_archive(self, path: str | os.PathLike[str]) -> ImageSession:
        """
        Import an exported session, into the same or another library.

        Its ids, branches, heads and lineages are preserved, and it can be continued. Everything is
        verified first; if there is an error, nothing is imported.

        Args:
            path: The folder or zip file that `ImageSession.export` wrote.

        Raises:
            InvalidRequestError: It is not an export, or this library has the session already.
            CorruptRecordError: It is damaged, or was changed after the export; the error names the
                file.
            UnsupportedFormatVersionError: It was written by a newer imagesession.
        """
        record = self._runtime.call_store(lambda store: store.exports.import_session(path))
        return ImageSession(record, MAIN, self._runtime)


@public
@attrs.frozen(eq=False, repr=False)
class ImagesResource(RemovableResource[ImageOrTurn]):
    """
    The images of a library: `studio.images`.
    """

    _what: ClassVar[str] = "images"

    def list(
        self,
        *,
        session: ImageSession | str | None = None,
        kind: Kind | None = None,
        text: str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        starred: bool | None = None,
        tags: Collection[str] = (),
        deleted: bool = False,
        limit: int = 50,
        before: SavedImage | str | None = None,
    ) -> tuple[SavedImage, ...]:
        """
        Return a page of the library's images, the latest first.

        Args:
            session: Only images of this session: the object, its id, or its name.
            kind: Only images of this kind: "general", "product", "ui_asset", "edit", "improvement",
                "variation", "batch", "import" or "promotion".
            text: Only images whose prompt, revised prompt or folder name contains this text,
                ignoring case.
            since: The first day, or the earliest time; days begin at midnight UTC.
            until: The last day, or the time before which the images were made.
            starred: Only images with a star, or, if False, without one.
            tags: Only images that have all of these tags, ignoring case.
            deleted: Only images in the bin, in place of those that are not deleted.
            limit: The most images to return.
            before: Only images older than this one (the object or its id). Pass the last one of a
                page to get the next page.

        Raises:
            InvalidRequestError: An argument is not valid.
            NotFoundError: There is no such session; the error names some that exist.
        """
        query = queries.image_query(
            id_or_name(session), kind, text,
            since=since, until=until, limit=limit, before=id_or_name(before),
            starred=starred, tags=tags, deleted=deleted,
        )  # fmt: skip
        page = self._runtime.run(queries.list_images(query))
        return Images(SavedImage(turn, position, self._runtime) for turn, position in page)

    def get(self, image_id: str) -> SavedImage:
        """
        Return an image by its id, or by at least the last eight characters of it.

        Raises:
            NotFoundError: There is no such image; the error names the latest ones.
        """
        valid_id = validate_label("The image's id", image_id)
        turn, position = self._runtime.call_store(lambda store: store.images.find(valid_id))
        return SavedImage(turn, position, self._runtime)

    def find(self, *, idempotency_key: str) -> SavedImage | None:
        """
        Return the image with an idempotency key; None if there is none.

        Args:
            idempotency_key: The `idempotency_key` that was passed to `generate` or another verb.

        Raises:
            OutcomeUnknownError: It was requested, and its outcome is unknown.
        """
        key = validate_label("idempotency_key", idempotency_key)
        turn = self._runtime.call_store(lambda store: store.intents.completed_under(key))
        return None if turn is None else last_image(turn, self._runtime)

    def import_file(self, image: ImageInput, *, prompt: str | None = None) -> SavedImage:
        """
        Copy an image from elsewhere into the library.

        Args:
            image: A path, bytes, an open file or a PIL image. PNG, JPEG, WebP, GIF and SVG files
                are copied unchanged; other formats are converted.
            prompt: What it shows. Default: the prompt in the metadata file beside it, if any.

        Raises:
            InvalidImageError: It is not a readable image.
        """
        turn = self._runtime.run(imports.import_image(to_source(image), prompt))
        return SavedImage(turn, 0, self._runtime)


@public
@attrs.frozen(eq=False, repr=False)
class AsyncSessionsResource(AsyncRemovableResource[AsyncImageSession | str]):
    """
    Same as `SessionsResource`, but awaits.
    """

    _what: ClassVar[str] = "sessions"

    async def list(
        self,
        *,
        limit: int | None = None,
        before: AsyncImageSession | str | None = None,
        deleted: bool = False,
    ) -> tuple[AsyncImageSession, ...]:
        """
        Same as `SessionsResource.list`, but awaits.
        """
        page = queries.session_page(limit, id_or_name(before))
        records = await self._runtime.call_store(
            lambda store: store.sessions.list(*page, deleted=deleted)
        )
        return tuple(AsyncImageSession(record, MAIN, self._runtime) for record in records)

    async def get(self, wanted: str) -> AsyncImageSession:
        """
        Same as `SessionsResource.get`, but awaits.
        """
        record = await self._runtime.run(sessions.get_session(wanted, MAIN, reopen=False))
        return AsyncImageSession(record, MAIN, self._runtime)

    async def import_archive(self, path: str | os.PathLike[str]) -> AsyncImageSession:
        """
        Same as `SessionsResource.import_archive`, but awaits.
        """
        record = await self._runtime.call_store(lambda store: store.exports.import_session(path))
        return AsyncImageSession(record, MAIN, self._runtime)


@public
@attrs.frozen(eq=False, repr=False)
class AsyncImagesResource(AsyncRemovableResource[ImageOrTurn]):
    """
    Same as `ImagesResource`, but awaits.
    """

    _what: ClassVar[str] = "images"

    async def list(
        self,
        *,
        session: AsyncImageSession | str | None = None,
        kind: Kind | None = None,
        text: str | None = None,
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        starred: bool | None = None,
        tags: Collection[str] = (),
        deleted: bool = False,
        limit: int = 50,
        before: AsyncSavedImage | str | None = None,
    ) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `ImagesResource.list`, but awaits.
        """
        query = queries.image_query(
            id_or_name(session), kind, text,
            since=since, until=until, limit=limit, before=id_or_name(before),
            starred=starred, tags=tags, deleted=deleted,
        )  # fmt: skip
        page = await self._runtime.run(queries.list_images(query))
        return Images(AsyncSavedImage(turn, position, self._runtime) for turn, position in page)

    async def get(self, image_id: str) -> AsyncSavedImage:
        """
        Same as `ImagesResource.get`, but awaits.
        """
        valid_id = validate_label("The image's id", image_id)
        turn, position = await self._runtime.call_store(lambda store: store.images.find(valid_id))
        return AsyncSavedImage(turn, position, self._runtime)

    async def find(self, *, idempotency_key: str) -> AsyncSavedImage | None:
        """
        Same as `ImagesResource.find`, but awaits.
        """
        key = validate_label("idempotency_key", idempotency_key)
        turn = await self._runtime.call_store(lambda store: store.intents.completed_under(key))
        return None if turn is None else async_last_image(turn, self._runtime)

    async def import_file(self, image: ImageInput, *, prompt: str | None = None) -> AsyncSavedImage:
        """
        Same as `ImagesResource.import_file`, but awaits.
        """
        turn = await self._runtime.run(imports.import_image(to_source(image), prompt))
        return AsyncSavedImage(turn, 0, self._runtime)


# --- shared helpers ----------------------------------------------------------------------------


def id_or_name(target: SessionFacts | ImageFacts[Any] | str | None) -> str | None:
    """
    Return the id of a session or an image; text is returned unchanged.
    """
    return target.id if isinstance(target, (SessionFacts, ImageFacts)) else target
