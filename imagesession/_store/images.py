"""
Pictures in a library: found again, read, made ready to be sent, and what is known of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagesession._domain.turn import ImageRecord, Turn
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
    The part of a library that keeps pictures.
    """

    def fetch(self, source: Source) -> InputImage:
        """
        Read a picture as the wire takes it, wherever it is.

        Raises:
            InvalidImageError: It is not one that the provider takes.
            NotFoundError: It is the id of a picture that this library does not have.
        """
        from . import inputs  # noqa: PLC0415 - loads the room for pixels

        image = self._image_of(source)
        if image is not None:
            return inputs.prepare_input(self.read(image), f"Picture {image.id}", image.id)
        return inputs.load_input(source)

    def fetch_original(self, source: Source) -> ImportedImage:
        """
        Read a picture as it is, with what is known of it, to keep it.

        Raises:
            InvalidImageError: It is no picture.
        """
        from . import imports  # noqa: PLC0415 - loads the room for pixels

        return imports.load_original(source)

    def _image_of(self, source: Source) -> ImageRecord | None:
        """
        Return the record of a picture of this library, given itself or by its id.
        """
        if isinstance(source, ImageRecord):
            return source
        if isinstance(source, str) and is_id(source):
            turn, position = self.find_image(source)
            return turn.images[position]
        return None

    def mask(self, source: object, picture: InputImage, *, fit: bool) -> InputImage:
        """
        Read a mask as the wire takes it, checked against its picture.

        Raises:
            InvalidImageError: It is none, has another size, or opens nothing or everything.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.mask(self._mask_source(source), picture, fit=fit)

    def markup(self, source: Source, picture: InputImage, *, fit: bool) -> InputImage:
        """
        Read a drawing to lie over a picture, checked against it.

        Raises:
            InvalidImageError: It is none, has another size, or draws nothing.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.markup(self._mask_source(source), picture, fit=fit)

    def composite(self, original: InputImage, mask: InputImage, reply: bytes) -> ReceivedImage:
        """
        Put a reply into its original where the mask opens it; every other pixel is the original's.
        """
        from . import masking  # noqa: PLC0415 - loads the room for pixels

        return masking.composite(original, mask, reply)

    def _mask_source(self, source: object) -> object:
        image = self._image_of(source)
        return source if image is None else self.read(image)

    def load_stored_input(self, image: ImageRecord) -> InputImage | None:
        """
        Read a picture of the library as the wire takes it; None for one that has no pixels.
        """
        from . import inputs  # noqa: PLC0415 - loads the room for pixels

        if image.format == "svg":
            return None
        # No limit on its size: it came from the provider, and goes back there.
        return inputs.prepare_input(self.read(image), f"Picture {image.id}", image.id, limit=None)

    def read(self, image: ImageRecord) -> bytes:
        """
        Return a picture's bytes.

        Raises:
            InvalidImageError: Its file is gone, or a link stands in its place.
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
        Return where a picture's file lies.
        """
        return str(self.layout.root / image.file)

    def metadata(self, turn: Turn, position: int) -> dict[str, Any]:
        """
        Return all that is recorded of a picture, as it lies beside its file.
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
        Return turns with the position of a picture in each, the newest first.
        """
        with translate_os_errors(self.layout.index):
            beside = self._refresh_index()
            found = [self._follow(row) for row in self._index.page(query, beside)]
            if None in found:
                self._index.renew()
                found = [self._follow(row) for row in self._index.page(query, beside)]
        return tuple(item for item in found if item is not None)

    def find_image(self, image_id: str) -> tuple[Turn, int]:
        """
        Return the turn of a picture, and its position there.

        Raises:
            NotFoundError: There is no such picture.
        """
        with translate_os_errors(self.layout.index):
            beside = self._refresh_index()
            found = self._find(image_id, beside) if is_id(image_id) else None
            if found is not None:
                return found
            latest = tuple(row.image for row in self._index.page(ImageQuery(limit=HINTS), beside))
        raise NotFoundError(
            f"This library has no picture {image_id!r}. Its latest are: "
            f"{', '.join(latest) or 'none yet'}.",
            image_id,
            latest,
        )

    def _find(self, image_id: str, beside: Sequence[Turn]) -> tuple[Turn, int] | None:
        row = self._index.find(image_id, beside)
        if row is None:
            return None
        found = self._follow(row)
        if found is not None:
            return found
        self._index.renew()
        row = self._index.find(image_id, beside)
        return None if row is None else self._follow(row)

    def _follow(self, row: ImageLocation) -> tuple[Turn, int] | None:
        """
        Read the turn of a picture; None where the index is mistaken and leads to another or none.
        """
        try:
            if not self.layout.turn_file(row.session, row.turn).exists():
                return None
        except ValueError:  # what it says could not even be a name
            return None
        turn = self._read_turn(row.session, row.turn)
        ids = [image.id for image in turn.images]
        return (turn, row.position) if ids[row.position : row.position + 1] == [row.image] else None
