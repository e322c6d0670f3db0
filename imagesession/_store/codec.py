"""
Records as JSON: a writer and a strict reader for each kind, whose errors name the damaged member.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, get_args

import attrs

from imagesession._domain.cost import Cost
from imagesession._domain.image_header import PictureFormat
from imagesession._domain.marks import Mark, Marks
from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import HeadMove
from imagesession._domain.turn import (
    APIS,
    ContextMode,
    Failure,
    ImageRecord,
    ImportOrigin,
    Kind,
    ProviderState,
    Reference,
    Source,
    Status,
    Turn,
)
from imagesession._domain.usage import Usage
from imagesession.errors import (
    CorruptRecordError,
    InvalidOptionError,
    UnsupportedFormatVersionError,
)

from .format_1 import upgrade_record
from .strict_reader import StrictReader, parse_object

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchItem, BatchRecord
    from imagesession._domain.estimate import CostEstimate

RECORD_VERSION = 2
T = TypeVar("T")
Reader: TypeAlias = Callable[[bytes, str], object]
"""Reads a record, with its path for errors."""


def dump_turn(turn: Turn) -> bytes:
    """
    Write a turn as JSON.
    """
    return _dump(turn_to_dict(turn))


def turn_to_dict(turn: Turn) -> dict[str, Any]:
    """
    Return a turn as a dictionary for JSON.
    """
    return _record("turn", {**_plain(turn), "options": turn.options.changed()})


def dump_session(record: SessionRecord) -> bytes:
    """
    Write a session's record as JSON.
    """
    return _dump(_record("session", _plain(record)))


def dump_batch(record: BatchRecord) -> bytes:
    """
    Write a batch as JSON, without `running`, which is not stored.
    """
    facts = _plain(record)
    del facts["running"]
    return _dump(_record("batch", facts))


def dump_marks(marks: Marks) -> bytes:
    """
    Write the marks of an owner as JSON, without those that say nothing.
    """
    return _dump(_record("marks", {"marks": marks_to_dict(marks)}))


def marks_to_dict(marks: Marks) -> dict[str, Any]:
    """
    Return marks as a dictionary for JSON.
    """
    plain = {
        marked_id: {name: value for name, value in _plain(mark).items() if value}
        for marked_id, mark in marks.items()
    }
    return {marked_id: members for marked_id, members in plain.items() if members}


def read_turn(data: bytes, where: str) -> Turn:
    """
    Read a turn's record.

    Args:
        data: The record.
        where: Its path, for errors.

    Raises:
        CorruptRecordError: It is damaged.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    return to_turn(_parse(data, where), where)


def to_turn(members: dict[str, Any], where: str) -> Turn:
    """
    Read a turn's record that is parsed; see `read_turn`.
    """
    record = _open(members, where, "turn")
    return Turn(
        id=record.identity("id"),
        session=record.optional_identity("session"),
        parent=record.optional_identity("parent"),
        branch=record.text("branch"),
        depth=record.optional("depth", int) or 1,
        kind=record.choice("kind", get_args(Kind), "general"),
        label=record.optional("label", str) or "",
        status=record.choice("status", get_args(Status)),
        prompt=record.text("prompt"),
        parameters=record.mapping("parameters") or {},
        options=_read_options(record.inner("options"), record.place("options")),
        references=record.each("references", _read_reference),
        parents=record.texts("parents"),
        masked=record.required("masked", bool),
        mask_coverage=record.amount("mask_coverage"),
        images=record.each("images", _read_image),
        text=record.text("text"),
        context=record.choice("context", get_args(ContextMode)),
        context_turns=record.optional("context_turns", int),
        model=record.optional("model", str),
        provider=record.text("provider"),
        provider_state=record.choice("provider_state", get_args(ProviderState), "responses"),
        conversation=record.optional("conversation", str),
        response_id=record.optional("response_id", str),
        request_id=record.optional("request_id", str),
        item_ids=record.texts("item_ids"),
        usage=_read_usage(record.inner("usage")),
        cost=_read_cost(record),
        reserved=record.amount("reserved"),
        idempotency_key=record.optional("idempotency_key", str),
        batch=record.optional_identity("batch"),
        within=record.choice("within", get_args(CompletionWindow), "soonest"),
        origin=_read_origin(record),
        failure=_read_failure(record),
        started=record.time("started"),
        finished=record.optional_time("finished"),
        deleted=record.optional_time("deleted"),
        erased_images=record.optional("erased_images", int) or 0,
        version=record.text("version"),
    )


def read_images(facts: dict[str, Any], where: str) -> tuple[ImageRecord, ...]:
    """
    Read the staged images of an intent.

    Raises:
        CorruptRecordError: They are damaged.
    """
    if facts.get("staged") is None:
        return ()
    return StrictReader(facts, where).each("staged", _read_image)


