"""
Read image arguments of every accepted type into bytes.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from imagesession._domain.wording import quote, show_path
from imagesession._engine.decoding import decode_base64
from imagesession.errors import InvalidImageError

from . import pillow
from .arrays import has_pixels, is_buffer, read_array
from .color import strip_metadata
from .convert import encode
from .limits import MAX_BYTES, check_bytes, check_pixels
from .pillow import Picture
from .sniff import sniff_format

_URL = re.compile(r"(?:https?|ftp|s3|gs):", re.IGNORECASE)
_FILE_URL = re.compile(r"file:", re.IGNORECASE)
_DATA_URL = re.compile(r"\s*data:([^,]{0,200}),", re.IGNORECASE)
# Standard or URL-safe. A shorter text is a path or an id, and a path has a dot.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]{32,}={0,2}\s*")
_BASE64_HEAD = 64
ACCEPTED = "a path, bytes, an open file, a PIL image, an array or a SavedImage"


@runtime_checkable
class Readable(Protocol):
    """
    An open file, as far as it is used here.
    """

    def read(self, size: int, /) -> object: ...


def read_image_input(source: object, what: str = "The image") -> tuple[bytes, str]:
    """
    Read an image's bytes, and its name in later error messages, from a path, a `file:` or `data:`
    URL, base64, bytes or another buffer, an open binary file, a PIL image, an array of pixels, or
    an object with `bytes`. A file's name is not used to detect its format.
    """
    # A saved image is a path and an array as well.
    if isinstance(data_attribute := getattr(source, "bytes", None), bytes):
        data, name = data_attribute, _source_name(source, what)
    elif isinstance(source, str):
        return _read_text(source, what)
    elif isinstance(source, os.PathLike):
        return _read_path(os.fsdecode(cast("os.PathLike[str]", source)), what)
    elif (picture := _as_pil_image(source)) is not None:
        data, name = _encode(picture, what), what
    elif has_pixels(source):
        content = read_array(source, what)
        data, name = content if isinstance(content, bytes) else _encode(content, what), what
    elif is_buffer(source):
        data, name = memoryview(cast("bytes", source)).tobytes(), what
    elif isinstance(source, Readable):
        data, name = _read_file_object(source, what), what
    else:
        raise InvalidImageError(_not_an_image(source, what))
    check_bytes(len(data), name)
    return data, name


def _not_an_image(source: object, what: str) -> str:
    if inspect.isawaitable(source):
        return f'{what} is not finished: write "await" in front of the call that makes it.'
    kind, remedy = type(source).__name__, ""
    if kind in {"list", "tuple"}:
        is_mask = what == "The mask"
        remedy = " Write Mask.rectangle(box)." if is_mask else " Others go into references=[…]."
    return f"{what} must be {ACCEPTED}, not {kind}.{remedy}"


def path_of(source: object) -> Path | None:
    if isinstance(source, str):
        is_content = _DATA_URL.match(source) or _is_base64(source)
        return None if is_content else Path(_local_path(source, "The image")).expanduser()
    if isinstance(source, os.PathLike):
        return Path(os.fsdecode(cast("os.PathLike[str]", source))).expanduser()
    return None


def _read_text(text: str, what: str) -> tuple[bytes, str]:
    if (head := _DATA_URL.match(text)) is not None:
        encoded = text[head.end() :]
        in_base64 = head[1].lower().replace(" ", "").endswith(";base64")
        data = _decode_base64(encoded) if in_base64 else urllib.parse.unquote_to_bytes(encoded)
    elif _is_base64(text):
        data = _decode_base64(text)
    else:
        return _read_path(_local_path(text, what), what)
    if data is None:
        raise InvalidImageError(f"{what} is a data URL whose base64 is damaged. Encode it again.")
    check_bytes(len(data), what)
    return data, what


def _is_base64(text: str) -> bool:
    """
    Return whether a text is an image in base64: by its alphabet, and by what its start decodes to.
    """
    head = _decode_base64("".join(text[: 2 * _BASE64_HEAD].split())[:_BASE64_HEAD])
    return (
        head is not None
        and sniff_format(head) not in {None, "svg", "bmp"}
        and _BASE64.fullmatch(text) is not None
    )


def _decode_base64(text: str) -> bytes | None:
    try:
        return decode_base64("".join(text.split()).encode("ascii"))
    except ValueError:
        return None


def _local_path(text: str, what: str) -> str:
    if _URL.match(text):
        raise InvalidImageError(
            f"{what} is a URL; nothing is fetched from there. Download it yourself and give its "
            f"path or its bytes: {quote(text)}"
        )
    if not _FILE_URL.match(text):
        return text
    parts = urllib.parse.urlsplit(text)
    if parts.netloc not in {"", "localhost"}:
        raise InvalidImageError(
            f"{what} is a file of another computer ({quote(parts.netloc)}). Copy it to this one "
            "and give its path."
        )
    from urllib.request import url2pathname  # noqa: PLC0415 - loads HTTP, and is hardly ever needed

    return url2pathname(parts.path)


def _read_path(name: str, what: str) -> tuple[bytes, str]:
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


def _as_pil_image(source: object) -> Picture | None:
    # If PIL is not imported yet, `source` cannot be a PIL image.
    if "PIL.Image" not in sys.modules:
        return None
    return source if isinstance(source, pillow.Image.Image) else None


def _encode(picture: Picture, what: str) -> bytes:
    check_pixels(picture.size, what)
    try:
        picture.load()
        # The orientation tag holds only for an image straight from a file. A processed image may
        # still carry the tag, but its pixels are already as its maker sees them.
        if not isinstance(picture, pillow.ImageFile.ImageFile):
            picture = strip_metadata(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidImageError(f"{what} is a PIL image that cannot be loaded: {error}.") from error
    return encode(picture, what)[0]


def _source_name(source: object, what: str) -> str:
    image_id = getattr(source, "id", None)
    return f"Image {image_id}" if isinstance(image_id, str) else what


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
