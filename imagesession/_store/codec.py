"""
Records as JSON: a writer and a strict reader for each kind, whose errors name the damaged member.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import types
from collections.abc import Callable, Mapping
from typing import (
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

from imagesession._domain import turn as turn_module
from imagesession._domain.batch import BatchRecord
from imagesession._domain.cost import Cost
from imagesession._domain.marks import Mark, Marks
from imagesession._domain.options import GenerateOptions
from imagesession._domain.removal import Removal
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession.errors import (
    CorruptRecordError,
    InvalidOptionError,
    UnsupportedFormatVersionError,
)

from .format_1 import upgrade_record
from .strict_reader import StrictReader, parse_object, with_whole_characters

RECORD_VERSION = 2
T = TypeVar("T")
Reader: TypeAlias = Callable[[bytes, str], object]
"""Reads a record, with its path for errors."""
ReadMember: TypeAlias = Callable[[StrictReader, str], object]
"""Reads a member of an object, by its name."""


def dump_turn(turn: Turn) -> bytes:
    return _dump(turn_to_dict(turn))


def turn_to_dict(turn: Turn) -> dict[str, Any]:
    return _record("turn", {**_plain(turn), "options": turn.options.changed()})


def dump_session(record: SessionRecord) -> bytes:
    return _dump(_record("session", _plain(record)))


def dump_batch(record: BatchRecord) -> bytes:
    facts = _plain(record)
    del facts["running"]
    return _dump(_record("batch", facts))


def dump_marks(marks: Marks) -> bytes:
    plain = {
        marked_id: {name: value for name, value in _plain(mark).items() if value}
        for marked_id, mark in marks.items()
    }
    written = {marked_id: members for marked_id, members in plain.items() if members}
    return _dump(_record("marks", {"marks": written}))


def dump_removal(removal: Removal) -> bytes:
    return _dump(_plain(removal))


def read_turn(data: bytes, where: str) -> Turn:
    """
    Read a turn's record; `where` is its path, for errors.

    Raises:
        CorruptRecordError: It is damaged.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    return to_turn(_parse(data, where), where)


def to_turn(members: dict[str, Any], where: str) -> Turn:
    return _read(Turn, _open(members, where, "turn"))


def read_images(facts: dict[str, Any], where: str) -> tuple[ImageRecord, ...]:
    if facts.get("staged") is None:
        return ()
    return StrictReader(facts, where).each("staged", _read_image)


def read_session(data: bytes, where: str) -> SessionRecord:
    record = _open(_parse(data, where), where, "session")
    _read_options(record.inner("choices"))
    return _read(SessionRecord, record)


def read_marks(data: bytes, where: str) -> Marks:
    marks = _open(_parse(data, where), where, "marks").inner("marks")
    return {marked_id: _read(Mark, marks.inner(marked_id)) for marked_id in marks.data}


def read_batch(data: bytes, where: str) -> BatchRecord:
    return _read(BatchRecord, _open(_parse(data, where), where, "batch"))


def read_removal(data: bytes, where: str) -> Removal:
    return _read(Removal, StrictReader(_parse(data, where), where))


# --- writing ----------------------------------------------------------------------------------


def _record(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"record": kind, "format": RECORD_VERSION, **facts}


def _dump(record: Mapping[str, Any]) -> bytes:
    return with_whole_characters(json.dumps(record).encode("ascii"))


