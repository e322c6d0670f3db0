"""
Images in a library: find them, read them and their metadata, and prepare them as inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagesession._domain.turn import ImageRecord, Turn
from imagesession._domain.wording import quote
from imagesession._engine.http import ReceivedImage
from imagesession._engine.store import ImageQuery, ImportedImage, InputImage, Source
from imagesession.errors import InvalidImageError, NotFoundError, StorageError

from . import sidecar
from .atomic_write import translate_os_errors
from .base import StoreBase
from .ids import is_id
from .index import ImageLocation
from .safe_open import read_within
from .sessions import HINTS


class ImageStore(StoreBase):
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

    def extend_canvas(
        self, picture: InputImage, canvas: tuple[int, int], anchor: str, *, fill: bool
    ) -> tuple[InputImage, InputImage]:
        """
        Lay an image on a larger canvas; return that, and the mask of its new part.

        Raises:
            InvalidImageError: The image fills the canvas.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.extend_canvas(picture, canvas, anchor, fill=fill)

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
            return read_within(self.layout.root, image.file)
        except OSError as error:
            raise InvalidImageError(
                f"Picture {image.id} cannot be read from {self.path(image)}: {error.strerror}. Its "
                "record is still there; put the file back under that name."
            ) from error

    def path(self, image: ImageRecord) -> str:
        """
        Return the path of an image's file.
        """
        return str(self.layout.root / image.file)

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """
        Return all recorded metadata of an image, as in its sidecar.
        """
        return sidecar.to_dict(turn, position, self._session_name(turn))

    def _session_name(self, turn: Turn) -> str | None:
        if turn.session is None:
            return None
        try:
            file = self.layout.session_file(turn.session)
            return sidecar.session_name(file.read_bytes(), str(file))
        except (OSError, StorageError):
            return None

    def list_images(self, query: ImageQuery) -> tuple[tuple[Turn, int], ...]:
        """
        Return images, each as its turn and its position there, the newest first.
        """
        with translate_os_errors(self.layout.index):
            pending = self._refresh_index()
            found = [self._read_location(row) for row in self._index.page(query, pending)]
            if None in found:
                self._index.force_rebuild()
                found = [self._read_location(row) for row in self._index.page(query, pending)]
        return tuple(item for item in found if item is not None)

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of an image, and its position there.

        Raises:
            NotFoundError: There is no such image.
        """
        with translate_os_errors(self.layout.index):
            pending = self._refresh_index()
            found = self._find_via_index(image_id, pending) if is_id(image_id) else None
            if found is not None:
                return found
            latest = tuple(row.image for row in self._index.page(ImageQuery(limit=HINTS), pending))
        raise NotFoundError(
            f"This library has no picture {quote(image_id)}. Its latest are: "
            f"{', '.join(latest) or 'none yet'}.",
            image_id,
            latest,
        )

    def _find_via_index(self, image_id: str, pending: Sequence[Turn]) -> tuple[Turn, int] | None:
        row = self._index.find(image_id, pending)
        if row is None:
            return None
        found = self._read_location(row)
        if found is not None:
            return found
        self._index.force_rebuild()
        row = self._index.find(image_id, pending)
        return None if row is None else self._read_location(row)

    def _read_location(self, row: ImageLocation) -> tuple[Turn, int] | None:
        """
        Read the turn of an image; None if the index is wrong.
        """
        try:
            if not self.layout.turn_file(row.session, row.turn).exists():
                return None
        except ValueError:  # the index holds something that cannot be a file name
            return None
        turn = self._read_turn(row.session, row.turn)
        ids = [image.id for image in turn.images]
        return (turn, row.position) if ids[row.position : row.position + 1] == [row.image] else None
