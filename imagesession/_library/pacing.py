"""
What all processes on a library know of a provider's patience: how long it wants to be left alone,
and when the next request may go out.

It rests on the clock of the day, which may be set; so nothing here is believed for longer than it
can be meant. Losing it costs a request that is turned away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

from .durable import disk_errors, write_plainly
from .foundation import Foundation

_LONGEST = 600.0


class Pacing(Foundation):
    """
    The part of a library that knows its providers' ways.
    """

    def speaks_responses(self, provider: str) -> bool:
        """
        Tell whether a provider speaks Responses, as far as this program has found out.
        """
        return provider not in self._without_responses

    def note_no_responses(self, provider: str) -> None:
        """
        Remember, as long as this program runs, that a provider does not speak Responses.
        """
        self._without_responses.add(provider)

    def cooldown(self, provider: str) -> float:
        """
        Return for how many seconds the provider wants to be left alone still.
        """
        return self._seconds_to(self._pace_file(provider, "wait"))

    def cool_down(self, provider: str, seconds: float) -> None:
        """
        Remember that the provider wants to be left alone.
        """
        file = self._pace_file(provider, "wait")
        if seconds > self._seconds_to(file):
            with contextlib.suppress(OSError):
                self._set(file, time.time() + seconds)

    def take_turn(self, provider: str, interval: float) -> float:
        """
        Take the next time at which a request may go out, evenly spaced among all processes.

        Args:
            provider: Who is asked.
            interval: Seconds between requests.

        Returns:
            Seconds to wait.
        """
        file = self._pace_file(provider, "next")
        with disk_errors(file), self._index.locked():
            wait = self._seconds_to(file)
            self._set(file, time.time() + wait + interval)
        return wait

    def _pace_file(self, provider: str, what: str) -> Path:
        whose = hashlib.sha256(provider.encode("utf-8", "replace")).hexdigest()[:16]
        return self.layout.pace / f"{whose}.{what}.json"

    def _seconds_to(self, file: Path) -> float:
        try:
            until = float(json.loads(file.read_bytes())["until"])
        except (OSError, ValueError, LookupError, TypeError):
            return 0.0
        left = until - time.time()
        # A clock that was set back would make everybody wait; nobody is asked to wait that long.
        return left if 0 < left <= _LONGEST else 0.0

    def _set(self, file: Path, until: float) -> None:
        write_plainly(file, json.dumps({"until": until}).encode("ascii"), self.layout.tmp)
