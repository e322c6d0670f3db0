"""
What a studio lists and fetches: sessions, images, models and requests on their way.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage, async_last_image
from imagesession._api.image import ImageFacts
from imagesession._api.session import ImageSession, SavedImage, SessionFacts, last_image
from imagesession._api.types import ImageInput, to_source
from imagesession._api.workflows import ImageT
from imagesession._domain.model_catalog import Kind as ModelKind
from imagesession._domain.model_catalog import ModelInfo
from imagesession._domain.reports import PendingRequest, RecoveryReport
from imagesession._domain.tree import MAIN
from imagesession._domain.turn import Kind, Turn
from imagesession._engine import promote, queries, recovery, reports, sessions
from imagesession._engine.recovery import RecoveredIntent
from imagesession._engine.validate import validate_label
from imagesession._runtime.runtime import AsyncRuntime, Runtime


@attrs.frozen(eq=False, repr=False)
class SessionsResource:
    """
    The sessions of a library: `studio.sessions`.
    """

    _runtime: Runtime

    def list(
        self, *, limit: int | None = None, before: ImageSession | str | None = None
    ) -> tuple[ImageSession, ...]:
        """
        Return the library's sessions, the latest first.

        Args:
            limit: At most so many; left out, all of them.
            before: Only those older than this session, or the session of this id: the last of one
                page gives the next.

        Raises:
            InvalidRequestError: An argument is not valid.
        """
        page = queries.session_page(limit, id_or_name(before))
        records = self._runtime.call_store(lambda store: store.list_sessions(*page))
        return tuple(ImageSession(record, MAIN, self._runtime) for record in records)

    def get(self, wanted: str) -> ImageSession:
        """
        Return a session, closed or not, on its first branch; `Studio.open` takes another one.

        Args:
            wanted: Its id, or its name.

        Raises:
            NotFoundError: There is no such session; the error names some that exist.
        """
        record = self._runtime.run(sessions.get_session(wanted, MAIN, reopen=False))
        return ImageSession(record, MAIN, self._runtime)

    def import_archive(self, path: str | os.PathLike[str]) -> ImageSession:
        """
        Bring an exported session back, into this library or another one.

        Ids are kept, and so are its branches, heads and lineages; it can be gone on with. All of
        it is checked first, and if anything is wrong, nothing is imported.

        Args:
            path: The folder or zip that `ImageSession.export` wrote.

        Raises:
            InvalidRequestError: It is no export, or this library has that session already.
            CorruptRecordError: It is damaged, or was changed since it was written; the error names
                what.
            UnsupportedFormatVersionError: A newer imagesession wrote it.
        """
        record = self._runtime.call_store(lambda store: store.import_session(path))
        return ImageSession(record, MAIN, self._runtime)


@attrs.frozen(eq=False, repr=False)
class ImagesResource:
    """
    The images of a library: `studio.images`.
    """

    _runtime: Runtime

    def list(
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
        Return a page of the library's images, the latest first.

        Args:
            session: Only those of this session: itself, its id, or its name.
            kind: Only those made for this: "general", "product", "ui_asset", "edit",
                "improvement", "variation", "batch", "import" or "promotion".
            text: Only those whose prompt, revised prompt or folder's name holds this text; case
                does not count.
            since: Only those of this day or time, or later; days begin at midnight UTC.
            until: Only those of this day, or before this time.
            limit: At most so many.
            before: Only those older than this image, or the image of this id: the last of one
                page gives the next.

        Raises:
            InvalidRequestError: An argument is not valid.
            NotFoundError: There is no such session; the error names some that exist.
        """
        query = queries.image_query(
            id_or_name(session), kind, text,
            since=since, until=until, limit=limit, before=id_or_name(before),
        )  # fmt: skip
        found = self._runtime.run(queries.list_images(query))
        return tuple(SavedImage(turn, position, self._runtime) for turn, position in found)

    def get(self, image_id: str) -> SavedImage:
        """
        Return an image by its id.

        Raises:
            NotFoundError: There is none; the error names the latest ones.
        """
        wanted = validate_label("The picture's id", image_id)
        turn, position = self._runtime.call_store(lambda store: store.find_image(wanted))
        return SavedImage(turn, position, self._runtime)

    def find(self, *, idempotency_key: str) -> SavedImage | None:
        """
        Return the image that was made under a key of your own; None if there is none.

        Args:
            idempotency_key: What was given as `idempotency_key` to `generate` or another verb.

        Raises:
            OutcomeUnknownError: It was requested, and its outcome is unknown.
        """
        wanted = validate_label("idempotency_key", idempotency_key)
        turn = self._runtime.call_store(lambda store: store.find_intent(wanted))
        return None if turn is None else last_image(turn, self._runtime)

    def import_file(self, image: ImageInput, *, prompt: str | None = None) -> SavedImage:
        """
        Store a copy of an image from elsewhere in the library.

        Args:
            image: A path, bytes, an open file or a PIL image. PNG, JPEG, WebP, GIF and SVG are
                kept to the byte; other formats are converted.
            prompt: What it shows; left out, what the metadata beside it says.

        Raises:
            InvalidImageError: It is no image.
        """
        turn = self._runtime.run(promote.import_image(to_source(image), prompt))
        return SavedImage(turn, 0, self._runtime)


