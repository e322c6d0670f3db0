"""
Read parts of a provider's JSON safely, whatever their type.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

Json: TypeAlias = Mapping[str, Any]
_EMPTY: Json = {}
# Ids go into URLs, records and messages; OpenAI's have about 60 characters, LiteLLM's about 430.
_LONGEST_ID = 1024
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def as_mapping(value: object) -> Json:
    """
    Return a JSON object; an empty one for any other type.
    """
    return cast("Json", value) if isinstance(value, dict) else _EMPTY


def as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """
    Return a text; an empty one for any other type. Halves of characters, which JSON can hold and no
    file or database, become U+FFFD.
    """
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else _HALF_CHARACTER.sub("\ufffd", value)


def as_time(value: object) -> dt.datetime | None:
    """
    Return the time that a number of seconds stands for; None for other types, and if there is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def as_id(value: object) -> str | None:
    """
    Return an id; None for other types, for control characters, and for texts that are empty or too
    long.
    """
    if not isinstance(value, str):
        return None
    return value if 0 < len(value) <= _LONGEST_ID and value.isprintable() else None
