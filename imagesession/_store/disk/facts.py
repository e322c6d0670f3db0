"""
Facts on disk: a file for each.

Sessions, turns and disposable facts are JSON documents that are written whole under a temporary
name. Intents and batches are files of JSON lines: the first holds the fact, and each later one
members that were added. So a change costs one flush, and a line that a power cut left unfinished is
ignored.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imagesession._domain.turn import Turn
from imagesession._store import codec
from imagesession._store.files.atomic_write import (
    append_line,
    create_durable,
    ensure_dir,
    replace_durable,
    stale_test,
    translate_os_errors,
    write_atomic,
    write_lines,
)
from imagesession._store.ports import (
    DISPOSABLE,
    EXTENDED,
    FactExistsError,
    Facts,
    Key,
    Kind,
    Lease,
    LeaseLostError,
)
from imagesession._store.strict_reader import merge_lines
from imagesession.errors import StorageIOError

from .index import DiskIndex
from .layout import Layout


class DiskFacts(Facts):
    def __init__(self, layout: Layout, index: DiskIndex) -> None:
        self._layout = layout
        self._index = index

    def put_new(self, facts: Mapping[Key, bytes]) -> None:
        written: list[Path] = []
        try:
            for _, keys in itertools.groupby(facts, key=lambda key: key.kind):
                self._create({key: facts[key] for key in keys}, written)
        except BaseException:
            for file in reversed(written):
                with contextlib.suppress(OSError):
                    file.unlink()
                    if file.parent.parent == self._layout.turns:
                        file.parent.rmdir()  # if that was the last one
            raise

    def _create(self, facts: Mapping[Key, bytes], written: list[Path]) -> None:
        files = {self._file(key): data for key, data in facts.items()}
        kind = next(iter(facts)).kind
        try:
            with translate_os_errors(next(iter(files)).parent):
                if kind in EXTENDED:
                    write_lines(files)
                    written.extend(files)
                    return
                for file, data in files.items():
                    if kind == "session":
                        self._index.session_index.create(file, data)
                    else:
                        ensure_dir(file.parent, self._layout.folder_mode)
                        create_durable(file, data, self._layout.tmp)
                    written.append(file)
        except StorageIOError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise FactExistsError(error.message) from error.__cause__
            raise

    def settle(self, turn: Turn, lease: Lease | None = None) -> None:
        """
        Write a turn durably. Its intent stays in the journal until the index knows the turn.
        """
        if lease is not None and not lease.is_held:
            raise LeaseLostError(
                f"The request of turn {turn.id} was given to another program; this one's outcome "
                "is not recorded."
            )
        key = Key("turn", turn.id, turn.session)
        self._create({key: codec.dump_turn(turn)}, [])
        self._index.settled(turn)

    def replace(self, key: Key, data: bytes) -> None:
        """
        Write a fact, whether or not there is one: durably, unless it is disposable.
        """
        file = self._file(key)
        with translate_os_errors(file):
            if key.kind in {"session", "marks"}:
                self._index.session_index.replace(file, data)
            elif key.kind == "turn":
                self._index.replace_turn(codec.read_turn(data, str(file)), data)
            elif key.kind in DISPOSABLE:
                write_atomic(file, data, self._layout.tmp)
            else:
                replace_durable(file, data, self._layout.tmp)

    def extend(self, key: Key, news: Mapping[str, Any]) -> None:
        file = self._file(key)
        with translate_os_errors(file):
            append_line(file, json.dumps(news).encode("ascii"), new=False)

    def get(self, key: Key) -> bytes | None:
        file = self._file(key)
        with translate_os_errors(file), contextlib.suppress(FileNotFoundError):
            data = file.read_bytes()
            return merge_lines(data) if key.kind in EXTENDED else data
        return None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        found = ((key, self.get(key)) for key in keys)
        return {key: data for key, data in found if data is not None}

    def unsettled(self) -> Iterator[tuple[Key, bytes]]:
        for key in self.scan("intent"):
            is_settled = self.has(Key("turn", key.id, key.session))
            data = None if is_settled else self.get(key)
            if data is not None:
                yield key, data

    def has(self, key: Key) -> bool:
        file = self._file(key)
        with translate_os_errors(file):
            return file.exists()

    def drop(self, key: Key) -> None:
        file = self._file(key)
        with translate_os_errors(file):
            if key.kind == "marks":
                self._index.session_index.drop_marks(file)
            else:
                file.unlink(missing_ok=True)

    def scan(self, kind: Kind, session: str | None = None) -> Iterator[Key]:
        if kind == "intent":
            with translate_os_errors(self._layout.journal):
                yield from self._index.entries()
            return
        example = self._file(Key(kind, "", session))
        with translate_os_errors(example.parent), contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(example.parent)):  # noqa: PTH208 - names will do
                if name.endswith(example.name):
                    yield Key(kind, name.removesuffix(example.name), session)

    @contextlib.contextmanager
    def transaction(self, name: str) -> Generator[None, None, None]:  # noqa: ARG002 - one lock for all
        is_done = False
        try:
            with translate_os_errors(self._layout.index):
                if not self._index.database.is_locked_here:
                    self._index.refresh()
                with self._index.database.locked():
                    yield
                    is_done = True
        except StorageIOError:
            if not is_done:  # otherwise the index was not written; it notices later
                raise

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(time.time(), dt.UTC)

    def describe(self, key: Key) -> str:
        return str(self._file(key))

    def remove_stale(self) -> None:
        """
        Remove intents whose first line was not finished, an hour ago or more. Nothing is sent
        before an intent is complete.
        """
        with contextlib.suppress(OSError):  # on a read-only disk they stay
            is_stale = stale_test(self._layout.tmp)
            for file in self._layout.journal.iterdir():
                with contextlib.suppress(OSError):
                    if is_stale(file) and b"\n" not in file.read_bytes():
                        file.unlink()

    def _file(self, key: Key) -> Path:
        layout = self._layout
        match key.kind:
            case "session":
                return layout.session_file(key.id)
            case "turn":
                return layout.turn_file(key.session, key.id)
            case "intent":
                return layout.journal_file(key.id, key.session)
            case "batch":
                return layout.batches / f"{key.id}.jsonl"
            case "marks":
                return layout.marks_file(key.id)
            case "removal":
                return layout.removals / f"{key.id}.json"
            case "upload":
                return layout.uploads / f"{key.id}.json"
            case "provider":
                return layout.limits / f"{key.id}.json"
            case "quarantine":
                return layout.quarantine / f"{key.id}.bin"
