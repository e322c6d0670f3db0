"""
Files in a folder or a zip, to be carried elsewhere: written whole or not at all, and read without
trusting what they say of themselves.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import attrs

from imagesession.errors import CallError, DiskError, RecordError

from .beneath import open_beneath
from .durable import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    disk_errors,
    flush,
    flush_folder,
    give_name,
    make_folder,
    write_new,
)

MAX_TOTAL = 4_000_000_000
"""Bytes that a zip may unpack to in all."""
MAX_MEMBERS = 100_000
"""Files that a zip may hold."""

Add: TypeAlias = Callable[[str, bytes], None]
"""Adds a file, by its name with forward slashes."""

_PACKED = frozenset({".png", ".jpg", ".webp", ".gif"})
# A zip knows no time before or after.
_OLDEST = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(2107, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
_ENCRYPTED = 0x1
_UNIX = 3
_READABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.EINVAL, errno.ENOTDIR, errno.ENXIO})


def is_zip(path: Path) -> bool:
    """
    Tell whether a path asks for a zip.
    """
    return path.suffix.lower() == ".zip"


def path_of(path: object) -> Path:
    """
    Return a path in full.

    Raises:
        CallError: It is none.
    """
    text = ""
    if isinstance(path, (str, os.PathLike)):
        text = os.fsdecode(cast("str | os.PathLike[str]", path))
    if not text or "\0" in text:
        raise CallError(f"The path is {path!r}; name a folder, or a file that ends in .zip.")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise CallError(f"The path {text} cannot be found: {error}. Write it in full.") from error


def is_safe(name: str) -> bool:
    """
    Tell whether a name stays beneath the folder that it is put into, on every system.
    """
    parts = name.removesuffix("/").split("/")
    return not (set(name) & set('\\:\0"<>|?*') or set(parts) & {"", ".", ".."})


# --- writing ----------------------------------------------------------------------------------


@contextlib.contextmanager
def writing(path: Path, at: dt.datetime) -> Generator[Add, None, None]:
    """
    Write a folder, or a zip where the path ends in .zip. It has its name once all is written; if
    something goes wrong, nothing is left of it.

    Args:
        path: Where it shall be.
        at: The time that a zip gives its files.

    Raises:
        DiskError: There is something of that name, or it cannot be written.
    """
    with disk_errors(path):
        _check_free(path)
        make_folder(path.parent)
        unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with _zip(unfinished, at) if is_zip(path) else _folder(unfinished) as add:
                yield add
            _name(unfinished, path)
        finally:
            _remove(unfinished)


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise _taken(path)


def _taken(path: Path) -> DiskError:
    return DiskError(
        f"There is something at {path} already, and nothing is overwritten. Choose another name, "
        "or move it away."
    )


def _name(unfinished: Path, path: Path) -> None:
    _check_free(path)
    if unfinished.is_dir():
        unfinished.rename(path)
        flush_folder(path.parent)
        return
    try:
        give_name(unfinished, path)
    except FileExistsError as error:
        raise _taken(path) from error


def _remove(unfinished: Path) -> None:
    if unfinished.is_dir():
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder(path: Path) -> Generator[Add, None, None]:
    path.mkdir(mode=PRIVATE_FOLDER)

    def add(name: str, data: bytes) -> None:
        make_folder((path / name).parent)
        write_new(path / name, data, path)

    yield add


@contextlib.contextmanager
def _zip(path: Path, at: dt.datetime) -> Generator[Add, None, None]:
    moment = min(max(at.astimezone(dt.UTC), _OLDEST), _LATEST)
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE_FILE
    )
    with os.fdopen(descriptor, "w+b") as stream:
        with zipfile.ZipFile(stream, "w") as archive:

            def add(name: str, data: bytes) -> None:
                archive.writestr(_member(name, moment), data)

            yield add
        stream.flush()
        flush(stream.fileno())


def _member(name: str, moment: dt.datetime) -> zipfile.ZipInfo:
    """
    Describe a file of a zip, the same on every system.
    """
    member = zipfile.ZipInfo(name, moment.timetuple()[:6])
    member.create_system = _UNIX
    member.external_attr = (stat.S_IFREG | PRIVATE_FILE) << 16
    packed = Path(name).suffix in _PACKED
    member.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    return member


# --- reading ----------------------------------------------------------------------------------


class Parcel(Protocol):
    """
    Files that came from elsewhere.
    """

    def has(self, name: str) -> bool:
        """Tell whether there is a file of that name."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """
        Return a file's bytes, if they are not more than so many.

        Raises:
            RecordError: There is no such file, it is larger, damaged, or a link to elsewhere.
        """
        ...


@contextlib.contextmanager
def reading(path: Path) -> Generator[Parcel, None, None]:
    """
    Open a folder or a zip.

    Raises:
        CallError: It is neither.
        RecordError: The zip is damaged, has names that lead out of it, or unpacks to too much.
        DiskError: It cannot be read.
    """
    with disk_errors(path):
        if path.is_dir():
            yield _Folder(path)
        elif not path.is_file():
            raise CallError(f"There is no file and no folder at {path}.")
        elif not zipfile.is_zipfile(path):
            raise CallError(f"{path} is neither a folder nor a zip.")
        else:
            with _opened(path) as archive:
                yield _Zip(path, archive, _members(path, archive))


@attrs.frozen
class _Folder:
    path: Path

    def has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    def read(self, name: str, most: int) -> bytes:
        try:
            with open_beneath(self.path, name) as descriptor:
                size = os.fstat(descriptor).st_size
                if size > most:
                    raise _too_large(self.path, name, most)
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(size)
        except FileNotFoundError as error:
            raise _lacking(self.path, name) from error
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise RecordError(
                f"{self.path}: {name} is not a file of its own; an export has no links. Nothing "
                "was imported."
            ) from error


@attrs.frozen
class _Zip:
    path: Path
    archive: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]

    def has(self, name: str) -> bool:
        return name in self.members

    def read(self, name: str, most: int) -> bytes:
        member = self.members.get(name)
        if member is None:
            raise _lacking(self.path, name)
        if member.file_size > most:
            raise _too_large(self.path, name, most)
        try:
            with self.archive.open(member) as file:
                # One byte more than it should have, so that its end is reached and checked.
                return file.read(member.file_size + 1)
        except _BROKEN as error:
            raise RecordError(f"{self.path}: {name} is damaged: {error}.") from error


def _lacking(path: Path, name: str) -> RecordError:
    return RecordError(f"{path}: {name} is missing. Copy the export anew.")


def _too_large(path: Path, name: str, most: int) -> RecordError:
    return RecordError(
        f"{path}: {name} is larger than {most / 1e6:,.0f} MB, which no export's is. "
        "Nothing was imported."
    )


@contextlib.contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile, None, None]:
    try:
        archive = zipfile.ZipFile(path)
    except (*_BROKEN, OSError) as error:
        # A place before the file's beginning is an invalid argument to the system.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise RecordError(f"{path} is a damaged zip: {error}. Copy it anew.") from error
    with archive:
        yield archive


def _members(path: Path, archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """
    List what a zip holds, and refuse one that no export would be.
    """
    listed = archive.infolist()
    total = sum(member.file_size for member in listed)
    if len(listed) > MAX_MEMBERS or total > MAX_TOTAL:
        raise RecordError(
            f"{path} holds {len(listed):,} files of {total / 1e6:,.0f} MB in all; at most "
            f"{MAX_MEMBERS:,} of {MAX_TOTAL / 1e6:,.0f} MB are read. If it can be trusted, unpack "
            "it and import the folder."
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for member in listed:
        problem = _problem(member, members)
        if problem:
            raise RecordError(f"{path}: {member.filename!r} {problem}. Nothing was imported.")
        members[member.filename] = member
    return members


def _problem(member: zipfile.ZipInfo, known: Mapping[str, object]) -> str | None:
    if not is_safe(member.orig_filename):
        return "leads out of the zip, or is no name that every system takes"
    if member.header_offset < 0:
        return "begins before the zip does; it is damaged"
    if member.filename in known:
        return "is there twice"
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or a device"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None if member.compress_type in _READABLE else "is packed in a way that is not read"
