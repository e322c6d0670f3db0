"""
Choices are found as people write them, and can be added to.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._model.choices import Choice, Field
from imagesession.errors import CallError, OptionError

ANGLE = Field(
    default="front",
    choices={
        "front": Choice(words="From the front."),
        "three-quarter": Choice(
            words="Turned.", options={"quality": "high"}, aliases=("45deg", "front left")
        ),
        "top": Choice(words=""),
    },
)


@pytest.mark.parametrize(
    "written", ["three-quarter", "Three Quarter", "THREE_QUARTER", " 45DEG ", "front-left"]
)
def test_choices_are_found_as_people_write_them(written: str) -> None:
    """
    Case does not count, blanks and underscores stand for hyphens, and aliases are names too.
    """
    assert ANGLE.find("angle", written) == "three-quarter"


@given(st.text(max_size=12))
def test_an_exact_name_is_always_found(name: str) -> None:
    """
    A choice is found by its very name, whatever name and aliases the others have.
    """
    field = Field(
        default=name,
        choices={"other-one": Choice(words="", aliases=(name,)), name: Choice(words="")},
    )
    assert field.find("x", name) == name


@pytest.mark.parametrize(
    "value,nearest",
    [("frnt", ("front",)), ("zzz", ("front", "three-quarter", "top")), (45, None), (None, None)],
)
def test_other_choices_are_refused(value: object, nearest: tuple[str, ...] | None) -> None:
    """
    What is no choice is refused with the nearest ones, or with all.
    """
    with pytest.raises(OptionError, match="is not one of 'front', 'three-quarter', 'top'") as got:
        ANGLE.find("angle", value)
    assert (got.value.option, got.value.value) == ("angle", value)
    assert got.value.nearest == (nearest or ("front", "three-quarter", "top"))


def test_choices_are_added() -> None:
    """
    Added choices stand beside those that were there; new words keep options and aliases.
    """
    whole = Choice(words="From below.", options={"size": "1024x1024"})
    more = ANGLE.extended({"below": whole, "back": "From behind.", "three-quarter": "Half."})
    assert tuple(more.choices) == ("front", "three-quarter", "top", "below", "back")
    assert more.choices["below"] == whole
    assert more.choices["back"] == Choice(words="From behind.")
    assert more.choices["three-quarter"].words == "Half."
    assert more.find("angle", "45deg") == "three-quarter"
    assert more.choices["three-quarter"].options == {"quality": "high"}
    assert tuple(ANGLE.choices) == ("front", "three-quarter", "top")


@pytest.mark.parametrize(
    "facts,error",
    [
        ({"words": 7}, CallError),
        ({"words": "", "options": {"colour": "red"}}, OptionError),
        ({"words": "", "wishes": {"background": "striped"}}, OptionError),
    ],
)
def test_bad_choices_are_refused(facts: dict[str, Any], error: type[Exception]) -> None:
    """
    The words of a choice are a text, and its options are ones that verbs take.
    """
    with pytest.raises(error):
        Choice(**facts)


def test_a_default_is_one_of_the_choices() -> None:
    """
    A default that cannot be chosen is refused.
    """
    with pytest.raises(CallError, match="The default 'back' is not one of the choices 'front'"):
        Field(default="back", choices={"front": Choice(words="")})
