"""
Compute the states that a disk may have after a power cut, from the steps that were taken.

Until its folder is flushed, a name may be lost, and names may reach the disk in any order. Until
its file is flushed, written data may be there in full, in part, as zeros or not at all.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import attrs

from tests.faults.steps import Step

SCRATCH = ".imagesession/tmp"
_FEW = 4


@attrs.define(eq=False)
class File:
    """
    The bytes of a file.

    Attributes:
        safe: The flushed bytes.
        rest: The bytes written since.
    """

    safe: bytes = b""
    rest: bytes = b""

    def variants(self) -> tuple[bytes, ...]:
        """
        Return all possible contents after a power cut, the complete one first.
        """
        if not self.rest:
            return (self.safe,)
        half = self.rest[: len(self.rest) // 2]
        return tuple(self.safe + rest for rest in (self.rest, half, b"", bytes(len(self.rest))))


Entry = File | None
"""A file that has a name; None for a folder."""


@attrs.frozen
class Change:
    """
    A name that was added or removed and is not flushed yet.

    Attributes:
        path: The name.
        entry: The file or folder that has it now.
        gone: Whether the name was removed.
    """

    path: str
    entry: Entry = None
    gone: bool = False

    @property
    def folder(self) -> str:
        """
        The folder that holds the name.
        """
        return str(PurePosixPath(self.path).parent)


@attrs.define
class Disk:
    """
    A disk and its pending changes.

    Attributes:
        names: The names that programs see.
        safe: The names that are flushed.
        changes: The changes of names that are not flushed.
    """

    names: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    safe: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    changes: list[Change] = attrs.field(factory=list[Change])

    def take(self, step: Step) -> None:
        """
        Apply a step.
        """
        match step.verb:
            case "write":
                file = self.names[step.path]
                assert file is not None
                file.rest += step.data
            case "flush":
                self._flush(step.path)
            case "create":
                self._change(Change(step.path, File()))
            case "make":
                self._change(Change(step.path))
            case "link" | "replace":
                self._change(Change(step.path, self.names[step.source]))
                if step.verb == "replace":
                    self._change(Change(step.source, gone=True))
            case "remove":
                self._change(Change(step.path, gone=True))

    def _flush(self, path: str) -> None:
        file = self.names.get(path)
        if file is not None:
            file.safe, file.rest = file.safe + file.rest, b""
            return
        for change in self.changes:
            if change.folder == path:
                _apply(self.safe, change)
        self.changes = [change for change in self.changes if change.folder != path]

    def _change(self, change: Change) -> None:
        _apply(self.names, change)
        # Unfinished files do not matter.
        if change.folder != SCRATCH:
            self.changes.append(change)

    def crashes(self) -> Iterator[dict[str, bytes | None]]:
        """
        Yield all possible states after a power cut now: files' bytes by name; None for folders.
        """
        for changes in _choices(self.changes):
            names = dict(self.safe)
            for change in changes:
                _apply(names, change)
            reached = {path: entry for path, entry in names.items() if _is_reached(path, names)}
            yield from _contents(reached)


def _apply(names: dict[str, Entry], change: Change) -> None:
    if change.gone:
        names.pop(change.path, None)
    else:
        names[change.path] = change.entry


def _is_reached(path: str, names: Mapping[str, Entry]) -> bool:
    return all(str(folder) in {".", *names} for folder in PurePosixPath(path).parents)


def _choices(changes: list[Change]) -> Iterator[list[Change]]:
    """
    Yield the sets of changes that may reach the disk: all subsets of a few; of more, all prefixes,
    all but one, and each one alone.
    """
    count = len(changes)
    if count <= _FEW:
        for size in range(count + 1):
            yield from map(list, itertools.combinations(changes, size))
        return
    for at in range(count):
        yield changes[:at]
        yield [*changes[:at], *changes[at + 1 :]]
        yield [changes[at]]
    yield changes


def _contents(names: Mapping[str, Entry]) -> Iterator[dict[str, bytes | None]]:
    """
    Yield the possible contents of files: each variant for all files, and for one file alone.
    """
    variants = {path: file.variants() for path, file in names.items() if file is not None}
    whole: dict[str, bytes | None] = dict.fromkeys(names)
    whole.update({path: ways[0] for path, ways in variants.items()})
    yield whole
    open_ = [path for path, ways in variants.items() if len(ways) > 1]
    for way in range(1, 4):
        if open_:
            yield whole | {path: variants[path][way] for path in open_}
        if len(open_) > 1:
            yield from (whole | {path: variants[path][way]} for path in open_)


def digest(state: Mapping[str, bytes | None]) -> bytes:
    """
    Return a digest that identifies a state.
    """
    total = hashlib.sha256()
    for path, data in sorted(state.items()):
        total.update(repr((path, data)).encode())
    return total.digest()


def materialise(state: Mapping[str, bytes | None], root: Path) -> None:
    """
    Write a state's files and folders.
    """
    root.mkdir()
    for path, data in sorted(state.items(), key=lambda item: item[0].count("/")):
        if data is None:
            (root / path).mkdir(exist_ok=True)
        else:
            (root / path).write_bytes(data)
