"""
State of providers that all programs on a library share: unsupported features, cooldowns, rate slots
and concurrency slots, and the ids of uploaded images, so that each is uploaded once until it
expires. Losing it costs at most a rejected request or an upload; so damaged facts count as missing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from typing import get_args

from imagesession._domain.servers import Feature
from imagesession._engine.coerce import as_id
from imagesession._engine.store import Upload
from imagesession.errors import StorageError

from . import slots
from .ports import Key, Lease
from .slots import QueuedSlot
from .strict_reader import parse_object
from .view import StorePart

_MAX_COOLDOWN = 600.0
_UNSUPPORTED_SECONDS = 86_400.0
# A file must not expire while its request is under way.
_UPLOAD_MARGIN = dt.timedelta(minutes=10)


class ProviderStore(StorePart):
    def unsupported(self, provider: str) -> frozenset[Feature]:
        now, until = self.facts.now().timestamp(), self._unsupported_until(provider)
        return frozenset(
            feature
            for feature in get_args(Feature)
            if 0 < until.get(feature, 0.0) - now <= _UNSUPPORTED_SECONDS
        )

    def mark_unsupported(self, provider: str, features: Iterable[Feature]) -> None:
        until = self._unsupported_until(provider)
        end = self.facts.now().timestamp() + _UNSUPPORTED_SECONDS
        until.update(dict.fromkeys(features, end))
        with contextlib.suppress(StorageError):
            self.facts.replace(_unsupported(provider), json.dumps(until).encode("ascii"))

    def _unsupported_until(self, provider: str) -> dict[str, float]:
        try:
            facts = parse_object(self.facts.get(_unsupported(provider)) or b"{}")
            return {str(feature): float(until) for feature, until in facts.items()}
        except (StorageError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def cooldown_remaining(self, provider: str) -> float:
        return self.rights.next_time(f"cooldown {provider}")

    def start_cooldown(self, provider: str, seconds: float) -> None:
        """
        Start or extend the provider's cooldown, up to ten minutes: a provider that asks for more
        is tried again then.
        """
        self.rights.postpone(f"cooldown {provider}", min(seconds, _MAX_COOLDOWN))

    def reserve_rate_slot(self, provider: str, interval: float, max_wait: float) -> float:
        """
        Reserve the next time at which a request may be sent, evenly spaced among all processes;
        return the seconds until then. If they are more than `max_wait`, it is not reserved.
        """
        return self.rights.next_time(f"rate {provider}", interval, max_wait)

    def queue_for_slot(self, provider: str, count: int) -> QueuedSlot:
        return slots.queue(self.ports.address, f"slot {provider}", count).join(self.rights)


def _unsupported(provider: str) -> Key:
    digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:16]
    return Key("provider", f"{digest}.unsupported")


class UploadStore(StorePart):
    def find(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        try:
            upload = parse_object(self.facts.get(_upload(sha256, provider)) or b"{}")
            expires = dt.datetime.fromisoformat(upload["expires"])
            is_fresh = expires - _UPLOAD_MARGIN > at
            file_id = as_id(upload["file_id"])
            return Upload(file_id=file_id, expires=expires) if is_fresh and file_id else None
        except (StorageError, ValueError, LookupError, TypeError):
            return None

    def begin(self, sha256: str, provider: str) -> Lease | None:
        return self.rights.hold(f"upload {_upload(sha256, provider).id}")

    def record(self, sha256: str, provider: str, upload: Upload) -> None:
        members = {
            "provider": provider,
            "file_id": upload.file_id,
            "expires": upload.expires.isoformat(),
        }
        with contextlib.suppress(StorageError):
            self.facts.replace(_upload(sha256, provider), json.dumps(members).encode("ascii"))

    def invalidate(self, sha256: str, provider: str) -> None:
        with contextlib.suppress(StorageError):
            self.facts.drop(_upload(sha256, provider))


def _upload(sha256: str, provider: str) -> Key:
    digest = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:8]
    return Key("upload", f"{sha256}.{digest}")
