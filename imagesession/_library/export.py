"""
Sessions leave a library as a folder or zip, and come back into this or another one as they were.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import attrs

from imagesession._model.pictures import SUFFIXES, PictureFacts
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._model.turns import ImageRecord, Turn
from imagesession._plan.wire import Received
from imagesession.errors import CallError, LibraryError, PictureError

from . import export_format, records, shelf, sidecar
from .archive_files import (
    MAX_MEMBERS,
    MAX_TOTAL,
    Add,
    is_zip,
    open_archive_reader,
    open_archive_writer,
    resolve_path,
)
from .beneath import read_beneath
from .durable import disk_errors, make_folder, replace, write_new
from .export_format import ExportedSession, Manifest
from .layout import Layout
from .pictures import PictureKeeping
from .sessions import SessionKeeping

# Where a picture is recorded whose file did not come along; no other picture is put there.
_MISSING = "missing"


class SessionExport(SessionKeeping, PictureKeeping):
    """
    The part of a library that hands sessions out and takes them in.
    """

    def export_session(self, session_id: str, path: object) -> str:
        """
        Write a session with all its pictures into a new folder or zip.

        Raises:
            CallError: The path is none, or the session is too large for a zip.
            DiskError: There is something of that name, or it cannot be written.
        """
        target = resolve_path(path)
        record = self.find_session(session_id)
        tree = self.tree(record)
        if is_zip(target):
            _check_size(tree, target)
        latest = max((turn.finished or turn.started for turn in tree.turns.values()), default=None)
        with open_archive_writer(target, latest or record.created) as add:
            _ExportWriter(self.layout, add, Manifest(session=record.id)).write(record, tree)
        return str(target)

    def import_session(self, path: object) -> SessionRecord:
        """
        Take an exported session in, as it was; it can be seen once all of it is there.

        Raises:
            CallError: It is no export, or this library has that session.
            LibraryTooNewError: A newer imagesession wrote it.
            RecordError: It is damaged, or was changed since it was written.
            DiskError: The library cannot be written.
        """
        with open_archive_reader(resolve_path(path)) as archive:
            exported = export_format.read_export(archive)
            with disk_errors(self.layout.root):
                self._catch_up(most=0)
                turns = self._take_in(exported)
        # What is left can be made again, and does not undo that the session is there.
        with contextlib.suppress(LibraryError, OSError):
            self._catch_up(most=0)
        for turn in turns:
            with contextlib.suppress(OSError):
                shelf.describe(self.layout, turn, exported.record.name)
        return exported.record

    def _take_in(self, exported: ExportedSession) -> tuple[Turn, ...]:
        """
        Write pictures, then turns, then the session; if anything fails, none of them stays.
        """
        record, written = exported.record, list[Path]()
        self._check_new(record)
        try:
            turns = [self._put(turn, exported, written) for turn in exported.turns]

            def write(connection: sqlite3.Connection) -> SessionRecord:
                self._check_new(record)
                _check_ids(connection, turns, record.id)
                self._write_records(turns, record, written)
                return record

            # Pictures take their time; only for the records no other process may come in between.
            self._session_index.write(write)
        except BaseException:
            for file in reversed(written):
                file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                (self.layout.turns / record.id).rmdir()
            raise
        return tuple(turns)

    def _check_new(self, record: SessionRecord) -> None:
        if self.layout.session_file(record.id).exists():
            raise CallError(
                f"This library has session {record.id} already: studio.open({record.id!r}) opens "
                "it. Nothing was imported."
            )

    def _put(self, turn: Turn, exported: ExportedSession, written: list[Path]) -> Turn:
        """
        Write a turn's pictures under free names of this library.
        """
        left = self._left_behind(turn)
        if left is not None:
            return left
        images: list[ImageRecord] = []
        for image in turn.images:
            data = exported.picture(image)
            file = f"{_MISSING}/{image.id}{SUFFIXES[image.format]}"
            if data is not None:
                file = _import_image_file(self.layout, turn, image, data)
                written.append(self.layout.root / file)
            images.append(attrs.evolve(image, file=file))
        return attrs.evolve(turn, images=tuple(images))

    def _left_behind(self, turn: Turn) -> Turn | None:
        """
        Return a turn as an import that was cut short, or a session whose own record was lost,
        left it here with all its pictures; None if there is none.

        Raises:
            CallError: There is another turn of that id.
        """
        try:
            known = self._read_turn(turn.session, turn.id)
        except LibraryError:
            return None
        if _portable_turn(known) != _portable_turn(turn):
            raise _taken(turn.id)
        try:
            whole = all(export_format.digest(self.read(one)) == one.sha256 for one in known.images)
        except PictureError:
            return None
        return known if whole else None

    def _write_records(
        self, turns: Iterable[Turn], record: SessionRecord, written: list[Path]
    ) -> None:
        make_folder(self.layout.turns / record.id)
        for turn in turns:
            file = self.layout.turn_file(turn.session, turn.id)
            if file.exists():
                replace(file, records.dump_turn(turn), self.layout.tmp)
                continue
            written.append(file)
            write_new(file, records.dump_turn(turn), self.layout.tmp)
        for turn in turns:
            # Settled already, so it is not taken for a request; it stays until it is indexed.
            file = self.layout.journal_file(turn.id, turn.session)
            if not file.exists():
                written.append(file)
                self._journal.intend(turn, self._owners.name or "")
        file = self.layout.session_file(record.id)
        written.append(file)
        write_new(file, records.dump_session(record), self.layout.tmp)


@attrs.frozen
class _ExportWriter:
    """
    Writes files, and notes them in the list of them.
    """

    layout: Layout
    add: Add
    manifest: Manifest

    def write(self, record: SessionRecord, tree: Tree) -> None:
        """
        Write a session's pictures, each with its metadata beside it, its records, and last the
        list of all files.
        """
        turns = tuple(tree.turns.values())
        for turn, copy in zip(turns, export_format.named(turns), strict=True):
            for position, (image, named) in enumerate(zip(turn.images, copy.images, strict=True)):
                self._write_picture(image, named.file)
                facts = sidecar.facts(copy, position, record.name)
                beside = str(Path(named.file).with_suffix(".json").as_posix())
                self._write(beside, json.dumps(facts, indent=1).encode("ascii"))
            self._write(export_format.turn_name(turn.id), records.dump_turn(copy))
        self._write(export_format.SESSION, records.dump_session(record))
        self.add(export_format.MANIFEST, self.manifest.dump())

    def _write_picture(self, image: ImageRecord, name: str) -> None:
        """
        Write a picture's bytes as they are; note if they are gone or not what they were.
        """
        with disk_errors(self.layout.root / image.file):
            try:
                data = read_beneath(self.layout.root, image.file)
            except FileNotFoundError:
                self.manifest.missing.append(name)
                return
        self._write(name, data)
        if self.manifest.files[name] != image.sha256:
            self.manifest.damaged.append(name)

    def _write(self, name: str, data: bytes) -> None:
        self.add(name, data)
        self.manifest.files[name] = export_format.digest(data)


def _check_size(tree: Tree, target: Path) -> None:
    """
    Refuse what could be written as a zip, but would not be read again.
    """
    images = [image for turn in tree.turns.values() for image in turn.images]
    size = sum(image.bytes for image in images)
    files = len(tree.turns) + 2 * len(images)
    # A tenth is left for the records.
    if size > MAX_TOTAL * 0.9 or files > MAX_MEMBERS * 0.9:
        raise CallError(
            f"The session has {files:,} files of {size / 1e6:,.0f} MB, too much for a zip that is "
            f"read again. Export it to a folder: session.export({str(target.with_suffix(''))!r})."
        )


def _import_image_file(layout: Layout, turn: Turn, image: ImageRecord, data: bytes) -> str:
    """
    Put a picture into the folder of its kind, under a free name, and return its path there.
    """
    facts = PictureFacts(format=image.format, width=image.width, height=image.height, alpha=False)
    at = (turn.finished or turn.started).astimezone(dt.UTC)
    return shelf.put(layout, turn, at, Received(data=data, facts=facts), image.id).file


def _portable_turn(turn: Turn) -> Turn:
    """
    Return a turn without what differs from one library to another: where its pictures lie.
    """
    return attrs.evolve(turn, images=tuple(attrs.evolve(image, file="") for image in turn.images))


def _check_ids(connection: sqlite3.Connection, turns: Iterable[Turn], session: str) -> None:
    """
    Refuse ids that something else in this library has.
    """
    for turn in turns:
        for table, wanted in (("turns", turn.id), *(("images", one.id) for one in turn.images)):
            rows = connection.execute(f"SELECT session FROM {table} WHERE id = ?", (wanted,))  # noqa: S608 - names of tables
            if any(owner != session for (owner,) in rows.fetchall()):
                raise _taken(wanted)


def _taken(wanted: str) -> CallError:
    return CallError(
        f"Something else in this library has the id {wanted}, so the session cannot be imported "
        "here. Import it into another library."
    )
