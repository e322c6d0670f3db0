"""
What users hand in for a picture, read into bytes.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from imagesession.errors import InvalidImageError

from .color import strip_metadata
from .convert import encode
from .limits import MAX_BYTES, check_bytes, check_pixels

if TYPE_CHECKING:
    from PIL import Image

_WEB = re.compile(r"(?:https?|ftp|s3|gs|data|file):", re.IGNORECASE)


@runtime_checkable
class Readable(Protocol):
    """
    What we need of an open file.
    """

    def read(self, size: int, /) -> object:
        """
        Read at most so many bytes.
        """
        ...


def read_image_input(source: object, what: str = "The picture") -> tuple[bytes, str]:
    """
    Read a picture's bytes, wherever it is; its name says nothing of what it is.

    Args:
        source: A path, bytes, an open binary file, a PIL image, or a picture that has `bytes`.
        what: What to call it in errors.

    Returns:
        The bytes, and what to call it in errors from here on.

    Raises:
        InvalidImageError: There is none, or it has too many bytes.
    """
    if isinstance(source, (bytes, bytearray)):
        data, name = bytes(source), what
    elif isinstance(source, (str, os.PathLike)):
        return _read_path(os.fsdecode(cast("str | os.PathLike[str]", source)), what)
    elif (picture := _as_pil(source)) is not None:
        data, name = _encode(picture, what), what
    elif isinstance(kept := getattr(source, "bytes", None), bytes):
        data, name = kept, _kept_name(source, what)
    elif isinstance(source, Readable):
        data, name = _read_open(source, what), what
    else:
        raise InvalidImageError(
            f"{what} must be a path, bytes, an open file, a PIL image or a SavedImage, not "
            f"{type(source).__name__}."
        )
    check_bytes(len(data), name)
    return data, name


def _read_path(name: str, what: str) -> tuple[bytes, str]:
    if _WEB.match(name):
        raise InvalidImageError(
            f"{what} is a URL; nothing is fetched from there. Download it yourself and give its "
            f"path or its bytes: {name[:60]}"
        )
    path = Path(name)
    try:
        path = path.expanduser()
        # Not read first: it may be larger than memory.
        check_bytes(path.stat().st_size, str(path))
        with path.open("rb") as file:
            # A device says nothing of its size, and may have no end.
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"{what} {path} cannot be read: {reason}.") from error
    check_bytes(len(data), str(path))
    return data, str(path)


def _as_pil(source: object) -> Image.Image | None:
    # Who has a PIL image has imported PIL.
    if "PIL.Image" not in sys.modules:
        return None
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    return source if isinstance(source, Image.Image) else None


def _encode(picture: Image.Image, what: str) -> bytes:
    from PIL import ImageFile  # noqa: PLC0415 - slow to import, and hardly ever needed

    check_pixels(picture.size, what)
    try:
        picture.load()
        # Straight from a file it may lie on its side. One that was worked on may carry the old
        # tag along, but its pixels are as its maker sees them.
        if not isinstance(picture, ImageFile.ImageFile):
            picture = strip_metadata(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImageError(f"{what} is a PIL image that cannot be loaded: {error}.") from error
    return encode(picture, what)[0]


def _kept_name(source: object, what: str) -> str:
    known = getattr(source, "id", None)
    return f"Picture {known}" if isinstance(known, str) else what


def _read_open(file: Readable, what: str) -> bytes:
    try:
        data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidImageError(f"{what}, an open file, cannot be read: {error}.") from error
    if not isinstance(data, (bytes, bytearray)):
        raise InvalidImageError(
            f'{what} is an open file that gives no bytes; open it with open(path, "rb").'
        )
    if not data:
        raise InvalidImageError(
            f"{what} is an open file with nothing left to read. Rewind it with file.seek(0)."
        )
    return bytes(data)
