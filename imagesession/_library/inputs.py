"""
Pictures that go along with a prompt: from what users hand in to what the wire takes.
"""

from __future__ import annotations

import hashlib

from imagesession._pixels.convert import to_wire
from imagesession._pixels.limits import MAX_BYTES
from imagesession._pixels.sources import read_source
from imagesession._plan.store import Fetched, Source


def load(source: Source) -> Fetched:
    """
    Read a reference picture.

    Raises:
        PictureError: There is none, or it is not one that the provider takes.
    """
    return ready(*read_source(source, "The reference"))


def ready(
    data: bytes, name: str, image_id: str | None = None, *, limit: int | None = MAX_BYTES
) -> Fetched:
    """
    Check that bytes are a picture, and convert it if the provider does not take it as it is.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        image_id: Its id, when it is a picture of the library.
        limit: At most so many bytes; None for no limit.

    Raises:
        PictureError: It is none, or too large.
    """
    data, facts = to_wire(data, name, limit=limit)
    digest = hashlib.sha256(data).hexdigest()
    return Fetched(data=data, facts=facts, sha256=digest, image_id=image_id)
