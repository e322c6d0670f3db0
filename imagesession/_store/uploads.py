"""
Remember the provider's ids of uploaded images, so that each is uploaded once until it expires.

Losing this costs an upload; so damaged facts count as missing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json

from imagesession._engine.coerce import as_id
from imagesession._engine.store import Upload
from imagesession.errors import StorageError

from .ports import Key, Lease
from .strict_reader import parse_object
from .view import StorePart

# A file must not expire while its request is under way.
_MARGIN = dt.timedelta(minutes=10)


class UploadStore(StorePart):
    """
    The part of a library that remembers uploaded images.
    """

    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        try:
            upload = parse_object(self.facts.get(_key(sha256, provider)) or b"{}")
            expires = dt.datetime.fromisoformat(upload["expires"])
            is_fresh = expires - _MARGIN > at
            file_id = as_id(upload["file_id"])
            return Upload(file_id=file_id, expires=expires) if is_fresh and file_id else None
        except (StorageError, ValueError, LookupError, TypeError):
            return None

    def begin(self, sha256: str, provider: str) -> Lease | None:
        return self.rights.hold(f"upload {_key(sha256, provider).id}")

    def record(self, sha256: str, provider: str, upload: Upload) -> None:
        members = {
            "provider": provider,
            "file_id": upload.file_id,
            "expires": upload.expires.isoformat(),
        }
        with contextlib.suppress(StorageError):
            self.facts.replace(_key(sha256, provider), json.dumps(members).encode("ascii"))

    def invalidate(self, sha256: str, provider: str) -> None:
        with contextlib.suppress(StorageError):
            self.facts.drop(_key(sha256, provider))


def _key(sha256: str, provider: str) -> Key:
    digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:8]
    return Key("upload", f"{sha256}.{digest}")
