"""
Ids that sort by time: https://github.com/ulid/spec.

Where one must be greater than another that time alone does not set it apart from, it is so by a
step of a random length: two programs, or a program and its fork, may count on from the same id. See
https://www.rfc-editor.org/rfc/rfc9562#monotonicity_counters, method 2.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_RANDOM_BITS = 80
_STEP_BITS = 64
_LENGTH = 26


class UlidFactory:
    """
    Makes ids that grow with every call in this process, and with time across processes; no two
    processes make the same one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, after: str = "") -> str:
        """
        Return an id greater than all before, even if the clock was set back.

        Args:
            after: One that it must be greater than, though another machine's clock made it.
        """
        with self._lock:
            fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            least = max(self._last, _read(after)) + 1
            self._last = fresh if fresh >= least else least + secrets.randbits(_STEP_BITS)
            return _spell(self._last)


def is_id(text: str) -> bool:
    """
    Tell whether a text is an id, and so is safe as the name of a file.
    """
    return _PATTERN.fullmatch(text) is not None


def first_id(moment: dt.datetime) -> str:
    """
    Return an id that no id of an earlier time reaches, and none of a later one falls below.
    """
    return _spell(max(0, int(moment.timestamp() * 1000)) << _RANDOM_BITS)


def timestamp_of(spelled: str) -> dt.datetime:
    """
    Return the time in UTC at which an id was made.
    """
    return dt.datetime.fromtimestamp((_read(spelled) >> _RANDOM_BITS) / 1000, dt.UTC)


def _read(spelled: str) -> int:
    number = 0
    for digit in spelled if is_id(spelled) else "":
        number = number << 5 | _ALPHABET.index(digit)
    return number


def _spell(number: int) -> str:
    digits = [_ALPHABET[number >> 5 * position & 31] for position in range(_LENGTH)]
    return "".join(reversed(digits))
