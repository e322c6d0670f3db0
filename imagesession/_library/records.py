"""
Records as JSON: one writer and one strict reader for each kind, whose errors name the place.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import attrs

from imagesession._model.costs import Cost
from imagesession._model.options import Options
from imagesession._model.pictures import PictureFormat
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Move
from imagesession._model.turns import (
    Failure,
    ImageRecord,
    Kind,
    Knowing,
    Origin,
    ProviderState,
    Reference,
    Source,
    Status,
    Turn,
)
from imagesession._model.usage import Usage
from imagesession.errors import LibraryTooNewError, OptionError, RecordError

if TYPE_CHECKING:
    from imagesession._model.batches import BatchItem, BatchRecord
    from imagesession._model.estimates import Estimate

RECORD_VERSION = 1
T = TypeVar("T")


def dump_turn(turn: Turn) -> bytes:
    """
    Write a turn as JSON.
    """
    return _dump(plain_turn(turn))


def plain_turn(turn: Turn) -> dict[str, Any]:
    """
    Return a turn's facts as JSON has them.
    """
    return _record("turn", {**_plain(turn), "options": turn.options.changed()})


def dump_session(record: SessionRecord) -> bytes:
    """
    Write a session's record as JSON.
    """
    return _dump(_record("session", _plain(record)))


def dump_batch(record: BatchRecord) -> bytes:
    """
    Write a batch as JSON, without who is at it just now.
    """
    facts = _plain(record)
    del facts["running"]
    return _dump(_record("batch", facts))


def read_turn(data: bytes, where: str) -> Turn:
    """
    Read a turn's record.

    Args:
        data: The record.
        where: Its place, for errors.

    Raises:
        RecordError: It is damaged.
        LibraryTooNewError: A newer imagesession wrote it.
    """
    record = _open(data, where, "turn")
    return Turn(
        id=record.text("id"),
        session=record.optional("session", str),
        parent=record.optional("parent", str),
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
        images=record.each("images", _read_image),
        text=record.text("text"),
        context=record.choice("context", get_args(Knowing)),
        context_turns=record.optional("context_turns", int),
        model=record.optional("model", str),
        provider=record.text("provider"),
        provider_state=record.choice("provider_state", get_args(ProviderState), "responses"),
        conversation=record.optional("conversation", str),
        response_id=record.optional("response_id", str),
        item_ids=record.texts("item_ids"),
        usage=_read_usage(record.inner("usage")),
        cost=_read_cost(record),
        reserved=record.amount("reserved"),
        intent_id=record.optional("intent_id", str),
        batch=record.optional("batch", str),
        origin=_read_origin(record),
        failure=_read_failure(record),
        started=record.time("started"),
        finished=record.optional_time("finished"),
        version=record.text("version"),
    )


def read_images(facts: dict[str, Any], where: str) -> tuple[ImageRecord, ...]:
    """
    Read the pictures that stand in an intent as staged.

    Raises:
        RecordError: It is damaged.
    """
    if facts.get("staged") is None:
        return ()
    return _Reader(facts, where).each("staged", _read_image)


def read_session(data: bytes, where: str) -> SessionRecord:
    """
    Read a session's record.

    Args:
        data: The record.
        where: Its place, for errors.

    Raises:
        RecordError: It is damaged.
        LibraryTooNewError: A newer imagesession wrote it.
    """
    record = _open(data, where, "session")
    choices = record.inner("choices")
    _read_options(choices, record.place("choices"))
    moves = record.inner("moves")
    return SessionRecord(
        id=record.text("id"),
        description=record.text("description"),
        name=record.optional("name", str),
        choices=choices.data,
        provider_state=_read_provider_state(record),
        remember=record.optional("remember", int),
        created=record.time("created"),
        closed=record.optional_time("closed"),
        moves={name: _read_move(moves.inner(name)) for name in moves.data},
        version=record.text("version"),
    )


def read_batch(data: bytes, where: str) -> BatchRecord:
    """
    Read a batch.

    Args:
        data: The record, with what became known since.
        where: Its place, for errors.

    Raises:
        RecordError: It is damaged.
        LibraryTooNewError: A newer imagesession wrote it.
    """
    from imagesession._model.batches import BatchRecord, BatchState  # noqa: PLC0415 - hardly ever needed

    record = _open(data, where, "batch")
    return BatchRecord(
        id=record.text("id"),
        name=record.optional("name", str),
        provider=record.text("provider"),
        endpoint=record.text("endpoint"),
        model=record.text("model"),
        items=record.each("items", _read_item),
        digest=record.text("digest"),
        estimate=_read_estimate(record.inner("estimate")),
        created=record.time("created"),
        owner=record.optional("owner", str),
        posted=record.optional_time("posted"),
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


def _open(data: bytes, where: str, kind: str) -> _Reader:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} is damaged: {error}.") from error
    if not isinstance(parsed, dict):
        raise RecordError(f"{where} is damaged: it holds no JSON object.")
    record = _Reader(cast("dict[str, Any]", parsed), where)
    if record.required("format", int) > RECORD_VERSION:
        raise LibraryTooNewError(
            f"{where} was written by a newer imagesession; update this one: "
            "pip install -U imagesession."
        )
    if record.text("record") != kind:
        raise RecordError(f"{where} is the record of a {record.text('record')}, not of a {kind}.")
    return record


@attrs.frozen
class _Reader:
    """
    A JSON object whose members are taken out one by one, strictly.
    """

    data: dict[str, Any]
    where: str

    def place(self, name: str) -> str:
        return f"{self.where}: {name}" if ": " not in self.where else f"{self.where}.{name}"

    def required(self, name: str, kind: type[T]) -> T:
        value = self.data.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise RecordError(
                f"{self.place(name)} should be {kind.__name__} and is {type(value).__name__}."
            )
        return value

    def optional(self, name: str, kind: type[T]) -> T | None:
        return None if self.data.get(name) is None else self.required(name, kind)

    def text(self, name: str) -> str:
        return self.required(name, str)

    def choice(self, name: str, choices: tuple[T, ...], default: T | None = None) -> T:
        if default is not None and self.data.get(name) is None:
            return default
        value = self.required(name, str)
        if value not in choices:
            raise RecordError(f"{self.place(name)} is {value!r}, which is none of {choices}.")
        return cast("T", value)

    def time(self, name: str) -> dt.datetime:
        try:
            moment = dt.datetime.fromisoformat(self.text(name))
        except ValueError as error:
            raise RecordError(f"{self.place(name)} is no time: {error}.") from error
        if moment.tzinfo is None:
            raise RecordError(f"{self.place(name)} is a time without its zone.")
        return moment

    def optional_time(self, name: str) -> dt.datetime | None:
        return None if self.data.get(name) is None else self.time(name)

    def amount(self, name: str) -> float | None:
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RecordError(f"{self.place(name)} should be a number and is {value!r}.")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        if self.data.get(name) is None:
            return ()
        return tuple(map(str, cast("list[object]", self.required(name, list))))

    def inner(self, name: str) -> _Reader:
        return _Reader(cast("dict[str, Any]", self.required(name, dict)), self.place(name))

    def mapping(self, name: str) -> dict[str, Any] | None:
        return None if self.data.get(name) is None else self.inner(name).data

    def each(self, name: str, read: Callable[[_Reader], T]) -> tuple[T, ...]:
        return tuple(
            read(_Reader(self._member(item, place), place))
            for place, item in (
                (f"{self.place(name)}[{number}]", item)
                for number, item in enumerate(cast("list[object]", self.required(name, list)))
            )
        )

    @staticmethod
    def _member(item: object, place: str) -> dict[str, Any]:
        if not isinstance(item, dict):
            raise RecordError(f"{place} should be an object and is {type(item).__name__}.")
        return cast("dict[str, Any]", item)


def _read_options(record: _Reader, place: str) -> Options:
    try:
        return Options().updated(record.data)
    except OptionError as error:
        raise RecordError(f"{place}: {error}") from error


def _read_image(record: _Reader) -> ImageRecord:
    formats: tuple[PictureFormat, ...] = get_args(PictureFormat)
    file = record.text("file")
    if not file or file.startswith("/") or "\\" in file or ":" in file or ".." in file.split("/"):
        raise RecordError(f"{record.place('file')} is {file!r}, which is not beneath the library.")
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
        source=record.choice("source", get_args(Source), "reply"),
    )


def _read_item(record: _Reader) -> BatchItem:
    from imagesession._model.batches import BatchItem  # noqa: PLC0415 - hardly ever needed

    return BatchItem(
        turn=record.text("turn"),
        key=record.optional("key", str),
        asked=record.required("asked", bool),
        session=record.optional("session", str),
    )


def _read_estimate(record: _Reader) -> Estimate:
    from imagesession._model.estimates import Estimate  # noqa: PLC0415 - hardly ever needed

    low = record.amount("low")
    grounds = record.texts("grounds")
    return Estimate(low=low or 0.0, high=record.amount("high"), grounds=grounds)


def _read_reference(record: _Reader) -> Reference:
    return Reference(sha256=record.text("sha256"), image_id=record.optional("image_id", str))


def _read_usage(record: _Reader) -> Usage:
    return Usage(mainline=record.mapping("mainline"), image=record.mapping("image"))


def _read_cost(record: _Reader) -> Cost | None:
    if record.data.get("cost") is None:
        return None
    cost = record.inner("cost")
    try:
        return Cost.read(cost.data)
    except ValueError as error:
        raise RecordError(f"{cost.where}: {error}") from error


def _read_origin(record: _Reader) -> Origin | None:
    if record.data.get("origin") is None:
        return None
    origin = record.inner("origin")
    return Origin(image_id=origin.optional("image_id", str), file=origin.optional("file", str))


def _read_failure(record: _Reader) -> Failure | None:
    if record.data.get("failure") is None:
        return None
    failure = record.inner("failure")
    return Failure(error=failure.text("error"), message=failure.text("message"))


def _read_provider_state(record: _Reader) -> ProviderState | None:
    if record.data.get("provider_state") is None:
        return None
    states: tuple[ProviderState, ...] = get_args(ProviderState)
    return record.choice("provider_state", states)


def _read_move(record: _Reader) -> Move:
    return Move(id=record.text("id"), head=record.optional("head", str), redo=record.texts("redo"))
