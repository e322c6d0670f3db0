"""
Read and write archives: a folder or a zip. An archive is written whole or not at all, and read
without trusting its contents.
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
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypeAlias

import attrs

from imagesession.errors import CorruptRecordError, InvalidRequestError, StorageIOError

from .atomic_write import (
    create_durable,
    ensure_dir,
    fsync,
    fsync_dir,
    link_into_place,
    translate_os_errors,
)
from .modes import folder_mode, make_dir, open_file
from .safe_open import open_within

MAX_TOTAL = 4_000_000_000
"""Total bytes that a zip may unpack to."""
MAX_MEMBERS = 100_000
"""Files that a zip may hold."""

AddFile: TypeAlias = Callable[[str, bytes], None]
"""Adds a file, by its name with forward slashes."""

_COMPRESSED_SUFFIXES = frozenset({".png", ".jpg", ".webp", ".gif"})
# A zip can hold no earlier and no later time.
_OLDEST = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(2107, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
_ENCRYPTED = 0x1
_UNIX = 3
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_NOT_A_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.EINVAL, errno.ENOTDIR, errno.ENXIO})


def is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def is_safe(name: str) -> bool:
    """
    Tell whether a name stays within the folder that it is put into, on every system.
    """
    parts = name.removesuffix("/").split("/")
    return not (set(name) & set('\\:\0"<>|?*') or set(parts) & {"", ".", ".."})


# --- writing ----------------------------------------------------------------------------------


@contextlib.contextmanager
def open_archive_writer(path: Path, at: dt.datetime, mode: int) -> Generator[AddFile, None, None]:
    """
    Write files into a new folder or zip, which gets its name only when it is complete.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    with translate_os_errors(path):
        _check_free(path)
        ensure_dir(path.parent, folder_mode(mode))
        write = _zip_writer if is_zip(path) else _folder_writer
        try:
            with write(unfinished, at, mode) as add:
                yield add
            _check_free(path)
            _link_into_place(unfinished, path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            with contextlib.suppress(OSError):
                unfinished.unlink()


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise StorageIOError(
            f"{path} exists already, and nothing is overwritten. Choose another name, or move it "
            "away."
        )


def _link_into_place(unfinished: Path, path: Path) -> None:
    if unfinished.is_dir():
        unfinished.rename(path)
        fsync_dir(path.parent)
        return
    try:
        link_into_place(unfinished, path)
    except FileExistsError:
        _check_free(path)
        raise


@contextlib.contextmanager
def _folder_writer(path: Path, _: dt.datetime, mode: int) -> Generator[AddFile, None, None]:
    make_dir(path, folder_mode(mode))

    def add(name: str, data: bytes) -> None:
        ensure_dir((path / name).parent, folder_mode(mode))
        create_durable(path / name, data, path)

    yield add


@contextlib.contextmanager
def _zip_writer(path: Path, at: dt.datetime, mode: int) -> Generator[AddFile, None, None]:
    time = min(max(at.astimezone(dt.UTC), _OLDEST), _LATEST)
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w+b") as stream:
        with zipfile.ZipFile(stream, "w") as archive:

            def add(name: str, data: bytes) -> None:
                archive.writestr(_zip_header(name, time, mode), data)

            yield add
        stream.flush()
        fsync(stream.fileno())


def _zip_header(name: str, time: dt.datetime, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, time.timetuple()[:6])
    member.create_system = _UNIX
    member.external_attr = (stat.S_IFREG | mode) << 16
    compressed = Path(name).suffix in _COMPRESSED_SUFFIXES
    member.compress_type = zipfile.ZIP_STORED if compressed else zipfile.ZIP_DEFLATED
    return member


# --- reading ----------------------------------------------------------------------------------


@attrs.frozen
class ArchiveReader:
    path: Path
    _open: Callable[[str], AbstractContextManager[tuple[IO[bytes], int]]]

    def read(self, name: str, max_bytes: int) -> bytes | None:
        try:
            with self._open(name) as (file, size):
                if size > max_bytes:
                    raise self._error(f"{name} is larger than {max_bytes / 1e6:,.0f} MB")
                # One byte more than its size, so that the end is reached and the checksum checked.
                return file.read(size + 1)
        except (FileNotFoundError, KeyError):
            return None
        except _DAMAGE as error:
            raise self._error(f"{name} is damaged: {error}") from error
        except OSError as error:
            if error.errno not in _NOT_A_FILE:
                raise
            raise self._error(f"{name} is not a regular file; an export has no links") from error

    def _error(self, problem: str) -> CorruptRecordError:
        return CorruptRecordError(f"{self.path}: {problem}. Nothing was imported.")


@contextlib.contextmanager
def open_archive_reader(path: Path) -> Generator[ArchiveReader, None, None]:
    """
    Open a folder or a zip.

    Raises:
        InvalidRequestError: The path is neither.
        CorruptRecordError: The zip is damaged, has names that lead out of it, or unpacks to more
            than is allowed.
        StorageIOError: The archive cannot be read.
    """
    with translate_os_errors(path):
        if path.is_dir():
            yield ArchiveReader(path, lambda name: _open_file(path, name))
        elif not path.is_file():
            raise InvalidRequestError(f"There is no file and no folder at {path}.")
        elif not zipfile.is_zipfile(path):
            raise InvalidRequestError(f"{path} is neither a folder nor a zip.")
        else:
            with _open_zip(path) as archive:
                members = _members(path, archive)
                yield ArchiveReader(path, lambda name: _open_member(archive, members[name]))


@contextlib.contextmanager
def _open_file(folder: Path, name: str) -> Generator[tuple[IO[bytes], int], None, None]:
    with open_within(folder, name) as descriptor, open(descriptor, "rb", closefd=False) as file:
        yield file, os.fstat(descriptor).st_size


@contextlib.contextmanager
def _open_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> Generator[tuple[IO[bytes], int], None, None]:
    with archive.open(member) as file:
        yield file, member.file_size


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (*_DAMAGE, OSError) as error:
        # Seeking before the file's beginning is an invalid argument to the system.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise CorruptRecordError(f"{path} is a damaged zip: {error}. Copy it anew.") from error


def _members(path: Path, archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    listed = archive.infolist()
    total = sum(member.file_size for member in listed)
    if len(listed) > MAX_MEMBERS or total > MAX_TOTAL:
        raise CorruptRecordError(
            f"{path} holds {len(listed):,} files, {total / 1e6:,.0f} MB in total; at most "
            f"{MAX_MEMBERS:,} files and {MAX_TOTAL / 1e6:,.0f} MB are read. If you trust it, "
            "unpack it and import the folder."
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for member in listed:
        problem = _problem(member, members)
        if problem:
            raise CorruptRecordError(
                f"{path}: {member.filename!r} {problem}. Nothing was imported."
            )
        members[member.filename] = member
    return members


def _problem(member: zipfile.ZipInfo, members: Mapping[str, object]) -> str | None:
    if not is_safe(member.orig_filename):
        return "leads out of the zip, or is not a valid name on every system"
    if member.header_offset < 0:
        return "begins before the zip does; it is damaged"
    if member.filename in members:
        return "is there twice"
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or a device"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None if member.compress_type in _COMPRESSIONS else "has a compression that is not read"
