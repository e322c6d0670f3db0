"""
How many variations a call makes, and what it says if the caller says nothing.
"""

from __future__ import annotations

from imagesession._domain.wording import quote
from imagesession.errors import InvalidOptionError

MAX_VARIATIONS = 10
VARIATION_PROMPT = "Make a variation of this picture: the same subject and style, newly composed."


def validate_count(name: str, count: object) -> int:
    if type(count) is int and 1 <= count <= MAX_VARIATIONS:
        return count
    raise InvalidOptionError(
        f"{name}={quote(count)} is not a whole number from 1 to {MAX_VARIATIONS}; use studio.map() "
        "for more.",
        name,
        count,
        ("3",),
    )
