"""
Export sessions to a folder or zip, and import them into this or another library unchanged.
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
    AddFile,
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

# The recorded folder of images whose files were missing from the export; nothing is stored there.
_MISSING = "missing"


class SessionExport(SessionStore, ImageStore):
    """
    The part of a library that exports and imports sessions.
    """

    def export_session(self, session_id: str, path: object) -> str:
        """
        Write a session with all its images into a new folder or zip.

        Raises:
            InvalidRequestError: The path is invalid, or the session is too large for a zip.
            StorageIOError: The path exists, or cannot be written.
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
        Import an exported session unchanged; it becomes visible once it is complete.

        Raises:
            InvalidRequestError: It is not an export, or this library has that session.
            UnsupportedFormatVersionError: A newer imagesession wrote it.
            CorruptRecordError: It is damaged, or was changed since it was written.
            StorageIOError: The library cannot be written.
        """
        with open_archive_reader(resolve_path(path)) as archive:
            exported = export_format.read_export(archive)
            with translate_os_errors(self.layout.root):
                self._refresh_index(max_pending=0)
                turns = self._import_all(exported)
        # The index and the sidecars can be rebuilt: if they fail, the session is imported anyway.
        with contextlib.suppress(StorageError, OSError):
            self._refresh_index(max_pending=0)
        for turn in turns:
            with contextlib.suppress(OSError):
                image_files.write_sidecars(self.layout, turn, exported.record.name)
        return exported.record

    def _import_all(self, exported: ExportedSession) -> tuple[Turn, ...]:
        """
        Write images, then turns, then the session; if anything fails, remove all of them.
        """
        record, written = exported.record, list[Path]()
        self._check_new(record)
        try:
            turns = [self._write_images(turn, exported, written) for turn in exported.turns]

            def write(connection: sqlite3.Connection) -> SessionRecord:
                self._check_new(record)
                _check_ids(connection, turns, record.id)
                self._write_records(turns, record, written)
                return record

            # Images take long to write; so the lock is held only while the records are written.
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
                f"This library has session {record.id} already, so nothing was imported. Open it "
                f"with studio.open({record.id!r})."
            )

    def _write_images(self, turn: Turn, exported: ExportedSession, written: list[Path]) -> Turn:
        """
        Write a turn's images under free names in this library.
        """
        existing = self._find_unfinished(turn)
        if existing is not None:
            return existing
        images: list[ImageRecord] = []
        for image in turn.images:
            data = exported.read_image(image)
            file = f"{_MISSING}/{image.id}{SUFFIXES[image.format]}"
            if data is not None:
                file = _import_image_file(self.layout, turn, image, data)
                written.append(self.layout.root / file)
            images.append(attrs.evolve(image, file=file))
        return attrs.evolve(turn, images=tuple(images))

    def _find_unfinished(self, turn: Turn) -> Turn | None:
        """
        Return a turn that an interrupted import, or a session whose record was lost, left here
        with all its images; None if there is none.

        Raises:
            InvalidRequestError: Another turn has that id.
        """
        try:
            existing = self._read_turn(turn.session, turn.id)
        except StorageError:
            return None
        if _portable_turn(existing) != _portable_turn(turn):
            raise _id_in_use(turn.id)
        try:
            complete = all(
                export_format.digest(self.read(image)) == image.sha256 for image in existing.images
            )
        except InvalidImageError:
            return None
        return existing if complete else None

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
            # The turn is settled, so this intent is not a request; it stays until it is indexed.
            file = self.layout.journal_file(turn.id, turn.session)
            if not file.exists():
                written.append(file)
                self._journal.append_intent(turn, self._processes.name or "")
        file = self.layout.session_file(record.id)
        written.append(file)
        create_durable(file, codec.dump_session(record), self.layout.tmp)


@attrs.frozen
class _ExportWriter:
    """
    Writes files, and adds them to the manifest.
    """

    layout: Layout
    add_file: AddFile
    manifest: Manifest

    def write(self, record: SessionRecord, tree: Tree) -> None:
        """
        Write a session's images, each with its sidecar, then its records, then the manifest.
        """
        turns = tuple(tree.turns.values())
        for turn, copy in zip(turns, export_format.with_export_names(turns), strict=True):
            for position, (image, renamed) in enumerate(zip(turn.images, copy.images, strict=True)):
                self._write_image(image, renamed.file)
                facts = sidecar.to_dict(copy, position, record.name)
                sidecar_name = str(Path(renamed.file).with_suffix(".json").as_posix())
                self._write(sidecar_name, json.dumps(facts, indent=1).encode("ascii"))
            self._write(export_format.turn_name(turn.id), codec.dump_turn(copy))
        self._write(export_format.SESSION, codec.dump_session(record))
        self.add_file(export_format.MANIFEST, self.manifest.dump())

    def _write_image(self, image: ImageRecord, name: str) -> None:
        """
        Write an image's bytes unchanged; note in the manifest if they are missing or damaged.
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
        self.add_file(name, data)
        self.manifest.files[name] = export_format.digest(data)


def _check_size(tree: Tree, target: Path) -> None:
    """
    Refuse a session that could be written as a zip, but is too large to be imported again.
    """
    images = [image for turn in tree.turns.values() for image in turn.images]
    size = sum(image.bytes for image in images)
    files = len(tree.turns) + 2 * len(images)
    # A tenth is left for the records.
    if size > MAX_TOTAL * 0.9 or files > MAX_MEMBERS * 0.9:
        raise InvalidRequestError(
            f"The session has {files:,} files, {size / 1e6:,.0f} MB in total, which is too much "
            "for a zip that can be imported again. "
            f"Export it to a folder: session.export({str(target.with_suffix(''))!r})."
        )


def _import_image_file(layout: Layout, turn: Turn, image: ImageRecord, data: bytes) -> str:
    """
    Store an image in the folder of its kind, under a free name, and return its path.
    """
    facts = ImageHeader(format=image.format, width=image.width, height=image.height, alpha=False)
    at = (turn.finished or turn.started).astimezone(dt.UTC)
    return image_files.store_image(
        layout, turn, at, ReceivedImage(data=data, facts=facts), image.id
    ).file


def _portable_turn(turn: Turn) -> Turn:
    """
    Return a turn without what differs between libraries: the paths of its images.
    """
    return attrs.evolve(turn, images=tuple(attrs.evolve(image, file="") for image in turn.images))


def _check_ids(connection: sqlite3.Connection, turns: Iterable[Turn], session: str) -> None:
    """
    Refuse ids that another session or a standalone image of this library has.
    """
    for turn in turns:
        for table, new_id in (("turns", turn.id), *(("images", image.id) for image in turn.images)):
            rows = connection.execute(f"SELECT session FROM {table} WHERE id = ?", (new_id,))  # noqa: S608 - names of tables
            if any(owner != session for (owner,) in rows.fetchall()):
                raise _id_in_use(new_id)


def _id_in_use(used_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The id {used_id} is in use in this library, so the session cannot be imported here. "
        "Import it into another library."
    )
