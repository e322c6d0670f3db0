"""
Ask for several takes of the same, each in words of its own, so that they do not come out alike.
"""

from __future__ import annotations

from imagesession.errors import InvalidOptionError

MAX_VARIATIONS = 10
OF_A_PICTURE = "Make a variation of this picture: the same subject and style, newly composed."


def validate_count(name: str, count: object) -> int:
    """
    Return how many takes are wanted, if it is a number that makes sense.

    Raises:
        InvalidOptionError: It is not a whole number from 1 to 10.
    """
    if type(count) is int and 1 <= count <= MAX_VARIATIONS:
        return count
    raise InvalidOptionError(
        f"{name}={count!r} is not a whole number from 1 to {MAX_VARIATIONS}; studio.map() makes "
        "more.",
        name,
        count,
        ("3",),
    )


def variation_prompt(prompt: str, number: int, count: int) -> str:
    """
    Return the prompt of one take.

    Args:
        prompt: What all takes show.
        number: Which take, from 1.
        count: How many takes there are.
    """
    if count == 1:
        return prompt
    return (
        f"{prompt}\nThis is take {number} of {count}: keep to all of the above, and differ from "
        "the other takes in what it leaves open."
    )
