"""
Remember the provider's ids of uploaded images, so that each is uploaded once until it expires.

Losing this costs an upload; so it is not flushed, and damaged files count as missing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import threading
from pathlib import Path

import attrs

from imagesession._engine.store import Upload

from .atomic_write import write_atomic
from .layout import Layout

# A file must not expire while its request is under way.
_MARGIN = dt.timedelta(minutes=10)


@attrs.frozen(kw_only=True)
class UploadLock:
    """
    The right to upload an image.

    Attributes:
        key: The image's SHA-256 and the provider.
        under_way: All uploads that are under way in this program.
    """

    key: tuple[str, str]
    under_way: set[tuple[str, str]] = attrs.field(repr=False)

    def release(self) -> None:
        """
        Release the right.
        """
        self.under_way.discard(self.key)


@attrs.define
class UploadCache:
    """
    A folder with a file for each uploaded image.

    Attributes:
        layout: The library's folders.
    """

    layout: Layout
    _under_way: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]], init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """
        Return an image's upload with a provider; None if it must be uploaded.
        """
        try:
            facts = json.loads(self._file(sha256, provider).read_bytes())
            upload = Upload(
                file_id=str(facts["file_id"]), expires=dt.datetime.fromisoformat(facts["expires"])
            )
            return upload if upload.expires - _MARGIN > at else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def start(self, sha256: str, provider: str) -> UploadLock | None:
        """
        Return the right to upload an image; None while another call of this program has it.
        """
        key = sha256, provider
        with self._lock:
            if key in self._under_way:
                return None
            self._under_way.add(key)
        return UploadLock(key=key, under_way=self._under_way)

    def record(self, sha256: str, provider: str, upload: Upload) -> None:
        """
        Remember an image's upload.
        """
        facts = {
            "provider": provider,
            "file_id": upload.file_id,
            "expires": upload.expires.isoformat(),
        }
        with contextlib.suppress(OSError):
            write_atomic(
                self._file(sha256, provider), json.dumps(facts).encode("ascii"), self.layout.tmp
            )

    def invalidate(self, sha256: str, provider: str) -> None:
        """
        Forget an upload that the provider does not know any more.
        """
        with contextlib.suppress(OSError):
            self._file(sha256, provider).unlink(missing_ok=True)

    def _file(self, sha256: str, provider: str) -> Path:
        digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:8]
        return self.layout.uploads / f"{sha256}.{digest}.json"
