"""
Prompt templates: validated once, then filled line by line.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable, Mapping

from imagesession.errors import InvalidPromptError, InvalidRequestError

_ENDS = (".", "!", "?", "…")


def validate_template(template: object, names: Collection[str], where: str) -> None:
    """
    Refuse a template whose placeholders are not exactly the given names; `where` names its owner,
    and begins the error message.
    """
    if not isinstance(template, str):
        raise InvalidRequestError(
            f"{where} has a template that is {type(template).__name__}, not text."
        )
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidRequestError(
            f"{where} has a template that cannot be read: {error}. Double braces that are to "
            "appear in the prompt."
        ) from error
    # A placeholder is a bare name: conversions and formats are not supported.
    places = {
        f"{name}{'!' if conversion else ''}{conversion or ''}{':' if spec else ''}{spec or ''}"
        for _, name, spec, conversion in parts
        if name is not None
    }
    if places != set(names):
        raise InvalidRequestError(
            f"{where} has a template with {_braced(sorted(places))}; it must have "
            f"{_braced(names)}. Double braces that are to appear in the prompt."
        )


def validate_subject(description: object) -> str:
    if not isinstance(description, str):
        raise InvalidPromptError(f"The description is {type(description).__name__}, not text.")
    if not description.strip():
        raise InvalidPromptError("The description is empty; say what the image should show.")
    return description.strip()


def render_template(template: str, description: str, words: Mapping[str, str]) -> str:
    """
    Fill a template that `validate_template` accepted; lines that are empty then are left out. If
    the description ends with a full stop or the like, the template's own after it is dropped.
    """
    if description.endswith(_ENDS):
        template = template.replace("{description}.", "{description}")
    values = {**words, "description": description}
    lines = (line.format_map(values).strip() for line in template.splitlines())
    return "\n".join(line for line in lines if line)


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names) or "no places"
