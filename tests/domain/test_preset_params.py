"""
Choices are found as people write them, and can be added to.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.preset_params import ParamValue, PresetParam
from imagesession.errors import InvalidOptionError, InvalidRequestError

ANGLE = PresetParam(
    default="front",
    choices={
        "front": ParamValue(prompt_text="From the front."),
        "three-quarter": ParamValue(
            prompt_text="Turned.", options={"quality": "high"}, aliases=("45deg", "front left")
        ),
        "top": ParamValue(prompt_text=""),
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
    field = PresetParam(
        default=name,
        choices={
            "other-one": ParamValue(prompt_text="", aliases=(name,)),
            name: ParamValue(prompt_text=""),
        },
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
    with pytest.raises(
        InvalidOptionError, match="is not one of 'front', 'three-quarter', 'top'"
    ) as got:
        ANGLE.find("angle", value)
    assert (got.value.option, got.value.value) == ("angle", value)
    assert got.value.nearest == (nearest or ("front", "three-quarter", "top"))


def test_choices_are_added() -> None:
    """
    Added choices stand beside those that were there; new words keep options and aliases.
    """
    whole = ParamValue(prompt_text="From below.", options={"size": "1024x1024"})
    more = ANGLE.extended({"below": whole, "back": "From behind.", "three-quarter": "Half."})
    assert tuple(more.choices) == ("front", "three-quarter", "top", "below", "back")
    assert more.choices["below"] == whole
    assert more.choices["back"] == ParamValue(prompt_text="From behind.")
    assert more.choices["three-quarter"].prompt_text == "Half."
    assert more.find("angle", "45deg") == "three-quarter"
    assert more.choices["three-quarter"].options == {"quality": "high"}
    assert tuple(ANGLE.choices) == ("front", "three-quarter", "top")


@pytest.mark.parametrize(
    "facts,error",
    [
        ({"prompt_text": 7}, InvalidRequestError),
        ({"prompt_text": "", "options": {"colour": "red"}}, InvalidOptionError),
        ({"prompt_text": "", "soft_options": {"background": "striped"}}, InvalidOptionError),
    ],
)
def test_bad_choices_are_refused(facts: dict[str, Any], error: type[Exception]) -> None:
    """
    The words of a choice are a text, and its options are ones that verbs take.
    """
    with pytest.raises(error):
        ParamValue(**facts)


def test_a_default_is_one_of_the_choices() -> None:
    """
    A default that cannot be chosen is refused.
    """
    with pytest.raises(
        InvalidRequestError, match="The default 'back' is not one of the choices 'front'"
    ):
        PresetParam(default="back", choices={"front": ParamValue(prompt_text="")})
