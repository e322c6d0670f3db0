"""
Read JSON objects strictly, as any file of a library may be damaged: errors name the member.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import attrs

from imagesession._domain.wording import quote
from imagesession.errors import CorruptRecordError

T = TypeVar("T")
# More levels than any record has, and fewer than writing and comparing them can take.
_MAX_DEPTH = 64
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
# What is safe as a part of a file's name, wherever the library is.
_SAFE_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


def parse_object(data: bytes) -> dict[str, Any]:
    """
    Parse a JSON object. Halves of characters, which no database takes, become U+FFFD.

    Raises:
        TypeError: It is JSON of another type.
        ValueError: It is no JSON, or nested more deeply than any record.
    """
    try:
        parsed: object = json.loads(with_whole_characters(data))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(parsed, dict):
        raise TypeError("it holds no JSON object")
    members = cast("dict[str, Any]", parsed)
    if data.count(b"{") + data.count(b"[") > _MAX_DEPTH and _is_deep(members):
        raise ValueError("it is nested too deeply")
    return members


def with_whole_characters(data: bytes) -> bytes:
    """
    Return JSON with U+FFFD for each half of a character that stands alone.
    """
    if data.isascii() and _HALF_CHARACTER.search(data) is None:
        return data
    text = json.dumps(json.loads(data), ensure_ascii=False).encode("utf-16", "surrogatepass")
    return text.decode("utf-16", "replace").encode()


def merge_lines(data: bytes) -> bytes:
    """
    Return the members of all lines as one JSON object. Lines that are damaged are kept under a name
    of their own; a last line that is not finished was never written.
    """
    members: dict[str, Any] = {}
    *lines, rest = data.split(b"\n")
    damaged: list[str] = []
    for line in lines:
        try:
            members.update(parse_object(line))
        except (ValueError, TypeError):
            damaged.append(line.decode("latin-1"))
    with contextlib.suppress(ValueError, TypeError):
        members.update(parse_object(rest))
    if damaged:
        members["damaged_lines"] = damaged
    return json.dumps(members).encode("ascii")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [member for item in level for member in _members(item)]
    return bool(level)


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


@attrs.frozen
class StrictReader:
    """
    A JSON object whose members are read one by one, with checks of their types.
    """

    data: dict[str, Any]
    where: str

    def place(self, name: str) -> str:
        return f"{self.where}: {name}" if ": " not in self.where else f"{self.where}.{name}"

    def required(self, name: str, kind: type[T]) -> T:
        value = self.data.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CorruptRecordError(
                f"{self.place(name)} should be {kind.__name__} and is {type(value).__name__}."
            )
        return value

    def text(self, name: str) -> str:
        return self.required(name, str)

    def identity(self, name: str) -> str:
        """
        Read an id of this library, which names files.
        """
        value = self.text(name)
        if _SAFE_NAME.fullmatch(value) is None:
            raise CorruptRecordError(f"{self.place(name)} is {quote(value)}, which is no id.")
        return value

    def choice(self, name: str, choices: tuple[T, ...]) -> T:
        value = self.required(name, str)
        if value not in choices:
            raise CorruptRecordError(
                f"{self.place(name)} is {value!r}, which is none of {choices}."
            )
        return cast("T", value)

    def time(self, name: str) -> dt.datetime:
        try:
            value = dt.datetime.fromisoformat(self.text(name))
            value.astimezone(dt.UTC)  # at the ends of the calendar there may be none
        except (ValueError, OverflowError) as error:
            raise CorruptRecordError(f"{self.place(name)} is not a time: {error}.") from error
        if value.tzinfo is None:
            raise CorruptRecordError(f"{self.place(name)} is a time without a time zone.")
        return value

    def amount(self, name: str) -> float:
        value = self.data.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise CorruptRecordError(f"{self.place(name)} should be a number and is {value!r}.")
        try:
            return float(value)
        except OverflowError as error:
            raise CorruptRecordError(f"{self.place(name)} is too large a number.") from error

    def texts(self, name: str) -> tuple[str, ...]:
        if self.data.get(name) is None:
            return ()
        return tuple(map(str, cast("list[object]", self.required(name, list))))

    def inner(self, name: str) -> StrictReader:
        return StrictReader(cast("dict[str, Any]", self.required(name, dict)), self.place(name))

    def each(self, name: str, read: Callable[[StrictReader], T]) -> tuple[T, ...]:
        return tuple(
            read(StrictReader(self._member(item, where), where))
            for where, item in (
                (f"{self.place(name)}[{number}]", item)
                for number, item in enumerate(cast("list[object]", self.required(name, list)))
            )
        )

    @staticmethod
    def _member(item: object, where: str) -> dict[str, Any]:
        if not isinstance(item, dict):
            raise CorruptRecordError(f"{where} should be an object and is {type(item).__name__}.")
        return cast("dict[str, Any]", item)
