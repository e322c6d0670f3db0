"""
Build the prompts of variations, each worded differently so that the images differ.
"""

from __future__ import annotations

from imagesession._domain.wording import quote
from imagesession.errors import InvalidOptionError

MAX_VARIATIONS = 10
VARIATION_PROMPT = "Make a variation of this picture: the same subject and style, newly composed."


def validate_count(name: str, count: object) -> int:
    """
    Return a number of variations if it is valid.

    Raises:
        InvalidOptionError: It is not a whole number from 1 to 10.
    """
    if type(count) is int and 1 <= count <= MAX_VARIATIONS:
        return count
    raise InvalidOptionError(
        f"{name}={quote(count)} is not a whole number from 1 to {MAX_VARIATIONS}; use studio.map() "
        "for more.",
        name,
        count,
        ("3",),
    )


def variation_prompt(prompt: str, number: int, count: int) -> str:
    """
    Return the prompt of one variation.

    Args:
        prompt: The prompt of all variations.
        number: The variation's number, from 1.
        count: How many variations there are.
    """
    if count == 1:
        return prompt
    return (
        f"{prompt}\nThis is take {number} of {count}: keep to all of the above, and differ from "
        "the other takes in what it leaves open."
    )
