"""
Prepare the input images of a request: from what users pass to what the provider accepts.
"""

from __future__ import annotations

import hashlib

from imagesession._engine.store import InputImage, Source
from imagesession._imaging.convert import to_provider_format
from imagesession._imaging.inputs import read_image_input
from imagesession._imaging.limits import MAX_BYTES
from imagesession._imaging.metadata import without_private_metadata


def load_input(source: Source, *, keep_exif: bool = False) -> InputImage:
    """
    Read a reference image; see `prepare_input`.

    Raises:
        InvalidImageError: There is none, or the provider cannot accept it.
    """
    if isinstance(source, InputImage):
        return source
    return prepare_input(*read_image_input(source, "The reference"), keep_exif=keep_exif)


def prepare_input(
    data: bytes,
    name: str,
    image_id: str | None = None,
    *,
    limit: int | None = MAX_BYTES,
    keep_exif: bool = False,
) -> InputImage:
    """
    Check that bytes are an image, and convert it if the provider does not accept its format.

    What a photo's metadata tell of its place, time and camera is removed.

    Args:
        data: The file's bytes.
        name: The image's name in errors.
        image_id: Its id, if it is an image of the library.
        limit: The largest size in bytes; None for no limit.
        keep_exif: Whether to keep the metadata of a file that is not converted.

    Raises:
        InvalidImageError: It is not an image, or too large.
    """
    data, facts = to_provider_format(data, name, limit=limit)
    data = data if keep_exif else without_private_metadata(data)
    digest = hashlib.sha256(data).hexdigest()
    return InputImage(data=data, facts=facts, sha256=digest, image_id=image_id)
