"""
The frame of a prompt: a template, checked once and filled line by line.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Mapping

from imagesession.errors import InvalidPromptError, InvalidRequestError

_ENDS = (".", "!", "?", "…")


def validate_template(template: object, names: Collection[str], where: str) -> None:
    """
    Refuse a template that has not a place for each name, or has other places.

    Args:
        template: What is to be filled.
        names: What it is to be filled with.
        where: Whose template it is, to begin a message with.

    Raises:
        InvalidRequestError: It is no such template.
    """
    if not isinstance(template, str):
        raise InvalidRequestError(
            f"{where} has a template that is {type(template).__name__}, not text."
        )
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidRequestError(
            f"{where} has a template that cannot be read: {error}. Write braces that are to stand "
            "in the prompt twice."
        ) from error
    # A place is a bare name: conversions and formats have no use in words.
    places = {
        f"{name}{'!' if conversion else ''}{conversion or ''}{':' if spec else ''}{spec or ''}"
        for _, name, spec, conversion in parts
        if name is not None
    }
    if places != set(names):
        raise InvalidRequestError(
            f"{where} has a template with {_braced(sorted(places))}; it must have "
            f"{_braced(names)}. Write braces that are to stand in the prompt twice."
        )


def validate_subject(description: object) -> str:
    """
    Return a description without the blanks around it, if it is one.

    Raises:
        InvalidPromptError: It is no text, or empty.
    """
    if not isinstance(description, str):
        raise InvalidPromptError(f"The description is {type(description).__name__}, not text.")
    if not description.strip():
        raise InvalidPromptError("The description is empty; say what the picture should show.")
    return description.strip()


def render_template(template: str, description: str, words: Mapping[str, str]) -> str:
    """
    Fill a template; lines that come out empty are left out.

    Args:
        template: One that `validate_template` let pass.
        description: Stands for `{description}`. If it ends its own sentence, the template does
            not end it once more.
        words: What stands for the other names.
    """
    if description.endswith(_ENDS):
        template = template.replace("{description}.", "{description}")
    facts = {**words, "description": description}
    lines = (line.format_map(facts).strip() for line in template.splitlines())
    return "\n".join(line for line in lines if line)


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names) or "no places"
