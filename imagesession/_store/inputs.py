"""
Prepare the input images of a request: from what users pass to what the provider accepts.
"""

from __future__ import annotations

import hashlib

from imagesession._engine.store import InputImage, Source
from imagesession._imaging.convert import to_provider_format
from imagesession._imaging.inputs import read_image_input
from imagesession._imaging.limits import MAX_BYTES


def load_input(source: Source) -> InputImage:
    """
    Read a reference image.

    Raises:
        InvalidImageError: There is none, or the provider cannot accept it.
    """
    return prepare_input(*read_image_input(source, "The reference"))


def prepare_input(
    data: bytes, name: str, image_id: str | None = None, *, limit: int | None = MAX_BYTES
) -> InputImage:
    """
    Check that bytes are an image, and convert it if the provider does not accept its format.

    Args:
        data: The file's bytes.
        name: The image's name in errors.
        image_id: Its id, if it is an image of the library.
        limit: The largest size in bytes; None for no limit.

    Raises:
        InvalidImageError: It is not an image, or too large.
    """
    data, facts = to_provider_format(data, name, limit=limit)
    digest = hashlib.sha256(data).hexdigest()
    return InputImage(data=data, facts=facts, sha256=digest, image_id=image_id)
