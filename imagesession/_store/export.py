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

from imagesession._domain.image_header import SUFFIXES, ImageHeader
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.http import ReceivedImage
from imagesession.errors import InvalidImageError, InvalidRequestError, StorageError

from . import codec, export_format, image_files, sidecar
from .archive_files import (
    MAX_MEMBERS,
    MAX_TOTAL,
    Add,
    is_zip,
    open_archive_reader,
    open_archive_writer,
    resolve_path,
)
from .atomic_write import create_durable, ensure_dir, replace_durable, translate_os_errors
from .export_format import ExportedSession, Manifest
from .images import ImageStore
from .layout import Layout
from .safe_open import read_within
from .sessions import SessionStore

# Where a picture is recorded whose file did not come along; no other picture is put there.
_MISSING = "missing"


class SessionExport(SessionStore, ImageStore):
    """
    The part of a library that hands sessions out and takes them in.
    """

    def export_session(self, session_id: str, path: object) -> str:
        """
        Write a session with all its pictures into a new folder or zip.

        Raises:
            InvalidRequestError: The path is none, or the session is too large for a zip.
            StorageIOError: There is something of that name, or it cannot be written.
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
            InvalidRequestError: It is no export, or this library has that session.
            UnsupportedFormatVersionError: A newer imagesession wrote it.
            CorruptRecordError: It is damaged, or was changed since it was written.
            StorageIOError: The library cannot be written.
        """
        with open_archive_reader(resolve_path(path)) as archive:
            exported = export_format.read_export(archive)
            with translate_os_errors(self.layout.root):
                self._refresh_index(most=0)
                turns = self._import_all(exported)
        # What is left can be made again, and does not undo that the session is there.
        with contextlib.suppress(StorageError, OSError):
            self._refresh_index(most=0)
        for turn in turns:
            with contextlib.suppress(OSError):
                image_files.write_sidecars(self.layout, turn, exported.record.name)
        return exported.record

    def _import_all(self, exported: ExportedSession) -> tuple[Turn, ...]:
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
            raise InvalidRequestError(
                f"This library has session {record.id} already: studio.open({record.id!r}) opens "
                "it. Nothing was imported."
            )

    def _put(self, turn: Turn, exported: ExportedSession, written: list[Path]) -> Turn:
        """
        Write a turn's pictures under free names of this library.
        """
        left = self._find_unfinished(turn)
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

    def _find_unfinished(self, turn: Turn) -> Turn | None:
        """
        Return a turn as an import that was cut short, or a session whose own record was lost,
        left it here with all its pictures; None if there is none.

        Raises:
            InvalidRequestError: There is another turn of that id.
        """
        try:
            known = self._read_turn(turn.session, turn.id)
        except StorageError:
            return None
        if _portable_turn(known) != _portable_turn(turn):
            raise _id_in_use(turn.id)
        try:
            whole = all(
                export_format.digest(self.read(image)) == image.sha256 for image in known.images
            )
        except InvalidImageError:
            return None
        return known if whole else None

    def _write_records(
        self, turns: Iterable[Turn], record: SessionRecord, written: list[Path]
    ) -> None:
        ensure_dir(self.layout.turns / record.id)
        for turn in turns:
            file = self.layout.turn_file(turn.session, turn.id)
            if file.exists():
                replace_durable(file, codec.dump_turn(turn), self.layout.tmp)
                continue
            written.append(file)
            create_durable(file, codec.dump_turn(turn), self.layout.tmp)
        for turn in turns:
            # Settled already, so it is not taken for a request; it stays until it is indexed.
            file = self.layout.journal_file(turn.id, turn.session)
            if not file.exists():
                written.append(file)
                self._journal.append_intent(turn, self._owners.name or "")
        file = self.layout.session_file(record.id)
        written.append(file)
        create_durable(file, codec.dump_session(record), self.layout.tmp)


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
        for turn, copy in zip(turns, export_format.with_export_names(turns), strict=True):
            for position, (image, named) in enumerate(zip(turn.images, copy.images, strict=True)):
                self._write_picture(image, named.file)
                facts = sidecar.to_dict(copy, position, record.name)
                beside = str(Path(named.file).with_suffix(".json").as_posix())
                self._write(beside, json.dumps(facts, indent=1).encode("ascii"))
            self._write(export_format.turn_name(turn.id), codec.dump_turn(copy))
        self._write(export_format.SESSION, codec.dump_session(record))
        self.add(export_format.MANIFEST, self.manifest.dump())

    def _write_picture(self, image: ImageRecord, name: str) -> None:
        """
        Write a picture's bytes as they are; note if they are gone or not what they were.
        """
        with translate_os_errors(self.layout.root / image.file):
            try:
                data = read_within(self.layout.root, image.file)
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
        raise InvalidRequestError(
            f"The session has {files:,} files of {size / 1e6:,.0f} MB, too much for a zip that is "
            f"read again. Export it to a folder: session.export({str(target.with_suffix(''))!r})."
        )


def _import_image_file(layout: Layout, turn: Turn, image: ImageRecord, data: bytes) -> str:
    """
    Put a picture into the folder of its kind, under a free name, and return its path there.
    """
    facts = ImageHeader(format=image.format, width=image.width, height=image.height, alpha=False)
    at = (turn.finished or turn.started).astimezone(dt.UTC)
    return image_files.store_image(
        layout, turn, at, ReceivedImage(data=data, facts=facts), image.id
    ).file


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
        for table, wanted in (("turns", turn.id), *(("images", image.id) for image in turn.images)):
            rows = connection.execute(f"SELECT session FROM {table} WHERE id = ?", (wanted,))  # noqa: S608 - names of tables
            if any(owner != session for (owner,) in rows.fetchall()):
                raise _id_in_use(wanted)


def _id_in_use(wanted: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"Something else in this library has the id {wanted}, so the session cannot be imported "
        "here. Import it into another library."
    )
