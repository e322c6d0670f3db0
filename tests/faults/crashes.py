"""
What a disk may hold after the power failed: worked out from the steps that were taken.

A name that was given may be lost until its folder is flushed, and names may reach the disk in any
order. What was written may be there in full, in part, as zeros or not at all until its file is
flushed.
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
        safe: What is flushed.
        rest: What was written since.
    """

    safe: bytes = b""
    rest: bytes = b""

    def variants(self) -> tuple[bytes, ...]:
        """
        Return what may be there: first all of it.
        """
        if not self.rest:
            return (self.safe,)
        half = self.rest[: len(self.rest) // 2]
        return tuple(self.safe + rest for rest in (self.rest, half, b"", bytes(len(self.rest))))


Entry = File | None
"""What a name stands for; None for a folder."""


@attrs.frozen
class Change:
    """
    A name that was given or taken away and is not flushed yet.

    Attributes:
        path: The name.
        entry: What it stands for now.
        gone: Whether it was taken away.
    """

    path: str
    entry: Entry = None
    gone: bool = False

    @property
    def folder(self) -> str:
        """
        Where it is.
        """
        return str(PurePosixPath(self.path).parent)


@attrs.define
class Disk:
    """
    A disk, and what is on the way to it.

    Attributes:
        names: As programs see them.
        safe: As they are flushed.
        changes: What is not flushed.
    """

    names: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    safe: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    changes: list[Change] = attrs.field(factory=list[Change])

    def take(self, step: Step) -> None:
        """
        Take a step.
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
        # What becomes of unfinished files is of no interest.
        if change.folder != SCRATCH:
            self.changes.append(change)

    def crashes(self) -> Iterator[dict[str, bytes | None]]:
        """
        Yield what may be there after the power fails now: files' bytes by name; None for folders.
        """
        for kept in _choices(self.changes):
            names = dict(self.safe)
            for change in kept:
                _apply(names, change)
            there = {path: entry for path, entry in names.items() if _is_reached(path, names)}
            yield from _contents(there)


def _apply(names: dict[str, Entry], change: Change) -> None:
    if change.gone:
        names.pop(change.path, None)
    else:
        names[change.path] = change.entry


def _is_reached(path: str, names: Mapping[str, Entry]) -> bool:
    return all(str(folder) in {".", *names} for folder in PurePosixPath(path).parents)


def _choices(changes: list[Change]) -> Iterator[list[Change]]:
    """
    Yield which changes reach the disk: all subsets of a few; of more those that come to an end
    anywhere, lack one, or have one alone.
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
    Yield what may be in files: each way for all of them, and each for one of them alone.
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
    Return what tells one state from another.
    """
    total = hashlib.sha256()
    for path, data in sorted(state.items()):
        total.update(repr((path, data)).encode())
    return total.digest()


def materialise(state: Mapping[str, bytes | None], root: Path) -> None:
    """
    Put files and folders there.
    """
    root.mkdir()
    for path, data in sorted(state.items(), key=lambda item: item[0].count("/")):
        if data is None:
            (root / path).mkdir(exist_ok=True)
        else:
            (root / path).write_bytes(data)
