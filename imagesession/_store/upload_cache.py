"""
What providers hold of pictures that were sent along, so that each goes up once while it lives.

Losing this costs an upload; so it is written plainly, and whatever is damaged counts as missing.
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

# A file that expires while its request is on the way would be no use.
_MARGIN = dt.timedelta(minutes=10)


@attrs.frozen(kw_only=True)
class UploadLock:
    """
    The right to send a picture up.

    Attributes:
        what: Picture and provider.
        under_way: All that is being sent up.
    """

    what: tuple[str, str]
    under_way: set[tuple[str, str]] = attrs.field(repr=False)

    def release(self) -> None:
        """
        Let go of it.
        """
        self.under_way.discard(self.what)


@attrs.define
class UploadCache:
    """
    A folder with a file for each picture that a provider holds.

    Attributes:
        layout: The library's folders.
    """

    layout: Layout
    _refusing: set[str] = attrs.field(factory=set[str], init=False)
    _under_way: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]], init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """
        Return the picture's id with a provider, if it lives; None if it must go up.
        """
        if provider in self._refusing:
            return Upload(file_id=None, expires=at)
        try:
            known = json.loads(self._file(sha256, provider).read_bytes())
            upload = Upload(
                file_id=str(known["file_id"]), expires=dt.datetime.fromisoformat(known["expires"])
            )
            return upload if upload.expires - _MARGIN > at else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def start(self, sha256: str, provider: str) -> UploadLock | None:
        """
        Give the right to send a picture up; None while another call of this program does.
        """
        what = sha256, provider
        with self._lock:
            if what in self._under_way:
                return None
            self._under_way.add(what)
        return UploadLock(what=what, under_way=self._under_way)

    def record(self, sha256: str, provider: str, upload: Upload) -> None:
        """
        Remember a picture's id with a provider, or that it takes no files.
        """
        if upload.file_id is None:
            self._refusing.add(provider)
            return
        known = {
            "provider": provider,
            "file_id": upload.file_id,
            "expires": upload.expires.isoformat(),
        }
        with contextlib.suppress(OSError):
            write_atomic(
                self._file(sha256, provider), json.dumps(known).encode("ascii"), self.layout.tmp
            )

    def invalidate(self, sha256: str, provider: str) -> None:
        """
        Forget a picture's id that the provider does not know any more.
        """
        with contextlib.suppress(OSError):
            self._file(sha256, provider).unlink(missing_ok=True)

    def _file(self, sha256: str, provider: str) -> Path:
        whose = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:8]
        return self.layout.uploads / f"{sha256}.{whose}.json"
