"""
The implementations of the ports that the contract runs over.

To run it over another one, add a class with the methods of `Implementation` to `IMPLEMENTATIONS`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from imagesession._store.disk.library import DiskLibrary
from imagesession._store.ports import Ports
from tests import team_servers
from tests.store.contract.memory import MemoryLibrary, State

_HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from imagesession._store.disk.library import DiskLibrary
lease = DiskLibrary(Path(sys.argv[1])).rights.hold(sys.argv[2])
os._exit(0 if lease is not None and lease.is_held else 1)
"""
_HOLD_IN_DATABASE = """
import os, sys
from imagesession._store.team.library import TeamLibrary
lease = TeamLibrary(sys.argv[1]).rights.hold(sys.argv[2])
os._exit(0 if lease is not None and lease.is_held else 1)
"""


# The lease of a dead process has to run out.
_LEASE_SECONDS = 1.0


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
        Hold a right in a program that ends without giving it back; wait until that may be known.
        """
        ...

    def close(self) -> None:
        """
        Remove what it was kept on.
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

    def close(self) -> None:
        """
        The folder is removed by whoever made it.
        """


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

    def close(self) -> None:
        """
        Nothing is kept anywhere.
        """


class OnServers:
    """
    A library on PostgreSQL and S3; skips the test where there are no servers.
    """

    def __init__(self, _: Path) -> None:
        team_servers.skip_if_missing()
        self.servers = team_servers.servers()
        self.url = f"{self.servers.new_library()}&lease={_LEASE_SECONDS}"
        self.opened: list[Ports] = []

    def open(self) -> Ports:
        """
        Open it once more, with leases that run out soon.
        """
        from imagesession._store.team.library import TeamLibrary  # noqa: PLC0415 - of an extra

        program = TeamLibrary(self.url)
        self.opened.append(program)
        return program

    def hold_and_die(self, name: str) -> None:
        """
        Start a process, which exits, and let its lease run out.
        """
        command = [sys.executable, "-c", _HOLD_IN_DATABASE, self.url, name]
        subprocess.run(command, check=True)
        time.sleep(_LEASE_SECONDS)

    def close(self) -> None:
        """
        Drop the database.
        """
        for program in self.opened:
            program.close()
        self.servers.drop_library(self.url)


IMPLEMENTATIONS: dict[str, type[OnDisk | InMemory | OnServers]] = {
    "disk": OnDisk,
    "memory": InMemory,
    "team": OnServers,
}
