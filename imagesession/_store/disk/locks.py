"""
Locks on files. The system releases a lock when its process ends, even by a crash.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from imagesession._store.files.modes import open_file

_TIMEOUT, _PAUSE = 5.0, 0.01
_HELD_ELSEWHERE = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})


@contextlib.contextmanager
def exclusive(file: Path) -> Generator[bool, None, None]:
    """
    Lock a file exclusively; wait for other holders, but for 5 seconds at most.

    Yields:
        Whether no other holder is known. On a file system without locks this is always true.
    """
    descriptor = open_file(file, os.O_RDWR | os.O_CREAT)
    try:
        yield _lock_with_timeout(descriptor, shared=False) is not False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared(file: Path) -> Generator[None, None, None]:
    """
    Lock a file together with other shared holders, so that `exclusive` waits for all of them. On a
    read-only disk there is no lock, and no need for one.
    """
    try:
        descriptor = open_file(file, os.O_RDWR | os.O_CREAT)
    except OSError:
        yield
        return
    try:
        _lock_with_timeout(descriptor, shared=True)
        yield
    finally:
        os.close(descriptor)


def _lock_with_timeout(descriptor: int, *, shared: bool) -> bool | None:
    end = time.monotonic() + _TIMEOUT
    while (locked := try_lock(descriptor, shared=shared)) is False and time.monotonic() < end:
        time.sleep(_PAUSE)
    return locked


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """
    Lock a file for as long as it is open; tell whether the lock was acquired, and return None if
    the file system has no such locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on this platform alone

            if shared:
                return None  # an open file cannot be deleted there anyway
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - exists on other platforms alone

            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD_ELSEWHERE else None
    return True


class ForkGate:
    """
    Keeps forks apart from calls of a library in C: of its mutexes, those that other threads hold at
    that moment would stay locked in the child for ever. A fork waits for running calls, but for 5
    seconds at most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._calls = 0
        self._thread = threading.local()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._close,
                after_in_parent=self._changed.release,
                after_in_child=self._open_in_child,
            )

    @contextlib.contextmanager
    def calling(self) -> Generator[None, None, None]:
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._changed:
            self._calls += step
            self._thread.calls = self._own_calls + step
            self._changed.notify_all()

    @property
    def _own_calls(self) -> int:
        return getattr(self._thread, "calls", 0)

    def _close(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._calls == self._own_calls, _TIMEOUT)

    def _open_in_child(self) -> None:
        self._calls = self._own_calls
        self._changed.release()
