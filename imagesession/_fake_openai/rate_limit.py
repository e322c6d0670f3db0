"""
A limit of images per minute, as accounts of tier 1 have it: the wait is stated in words alone.

Source: reports of 429 on image requests, as of November 2026; see also
https://developers.openai.com/api/docs/guides/rate-limits
"""

import math
import threading
from collections.abc import Callable

from imagesession._fake_openai.errors import RefusalError

_MINUTE, _SECOND = 60.0, 1000


class RateLimit:
    """
    Count images. Capacity comes back evenly, as one image every 12 seconds for 5 a minute.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used = 0.0
        self._counted = clock()
        self._lock = threading.Lock()

    def take(self, per_minute: int | None) -> None:
        if per_minute is None:
            return
        with self._lock:
            now = self._clock()
            passed, self._counted = now - self._counted, now
            self._used = max(0.0, self._used - passed * per_minute / _MINUTE)
            # A hundredth, as sums of fractions are not exact.
            if self._used + 1 > per_minute + 0.01:
                raise _exceeded(per_minute, self._used)
            self._used += 1


def _exceeded(per_minute: int, used: float) -> RefusalError:
    advice = "Visit https://platform.openai.com/account/rate-limits to learn more."
    if per_minute:
        # Rounded up, so that the image is allowed after this time.
        milliseconds = math.ceil((used + 1 - per_minute) * _MINUTE / per_minute * 1000)
        wait = f"{milliseconds / 1000:g}s" if milliseconds >= _SECOND else f"{milliseconds}ms"
        advice = f"Please try again in {wait}. {advice}"
    return RefusalError("images_per_minute", limit=per_minute, used=used, advice=advice)
