"""
Tell which intents belong to a program that is still running.

Each library that is open for writing holds a lock on a file of its own, as long as its process
lives: the system lets go of it at the moment of death, however that came about. So nobody has to
guess from process numbers, which are used again, or from clocks.
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

_TRIES = 5
_PATIENCE, _PAUSE = 5.0, 0.01
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})


@attrs.define
class ProcessRegistry:
    """
    A folder with a file for each open library.

    Attributes:
        folder: Where they are.
    """

    folder: Path
    _id: str | None = attrs.field(default=None, init=False)
    _descriptor: int | None = attrs.field(default=None, init=False, repr=False)
    _guard: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @property
    def name(self) -> str | None:
        """
        The name under which this library owns intents, once it owned one.
        """
        return self._id

    def current_owner(self) -> str:
        """
        Return the name under which this library owns intents; from now on it is alive.
        """
        with self._guard:
            if self._id is None:
                self._id = self._appear()
            return self._id

    def _appear(self) -> str:
        """
        Make and lock a file of our own.

        Between the two, somebody who sweeps may take it for that of a dead library; so it is
        looked at again, and another one is made then.
        """
        for tries_left in reversed(range(_TRIES)):
            name = uuid.uuid4().hex
            path = self.folder / name
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            locked = _lock(descriptor)
            # Where the file system knows no locks, everybody counts as alive.
            if (locked or not tries_left) and path.exists():
                self._descriptor = descriptor
                return name
            os.close(descriptor)
        raise OSError(f"{self.folder} keeps no files")

    def is_alive(self, name: str) -> bool:
        """
        Tell whether the library of that name is open somewhere. One that cannot be told counts
        as alive: what it is at must not be taken from it.
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
            return not _lock(descriptor)
        finally:
            os.close(descriptor)

    def remove_dead(self, needed: set[str]) -> None:
        """
        Remove the files of libraries that are not alive and whose intents are settled.
        """
        for path in self.folder.iterdir():
            if path.name not in needed and path.name != self._id:
                with contextlib.suppress(OSError):
                    _remove_dead(path)

    def unregister(self) -> None:
        """
        Let go of our own file: what this library owns and has not settled may be taken over.
        """
        with self._guard:
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
    Wait until nobody else is in a block by the same file, and keep them waiting meanwhile; but
    nobody waits for longer than a few seconds.

    Yields:
        Whether nobody else is known to be there. Where the file system knows no locks, nobody is.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        yield _wait_for(descriptor, shared=False) is not False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared(file: Path) -> Generator[None, None, None]:
    """
    Keep those waiting that want to be alone by the same file, as all others do who are in such a
    block; where the disk can only be read, nobody wants to.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError:
        yield
        return
    try:
        _wait_for(descriptor, shared=True)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, *, shared: bool) -> bool | None:
    """
    Try to lock a file for a few seconds; see `try_lock`.
    """
    end = time.monotonic() + _PATIENCE
    while (locked := try_lock(descriptor, shared=shared)) is False and time.monotonic() < end:
        time.sleep(_PAUSE)
    return locked


def _remove_dead(path: Path) -> None:
    """
    Remove the file of a library that is not alive: under its lock, so that one that is just
    beginning sees it.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        if _lock(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """
    Lock a file for as long as it is open; tell whether that is done for sure.
    """
    return try_lock(descriptor) is True


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """
    Lock a file for as long as it is open.

    Args:
        descriptor: The file.
        shared: Whether others may lock it too, if they share it.

    Returns:
        Whether nobody else held it; None where the system knows no such locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - exists on this platform alone

            if shared:
                return None  # there, a file that is open cannot be taken away anyway
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - exists on other platforms alone

            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True
