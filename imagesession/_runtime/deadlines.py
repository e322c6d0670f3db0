"""
Enforce a total deadline on a request, however slowly its response arrives.

The HTTP client's own timeouts apply to each read: a server that sends a byte a second never exceeds
them. An async request is ended by a cancellation. A sync one blocks in the system, so each read
gets the remaining time as its timeout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2

DEADLINE_PASSED = "the time is up"


class RemainingTimeout(float):
    """
    The timeout of one read or write in seconds, which also knows the deadline of the request.

    It is a float, so that it passes through the HTTP client as a number of seconds.

    Attributes:
        end: The deadline, by the monotonic clock.
    """

    end: float

    @classmethod
    def make(cls, seconds: float, silence: float | None = None) -> RemainingTimeout:
        """
        Make a timeout whose deadline is that many seconds from now. One read or write may take as
        long, or only for the seconds of `silence`.
        """
        timeout = cls(seconds if silence is None else min(seconds, silence))
        timeout.end = time.monotonic() + seconds
        return timeout

    @property
    def left(self) -> float:
        """
        The seconds until the deadline; 0 or less once it has passed.
        """
        return self.end - time.monotonic()


class DeadlineStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, timeout: RemainingTimeout) -> None:
        self._inner = inner
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if self._timeout.left <= 0:
                raise httpx2.ReadTimeout(DEADLINE_PASSED)
            yield chunk

    def close(self) -> None:
        self._inner.close()
