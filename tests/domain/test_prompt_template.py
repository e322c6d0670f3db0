"""
Templates are checked once, and filled without harm to what they are filled with.
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
def test_good_templates_pass(template: str) -> None:
    """
    A template has a place for every name, and may have one twice.
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
        ("{description {mood}", "cannot be read: .* twice"),
        (None, "NoneType, not text"),
    ],
)
def test_bad_templates_are_refused(template: object, text: str) -> None:
    """
    A template with other places than bare names is refused, in words that say which.
    """
    with pytest.raises(InvalidRequestError, match=f"^The preset 'x' has a template .*{text}"):
        validate_template(template, ("description", "mood"), "The preset 'x'")


@given(words, words)
def test_what_is_filled_in_stays_as_it_is(description: str, mood: str) -> None:
    """
    Braces, line ends and whatever else a caller writes arrive in the prompt unchanged.
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
def test_a_sentence_ends_once(description: str, prompt: str) -> None:
    """
    A description that ends its own sentence is not followed by one more full stop.
    """
    assert render_template("Photo of {description}.", description, {}) == prompt


def test_empty_lines_are_left_out() -> None:
    """
    A choice with no words leaves no gap.
    """
    assert render_template("\n{description}\n  {mood}\nend\n", "mug", {"mood": ""}) == "mug\nend"


@pytest.mark.parametrize("description,text", [("", "empty"), (" \n", "empty"), (7, "int")])
def test_bad_descriptions_are_refused(description: object, text: str) -> None:
    """
    A description is a text with something in it.
    """
    with pytest.raises(InvalidPromptError, match=f"The description is {text}"):
        validate_subject(description)


def test_blanks_around_a_description_go() -> None:
    """
    Blanks at the ends mean nothing.
    """
    assert validate_subject("  a mug\n") == "a mug"
