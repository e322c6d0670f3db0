"""
Export sessions to a folder or zip, and import them into this or another library unchanged.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath, PurePosixPath

import attrs

from imagesession._domain.image_header import SUFFIXES, ImageHeader
from imagesession._domain.marks import Marks
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, ImportOrigin, Reference, Turn
from imagesession._engine.http import ReceivedImage
from imagesession.errors import (
    InvalidImageError,
    InvalidRequestError,
    NotFoundError,
    StorageError,
    StorageIOError,
)

from . import codec, export_format, sidecar
from .export_format import ExportedSession, Manifest
from .files.archive_files import (
    MAX_MEMBERS,
    MAX_TOTAL,
    AddFile,
    is_zip,
    open_archive_reader,
    open_archive_writer,
)
from .files.modes import library_mode
from .files.paths import resolve_path
from .images import ImageStore
from .ports import Blobs, Key
from .records import (
    intent_fact,
    intent_key,
    read_marks,
    read_session,
    read_turn,
    to_received,
    turn_key,
    without_files,
)
from .sessions import SessionStore
from .view import StorePart, View

# The recorded folder of images whose files were missing from the export; nothing is stored there.
_MISSING = "missing"


class SessionExport(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._sessions = SessionStore(view)
        self._images = ImageStore(view)

    def export_session(self, session_id: str, path: object) -> tuple[str, tuple[str, ...]]:
        """
        Write a session with all its images into a new folder or zip; return its path, and the names
        of images whose files are missing in it.
        """
        target = resolve_path(path)
        record = attrs.evolve(self._sessions.find(session_id), owner=None)
        tree = self._sessions.tree(record)
        if is_zip(target):
            _check_size(tree, target)
        latest = max((turn.finished or turn.started for turn in tree.turns.values()), default=None)
        board = tuple(self._find_board(record, tree))
        mode = library_mode(self.ports.address)
        with open_archive_writer(target, latest or record.created, mode) as add:
            writer = _ExportWriter(self.blobs, add, Manifest(session=record.id))
            writer.write(record, tree, board, read_marks(self.facts, record.id))
        return str(target), tuple(writer.manifest.missing)

    def _find_board(
        self, record: SessionRecord, tree: Tree
    ) -> Iterator[tuple[Reference, ImageRecord]]:
        own = {image.id for turn in tree.turns.values() for image in turn.images}
        for reference in record.references:
            if reference.image_id not in own:
                own.add(reference.image_id or "")
                with contextlib.suppress(NotFoundError):
                    turn, position = self._images.find(reference.image_id or "")
                    yield reference, turn.images[position]

    def import_session(self, path: object) -> SessionRecord:
        """
        Import an exported session unchanged; it becomes visible once it is complete.
        """
        with open_archive_reader(resolve_path(path)) as archive:
            exported = export_format.read_export(archive)
            record, turns = self._import_all(exported.given_to(self.owner))
        for turn in turns:
            sidecar.write_beside(self.blobs, turn, record.name if turn.session else None)
        return record

    def _import_all(self, exported: ExportedSession) -> tuple[SessionRecord, tuple[Turn, ...]]:
        """
        Write images, then turns, then the session; if anything fails, remove all of them.
        """
        written: list[str] = []
        self._check_new(exported.record)
        try:
            turns = tuple(self._write_images(turn, exported, written) for turn in exported.turns)
            record, board = self._import_board(exported, turns, written)
            # Images take long to write; so others are kept out only while records are written.
            with self.facts.transaction("admission"):
                self._check_new(exported.record)
                self._check_ids(turns, exported.record.id)
                self._write_records((*turns, *board), record, exported.marks)
        except BaseException:
            for file in reversed(written):
                self.blobs.drop(file)
            raise
        return record, (*turns, *board)

    def _import_board(
        self, exported: ExportedSession, turns: Sequence[Turn], written: list[str]
    ) -> tuple[SessionRecord, list[Turn]]:
        own = {image.id for turn in turns for image in turn.images}
        imported: dict[str | None, Turn] = {}
        for reference in exported.record.references:
            read = exported.read_board_image(reference)
            is_new = reference.image_id not in {*own, *imported}
            if read is not None and is_new and self._lacks(reference):
                turn = self._import_reference(reference, *read)
                written.append(turn.images[0].file)
                imported[reference.image_id] = turn
        new_ids = {image_id: turn.images[0].id for image_id, turn in imported.items()}
        references = tuple(
            attrs.evolve(reference, image_id=new_ids.get(reference.image_id, reference.image_id))
            for reference in exported.record.references
        )
        return attrs.evolve(exported.record, references=references), [*imported.values()]

    def _lacks(self, reference: Reference) -> bool:
        try:
            turn, position = self._images.find(reference.image_id or "")
        except NotFoundError:
            return True
        return turn.images[position].sha256 != reference.sha256

    def _import_reference(self, reference: Reference, data: bytes, header: ImageHeader) -> Turn:
        turn = self._images.new_import(ImportOrigin(), reference.role)
        received = ReceivedImage(data=data, facts=header)
        file = self.blobs.put_new(turn, turn.started, received)
        return self._images.with_imported(turn, file, data, header)

    def _check_new(self, record: SessionRecord) -> None:
        known = read_session(self.facts, record.id)
        if known is not None and not self.sees(known.owner):
            raise InvalidRequestError(
                f"Session {record.id} is in this library and belongs to another owner, so nothing "
                "was imported. Import it into a library of your own."
            )
        if known is not None:
            self._sessions.check_present(known)
            raise InvalidRequestError(
                f"This library has session {record.id} already, so nothing was imported. Open it "
                f"with studio.open({record.id!r})."
            )

    def _check_ids(self, turns: Sequence[Turn], session: str) -> None:
        ids = [new for turn in turns for new in (turn.id, *(image.id for image in turn.images))]
        for used_id, owner in self.ports.index.sessions_of(ids).items():
            if owner != session:
                raise _id_in_use(used_id)

    def _write_images(self, turn: Turn, exported: ExportedSession, written: list[str]) -> Turn:
        existing = self._find_unfinished(turn)
        if existing is not None:
            return existing
        images: list[ImageRecord] = []
        for image in turn.images:
            data = exported.read_image(image)
            file = f"{_MISSING}/{image.id}{SUFFIXES[image.format]}"
            if data is not None:
                at = (turn.finished or turn.started).astimezone(dt.UTC)
                file = self.blobs.put_new(turn, at, to_received(image, data))
                written.append(file)
            images.append(attrs.evolve(image, file=file))
        return attrs.evolve(turn, images=tuple(images))

    def _find_unfinished(self, turn: Turn) -> Turn | None:
        """
        Return a turn that an interrupted import, or a session whose record was lost, left here
        with all its images; None if there is none.
        """
        try:
            existing = read_turn(self.facts, turn_key(turn))
        except StorageError:
            return None
        if without_files(existing) != without_files(turn):
            raise _id_in_use(turn.id)
        try:
            complete = all(
                export_format.digest(self._images.read(image)) == image.sha256
                for image in existing.images
            )
        except InvalidImageError:
            return None
        return existing if complete else None

    def _write_records(self, turns: Sequence[Turn], record: SessionRecord, marks: Marks) -> None:
        new = {turn_key(turn): codec.dump_turn(turn) for turn in turns}
        for key in filter(self.facts.has, tuple(new)):
            self.facts.replace(key, new.pop(key))
        # The turns are settled, so these are no requests; an index learns of the turns from them.
        intents = (intent_fact(turn) for turn in turns if not self.facts.has(intent_key(turn)))
        session = {Key("session", record.id): codec.dump_session(record)}
        if marks:
            self.facts.replace(Key("marks", record.id), codec.dump_marks(marks))
        try:
            self.facts.put_new({**new, **dict(intents), **session})
        except BaseException:
            self.facts.drop(Key("marks", record.id))
            raise


@attrs.frozen
class _ExportWriter:
    blobs: Blobs
    add_file: AddFile
    manifest: Manifest

    def write(
        self,
        record: SessionRecord,
        tree: Tree,
        board: Iterable[tuple[Reference, ImageRecord]],
        marks: Marks,
    ) -> None:
        """
        Write a session's images, each with its sidecar, and those of its reference board, then its
        records, then the manifest. What is deleted is not exported.
        """
        turns = tuple(tree.turns.values())
        for turn, copy in zip(turns, export_format.with_export_names(turns), strict=True):
            for position, (image, renamed) in enumerate(zip(turn.images, copy.images, strict=True)):
                self._write_image(image, renamed.file)
                facts = sidecar.to_dict(copy, position, record.name)
                sidecar_name = str(PurePosixPath(renamed.file).with_suffix(".json"))
                self._write(sidecar_name, json.dumps(facts, indent=1).encode("ascii"))
            self._write(export_format.turn_name(turn.id), codec.dump_turn(copy))
        for reference, image in board:
            self._write_image(image, export_format.board_name(reference, SUFFIXES[image.format]))
        self._write(export_format.SESSION, codec.dump_session(record))
        if kept := {image: mark for image, mark in marks.items() if mark.deleted is None}:
            self._write(export_format.MARKS, codec.dump_marks(kept))
        self.add_file(export_format.MANIFEST, self.manifest.dump())

    def _write_image(self, image: ImageRecord, name: str) -> None:
        try:
            data = self.blobs.get(image.file)
        except FileNotFoundError:
            self.manifest.missing.append(name)
            return
        except OSError as error:
            address = self.blobs.address(image.file)
            raise StorageIOError(f"The library cannot use {address}: {error.strerror}.") from error
        self._write(name, data)
        if self.manifest.files[name] != image.sha256:
            self.manifest.damaged.append(name)

    def _write(self, name: str, data: bytes) -> None:
        self.add_file(name, data)
        self.manifest.files[name] = export_format.digest(data)


def _check_size(tree: Tree, target: PurePath) -> None:
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


def _id_in_use(used_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The id {used_id} is in use in this library, so the session cannot be imported here. "
        "Import it into another library."
    )
