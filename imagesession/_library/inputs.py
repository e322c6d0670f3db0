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


def load(source: Source) -> Fetched:
    """
    Read a reference picture.

    Raises:
        PictureError: There is none, or it is not one that the provider takes.
    """
    data, name = _read(source)
    return ready(data, name)


def ready(data: bytes, name: str, image_id: str | None = None) -> Fetched:
    """
    Check that bytes are a picture that the provider takes; take the first frame of a GIF.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        image_id: Its id, when it is a picture of the library.

    Raises:
        PictureError: It is none, or too large.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(
            f"{name} has {len(data) / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB. "
            "Make it smaller."
        )
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
        return _read_file(Path(cast("str | os.PathLike[str]", source)).expanduser())
    if isinstance(source, SavesItself):
        buffer = io.BytesIO()
        source.save(buffer, format="PNG")
        return buffer.getvalue(), "The reference"
    raise PictureError(
        f"A reference is a path, bytes, a PIL image or a SavedImage, not {type(source).__name__}."
    )


def _read_file(path: Path) -> tuple[bytes, str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            # Not read first: it may be larger than memory.
            raise PictureError(
                f"{path} has {path.stat().st_size / 1e6:.1f} MB; the limit is "
                f"{MAX_BYTES / 1e6:.0f} MB. Make it smaller."
            )
        return path.read_bytes(), str(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError(f"The reference {path} cannot be read: {reason}.") from error


def _first_frame(data: bytes, name: str) -> bytes:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("GIF",)) as picture:
            picture.convert("RGBA").save(buffer, format="PNG")
    except (OSError, ValueError, SyntaxError) as error:
        raise PictureError(f"{name} cannot be read: {error}.") from error
    return buffer.getvalue()
