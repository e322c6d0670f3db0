"""
What an exported session holds: its records, its pictures, and the list of both.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs

from imagesession._model.pictures import SUFFIXES, read_facts
from imagesession._model.sessions import SessionRecord
from imagesession._model.turns import ImageRecord, Turn
from imagesession._version import __version__
from imagesession.errors import CallError, LibraryTooNewError, RecordError

from . import records
from .ids import is_id, moment_of
from .names import folder_name
from .parcels import Parcel, is_safe

FORMAT = 1
MANIFEST = "MANIFEST.json"
SESSION = "session.json"
TRANSCRIPT = "transcript.md"
_TURNS = "turns/"
_IMAGES = "images/"
_KIND = "imagesession session"
_MAX_RECORD = 16_000_000
_MAX_PICTURE = 1_000_000_000
_WORDS = 40
# Clocks go wrong; but ids and times far ahead would put everything made later in their past.
_MOST_AHEAD = dt.timedelta(days=3653)
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Manifest:
    """
    The list of an export's files.

    Attributes:
        session: The session's id.
        files: The SHA-256 of each file, in hexadecimal, by its name.
        missing: The pictures whose files were gone already.
        damaged: The pictures whose bytes were not those of their records any more.
    """

    session: str
    files: Mapping[str, str]
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Contents:
    """
    An exported session, as it was read and checked.

    Attributes:
        record: The session.
        turns: Its turns; their pictures are named as they lie in the export.
        manifest: The list of its files.
    """

    record: SessionRecord
    turns: tuple[Turn, ...]
    manifest: Manifest


def named(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """
    Name all pictures as they lie in an export: numbered, with a few words of what was asked.
    """
    known = tuple(turns)
    width = max(2, len(str(sum(len(turn.images) for turn in known))))
    numbers = iter(range(1, 1 + sum(len(turn.images) for turn in known)))

    def name(turn: Turn, image: ImageRecord) -> ImageRecord:
        words = folder_name(turn.prompt[: _WORDS * 4])[:_WORDS].strip("_")
        number = f"{next(numbers):0{width}}"
        return attrs.evolve(image, file=f"{_IMAGES}{number}_{words}{SUFFIXES[image.format]}")

    return tuple(
        attrs.evolve(turn, images=tuple(name(turn, image) for image in turn.images))
        for turn in known
    )


def turn_name(turn_id: str) -> str:
    """
    Return the name of a turn's record in an export.
    """
    return f"{_TURNS}{turn_id}.json"


def dump(manifest: Manifest) -> bytes:
    """
    Write the list of an export's files as JSON.
    """
    facts = {
        "export": _KIND,
        "format": FORMAT,
        "version": __version__,
        "session": manifest.session,
        "files": dict(sorted(manifest.files.items())),
        "missing": list(manifest.missing),
        "damaged": list(manifest.damaged),
    }
    return (json.dumps(facts, indent=1) + "\n").encode("ascii")


def digest(data: bytes) -> str:
    """
    Return the SHA-256 of a file, in hexadecimal.
    """
    return hashlib.sha256(data).hexdigest()


# --- reading ----------------------------------------------------------------------------------


def unpack(parcel: Parcel, where: str) -> Contents:
    """
    Read everything but the pictures, and check that it fits together.

    Args:
        parcel: The export.
        where: Its path, for errors.

    Raises:
        CallError: It is no export of a session.
        LibraryTooNewError: A newer imagesession wrote it.
        RecordError: It is damaged, or was changed since it was written.
    """
    if not parcel.has(MANIFEST):
        raise CallError(f"{where} is no export of a session: it has no {MANIFEST}.")
    manifest = _read_manifest(parcel.read(MANIFEST, _MAX_RECORD), f"{where}/{MANIFEST}")
    now = dt.datetime.now(dt.UTC)
    record = records.read_session(
        _whole(parcel, SESSION, manifest, _MAX_RECORD), f"{where}/{SESSION}"
    )
    turns: list[Turn] = []
    for name in sorted(manifest.files):
        if not _is_picture(name):
            data = _whole(parcel, name, manifest, _MAX_RECORD)
            if name.startswith(_TURNS):
                turns.append(records.read_turn(data, f"{where}/{name}"))
    contents = Contents(record=record, turns=tuple(turns), manifest=manifest)
    _check_session(contents, where, now)
    for turn in turns:
        _check_turn(turn, contents, f"{where}/{turn_name(turn.id)}", now)
    _check_once((turn.id for turn in turns), where, "turn")
    _check_once((image.id for turn in turns for image in turn.images), where, "picture")
    _check_once((image.file for turn in turns for image in turn.images), where, "file")
    return contents


def picture(parcel: Parcel, image: ImageRecord, manifest: Manifest) -> bytes | None:
    """
    Return a picture's bytes, if they are those that were written; None for one that was missing.

    Raises:
        RecordError: They are others, or no picture of that format.
    """
    if image.file in manifest.missing:
        return None
    data = _whole(parcel, image.file, manifest, _MAX_PICTURE)
    if image.file not in manifest.damaged:
        facts = read_facts(data)
        if digest(data) != image.sha256 or facts is None or facts.format != image.format:
            raise RecordError(f"{image.file} is not the picture that its turn's record tells of.")
    return data


def _whole(parcel: Parcel, name: str, manifest: Manifest, most: int) -> bytes:
    if name not in manifest.files:
        raise RecordError(f"{MANIFEST} does not name {name}. Copy the export anew.")
    data = parcel.read(name, most)
    if digest(data) != manifest.files[name]:
        raise RecordError(
            f"{name} is not as it was exported: its SHA-256 is another than {MANIFEST} says. Copy "
            "the export anew. Nothing was imported."
        )
    return data


def _is_picture(name: str) -> bool:
    return name.startswith(_IMAGES) and not name.endswith(".json")


def _read_manifest(data: bytes, where: str) -> Manifest:
    try:
        facts: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} is damaged: {error}.") from error
    if not isinstance(facts, dict) or cast("dict[str, Any]", facts).get("export") != _KIND:
        raise CallError(f"{where} is not the list of an exported session.")
    known = cast("dict[str, Any]", facts)
    version = _member(known, "format", int, where)
    if version > FORMAT:
        raise LibraryTooNewError(
            f"{where} was written by a newer imagesession (format {version}; this one reads "
            f"{FORMAT}). Update: pip install -U imagesession."
        )
    files = cast("dict[str, object]", _member(known, "files", dict, where))
    lists = [
        tuple(map(str, cast("list[object]", _member(known, name, list, where))))
        for name in ("missing", "damaged")
    ]
    for name in (*files, *lists[0], *lists[1]):
        if not is_safe(name) or name.endswith("/"):
            raise RecordError(f"{where} names {name!r}, which leads out of the export.")
    return Manifest(
        session=_member(known, "session", str, where),
        files={name: str(sha256) for name, sha256 in files.items()},
        missing=lists[0],
        damaged=lists[1],
    )


def _member(facts: Mapping[str, Any], name: str, kind: type[T], where: str) -> T:
    value: object = facts.get(name)
    if not isinstance(value, kind):
        raise RecordError(f"{where}: {name} should be {kind.__name__}. Copy the export anew.")
    return value


def _check_session(contents: Contents, where: str, now: dt.datetime) -> None:
    record = contents.record
    ids = [record.id, *(move.id for move in record.moves.values())]
    times = [record.created, record.closed]
    if record.id != contents.manifest.session or not _is_plausible(ids, times, now):
        raise RecordError(
            f"{where}/{SESSION} has an id or a time that no session has. Nothing was imported."
        )


def _check_turn(turn: Turn, contents: Contents, where: str, now: dt.datetime) -> None:
    """
    Refuse a turn that is not one of the session, or would harm the library that takes it in.
    """
    if turn.session != contents.record.id or turn_name(turn.id) not in contents.manifest.files:
        raise RecordError(f"{where} is not a turn of this session. Nothing was imported.")
    ids = [turn.id, *(image.id for image in turn.images)]
    if not _is_plausible(ids, [turn.started, turn.finished], now):
        raise RecordError(f"{where} has an id or a time that no turn has. Nothing was imported.")
    if turn.reserved is not None and not (math.isfinite(turn.reserved) and turn.reserved >= 0):
        raise RecordError(f"{where}: reserved is {turn.reserved}, which is no amount of money.")
    for image in turn.images:
        if not (is_safe(image.file) and _is_picture(image.file)):
            raise RecordError(
                f"{where} has a picture at {image.file!r}, which is not beneath {_IMAGES}."
            )


def _check_once(names: Iterable[str], where: str, what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise RecordError(f"{where} has the {what} {name!r} twice. Nothing was imported.")


def _is_plausible(
    ids: Iterable[str], times: Iterable[dt.datetime | None], now: dt.datetime
) -> bool:
    latest = now + _MOST_AHEAD
    try:
        moments = [*map(_moment, ids), *(one for one in times if one is not None)]
    except (ValueError, OverflowError, OSError):
        return False
    return all(_EARLIEST <= one <= latest for one in moments)


def _moment(spelled: str) -> dt.datetime:
    if not is_id(spelled):
        raise ValueError(spelled)
    return moment_of(spelled)
