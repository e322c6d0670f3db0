"""
Images in a library: find them, read them and their metadata, and sum their costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.marks import without_deleted
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import ImageRecord, ImportOrigin, Turn, is_id_ending
from imagesession._domain.wording import quote
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._engine.imports import EXTERNAL_PROVIDER
from imagesession._version import __version__
from imagesession.errors import InvalidImageError, InvalidRequestError, NotFoundError, StorageError

from . import codec, sidecar
from .ports import ImageLocation, Key
from .records import read_marks, read_turn, session_name
from .sessions import HINTS
from .view import StorePart

_PAGE = 500
_LONGEST_URL = 604_800  # seconds; S3 signs no longer


class ImageStore(StorePart):
    def read(self, image: ImageRecord) -> bytes:
        """
        Return an image's bytes, as they were recorded. They are compared with the record's digest
        once for each state of the file, which takes a millisecond for each megabyte.
        """
        try:
            state = self.blobs.version(image.file)
            data = self.blobs.get(image.file)
        except FileNotFoundError as error:
            raise self._missing(image) from error
        except OSError as error:
            raise self._unreadable(image, error) from error
        known = image.file, image.sha256
        if len(data) == image.bytes and self.state.verified.get(known) == state:
            return data
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise InvalidImageError(
                f"Image {image.id} is not what was made: {self.path(image)} was damaged or "
                "changed since. Put it back from a backup; import_file keeps another image."
            )
        self.state.verified[known] = state
        return data

    def read_received(self, image: ImageRecord) -> bytes:
        """
        Return an image's bytes as they were received, without what was written into its file.
        """
        data = self.read(image)
        if image.received_sha256 is None:
            return data
        from imagesession._imaging.embedding import without_embedded  # noqa: PLC0415 - rarely needed

        return without_embedded(data, image.received_sha256) or data

    def _missing(self, image: ImageRecord) -> InvalidImageError:
        moved = self.blobs.find_moved((image,)).get(image.id)
        if moved is not None:
            return InvalidImageError(
                f"The file of image {image.id} is now {self.blobs.address(moved)}. "
                "studio.doctor(repair=True) records that; or give it its old name, "
                f"{self.path(image)}."
            )
        return InvalidImageError(
            f"The file of image {image.id} is gone: {self.path(image)} does not exist. Put it "
            f"back under that name, or delete the image: studio.images.delete({image.id!r})."
        )

    def path(self, image: ImageRecord) -> str:
        return self.blobs.address(image.file)

    def local_file(self, image: ImageRecord) -> str:
        try:
            return self.blobs.local_file(image.file)
        except OSError as error:
            raise self._unreadable(image, error) from error

    def url(self, image: ImageRecord, seconds: float) -> str:
        if not 1 <= seconds <= _LONGEST_URL:
            raise InvalidRequestError(
                f"expires={quote(seconds)} is not a number of seconds from 1 to {_LONGEST_URL:,}."
            )
        return self.blobs.url(image.file, seconds)

    def _unreadable(self, image: ImageRecord, error: OSError) -> InvalidImageError:
        return InvalidImageError(
            f"Image {image.id} cannot be read from {self.path(image)}: {error.strerror}. Its "
            "record is still there; put the file back under that name."
        )

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        return sidecar.to_dict(turn, position, session_name(self.facts, turn))

    def new_import(self, origin: ImportOrigin, prompt: str = "") -> Turn:
        new = self.view.new_id()
        return Turn(
            id=new.id,
            owner=self.owner,
            kind="import",
            status="completed",
            prompt=prompt,
            options=GenerateOptions(),
            provider=EXTERNAL_PROVIDER,
            origin=origin,
            started=new.at,
            finished=new.at,
            version=__version__,
        )

    def with_imported(self, turn: Turn, file: str, data: bytes, header: ImageHeader) -> Turn:
        image = ImageRecord(
            id=self.ids.new(),
            file=file,
            format=header.format,
            width=header.width,
            height=header.height,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            source="copy",
        )
        return attrs.evolve(turn, images=(image,))

    def list(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        read = self._read_location if query.deleted else self._read_current
        found = [read(row) for row in self.index.page(query)]
        if None in found:
            self.index.rebuild()
            found = [read(row) for row in self.index.page(query)]
        return tuple(item for item in found if item is not None)

    def each(self, query: ImageQuery) -> Iterator[tuple[Turn, int]]:
        """
        Yield all images that a query asks for, which are read in pages.
        """
        query = attrs.evolve(query, limit=_PAGE)
        while page := self.list(query):
            yield from page
            turn, position = page[-1]
            query = attrs.evolve(query, before=turn.images[position].id)

    def find(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of an image, and its position there. Eight or more of the last characters of
        its id will do, in any case.
        """
        turn, position = self.find_recorded(image_id)
        found = self._find_current(turn, turn.images[position].id)
        if found is None:
            raise NotFoundError(
                f"Image {turn.images[position].id} is in the bin. Bring it back with "
                f"studio.images.restore({turn.images[position].id!r}).",
                image_id,
            )
        return found

    def find_recorded(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of an image as it is recorded, and its position there, even if the image is
        deleted; see `find`.
        """
        wanted = image_id.upper()
        found = self._find_via_index(wanted) if is_id_ending(wanted) else None
        if found is not None:
            return found
        latest = tuple(row.image for row in self.index.page(ImageQuery(limit=HINTS)))
        raise NotFoundError(
            f"This library has no image {quote(image_id)}. Its latest are: "
            f"{', '.join(latest) or 'none yet'}.",
            image_id,
            latest,
        )

    def _find_via_index(self, image_id: str) -> tuple[Turn, int] | None:
        row = self.index.find(image_id)
        if row is None:
            return None
        found = self._read_location(row)
        if found is not None:
            return found
        self.index.rebuild()
        row = self.index.find(image_id)
        return None if row is None else self._read_location(row)

    def _read_current(self, row: ImageLocation) -> tuple[Turn, int] | None:
        recorded = self._read_location(row)
        return None if recorded is None else self._find_current(recorded[0], row.image)

    def _find_current(self, turn: Turn, image_id: str) -> tuple[Turn, int] | None:
        """
        Return a turn without what was deleted, and an image's position there; None if the image, or
        its session, is deleted.
        """
        current = without_deleted(turn, read_marks(self.facts, turn.session or turn.id))
        ids = [image.id for image in current.images]
        return (current, ids.index(image_id)) if image_id in ids else None

    def _read_location(self, row: ImageLocation) -> tuple[Turn, int] | None:
        """
        Read the turn of an image; None if the index is wrong.
        """
        key = Key("turn", row.turn, row.session)
        try:
            if not self.facts.has(key):
                return None
        except ValueError:  # the index holds something that cannot be a name
            return None
        turn = read_turn(self.facts, key)
        ids = [image.id for image in turn.images]
        return (turn, row.position) if ids[row.position : row.position + 1] == [row.image] else None

    def locate(self, query: ImageQuery) -> tuple[tuple[str | None, str, str], ...]:
        return tuple((row.session, row.turn, row.image) for row in self.index.page(query))

    def turn_ids(self, session: str) -> tuple[str, ...]:
        return tuple(key.id for key in self.facts.scan("turn", session))

    def read_turns(self, session: str | None, ids: Iterable[str]) -> tuple[Turn, ...]:
        keys = [Key("turn", turn_id, session) for turn_id in ids]
        turns = map(self._read_present, keys)
        return tuple(turn for turn in turns if turn is not None and self.sees(turn.owner))

    def _read_present(self, key: Key) -> Turn | None:
        try:
            data = self.facts.get(key)
        except ValueError:  # the index holds something that cannot be a name
            return None
        if data is None:
            return None
        try:
            return codec.read_turn(data, key.id)
        except StorageError:  # again, for an error that names the record
            return codec.read_turn(data, self.facts.describe(key))

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        return tuple(self.index.tally(query))