@attrs.frozen(eq=False, repr=False)
class ModelsResource:
    """
    The models that can be used today: `studio.models`.
    """

    _runtime: Runtime

    def list(self, *, kind: ModelKind | None = None, live: bool = False) -> tuple[ModelInfo, ...]:
        """
        Return the models that can be used today: what they take, when they end, what they cost.

        Args:
            kind: Only those that draw ("image") or lead the conversation ("mainline").
            live: Whether to ask the provider which of them it has; free, and needs the network.

        Raises:
            InvalidOptionError: There is no such kind.
            ImageSessionError: The provider did not answer.
        """
        return self._runtime.run(reports.models(self._runtime.config, kind, live=live))

    def get(self, name: str) -> ModelInfo:
        """
        Return what is known of a model, one that has ended too.

        Args:
            name: Its name, or one of its dated names.

        Raises:
            NotFoundError: The catalogue does not have it; the error names some that it has.
        """
        return reports.find_model(self._runtime.config, name)


@attrs.frozen(eq=False, repr=False)
class RequestsResource:
    """
    The requests that are on their way to a provider: `studio.requests`.
    """

    _runtime: Runtime

    def pending(self) -> tuple[PendingRequest, ...]:
        """
        Return the requests that are under way in any program, or were left without an end.
        """
        return self._runtime.call_store(lambda store: store.pending())

    def cancel(self, turn_id: str) -> RecoveryReport[SavedImage]:
        """
        Have the provider stop a request that is under way, in whichever program.

        Args:
            turn_id: The turn's id, from `pending` or from `OutcomeUnknownError.turn_id`.

        Returns:
            What became of it: an image, if it was finished already; failed, if it was stopped;
            left, if a running program waits for it, which then learns of it.

        Raises:
            NotFoundError: No such request is under way.
            ProviderUnavailableError: The provider cannot be reached.
        """
        settled = self._runtime.run(recovery.cancel(turn_id, self._runtime.config))
        return to_recovery_report((settled,), self._wrap)

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)


@attrs.frozen(eq=False, repr=False)
class AsyncSessionsResource:
    """
    Same as `SessionsResource`, but awaits.
    """

    _runtime: AsyncRuntime

    async def list(
        self, *, limit: int | None = None, before: AsyncImageSession | str | None = None
    ) -> tuple[AsyncImageSession, ...]:
        """
        Same as `SessionsResource.list`, but awaits.
        """
        page = queries.session_page(limit, id_or_name(before))
        records = await self._runtime.call_store(lambda store: store.list_sessions(*page))
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
        record = await self._runtime.call_store(lambda store: store.import_session(path))
        return AsyncImageSession(record, MAIN, self._runtime)


