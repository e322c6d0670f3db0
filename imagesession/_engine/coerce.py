"""
Take parts out of a provider's JSON, whatever type they turn out to have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

Json: TypeAlias = Mapping[str, Any]
_EMPTY: Json = {}
# Ids go into addresses, records and messages; real ones have some 60 characters.
_LONGEST_ID = 256


def as_mapping(value: object) -> Json:
    """
    Return an object, or an empty one instead of anything else.
    """
    return cast("Json", value) if isinstance(value, dict) else _EMPTY


def as_list(value: object) -> list[object]:
    """
    Return a list, or an empty one instead of anything else.
    """
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """
    Return a text, or an empty one instead of anything else.
    """
    return value if isinstance(value, str) else ""


def as_id(value: object) -> str | None:
    """
    Return an id; None for anything that cannot be one: other types, control characters, and texts
    that are empty or too long.
    """
    text = as_text(value)
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None
