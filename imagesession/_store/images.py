"""
Images in a library: find them, read them and their metadata, and sum their costs.
"""

from __future__ import annotations

import hashlib
from typing import Any

from imagesession._domain.turn import ImageRecord, Turn, is_id_ending
from imagesession._domain.wording import quote
from imagesession._engine.store import CostTotals, ImageQuery, SpendingQuery
from imagesession.errors import InvalidImageError, NotFoundError

from . import sidecar
from .ports import ImageLocation, Key, Ports
from .records import StorePart, read_turn, session_name
from .sessions import HINTS


class ImageStore(StorePart):
    """
    The part of a library that stores images.
    """

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self._verified: dict[tuple[str, str], object] = {}

    def read(self, image: ImageRecord) -> bytes:
        """
        Return an image's bytes, as they were recorded. They are compared with the record's digest
        once for each state of the file, which takes a millisecond for each megabyte.

        Raises:
            InvalidImageError: Its file is missing, is a link, or has other bytes.
        """
        try:
            state = self.blobs.version(image.file)
            data = self.blobs.get(image.file)
        except OSError as error:
            raise InvalidImageError(
                f"Image {image.id} cannot be read from {self.path(image)}: {error.strerror}. Its "
                "record is still there; put the file back under that name."
            ) from error
        known = image.file, image.sha256
        if len(data) == image.bytes and self._verified.get(known) == state:
            return data
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise InvalidImageError(
                f"Image {image.id} is not what was made: {self.path(image)} was damaged or "
                "changed since. Put it back from a backup; import_file keeps another image."
            )
        self._verified[known] = state
        return data

    def read_received(self, image: ImageRecord) -> bytes:
        """
        Return an image's bytes as they were received, without what was written into its file.

        Raises:
            InvalidImageError: Its file is missing, is a link, or has other bytes.
        """
        data = self.read(image)
        if image.received_sha256 is None:
            return data
        from imagesession._imaging.embedding import without_embedded  # noqa: PLC0415 - rarely needed

        return without_embedded(data, image.received_sha256) or data

    def path(self, image: ImageRecord) -> str:
        """
        Return the path of an image's file.
        """
        return self.blobs.address(image.file)

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """
        Return all recorded metadata of an image, as in its sidecar.
        """
        return sidecar.to_dict(turn, position, session_name(self.facts, turn))

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """
        Return images, each as its turn and its position there, the newest first.
        """
        found = [self._read_location(row) for row in self.index.page(query)]
        if None in found:
            self.index.rebuild()
            found = [self._read_location(row) for row in self.index.page(query)]
        return tuple(item for item in found if item is not None)

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of an image, and its position there.

        Args:
            image_id: Its id, or eight or more of the last characters of it, in any case.

        Raises:
            NotFoundError: There is no such image.
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

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        """
        Sum the costs of turns by group.
        """
        return tuple(self.index.tally(query))
