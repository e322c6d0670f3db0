"""
Ids that sort by time: https://github.com/ulid/spec.

Within a millisecond, or after the clock was set back, the next id is the last one plus a random
step: two programs, or a program and its fork, may continue from the same id. See
https://www.rfc-editor.org/rfc/rfc9562#monotonicity_counters, method 2.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import threading
import time
from collections.abc import Callable

from imagesession._domain.turn import is_id

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_STEP_BITS = 64
_LENGTH = 26
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # otherwise a fork might find it locked for ever
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class UlidFactory:
    """
    Makes ids that grow with every call in this process, and with time across processes; no two
    processes make the same one.
    """

    def __init__(self, clock: Callable[[], dt.datetime] | None = None) -> None:
        self._last = 0
        self._clock = clock

    def new(self, after: str = "") -> str:
        """
        Return an id greater than all before and than `after`, which may be from another machine's
        clock, even if the clock was set back.
        """
        # What this machine's clock is behind the library's.
        behind = 0.0 if self._clock is None else self._clock().timestamp() - time.time()
        with _lock:
            milliseconds = time.time_ns() // 1_000_000 + round(behind * 1000)
            candidate = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            minimum = max(self._last, _parse(after)) + 1
            if candidate < minimum:
                candidate = minimum + secrets.randbits(_STEP_BITS)
            self._last = candidate
            return _format(self._last)


def first_id(moment: dt.datetime) -> str:
    """
    Return the smallest possible id of a time: greater than all ids of earlier times.
    """
    return _format(max(0, int(moment.timestamp() * 1000)) << _RANDOM_BITS)


def timestamp_of(text: str) -> dt.datetime:
    return dt.datetime.fromtimestamp((_parse(text) >> _RANDOM_BITS) / 1000, dt.UTC)


def _parse(text: str) -> int:
    number = 0
    for digit in text if is_id(text) else "":
        number = number << 5 | _ALPHABET.index(digit)
    return number


def _format(number: int) -> str:
    digits = [_ALPHABET[number >> 5 * position & 31] for position in range(_LENGTH)]
    return "".join(reversed(digits))
