"""
How long a second takes on this machine while a test runs, as others may use it too.

What is to be done in some seconds is compared with these seconds, not with those of a clock: so a
bound says the same on a busy machine as on an idle one.
"""

from __future__ import annotations

import threading
import time
from typing import Self

HANG = 1800.0
"""Seconds after which something counts as hanging: no bound, but the end of a run without one."""
_TICK, _WORK = 0.1, 0.01
_TICKS = 10


class Pace:
    """
    Measures seconds, in a thread, while a block runs. Nine tenths of each are a wait, and one is
    work: both take longer on a busy machine.

    Attributes:
        second: The longest second so far, in seconds of the clock; 1.0 on an idle machine.
    """

    def __init__(self) -> None:
        self.second = 1.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _measure(self) -> None:
        ticks: list[float] = []
        while not self._stop.is_set():
            start = time.monotonic()
            self._stop.wait(_TICK - _WORK)
            busy = time.thread_time() + _WORK
            while time.thread_time() < busy:
                pass
            ticks = [*ticks[1 - _TICKS :], time.monotonic() - start]
            if len(ticks) == _TICKS:
                self.second = max(self.second, sum(ticks))