@attrs.frozen(eq=False, repr=False)
class AsyncImagesResource:
    """
    Same as `ImagesResource`, but awaits.
    """

    _runtime: AsyncRuntime

    async def list(
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
        Same as `ImagesResource.list`, but awaits.
        """
        query = queries.image_query(
            id_or_name(session), kind, text,
            since=since, until=until, limit=limit, before=id_or_name(before),
        )  # fmt: skip
        found = await self._runtime.run(queries.list_images(query))
        return tuple(AsyncSavedImage(turn, position, self._runtime) for turn, position in found)

    async def get(self, image_id: str) -> AsyncSavedImage:
        """
        Same as `ImagesResource.get`, but awaits.
        """
        wanted = validate_label("The picture's id", image_id)
        turn, position = await self._runtime.call_store(lambda store: store.find_image(wanted))
        return AsyncSavedImage(turn, position, self._runtime)

    async def find(self, *, idempotency_key: str) -> AsyncSavedImage | None:
        """
        Same as `ImagesResource.find`, but awaits.
        """
        wanted = validate_label("idempotency_key", idempotency_key)
        turn = await self._runtime.call_store(lambda store: store.find_intent(wanted))
        return None if turn is None else async_last_image(turn, self._runtime)

    async def import_file(self, image: ImageInput, *, prompt: str | None = None) -> AsyncSavedImage:
        """
        Same as `ImagesResource.import_file`, but awaits.
        """
        turn = await self._runtime.run(promote.import_image(to_source(image), prompt))
        return AsyncSavedImage(turn, 0, self._runtime)


@attrs.frozen(eq=False, repr=False)
class AsyncModelsResource:
    """
    Same as `ModelsResource`, but awaits.
    """

    _runtime: AsyncRuntime

    async def list(
        self, *, kind: ModelKind | None = None, live: bool = False
    ) -> tuple[ModelInfo, ...]:
        """
        Same as `ModelsResource.list`, but awaits.
        """
        return await self._runtime.run(reports.models(self._runtime.config, kind, live=live))

    async def get(self, name: str) -> ModelInfo:
        """
        Same as `ModelsResource.get`, but awaits.
        """
        return reports.find_model(self._runtime.config, name)


@attrs.frozen(eq=False, repr=False)
class AsyncRequestsResource:
    """
    Same as `RequestsResource`, but awaits.
    """

    _runtime: AsyncRuntime

    async def pending(self) -> tuple[PendingRequest, ...]:
        """
        Same as `RequestsResource.pending`, but awaits.
        """
        return await self._runtime.call_store(lambda store: store.pending())

    async def cancel(self, turn_id: str) -> RecoveryReport[AsyncSavedImage]:
        """
        Same as `RequestsResource.cancel`, but awaits.
        """
        settled = await self._runtime.run(recovery.cancel(turn_id, self._runtime.config))
        return to_recovery_report((settled,), self._wrap)

    def _wrap(self, turn: Turn) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime)


# --- what both share ---------------------------------------------------------------------------


def to_recovery_report(
    settled: Iterable[RecoveredIntent], wrap: Callable[[Turn], ImageT]
) -> RecoveryReport[ImageT]:
    """
    Return what became of requests, with their images.
    """
    outcomes = tuple(settled)
    return RecoveryReport(
        images=tuple(wrap(each.turn) for each in outcomes if each.has_image),
        failed=tuple(each.turn for each in outcomes if each.failed),
        still_pending={
            each.turn.batch or each.turn.id: each.left for each in outcomes if each.left
        },
    )


def id_or_name(item: SessionFacts | ImageFacts[Any] | str | None) -> str | None:
    """
    Return the id of a session or an image, and text as it is.
    """
    return item.id if isinstance(item, (SessionFacts, ImageFacts)) else item


for _public in (
    SessionsResource,
    AsyncSessionsResource,
    ImagesResource,
    AsyncImagesResource,
    ModelsResource,
    AsyncModelsResource,
    RequestsResource,
    AsyncRequestsResource,
):
    _public.__module__ = "imagesession"
