"""
Pictures that go along with a prompt: from what users hand in to what the wire takes.
"""

from __future__ import annotations

import hashlib

from imagesession._engine.store import InputImage, Source
from imagesession._imaging.convert import to_provider_format
from imagesession._imaging.inputs import read_image_input
from imagesession._imaging.limits import MAX_BYTES


def load_input(source: Source) -> InputImage:
    """
    Read a reference picture.

    Raises:
        InvalidImageError: There is none, or it is not one that the provider takes.
    """
    return prepare_input(*read_image_input(source, "The reference"))


def prepare_input(
    data: bytes, name: str, image_id: str | None = None, *, limit: int | None = MAX_BYTES
) -> InputImage:
    """
    Check that bytes are a picture, and convert it if the provider does not take it as it is.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        image_id: Its id, when it is a picture of the library.
        limit: At most so many bytes; None for no limit.

    Raises:
        InvalidImageError: It is none, or too large.
    """
    data, facts = to_provider_format(data, name, limit=limit)
    digest = hashlib.sha256(data).hexdigest()
    return InputImage(data=data, facts=facts, sha256=digest, image_id=image_id)