def read_session(data: bytes, where: str) -> SessionRecord:
    """
    Read a session's record.

    Args:
        data: The record.
        where: Its path, for errors.

    Raises:
        CorruptRecordError: It is damaged.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    record = _open(_parse(data, where), where, "session")
    choices = record.inner("choices")
    _read_options(choices, record.place("choices"))
    moves = record.inner("moves")
    return SessionRecord(
        id=record.identity("id"),
        description=record.text("description"),
        name=record.optional("name", str),
        choices=choices.data,
        provider_state=_read_setting(record, "provider_state", get_args(ProviderState)),
        remember=record.optional("remember", int),
        api=_read_setting(record, "api", APIS),
        references=record.each("references", _read_reference)
        if "references" in record.data
        else (),
        created=record.time("created"),
        closed=record.optional_time("closed"),
        moves={name: _read_move(moves.inner(name)) for name in moves.data},
        version=record.text("version"),
    )


def read_marks(data: bytes, where: str) -> Marks:
    """
    Read the marks of an owner; raises as `read_turn`.
    """
    marks = _open(_parse(data, where), where, "marks").inner("marks")
    return {marked_id: _read_mark(marks.inner(marked_id)) for marked_id in marks.data}


def read_batch(data: bytes, where: str) -> BatchRecord:
    """
    Read a batch.

    Args:
        data: The record, with the updates since.
        where: Its path, for errors.

    Raises:
        CorruptRecordError: It is damaged.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    from imagesession._domain.batch import BatchRecord, BatchState  # noqa: PLC0415 - hardly ever needed

    record = _open(_parse(data, where), where, "batch")
    return BatchRecord(
        id=record.identity("id"),
        name=record.optional("name", str),
        provider=record.text("provider"),
        endpoint=record.text("endpoint"),
        model=record.text("model"),
        items=record.each("items", _read_item),
        digest=record.text("digest"),
        estimate=_read_estimate(record.inner("estimate")),
        created=record.time("created"),
        submitted_at=record.optional_time("submitted_at"),
        absent_since=record.optional_time("absent_since"),
        file_id=record.optional("file_id", str),
        provider_id=record.optional("provider_id", str),
        state=record.choice("state", get_args(BatchState)),
        completed=record.required("completed", int),
        failed=record.required("failed", int),
        output_file_id=record.optional("output_file_id", str),
        error_file_id=record.optional("error_file_id", str),
        expires=record.optional_time("expires"),
        problem=record.text("problem"),
        settled=record.required("settled", bool),
    )


# --- writing ----------------------------------------------------------------------------------


def _record(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"record": kind, "format": RECORD_VERSION, **facts}


def _dump(record: Mapping[str, Any]) -> bytes:
    # A lone surrogate can stand in a prompt; escaped, it survives, and the file stays UTF-8.
    return json.dumps(record, ensure_ascii=True).encode("ascii")


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


def _read_options(record: StrictReader, where: str) -> GenerateOptions:
    try:
        return _parse_options(json.dumps(record.data))
    except InvalidOptionError as error:
        raise CorruptRecordError(f"{where}: {error}") from error


@functools.lru_cache(maxsize=256)  # most turns of a library have the same few
def _parse_options(text: str) -> GenerateOptions:
    return GenerateOptions().updated(json.loads(text))


def _read_image(record: StrictReader) -> ImageRecord:
    formats: tuple[PictureFormat, ...] = get_args(PictureFormat)
    file = record.text("file")
    if not file or file.startswith("/") or "\\" in file or ":" in file or ".." in file.split("/"):
        raise CorruptRecordError(
            f"{record.place('file')} is {file!r}, which is not within the library."
        )
    return ImageRecord(
        id=record.text("id"),
        file=file,
        format=record.choice("format", formats),
        width=record.required("width", int),
        height=record.required("height", int),
        bytes=record.required("bytes", int),
        sha256=record.text("sha256"),
        revised_prompt=record.optional("revised_prompt", str),
        call_id=record.optional("call_id", str),
        received_sha256=record.optional("received_sha256", str),
        source=record.choice("source", get_args(Source), "reply"),
    )


def _read_mark(record: StrictReader) -> Mark:
    return Mark(
        deleted=record.optional_time("deleted"),
        erased=record.optional("erased", bool) or False,
        starred=record.optional("starred", bool) or False,
        tags=record.texts("tags"),
    )


def _read_item(record: StrictReader) -> BatchItem:
    from imagesession._domain.batch import BatchItem  # noqa: PLC0415 - hardly ever needed

    return BatchItem(
        turn=record.identity("turn"),
        key=record.optional("key", str),
        asked=record.required("asked", bool),
        session=record.optional_identity("session"),
    )


def _read_estimate(record: StrictReader) -> CostEstimate:
    from imagesession._domain.estimate import CostEstimate  # noqa: PLC0415 - hardly ever needed

    low = record.amount("low")
    assumptions = record.texts("assumptions")
    return CostEstimate(low=low or 0.0, high=record.amount("high"), assumptions=assumptions)


def _read_reference(record: StrictReader) -> Reference:
    return Reference(
        sha256=record.text("sha256"),
        image_id=record.optional("image_id", str),
        role=record.optional("role", str) or "",
    )


def _read_usage(record: StrictReader) -> Usage:
    return Usage(
        mainline=record.mapping("mainline"),
        image=record.mapping("image"),
        tier=record.optional("tier", str),
    )


def _read_cost(record: StrictReader) -> Cost | None:
    if record.data.get("cost") is None:
        return None
    cost = record.inner("cost")
    try:
        return Cost.read(cost.data)
    except ValueError as error:
        raise CorruptRecordError(f"{cost.where}: {error}") from error


def _read_origin(record: StrictReader) -> ImportOrigin | None:
    if record.data.get("origin") is None:
        return None
    origin = record.inner("origin")
    return ImportOrigin(
        image_id=origin.optional("image_id", str), file=origin.optional("file", str)
    )


def _read_failure(record: StrictReader) -> Failure | None:
    if record.data.get("failure") is None:
        return None
    failure = record.inner("failure")
    return Failure(error=failure.text("error"), message=failure.text("message"))


def _read_setting(record: StrictReader, name: str, choices: tuple[T, ...]) -> T | None:
    return None if record.data.get(name) is None else record.choice(name, choices)


def _read_move(record: StrictReader) -> HeadMove:
    return HeadMove(
        id=record.text("id"), head=record.optional("head", str), redo=record.texts("redo")
    )
