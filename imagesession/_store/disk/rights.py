"""
Rights on disk: who works on what and when, among all processes on a library.

    <library>/.imagesession/locks/<process>         locked by each open library
    <library>/.imagesession/locks/<right>.<place>   another name of the file of its holder
    <library>/.imagesession/limits/<what>.json      when the next turn comes

Each open library has a file that it keeps locked, and the system releases the lock when the process
ends. To hold a right is to give that file another name, which fails if the name is in use. So a
process needs one descriptor for any number of rights, a lease is taken whole or not at all, and it
is free if nobody has a lock on its file. Process ids, which are reused, and clocks are not needed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import random
import sys
import threading
import time
import uuid
from pathlib import Path

import attrs

from imagesession._store.files.atomic_write import CANNOT_LINK, translate_os_errors, write_atomic
from imagesession._store.files.modes import open_file
from imagesession._store.forks import abandoned_in_forks
from imagesession._store.ports import Rights
from imagesession._store.strict_reader import parse_object
from imagesession.errors import StorageIOError

from .layout import Layout
from .locks import exclusive, try_lock

_MUTEX = "mutex"
_RELEASED = -1
_MAX_ATTEMPTS = 5
# A time that was written further in the future says nothing: the clock was set back since.
_CLOCK_TOLERANCE = 60.0  # seconds


@attrs.frozen(eq=False)
class DiskLease:
    """
    A right that this process holds.

    If a call is interrupted before it receives its lease, nothing can release it. So it is released
    when it is garbage-collected, too.
    """

    rights: DiskRights = attrs.field(repr=False)
    file: str
    fence: int = attrs.field(factory=lambda: uuid.uuid4().int)

    @property
    def is_held(self) -> bool:
        return self.rights.is_valid(self)

    def release(self) -> None:
        self.rights.release(self)

    def __del__(self) -> None:
        self.release()


class DiskRights(Rights):
    def __init__(self, layout: Layout) -> None:
        self._folder = layout.locks
        self._limits = layout.limits
        self._tmp = layout.tmp
        self._reset()
        _instances.add(self)

    def _reset(self) -> None:
        # Reentrant: a lease may be garbage-collected within a method here.
        self._lock = threading.RLock()
        self._turns = threading.Lock()
        self._own: str | None = None
        self._descriptor: int | None = None
        self._claims: dict[str, tuple[int, int | None]] = {}

    def hold(self, name: str, places: int = 1) -> DiskLease | None:
        # A random start, so that concurrent callers do not all try the same place.
        first = random.randrange(places)  # noqa: S311 - not a secret
        right = _digest(name)
        with translate_os_errors(self._folder):
            for number in range(places):
                lease = self._take(f"{right}.{(first + number) % places}")
                if lease is not None:
                    return lease
        return None

    def _take(self, file: str) -> DiskLease | None:
        """
        Take a place. The lock is not held while the disk works: beside busy threads, each call of
        the system costs a wait for the GIL.
        """
        lease = DiskLease(self, file)
        with self._lock:
            if file in self._claims:
                return None
            self._current_own()
            self._claims[file] = lease.fence, None
        claim = None
        try:
            claim = self._claim(self._folder / file)
        finally:
            if claim is None:
                del self._claims[file]
            else:
                self._claims[file] = lease.fence, claim.descriptor
        return None if claim is None else lease

    def is_held(self, name: str) -> bool:
        file = f"{_digest(name)}.0"
        with self._lock:
            return file in self._claims or self._state(self._folder / file) is not False

    def is_valid(self, lease: DiskLease) -> bool:
        return self._claims.get(lease.file, (None,))[0] == lease.fence

    def release(self, lease: DiskLease) -> None:
        """
        Give a right back; if its file cannot be removed, it is free at the end of this process.
        """
        with self._lock:
            if not self.is_valid(lease):
                return
            _, descriptor = self._claims[lease.file]
            self._claims[lease.file] = _RELEASED, None  # until its name is free
        with contextlib.suppress(OSError):
            (self._folder / lease.file).unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)
        self._claims.pop(lease.file, None)

    def close(self) -> None:
        with self._lock:
            own, descriptor = self._own, self._descriptor
            if self._claims or own is None:
                return
            self._own = self._descriptor = None
            with contextlib.suppress(OSError):
                (self._folder / own).unlink(missing_ok=True)
            if descriptor is not None:
                os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def abandon(self) -> None:
        """
        Forget all rights, in a fork: they belong to the parent, and a lock lasts as long as any
        process has its file open.
        """
        for descriptor in (self._descriptor, *(own for _, own in self._claims.values())):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._reset()

    # --- files -----------------------------------------------------------------------------------

    def _claim(self, path: Path) -> _Claim | None:
        """
        Give our file the name of a lease, if that is free or left by a dead process.
        """
        with contextlib.suppress(FileExistsError):
            return self._name(path)
        if self._state(path):
            return None
        # One process after the other looks and takes over; so nobody removes the name of a holder.
        with exclusive(self._folder / _MUTEX) as alone, contextlib.suppress(FileExistsError):
            if alone and not self._state(path):
                path.unlink(missing_ok=True)
                return self._name(path)
        return None

    def _name(self, path: Path) -> _Claim:
        try:
            os.link(self._folder / self._current_own(), path)
            return _Claim()
        except OSError as error:
            # Without hard links, or if somebody has removed our file, a lease has its own lock.
            if error.errno not in {errno.ENOENT, *CANNOT_LINK}:
                raise
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try_lock(descriptor)
        return _Claim(descriptor)

    def _state(self, path: Path) -> bool | None:
        """
        Tell whether a lease is held by another library; None if that cannot be told.
        """
        try:
            descriptor = _open_to_lock(path)
        except FileNotFoundError:
            return False
        except OSError:
            return None
        try:
            if self._descriptor is not None and os.path.sameopenfile(descriptor, self._descriptor):
                return False  # a name of ours that could not be removed
            # Shared, so that two that look at the same time do not take each other for the holder.
            got = try_lock(descriptor, shared=sys.platform != "win32")
            return None if got is None else not got
        finally:
            os.close(descriptor)

    def _current_own(self) -> str:
        if self._own is None:
            self._register()
            self._remove_dead()
        assert self._own is not None  # noqa: S101 - for the type checker
        return self._own

    def _register(self) -> None:
        """
        Create and lock our own file.

        In between, another process may remove it as that of a dead library; so it is checked
        again, and if it is gone another one is created.
        """
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            name = uuid.uuid4().hex
            path = self._folder / name
            descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            # On a file system without locks, all libraries count as alive.
            if (try_lock(descriptor) or not attempts_left) and path.exists():
                self._own, self._descriptor = name, descriptor
                return
            os.close(descriptor)
        raise OSError(errno.EAGAIN, f"files in {self._folder} disappear")

    def _remove_dead(self) -> None:
        with exclusive(self._folder / _MUTEX) as alone, contextlib.suppress(OSError):
            for name in os.listdir(self._folder) if alone else ():  # noqa: PTH208 - names will do
                path = self._folder / name
                if name not in {_MUTEX, self._own} and self._state(path) is False:
                    path.unlink(missing_ok=True)

    # --- turns -----------------------------------------------------------------------------------

    def next_time(self, name: str, interval: float = 0.0, max_wait: float = 0.0) -> float:
        file = self._limits / f"{_digest(name)}.json"
        if not interval:
            return _remaining(file)
        with translate_os_errors(file), self._turns, exclusive(self._folder / _MUTEX) as alone:
            if not alone:
                raise StorageIOError(f"The library cannot use {file}: it is locked for too long.")
            wait = _remaining(file)
            if wait <= max_wait:
                self._write_until(file, wait + interval)
        return wait

    def postpone(self, name: str, seconds: float) -> None:
        file = self._limits / f"{_digest(name)}.json"
        if seconds > _remaining(file):
            with contextlib.suppress(OSError):
                self._write_until(file, seconds)

    def _write_until(self, file: Path, seconds: float) -> None:
        now = time.time()
        limit = {"until": now + seconds, "written": now}
        write_atomic(file, json.dumps(limit).encode("ascii"), self._tmp)


def _open_to_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        raise
    except OSError:  # a read-only disk; there, nothing but this suffices
        return os.open(path, os.O_RDONLY)


@attrs.frozen
class _Claim:
    descriptor: int | None = None


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def _remaining(file: Path) -> float:
    try:
        limit = parse_object(file.read_bytes())
        until, written = float(limit["until"]), float(limit["written"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return 0.0
    if not math.isfinite(until):
        return 0.0
    now = time.time()
    return max(0.0, until - now) if written - now <= _CLOCK_TOLERANCE else 0.0


_instances = abandoned_in_forks(DiskRights.abandon)
