"""
Tell which intents belong to a program that is still running.

Each library that is open for writing holds a lock on its own file. The system releases the lock
when the process ends, even by a crash. Process ids, which are reused, and clocks are not needed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import attrs

from .atomic_write import PRIVATE_FILE

_MAX_ATTEMPTS = 5
_TIMEOUT, _PAUSE = 5.0, 0.01
_HELD_ELSEWHERE = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})


@attrs.define
class ProcessRegistry:
    """
    A folder with a lock file for each open library.

    Attributes:
        folder: The folder's path.
    """

    folder: Path
    _id: str | None = attrs.field(default=None, init=False)
    _descriptor: int | None = attrs.field(default=None, init=False, repr=False)
    _thread_lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @property
    def name(self) -> str | None:
        """
        The name under which this library owns intents; None before it needs one.
        """
        return self._id

    def current_owner(self) -> str:
        """
        Return the name under which this library owns intents, and register it if needed.
        """
        with self._thread_lock:
            if self._id is None:
                self._id = self._register()
            return self._id

    def _register(self) -> str:
        """
        Create and lock a new file.

        In between, another process may remove it as that of a dead library; so it is checked
        again, and if it is gone another one is created.
        """
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            name = uuid.uuid4().hex
            path = self.folder / name
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            locked = _try_lock_surely(descriptor)
            # On a file system without locks, all libraries count as alive.
            if (locked or not attempts_left) and path.exists():
                self._descriptor = descriptor
                return name
            os.close(descriptor)
        raise OSError(f"files in {self.folder} disappear")

    def is_alive(self, name: str) -> bool:
        """
        Tell whether the library of that name is open. If that cannot be told, it counts as alive,
        so that its intents are not taken from it.
        """
        if name == self._id:
            return True
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            return not _try_lock_surely(descriptor)
        finally:
            os.close(descriptor)

    def remove_dead(self, needed: set[str]) -> None:
        """
        Remove the files of dead libraries, but for those in `needed`, which own unsettled intents.
        """
        for path in self.folder.iterdir():
            if path.name not in needed and path.name != self._id:
                with contextlib.suppress(OSError):
                    _remove_dead(path)

    def unregister(self) -> None:
        """
        Release our own file: unsettled intents of this library may be taken over.
        """
        with self._thread_lock:
            descriptor, self._descriptor = self._descriptor, None
            name, self._id = self._id, None
            with contextlib.suppress(OSError):
                if name is not None:
                    (self.folder / name).unlink(missing_ok=True)
                if descriptor is not None:
                    os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


@contextlib.contextmanager
def exclusive(file: Path) -> Generator[bool, None, None]:
    """
    Lock a file exclusively; wait for other holders, but for 5 seconds at most.

    Yields:
        Whether no other holder is known. On a file system without locks this is always true.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
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
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError:
        yield
        return
    try:
        _lock_with_timeout(descriptor, shared=True)
        yield
    finally:
        os.close(descriptor)


def _lock_with_timeout(descriptor: int, *, shared: bool) -> bool | None:
    """
    Try to lock a file for 5 seconds; see `try_lock`.
    """
    end = time.monotonic() + _TIMEOUT
    while (locked := try_lock(descriptor, shared=shared)) is False and time.monotonic() < end:
        time.sleep(_PAUSE)
    return locked


def _remove_dead(path: Path) -> None:
    """
    Remove the file of a dead library, under its lock, so that a library that is just registering
    notices.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        if _try_lock_surely(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _try_lock_surely(descriptor: int) -> bool:
    """
    Lock a file for as long as it is open; tell whether the lock was certainly acquired.
    """
    return try_lock(descriptor) is True


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """
    Lock a file for as long as it is open.

    Args:
        descriptor: The file.
        shared: Whether other shared holders are allowed.

    Returns:
        Whether the lock was acquired; None if the file system has no such locks.
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
