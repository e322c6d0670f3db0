"""
Who may read and write files and folders: a new file is as readable as its folder lets be listed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# The system takes from it what the umask forbids.
PUBLIC_FILE = 0o666


def folder_mode(file_mode: int) -> int:
    """
    Return the mode of folders whose files have a mode: who may read a file may also list it.
    """
    return file_mode | (file_mode & 0o444) >> 2


def mode_within(folder: Path) -> int:
    """
    Return the mode of new files in a folder of ours: who may list it may also read them.
    """
    return folder.stat().st_mode & PUBLIC_FILE | PRIVATE_FILE


def library_mode(address: str) -> int:
    """
    Return the mode of the files of a library; for its owner alone, if it is not in a folder.
    """
    try:
        return mode_within(Path(address, ".imagesession"))
    except OSError:
        return PRIVATE_FILE


def make_dir(path: Path | str, mode: int, within: int | None = None) -> None:
    """
    Make a folder with exactly this mode, whatever the umask is; but keep what a folder above hands
    down, such as its group.
    """
    os.mkdir(path, mode, dir_fd=within)
    if mode != PRIVATE_FOLDER:
        inherited = os.stat(path, dir_fd=within).st_mode & 0o7000
        os.chmod(path, mode | inherited, dir_fd=within)


def open_file(path: Path, flags: int, mode: int | None = None) -> int:
    """
    Open a file; a new one gets its mode whatever the umask is: by default, that of files in its
    folder.
    """
    wanted = mode_within(path.parent) if mode is None and flags & os.O_CREAT else mode
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), wanted or PRIVATE_FILE)
    if wanted not in {None, PRIVATE_FILE} and sys.platform != "win32":
        with contextlib.suppress(PermissionError):  # another user has made it
            os.fchmod(descriptor, wanted or PRIVATE_FILE)
    return descriptor
