"""
Values of parameters are found by any spelling, and can be added.
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
def test_values_are_found_by_any_spelling(written: str) -> None:
    """
    Case is ignored, spaces and underscores equal hyphens, and aliases are names too.
    """
    assert ANGLE.find("angle", written) == "three-quarter"


@given(st.text(max_size=12))
def test_exact_name_is_always_found(name: str) -> None:
    """
    A value is found by its exact name, whatever the names and aliases of the others.
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
def test_unknown_value_is_refused(value: object, nearest: tuple[str, ...] | None) -> None:
    """
    An unknown value is refused with the nearest ones, or with all.
    """
    with pytest.raises(
        InvalidOptionError, match="is not one of 'front', 'three-quarter', 'top'"
    ) as got:
        ANGLE.find("angle", value)
    assert (got.value.option, got.value.value) == ("angle", value)
    assert got.value.nearest == (nearest or ("front", "three-quarter", "top"))


def test_values_are_added() -> None:
    """
    New values are added to the existing ones; new text keeps options and aliases.
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
def test_invalid_value_is_refused(facts: dict[str, Any], error: type[Exception]) -> None:
    """
    The prompt text of a value must be text, and its options must exist.
    """
    with pytest.raises(error):
        ParamValue(**facts)


def test_unknown_default_is_refused() -> None:
    """
    A default that is not one of the values is refused.
    """
    with pytest.raises(
        InvalidRequestError, match="The default 'back' is not one of the choices 'front'"
    ):
        PresetParam(default="back", choices={"front": ParamValue(prompt_text="")})
