"""
Transfer a library to another place.
"""

from __future__ import annotations

import contextlib
import os

from imagesession._api.config import open_store
from imagesession._api.signatures import public
from imagesession._domain.reports import TransferReport


@public
def transfer(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> TransferReport:
    """
    Copy a whole library into another one: from a folder to PostgreSQL and S3, back, or to a folder.

    Sessions with their trees, images, costs, batches and requests that are not settled go along,
    under the same ids. Each image is compared by its digest after it was written. If the transfer
    is interrupted, start it again: it goes on where it was, and done twice it is done once. The
    source is not changed; no program should make images in either library meanwhile.

    Args:
        source: The folder or URL of the library to read.
        target: The folder or URL of an empty library, or of an earlier copy of the same source.

    Returns:
        How much was copied, and which images could not be.

    Raises:
        InvalidRequestError: The target has what the source lacks.
        StorageError: A library cannot be used, or a program works on a request in the source.
    """
    from imagesession._store.transfer import transfer as copy  # noqa: PLC0415 - rarely needed

    with (
        contextlib.closing(open_store(source, {})) as read,
        contextlib.closing(open_store(target, {})) as written,
    ):
        return copy(read.ports, written.ports)
