"""
How many requests all programs on a library may have under way: each holds a lock on one of so many
files, and the system lets go of it at the moment of death, however that came about.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import attrs

from .durable import PRIVATE_FILE, disk_errors, make_folder
from .owners import try_lock


@attrs.define
class Slot:
    """
    A place among the requests that may be under way.
    """

    _descriptor: int | None = attrs.field(alias="descriptor", repr=False)

    def release(self) -> None:
        """
        Let somebody else have it.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def take(folder: Path, count: int) -> Slot | None:
    """
    Take any free place; None if all are taken.

    Args:
        folder: Where the files are.
        count: How many places there are.

    Raises:
        DiskError: The folder cannot be used.
    """
    with disk_errors(folder):
        make_folder(folder)
        # Begun anywhere, so that those who look at the same moment do not all try the same one.
        first = random.randrange(count)  # noqa: S311 - nothing to guess
        for number in range(count):
            file = folder / str((first + number) % count)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
            # Where the file system knows no locks, nobody is kept waiting.
            if try_lock(descriptor) is not False:
                return Slot(descriptor)
            os.close(descriptor)
    return None
