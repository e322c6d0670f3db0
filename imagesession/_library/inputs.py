"""
Pictures that go along with a prompt: from a path, bytes or a PIL image to what the wire takes.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from imagesession._model.pictures import PictureFacts, read_facts
from imagesession._plan.store import Fetched, Source
from imagesession.errors import PictureError

MAX_BYTES = 25_000_000
MAX_PIXELS = 64_000_000


@runtime_checkable
class SavesItself(Protocol):
    """
    What we need of a PIL image; so PIL need not be imported to recognise one.
    """

    def save(self, fp: io.BytesIO, format: str) -> None:
        """
        Write the picture in a file format.
        """
        ...


@runtime_checkable
class Reads(Protocol):
    """
    What we need of an open file.
    """

    def read(self, size: int, /) -> object:
        """
        Read at most so many bytes.
        """
        ...


def load(source: Source) -> Fetched:
    """
    Read a reference picture.

    Raises:
        PictureError: There is none, or it is not one that the provider takes.
    """
    data, name = _read(source)
    return ready(data, name)


def ready(
    data: bytes, name: str, image_id: str | None = None, *, limit: int | None = MAX_BYTES
) -> Fetched:
    """
    Check that bytes are a picture that the provider takes; take the first frame of a GIF.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        image_id: Its id, when it is a picture of the library.
        limit: At most so many bytes; None for no limit.

    Raises:
        PictureError: It is none, or too large.
    """
    if limit is not None and len(data) > limit:
        raise PictureError(_too_large(name, len(data)))
    facts = _recognise(data, name)
    if facts.format == "gif":
        data = _first_frame(data, name)
        facts = _recognise(data, name)
    digest = hashlib.sha256(data).hexdigest()
    return Fetched(data=data, facts=facts, sha256=digest, image_id=image_id)


def _recognise(data: bytes, name: str) -> PictureFacts:
    facts = read_facts(data)
    if facts is None or facts.format == "svg":
        what = "an SVG" if facts else "not a whole picture"
        raise PictureError(
            f"{name} is {what}; the provider takes PNG, JPEG, WebP and GIF. Convert it first, "
            'such as with Pillow: Image.open(path).save("converted.png").'
        )
    if facts.width * facts.height > MAX_PIXELS:
        raise PictureError(
            f"{name} has {facts.width}x{facts.height} pixels; the limit is "
            f"{MAX_PIXELS / 1e6:.0f} million. Make it smaller."
        )
    return facts


def _read(source: Source) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray)):
        return bytes(source), "The reference"
    if isinstance(source, (str, os.PathLike)):
        return _read_file(os.fspath(cast("str | os.PathLike[str]", source)))
    if isinstance(source, SavesItself):
        return _encode(source), "The reference"
    if isinstance(source, Reads):
        return _read_open(source), "The reference"
    raise PictureError(
        "A reference is a path, bytes, an open file, a PIL image or a SavedImage, not "
        f"{type(source).__name__}."
    )


def _too_large(name: str, size: int) -> str:
    return (
        f"{name} has {size / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB. Make it smaller."
    )


def _read_file(name: str) -> tuple[bytes, str]:
    path = Path(name)
    try:
        path = path.expanduser()
        if path.stat().st_size > MAX_BYTES:
            # Not read first: it may be larger than memory.
            raise PictureError(_too_large(str(path), path.stat().st_size))
        return path.read_bytes(), str(path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"The reference {path} cannot be read: {reason}.") from error


def _encode(picture: SavesItself) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format="PNG")
    except (OSError, ValueError) as error:
        raise PictureError(
            f"The PIL image cannot be written as PNG: {error}. Convert it first, such as with "
            'image.convert("RGB").'
        ) from error
    return buffer.getvalue()


def _read_open(file: Reads) -> bytes:
    try:
        data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise PictureError(f"The open file cannot be read: {error}.") from error
    if not isinstance(data, bytes):
        raise PictureError('The open file gives text; open it as bytes: open(path, "rb").')
    return data


def _first_frame(data: bytes, name: str) -> bytes:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("GIF",)) as picture:
            picture.convert("RGBA").save(buffer, format="PNG")
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError(f"{name} cannot be read: {error}.") from error
    return buffer.getvalue()
