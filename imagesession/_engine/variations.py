"""
Build the prompts of variations, each worded differently so that the images differ.
"""

from __future__ import annotations

from imagesession._domain.turn import Turn
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


def sent_prompt(turn: Turn) -> str:
    """
    Return a turn's prompt as the model gets it: that of a variation says which one it is. The
    turn's own prompt is what the caller wrote.
    """
    number, count = turn.parameters.get("take"), turn.parameters.get("takes")
    if not (isinstance(number, int) and isinstance(count, int) and count > 1):
        return turn.prompt
    return (
        f"{turn.prompt}\nThis is take {number} of {count}: keep to all of the above, and differ "
        "from the other takes in what it leaves open."
    )
