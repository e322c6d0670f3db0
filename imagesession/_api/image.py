"""
The metadata and file of a saved image, without the verbs that continue it.
"""

from __future__ import annotations

import base64
import builtins
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, cast

import attrs

from imagesession._api.signatures import public_base
from imagesession._domain.cost import Cost
from imagesession._domain.image_header import MIME_TYPES, ImageFormat
from imagesession._domain.marks import UNMARKED, Mark
from imagesession._domain.turn import ImageRecord, Kind, Turn
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession.errors import InvalidImageError, InvalidRequestError

if TYPE_CHECKING:
    from PIL import Image

    from imagesession._domain.previews import Preview
    from imagesession._engine.store import Store

_LABEL = 40


@public_base
@attrs.frozen(eq=False, repr=False)
class ImageFacts(Generic[AnyRuntime]):
    """
    An image in the library, with its metadata.

    Its metadata is in memory; `bytes` and `open` read its file, which takes milliseconds.
    """

    turn: Turn
    position: int
    _runtime: AnyRuntime = attrs.field(repr=False)

    @property
    def record(self) -> ImageRecord:
        """
        The record of the image without its turn.
        """
        return self.turn.images[self.position]

    @property
    def id(self) -> str:
        """
        Its id in the library.
        """
        return self.record.id

    @property
    def path(self) -> Path:
        """
        The path of its file; of a copy, if the library is on S3: it is fetched when the path is
        first needed, and stays in the user's cache folder. Its bytes are as received, unless it is
        a composite (see `preserve_unmasked` of `edit`), was converted by an import, or has the
        prompt in it (see `embed_metadata` of `Studio`).
        """
        return Path(self._runtime.library.images.local_file(self.record))

    def url(self, *, expires: float = 3600.0) -> str:
        """
        Return a URL of its file.

        In a library on S3 it is signed, and anybody who has it can read the image until it
        expires; in a folder it is the file's own, which works on this computer.

        Args:
            expires: Seconds until it expires, at most 604,800 (seven days).

        Raises:
            InvalidRequestError: `expires` is not such a number.
            StorageIOError: It cannot be signed.
        """
        return self._runtime.library.images.url(self.record, expires)

    @property
    def size(self) -> tuple[int, int]:
        """
        Width and height in pixels; zeros if an SVG does not define them.
        """
        return self.record.width, self.record.height

    @property
    def format(self) -> ImageFormat:
        """
        Its file format, recognised from its bytes.
        """
        return self.record.format

    @property
    def mime_type(self) -> str:
        """
        Its media type, such as "image/png".
        """
        return MIME_TYPES[self.format]

    @property
    def sha256(self) -> str:
        """
        The SHA-256 digest of its file, in hexadecimal.
        """
        return self.record.sha256

    @property
    def prompt(self) -> str:
        """
        The prompt, as the caller wrote it.
        """
        return self.turn.prompt

    @property
    def revised_prompt(self) -> str | None:
        """
        The prompt that the mainline model wrote for the image model, if the provider reports it.
        """
        return self.record.revised_prompt

    @property
    def model(self) -> str | None:
        """
        The mainline model that answered.
        """
        return self.turn.model

    @property
    def session_id(self) -> str | None:
        """
        The id of its session; None for a standalone image.
        """
        return self.turn.session

    @property
    def parent(self) -> str | None:
        """
        The id of the turn that its turn continues; None at the start.
        """
        return self.turn.parent

    @property
    def kind(self) -> Kind:
        """
        What it was made for: "general", "product", "ui_asset", "edit" and so on.
        """
        return self.turn.kind

    @property
    def parents(self) -> tuple[str, ...]:
        """
        The ids of the library's images from which it was made.
        """
        return self.turn.parents

    @property
    def cost(self) -> Cost | None:
        """
        What its turn cost, including all images of the turn; None if no provider made it. Offline
        it is what the same usage would cost, and nothing is billed.
        """
        return self.turn.cost

    @property
    def metadata(self) -> dict[str, Any]:
        """
        All recorded metadata, as in the metadata file beside it.
        """
        return self._runtime.library.images.metadata(self.turn, self.position)

    @property
    def bytes(self) -> bytes:
        """
        Its file's bytes, read from the disk every time.

        Raises:
            InvalidImageError: The file does not exist any more, or holds other bytes than those
                that were made.
        """
        return self._runtime.library.images.read(self.record)

    @property
    def starred(self) -> bool:
        """
        Whether it has a star now.
        """
        return self._mark.starred

    @property
    def tags(self) -> tuple[str, ...]:
        """
        Its tags now, in the order of the alphabet.
        """
        return self._mark.tags

    @property
    def _mark(self) -> Mark:
        return self._runtime.library.marks.of(self._owner).get(self.id, UNMARKED)

    @property
    def _owner(self) -> str:
        return self.turn.session or self.turn.id

    def _marking(self, change: Callable[[Mark], Mark]) -> Callable[[Store], None]:
        return lambda store: store.marks.change(self._owner, (self.id,), change)

    def open(self) -> Image.Image:
        """
        Open it with Pillow.

        Returns:
            The image, whose pixels are decoded when they are needed.

        Raises:
            InvalidImageError: The file does not exist any more, or Pillow cannot open it.
            InvalidRequestError: It is an SVG, which Pillow cannot open.
        """
        from PIL import Image  # noqa: PLC0415 - slow to import

        if self.format == "svg":
            raise InvalidRequestError(
                f"Image {self.id} is an SVG, which Pillow cannot open: image.as_png() renders it, "
                "image.bytes.decode() is its text."
            )
        try:
            return Image.open(io.BytesIO(self.bytes), formats=(self.format.upper(),))
        except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
            raise InvalidImageError(
                f"Image {self.id} cannot be opened with Pillow ({error}). Its file is "
                f"{self._address}."
            ) from error

    def show(self) -> None:
        """
        Show it in the system's viewer for images, or in a notebook.

        Raises:
            InvalidRequestError: There is no viewer here.
            InvalidImageError: The file does not exist any more, or cannot be read.
        """
        from imagesession._imaging.convert import show  # noqa: PLC0415 - loads Pillow

        show(self._pixels(), Path(self.record.file).name)

    def to_base64(self) -> str:
        """
        Return its file's bytes in base64, as other APIs take images.

        Raises:
            InvalidImageError: The file does not exist any more.
        """
        return base64.b64encode(self.bytes).decode("ascii")

    def __bytes__(self) -> builtins.bytes:
        return self.bytes

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """
        Its pixels, for NumPy and what builds on it: `np.asarray(image)` has the shape (height,
        width), or with 2, 3 or 4 channels as a third dimension.
        """
        return cast("dict[str, Any]", self._pixels().__array_interface__)

    def _pixels(self) -> Image.Image:
        from imagesession._imaging.convert import pixels  # noqa: PLC0415 - loads Pillow

        return pixels(self.bytes, f"Image {self.id}")

    def _write_copy(self, path: object, *, overwrite: bool) -> str:
        from imagesession._store.image_copies import write_copy  # noqa: PLC0415 - rarely needed

        root = self._runtime.library.address
        return write_copy(root, self.record, self.bytes, path, overwrite=overwrite)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _unpickle, (type(self), self._runtime, self.id)

    def preview(self, *, max_side: int = 768, max_bytes: int = 75_000) -> Preview | None:
        """
        Return a reduced copy, for places where the original is too large.

        Args:
            max_side: The most pixels of its longer edge.
            max_bytes: The most bytes of its file.

        Returns:
            Its first frame, or a rendered SVG, as a JPEG, or as a WebP if pixels are transparent;
            the original if that is small enough. None if `max_bytes` is too small for any image.

        Raises:
            InvalidImageError: The file does not exist any more, or an SVG takes too much memory or
                time to render.
        """
        from imagesession._imaging.thumbnails import preview  # noqa: PLC0415 - loads Pillow

        data, name = self.bytes, f"Image {self.id}"
        return preview(data, name, max_side=max_side, max_bytes=max_bytes)

    def as_png(self, *, max_side: int | None = None) -> builtins.bytes:
        """
        Return it as a PNG, which is safe to show anywhere.

        An SVG is rendered without running scripts or loading external resources. An animation is
        reduced to its first frame.

        Args:
            max_side: The longer edge in pixels: exactly for an SVG, at most for other formats. None
                for its own size; an SVG that does not define its size gets 1024 pixels.

        Raises:
            InvalidRequestError: `max_side` is not a whole number of pixels.
            InvalidImageError: The file does not exist any more, or an SVG takes too much memory or
                time to render.
        """
        from imagesession._imaging.convert import as_png  # noqa: PLC0415 - loads Pillow

        return as_png(self.bytes, f"Image {self.id}", max_side=max_side)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        from imagesession._display import notebook  # noqa: PLC0415 - loads Pillow

        return notebook.saved_image(self.record, repr(self), lambda: self.bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageFacts) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        width, height = self.size
        words = self.prompt if len(self.prompt) <= _LABEL else self.prompt[: _LABEL - 1] + "…"
        return f"<{type(self).__name__} {width}x{height} {words!r} {self._address!r}>"

    @property
    def _address(self) -> str:
        return self._runtime.library.images.path(self.record)

    def _session_or_error(self) -> str:
        if self.turn.session is None:
            raise InvalidRequestError(
                f"Image {self.id} is standalone and belongs to no session. "
                f"studio.promote({self.id!r}) creates one from it."
            )
        return self.turn.session


def _unpickle(
    kind: type[ImageFacts[Any]], runtime: Runtime | AsyncRuntime, image_id: str
) -> ImageFacts[Any]:
    turn, position = runtime.library.images.find(image_id)
    return kind(turn, position, runtime)
