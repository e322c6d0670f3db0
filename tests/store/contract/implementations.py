"""
The implementations of the ports that the contract runs over.

To run it over another one, add a class with the methods of `Implementation` to `IMPLEMENTATIONS`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Protocol

from imagesession._store.disk.library import DiskLibrary
from imagesession._store.ports import Ports
from tests.store.contract.memory import MemoryLibrary, State

_HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from imagesession._store.disk.library import DiskLibrary
lease = DiskLibrary(Path(sys.argv[1])).rights.hold(sys.argv[2])
os._exit(0 if lease is not None and lease.is_held else 1)
"""


class Implementation(Protocol):
    """
    An empty library that several programs open.
    """

    def open(self) -> Ports:
        """
        Open it, as another program would.
        """
        ...

    def hold_and_die(self, name: str) -> None:
        """
        Hold a right in a program that ends without giving it back.
        """
        ...


class OnDisk:
    """
    A library in a folder.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> Ports:
        """
        Open the folder once more.
        """
        return DiskLibrary(self.folder / "library")

    def hold_and_die(self, name: str) -> None:
        """
        Start a process, which exits.
        """
        command = [sys.executable, "-c", _HOLD_AND_DIE, str(self.folder / "library"), name]
        subprocess.run(command, check=True)


class InMemory:
    """
    A library in memory.
    """

    def __init__(self, _: Path) -> None:
        self.state = State()

    def open(self) -> Ports:
        """
        Share the state once more.
        """
        return MemoryLibrary(self.state)

    def hold_and_die(self, name: str) -> None:
        """
        Forget the lease, as the end of a program does.
        """
        assert self.open().rights.hold(name) is not None


IMPLEMENTATIONS: dict[str, type[OnDisk | InMemory]] = {"disk": OnDisk, "memory": InMemory}
