"""
Read image arguments of every accepted type into bytes.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from imagesession._domain.wording import quote, show_path
from imagesession.errors import InvalidImageError

from .color import strip_metadata
from .convert import encode
from .limits import MAX_BYTES, check_bytes, check_pixels

if TYPE_CHECKING:
    from PIL import Image

_URL = re.compile(r"(?:https?|ftp|s3|gs|data|file):", re.IGNORECASE)


@runtime_checkable
class Readable(Protocol):
    """
    The part of an open file's interface that is used here.
    """

    def read(self, size: int, /) -> object:
        """
        Read at most `size` bytes.
        """
        ...


def read_image_input(source: object, what: str = "The picture") -> tuple[bytes, str]:
    """
    Read an image's bytes. Its file name is not used to detect its format.

    Args:
        source: A path, bytes, an open binary file, a PIL image, or an object with `bytes`.
        what: The image's name in error messages.

    Returns:
        The bytes, and the image's name in later error messages.

    Raises:
        InvalidImageError: The source cannot be read, or has too many bytes.
    """
    if isinstance(source, (bytes, bytearray)):
        data, name = bytes(source), what
    elif isinstance(source, (str, os.PathLike)):
        return _read_path(os.fsdecode(cast("str | os.PathLike[str]", source)), what)
    elif (picture := _as_pil_image(source)) is not None:
        data, name = _encode(picture, what), what
    elif isinstance(data_attribute := getattr(source, "bytes", None), bytes):
        data, name = data_attribute, _source_name(source, what)
    elif isinstance(source, Readable):
        data, name = _read_file_object(source, what), what
    else:
        raise InvalidImageError(
            f"{what} must be a path, bytes, an open file, a PIL image or a SavedImage, not "
            f"{type(source).__name__}."
        )
    check_bytes(len(data), name)
    return data, name


def _read_path(name: str, what: str) -> tuple[bytes, str]:
    if _URL.match(name):
        raise InvalidImageError(
            f"{what} is a URL; nothing is fetched from there. Download it yourself and give its "
            f"path or its bytes: {quote(name)}"
        )
    path = Path(name)
    try:
        path = path.expanduser()
        # The size is checked before reading: the file may be larger than memory.
        check_bytes(path.stat().st_size, str(path))
        with path.open("rb") as file:
            # A device reports no size, and may never end.
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"{what} {show_path(path)} cannot be read: {reason}.") from error
    check_bytes(len(data), str(path))
    return data, str(path)


def _as_pil_image(source: object) -> Image.Image | None:
    # If PIL is not imported yet, `source` cannot be a PIL image.
    if "PIL.Image" not in sys.modules:
        return None
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    return source if isinstance(source, Image.Image) else None


def _encode(picture: Image.Image, what: str) -> bytes:
    from PIL import ImageFile  # noqa: PLC0415 - slow to import, and hardly ever needed

    check_pixels(picture.size, what)
    try:
        picture.load()
        # The orientation tag holds only for an image straight from a file. A processed image may
        # still carry the tag, but its pixels are already as its maker sees them.
        if not isinstance(picture, ImageFile.ImageFile):
            picture = strip_metadata(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImageError(f"{what} is a PIL image that cannot be loaded: {error}.") from error
    return encode(picture, what)[0]


def _source_name(source: object, what: str) -> str:
    image_id = getattr(source, "id", None)
    return f"Picture {image_id}" if isinstance(image_id, str) else what


def _read_file_object(file: Readable, what: str) -> bytes:
    try:
        data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidImageError(f"{what}, an open file, cannot be read: {error}.") from error
    if not isinstance(data, (bytes, bytearray)):
        raise InvalidImageError(
            f'{what} is an open file that does not return bytes; open it with open(path, "rb").'
        )
    if not data:
        raise InvalidImageError(
            f"{what} is an open file with nothing left to read. Rewind it with file.seek(0)."
        )
    return bytes(data)
