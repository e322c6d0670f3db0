"""
Images in a library: find them, read them and their metadata, and prepare them as inputs.
"""

from __future__ import annotations

from typing import Any

from imagesession._domain.turn import ImageRecord, Turn
from imagesession._domain.wording import quote
from imagesession._engine.http import ReceivedImage
from imagesession._engine.store import (
    CostTotals,
    ImageQuery,
    ImportedImage,
    InputImage,
    Source,
    SpendingQuery,
)
from imagesession.errors import InvalidImageError, NotFoundError

from . import sidecar
from .ids import is_ending, is_id
from .ports import ImageLocation, Key
from .records import read_turn
from .sessions import HINTS
from .turns import TurnStore


class ImageStore(TurnStore):
    """
    The part of a library that stores images.
    """

    def fetch(self, source: Source, *, keep_exif: bool = False) -> InputImage:
        """
        Read an image from any source, in a format that the provider accepts.

        Raises:
            InvalidImageError: The provider cannot accept it.
            NotFoundError: It is the id of an image that this library does not have.
        """
        from . import inputs  # noqa: PLC0415 - loads the room for pixels

        image = self._image_of(source)
        if image is not None:
            return inputs.prepare_input(
                self.read(image), f"Picture {image.id}", image.id, keep_exif=keep_exif
            )
        return inputs.load_input(source, keep_exif=keep_exif)

    def fetch_original(self, source: Source) -> ImportedImage:
        """
        Read an image unchanged, with its metadata, to import it.

        Raises:
            InvalidImageError: It is not an image.
        """
        from . import imports  # noqa: PLC0415 - loads the room for pixels

        return imports.load_original(source)

    def _image_of(self, source: Source) -> ImageRecord | None:
        """
        Return the record of an image of this library, given the record or its id.
        """
        if isinstance(source, ImageRecord):
            return source
        if isinstance(source, str) and is_id(source):
            turn, position = self.find_image(source)
            return turn.images[position]
        return None

    def mask(self, source: object, picture: InputImage, *, resize_mask: bool) -> InputImage:
        """
        Read a mask in the provider's format, checked against its image.

        Raises:
            InvalidImageError: It is not a mask, has another size, or opens nothing or everything.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.mask(self._mask_source(source), picture, resize_mask=resize_mask)

    def markup(self, source: Source, picture: InputImage, *, resize_mask: bool) -> InputImage:
        """
        Read a markup overlay for an image, checked against it.

        Raises:
            InvalidImageError: It is not an image, has another size, or draws nothing.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.markup(self._mask_source(source), picture, resize_mask=resize_mask)

    def composite(self, original: InputImage, mask: InputImage, reply: bytes) -> ReceivedImage:
        """
        Combine a reply with its original: the reply where the mask is open, else the original.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.composite(original, mask, reply)

    def _mask_source(self, source: object) -> object:
        image = self._image_of(source)
        return source if image is None else self.read(image)

    def load_stored_input(self, image: ImageRecord) -> InputImage | None:
        """
        Read an image of the library in a format that the provider accepts; None for an SVG.
        """
        from . import inputs  # noqa: PLC0415 - loads the room for pixels

        if image.format == "svg":
            return None
        # No size limit: the image came from the provider.
        return inputs.prepare_input(self.read(image), f"Picture {image.id}", image.id, limit=None)

    def read(self, image: ImageRecord) -> bytes:
        """
        Return an image's bytes.

        Raises:
            InvalidImageError: Its file is missing, or is a link.
        """
        try:
            return self.blobs.get(image.file)
        except OSError as error:
            raise InvalidImageError(
                f"Picture {image.id} cannot be read from {self.path(image)}: {error.strerror}. Its "
                "record is still there; put the file back under that name."
            ) from error

    def path(self, image: ImageRecord) -> str:
        """
        Return the path of an image's file.
        """
        return self.blobs.address(image.file)

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """
        Return all recorded metadata of an image, as in its sidecar.
        """
        return sidecar.to_dict(turn, position, self.session_name(turn))

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
        found = self._find_via_index(wanted) if is_ending(wanted) else None
        if found is not None:
            return found
        latest = tuple(row.image for row in self.index.page(ImageQuery(limit=HINTS)))
        raise NotFoundError(
            f"This library has no picture {quote(image_id)}. Its latest are: "
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
