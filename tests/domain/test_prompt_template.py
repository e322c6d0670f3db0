"""
Templates are validated once, and insert text unchanged.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.prompt_template import (
    render_template,
    validate_subject,
    validate_template,
)
from imagesession.errors import InvalidPromptError, InvalidRequestError

words = st.text(min_size=1, max_size=30)


@pytest.mark.parametrize(
    "template",
    [
        "{description} {mood}",
        "{mood}\n{description}, {description}, and {{braces}} that stay",
    ],
)
def test_valid_template_is_accepted(template: str) -> None:
    """
    A template has a placeholder for every name, and may repeat one.
    """
    validate_template(template, ("description", "mood"), "The preset 'x'")


@pytest.mark.parametrize(
    "template,text",
    [
        ("{description}", r"with \{description\}; it must have \{description\}, \{mood\}"),
        ("{description} {mood} {time}", r"\{time\}"),
        ("no places at all", "with no places"),
        ("{description} {mood} {}", r"\{\}"),
        ("{description.upper} {mood}", r"\{description.upper\}"),
        ("{description[0]} {mood}", r"\{description\[0\]\}"),
        ("{description!r} {mood}", r"\{description!r\}"),
        ("{description:>9999999} {mood}", r"\{description:>9999999\}"),
        ("{description {mood}", "cannot be read: .* Double braces"),
        (None, "NoneType, not text"),
    ],
)
def test_invalid_template_is_refused(template: object, text: str) -> None:
    """
    A template with other placeholders than bare names is refused, and the message names them.
    """
    with pytest.raises(InvalidRequestError, match=f"^The preset 'x' has a template .*{text}"):
        validate_template(template, ("description", "mood"), "The preset 'x'")


@given(words, words)
def test_inserted_text_is_unchanged(description: str, mood: str) -> None:
    """
    Braces, line ends and any other characters reach the prompt unchanged.
    """
    prompt = render_template("Portrait of <{description}>.\n<{mood}>", description, {"mood": mood})
    assert prompt == f"Portrait of <{description}>.\n<{mood}>"


@pytest.mark.parametrize(
    "description,prompt",
    [
        ("a mug", "Photo of a mug."),
        ("a mug. It is blue.", "Photo of a mug. It is blue."),
        ("a mug!", "Photo of a mug!"),
        ("a mug…", "Photo of a mug…"),
    ],
)
def test_no_second_full_stop(description: str, prompt: str) -> None:
    """
    A description that ends with a full stop is not followed by another one.
    """
    assert render_template("Photo of {description}.", description, {}) == prompt


def test_empty_lines_are_left_out() -> None:
    """
    A value without text leaves no empty line.
    """
    assert render_template("\n{description}\n  {mood}\nend\n", "mug", {"mood": ""}) == "mug\nend"


@pytest.mark.parametrize("description,text", [("", "empty"), (" \n", "empty"), (7, "int")])
def test_invalid_description_is_refused(description: object, text: str) -> None:
    """
    A description must be text that is not empty.
    """
    with pytest.raises(InvalidPromptError, match=f"The description is {text}"):
        validate_subject(description)


def test_description_is_stripped() -> None:
    """
    Whitespace around a description is removed.
    """
    assert validate_subject("  a mug\n") == "a mug"