def _plain(value: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(value, value_serializer=_serialize)


def _serialize(_: object, __: object, value: object) -> object:
    if isinstance(value, tuple):
        return list(cast("tuple[object, ...]", value))
    return value.isoformat() if isinstance(value, dt.date) else value


# --- reading ----------------------------------------------------------------------------------


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        return parse_object(data)
    except (ValueError, TypeError) as error:
        raise CorruptRecordError(f"{where} is damaged: {error}.") from error


def _open(members: dict[str, Any], where: str, kind: str) -> StrictReader:
    record = StrictReader(members, where)
    version = record.required("format", int)
    if version > RECORD_VERSION:
        raise UnsupportedFormatVersionError(
            f"{where} was written by a newer imagesession; update this one: "
            "pip install -U imagesession."
        )
    if version == 1:
        record = StrictReader(upgrade_record(record.data), where)
    if record.text("record") != kind:
        raise CorruptRecordError(
            f"{where} is the record of a {record.text('record')}, not of a {kind}."
        )
    return record


def _read_options(record: StrictReader) -> GenerateOptions:
    try:
        return _parse_options(json.dumps(record.data))
    except InvalidOptionError as error:
        raise CorruptRecordError(f"{record.where}: {error}") from error


@functools.lru_cache(maxsize=256)  # most turns of a library have the same few
def _parse_options(text: str) -> GenerateOptions:
    return GenerateOptions().updated(json.loads(text))


def _read_cost(record: StrictReader) -> Cost:
    try:
        return Cost.read(record.data)
    except ValueError as error:
        raise CorruptRecordError(f"{record.where}: {error}") from error


def _read_image(record: StrictReader) -> ImageRecord:
    file = record.text("file")
    if not file or file.startswith("/") or "\\" in file or ":" in file or ".." in file.split("/"):
        raise CorruptRecordError(
            f"{record.place('file')} is {file!r}, which is not within the library."
        )
    return _read_fields(ImageRecord, record)


# --- members ------------------------------------------------------------------------------------

# Members that came later than their record's format, or say nothing where they are missing or null.
_OPTIONAL: Mapping[str, str] = {
    "Turn": "depth kind label parameters parents provider_state item_ids within erased_images",
    "ImageRecord": "source",
    "Reference": "role",
    "SessionRecord": "references",
    "HeadMove": "redo",
    "Mark": "erased starred tags",
    "BatchRecord": "running",
    "CostEstimate": "assumptions",
    "Removal": "shared forgets_owner",
}
# Members that are ids of this library.
_IDS: Mapping[str, str] = {
    "Turn": "id session parent batch",
    "SessionRecord": "id",
    "BatchRecord": "id",
    "BatchItem": "turn session",
}
_BY_CLASS: Mapping[type, Callable[[StrictReader], object]] = {
    GenerateOptions: _read_options,
    Cost: _read_cost,
    ImageRecord: _read_image,
}
_SIMPLE: Mapping[object, ReadMember] = {
    str: StrictReader.text,
    int: lambda record, name: record.required(name, int),
    bool: lambda record, name: record.required(name, bool),
    float: StrictReader.amount,
    dt.datetime: StrictReader.time,
    tuple: StrictReader.texts,
    dict: lambda record, name: record.inner(name).data,
    Mapping: lambda record, name: record.inner(name).data,
}


def _read(kind: type[T], record: StrictReader) -> T:
    read = _BY_CLASS.get(kind)
    return _read_fields(kind, record) if read is None else cast("T", read(record))


def _read_fields(kind: type[T], record: StrictReader) -> T:
    return kind(
        **{
            name: read(record, name)
            for name, read, is_optional in _fields(cast("object", kind))
            if not is_optional or record.data.get(name) is not None
        }
    )


@functools.cache
def _fields(kind: object) -> tuple[tuple[str, ReadMember, bool], ...]:
    names = vars(turn_module)  # where `Turn` is from, whatever it says
    if kind is BatchRecord:
        from imagesession._domain.estimate import CostEstimate  # noqa: PLC0415 - hardly ever needed

        names = {**names, "CostEstimate": CostEstimate}
    known = cast("type[attrs.AttrsInstance]", kind)
    hints = get_type_hints(known, localns=names)
    optional, ids = (table.get(known.__name__, "").split() for table in (_OPTIONAL, _IDS))
    return tuple(
        (name, _reader(hints[name], is_id=name in ids), name in optional)
        for name in (field.name for field in attrs.fields(known))
    )


def _reader(hint: object, *, is_id: bool) -> ReadMember:
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        read = _reader(args[0], is_id=is_id)
        return lambda record, name: None if record.data.get(name) is None else read(record, name)
    if is_id:
        return StrictReader.identity
    if origin is Literal:
        return lambda record, name: record.choice(name, args)
    if origin is tuple and args[0] is not str:
        return lambda record, name: record.each(name, functools.partial(_read, args[0]))
    if origin is Mapping and args[1] is not Any:
        return functools.partial(_read_each, _reader(args[1], is_id=False))
    if (simple := _SIMPLE.get(origin or hint)) is not None:
        return simple
    return lambda record, name: _read(cast("type[object]", hint), record.inner(name))


def _read_each(read: ReadMember, record: StrictReader, name: str) -> dict[str, object]:
    items = record.inner(name)
    return {key: read(items, key) for key in items.data}
