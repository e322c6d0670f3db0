"""
The format of an exported session: its records, its images and a manifest of both.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, cast

import attrs

from imagesession._domain.image_header import SUFFIXES, ImageHeader, parse_header
from imagesession._domain.marks import Mark, Marks, validate_tags
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Reference, Turn, is_id
from imagesession._version import __version__
from imagesession.errors import (
    CorruptRecordError,
    InvalidRequestError,
    UnsupportedFormatVersionError,
)

from . import codec
from .files.archive_files import ArchiveReader, is_safe
from .ids import timestamp_of
from .slug import slugify
from .strict_reader import StrictReader, parse_object

FORMAT = 1
MANIFEST = "MANIFEST.json"
SESSION = "session.json"
MARKS = "marks.json"
_TURNS, _IMAGES = "turns/", "images/"
_KIND = "imagesession session"
_MAX_RECORD, _MAX_IMAGE = 16_000_000, 1_000_000_000
_MAX_WORDS = 40
# Clocks go wrong; but ids far in the future would sort after everything that is made later.
_MAX_AHEAD = dt.timedelta(days=3653)
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@attrs.define(kw_only=True)
class Manifest:
    """
    The list of an export's files.
    """

    session: str
    files: dict[str, str] = attrs.field(factory=dict[str, str])
    missing: list[str] = attrs.field(factory=list[str])
    damaged: list[str] = attrs.field(factory=list[str])

    def dump(self) -> bytes:
        facts = {
            "export": _KIND,
            "format": FORMAT,
            "version": __version__,
            "session": self.session,
            "files": dict(sorted(self.files.items())),
            "missing": self.missing,
            "damaged": self.damaged,
        }
        return (json.dumps(facts, indent=1) + "\n").encode("ascii")


def with_export_names(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """
    Give all images their names in an export: a number and a few words of the prompt.
    """
    all_turns = tuple(turns)
    width = max(2, len(str(sum(len(turn.images) for turn in all_turns))))
    numbers = itertools.count(1)

    def name(turn: Turn, image: ImageRecord) -> ImageRecord:
        words = slugify(turn.prompt[: _MAX_WORDS * 4])[:_MAX_WORDS].strip("_")
        file = f"{_IMAGES}{next(numbers):0{width}}_{words}{SUFFIXES[image.format]}"
        return attrs.evolve(image, file=file)

    return tuple(
        attrs.evolve(turn, owner=None, images=tuple(name(turn, image) for image in turn.images))
        for turn in all_turns
    )


def turn_name(turn_id: str) -> str:
    return f"{_TURNS}{turn_id}.json"


def board_name(reference: Reference, suffix: str = "") -> str:
    return f"{_IMAGES}reference_{reference.image_id}{suffix}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@attrs.frozen(kw_only=True)
class ExportedSession:
    """
    An exported session that was read and checked; the images of its turns have their names in the
    export.
    """

    record: SessionRecord
    turns: tuple[Turn, ...]
    manifest: Manifest
    archive: ArchiveReader
    marks: Marks = attrs.field(factory=dict[str, Mark])

    def given_to(self, owner: str | None) -> ExportedSession:
        turns = tuple(attrs.evolve(turn, owner=owner) for turn in self.turns)
        return attrs.evolve(self, record=attrs.evolve(self.record, owner=owner), turns=turns)

    def read_image(self, image: ImageRecord) -> bytes | None:
        if image.file in self.manifest.missing:
            return None
        data = _read_listed(self.archive, image.file, self.manifest, _MAX_IMAGE)
        if image.file not in self.manifest.damaged:
            header = parse_header(data)
            if digest(data) != image.sha256 or header is None or header.format != image.format:
                raise CorruptRecordError(
                    f"{image.file} is not the image of its turn's record. Nothing was imported."
                )
        return data

    def read_board_image(self, reference: Reference) -> tuple[bytes, ImageHeader] | None:
        stem = f"{board_name(reference)}."
        name = next((name for name in self.manifest.files if name.startswith(stem)), None)
        if name is None:
            return None
        data = _read_listed(self.archive, name, self.manifest, _MAX_IMAGE)
        header = parse_header(data)
        if digest(data) != reference.sha256 or header is None:
            raise CorruptRecordError(
                f"{name} is not the image of the session's record. Nothing was imported."
            )
        return data, header


def read_export(archive: ArchiveReader) -> ExportedSession:
    """
    Read everything but the images, and check that it is consistent.
    """
    where = archive.path
    manifest = _read_manifest(archive)
    data = _read_listed(archive, SESSION, manifest, _MAX_RECORD)
    record = codec.read_session(data, f"{where}/{SESSION}")
    turns: list[Turn] = []
    for name in sorted(manifest.files):
        if not _is_image(name):
            data = _read_listed(archive, name, manifest, _MAX_RECORD)
            if name.startswith(_TURNS):
                turns.append(codec.read_turn(data, f"{where}/{name}"))
    _check_session(record, manifest, f"{where}/{SESSION}")
    for turn in turns:
        _check_turn(turn, manifest, f"{where}/{turn_name(turn.id)}")
    images = [image for turn in turns for image in turn.images]
    _check_unique((turn.id for turn in turns), f"{where} has the turn")
    _check_unique((image.id for image in images), f"{where} has the image")
    _check_unique((image.file for image in images), f"{where} has the file")
    marks = _read_marks(archive, manifest, {image.id for image in images})
    return ExportedSession(
        record=record, turns=tuple(turns), archive=archive, manifest=manifest, marks=marks
    )


def _read_marks(archive: ArchiveReader, manifest: Manifest, images: Collection[str]) -> Marks:
    if MARKS not in manifest.files:
        return {}
    where = f"{archive.path}/{MARKS}"
    marks = codec.read_marks(_read_listed(archive, MARKS, manifest, _MAX_RECORD), where)
    try:
        return {
            image: Mark(starred=mark.starred).with_tags(validate_tags(mark.tags))
            for image, mark in marks.items()
            if image in images
        }
    except InvalidRequestError as error:
        raise CorruptRecordError(f"{where} is damaged: {error}") from error


def _read_listed(archive: ArchiveReader, name: str, manifest: Manifest, max_bytes: int) -> bytes:
    if name not in manifest.files:
        raise CorruptRecordError(f"{MANIFEST} does not list {name}. Copy the export again.")
    data = archive.read(name, max_bytes)
    if data is None:
        raise CorruptRecordError(f"{archive.path}: {name} is missing. Copy the export again.")
    if digest(data) != manifest.files[name]:
        raise CorruptRecordError(
            f"{name} was changed: its SHA-256 is not the one in {MANIFEST}, and nothing was "
            "imported. Copy the export again."
        )
    return data


def _is_image(name: str) -> bool:
    return name.startswith(_IMAGES) and not name.endswith(".json")


def _read_manifest(archive: ArchiveReader) -> Manifest:
    where = f"{archive.path}/{MANIFEST}"
    data = archive.read(MANIFEST, _MAX_RECORD)
    if data is None:
        raise InvalidRequestError(
            f"{archive.path} is not an export of a session: it has no {MANIFEST}."
        )
    facts = StrictReader(_read_object(data, where), where)
    version = facts.required("format", int)
    if version > FORMAT:
        raise UnsupportedFormatVersionError(
            f"{where} was written by a newer imagesession (format {version}; this one reads "
            f"{FORMAT}). Update: pip install -U imagesession."
        )
    files = facts.inner("files").data
    missing, damaged = (
        list(map(str, cast("list[object]", facts.required(name, list))))
        for name in ("missing", "damaged")
    )
    for name in (*files, *missing, *damaged):
        if not is_safe(name) or name.endswith("/"):
            raise CorruptRecordError(f"{where} names {name!r}, which leads out of the export.")
    return Manifest(
        session=facts.text("session"),
        files={name: str(sha256) for name, sha256 in files.items()},
        missing=missing,
        damaged=damaged,
    )


def _read_object(data: bytes, where: str) -> dict[str, Any]:
    try:
        facts = parse_object(data)
    except ValueError as error:
        raise CorruptRecordError(f"{where} is damaged: {error}.") from error
    except TypeError:
        facts = {}
    if facts.get("export") != _KIND:
        raise InvalidRequestError(f"{where} is not the manifest of an exported session.")
    return facts


# --- checking ---------------------------------------------------------------------------------


def _check_session(record: SessionRecord, manifest: Manifest, where: str) -> None:
    if record.id != manifest.session:
        raise CorruptRecordError(f"{where} is not the session of {MANIFEST}. Nothing was imported.")
    ids = [record.id, *(move.id for move in record.moves.values())]
    _check_plausible(ids, [record.created, record.closed], where)


def _check_turn(turn: Turn, manifest: Manifest, where: str) -> None:
    """
    Refuse a turn that is not of this session, or would harm the library that imports it.
    """
    if turn.session != manifest.session or turn_name(turn.id) not in manifest.files:
        raise CorruptRecordError(f"{where} is not a turn of this session. Nothing was imported.")
    ids = [turn.id, *(image.id for image in turn.images)]
    _check_plausible(ids, [turn.started, turn.finished], where)
    if turn.reserved is not None and not (math.isfinite(turn.reserved) and turn.reserved >= 0):
        raise CorruptRecordError(
            f"{where}: reserved is {turn.reserved}, which is not an amount of money."
        )
    for image in turn.images:
        if not (is_safe(image.file) and _is_image(image.file)):
            raise CorruptRecordError(
                f"{where} has an image at {image.file!r}, which is not within {_IMAGES}."
            )


def _check_plausible(ids: Iterable[str], times: Iterable[dt.datetime | None], where: str) -> None:
    latest = dt.datetime.now(dt.UTC) + _MAX_AHEAD
    try:
        instants = [*map(_parse_time, ids), *(time for time in times if time is not None)]
        plausible = all(_EARLIEST <= moment <= latest for moment in instants)
    except (ValueError, OverflowError, OSError):
        plausible = False
    if not plausible:
        raise CorruptRecordError(f"{where} has an impossible id or time. Nothing was imported.")


def _parse_time(text: str) -> dt.datetime:
    if not is_id(text):
        raise ValueError(text)
    return timestamp_of(text)


def _check_unique(names: Iterable[str], what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise CorruptRecordError(f"{what} {name!r} twice. Nothing was imported.")
