"""
Templates for the names of image files, such as "{slug}_{n:02}".
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Mapping

import attrs

from imagesession._domain.turn import Turn, short_id
from imagesession._domain.wording import quote
from imagesession._store.slug import RESERVED, slugify
from imagesession.errors import InvalidRequestError

# openai-image-mcp names its files like this.
PREFIX = "session_"
DEFAULT_FILENAME = PREFIX + "{session}_{time}_{n:02}"
_MAX_WORDS = 40
# Most file systems allow names of 255 bytes; the rest is room for numbers and suffixes.
_MAX_BYTES = 200
_NUMBER = re.compile(r"0\d")
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f\ud800-\udfff]')
# What each field can be, to recognise a name; the longest of each is what a name has to hold.
_FIELDS: Mapping[str, str] = {
    "slug": r"\w+",
    "session": r"[0-9a-z]{8}",
    "turn": r"[0-9a-z]{8}",
    "kind": r"[a-z_]+",
    "branch": r"\w+",
    "date": r"\d{8}",
    "time": r"\d{8}T\d{6}Z",
    "n": r"\d+",
}
_LONGEST: Mapping[str, str] = {
    "slug": "\U0001f98a" * _MAX_WORDS,
    "session": "x" * 8,
    "turn": "x" * 8,
    "kind": "x" * 11,
    "branch": "\U0001f98a" * _MAX_WORDS,
    "date": "x" * 8,
    "time": "x" * 16,
}


def _check(_: object, __: object, template: object) -> None:
    parts = _parse(template) if isinstance(template, str) else None
    if not parts:
        raise InvalidRequestError(
            f'filename={quote(template)} is not a template such as "{{slug}}_{{n:02}}".'
        )
    for literal, field, spec in parts:
        if _FORBIDDEN.search(literal):
            raise InvalidRequestError(
                f"filename={quote(template)} is not a name for a file on every system, or leads "
                'to another folder. Write names without / \\ : * ? " < > |.'
            )
        if field is not None and field not in _FIELDS:
            raise InvalidRequestError(
                f"filename= has no field {quote(field)}. The fields are: {', '.join(_FIELDS)}."
            )
        if spec and not (field == "n" and _NUMBER.fullmatch(spec)):
            raise InvalidRequestError(
                f"filename= has the format {quote(spec)}. Only n takes one, such as {{n:02}}."
            )
    _check_name(str(template))


def _check_name(template: str) -> None:
    longest = template.format_map({**_LONGEST, "n": 9_999})
    if len(longest.encode()) > _MAX_BYTES:
        raise InvalidRequestError(
            f"filename={quote(template)} can make names of {len(longest.encode())} bytes, and "
            f"{_MAX_BYTES} are what file systems have room for. Shorten it."
        )
    if longest[:1] in {".", " "} or longest[-1] in {".", " "} or RESERVED.match(template):
        raise InvalidRequestError(
            f"filename={quote(template)} makes hidden or reserved names, which not every system "
            "takes. Begin and end it with a word or a field."
        )


@attrs.frozen
class FileNames:
    template: str = attrs.field(default=DEFAULT_FILENAME, validator=_check)

    def render(self, turn: Turn, at: dt.datetime, number: int) -> str:
        """
        Return the name of an image without its suffix. `number` counts the attempts to find a free
        name, from 1: it is the field `n`, and a template without that gets it appended from 2 on.
        """
        times = {"date": f"{at:%Y%m%d}", "time": f"{at:%Y%m%dT%H%M%SZ}"}
        name = self.template.format_map({**_words(turn), **times, "n": number})
        if number > 1 and not self._has_number:
            name += f"_{number:02}"
        return f"_{name}" if RESERVED.match(name) else name

    def matches(self, name: str, turn: Turn | None = None) -> bool:
        known = {} if turn is None else {key: re.escape(word) for key, word in _words(turn).items()}
        pattern = "".join(
            re.escape(literal) + ({**_FIELDS, **known}[field] if field else "")
            for literal, field, _ in _parse(self.template)
        )
        return re.fullmatch(f"_?{pattern}(_\\d+)?", name) is not None

    @property
    def _has_number(self) -> bool:
        return any(field == "n" for _, field, _ in _parse(self.template))


def _parse(template: str) -> list[tuple[str, str | None, str]]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return []
    return [
        (literal, f"{field}!{conversion}" if conversion else field, spec or "")
        for literal, field, spec, conversion in parts
    ]


def _words(turn: Turn) -> dict[str, str]:
    words = str(turn.parameters.get("description") or turn.prompt)
    return {
        "slug": slugify(words[: _MAX_WORDS * 4])[:_MAX_WORDS].strip("_"),
        "session": short_id(turn.session or turn.id),
        "turn": short_id(turn.id),
        "kind": turn.kind,
        "branch": slugify(turn.branch)[:_MAX_WORDS].strip("_"),
    }
