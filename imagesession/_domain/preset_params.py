"""
The parameters of presets, and the prompt text and options of each value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imagesession.errors import InvalidOptionError, InvalidRequestError

from .options import GenerateOptions
from .wording import quote


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(options)


def _options(_: object, __: object, value: Mapping[str, Any]) -> None:
    GenerateOptions().updated(value)


def _text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequestError(
            f"{attribute.name} of a ParamValue must be text, not {quote(value)}."
        )


@attrs.frozen(kw_only=True)
class ParamValue:
    """
    One value of a preset's parameter.

    Attributes:
        prompt_text: The text that it adds to the prompt: a whole sentence, or nothing.
        options: The options that it requires, by name, such as `{"background": "transparent"}`.
        soft_options: Options that it prefers, which give way to contradicting options of the
            caller: an icon prefers a transparent background, but may be a JPEG.
        aliases: Other names for this value.
    """

    prompt_text: str = attrs.field(validator=_text)
    options: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_copied, validator=_options
    )
    soft_options: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_copied, validator=_options
    )
    aliases: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])


def _copied_choices(choices: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    return dict(choices)


def _default(field: PresetParam, _: object, value: str) -> None:
    if value not in field.choices:
        raise InvalidRequestError(
            f"The default {quote(value)} is not one of the choices {join_words(field.choices)}. "
            "Add it to them, or choose another default."
        )


@attrs.frozen(kw_only=True)
class PresetParam:
    """
    One parameter of a preset.

    Attributes:
        choices: The values, by name.
        default: The name of the default value.
    """

    choices: Mapping[str, ParamValue] = attrs.field(converter=_copied_choices)
    default: str = attrs.field(validator=_default)

    def find(self, parameter: str, value: object) -> str:
        """
        Return the name of a value, by its name or an alias.

        Case is ignored, and spaces and underscores are equal to hyphens.

        Args:
            parameter: This parameter's name, for the error message.
            value: The name or alias to look up.

        Raises:
            InvalidOptionError: There is no such value.
        """
        text = value if isinstance(value, str) else ""
        found = text if text in self.choices else self._by_key().get(_key(text))
        if found is not None and isinstance(value, str):
            return found
        near = difflib.get_close_matches(_key(text), self.choices, n=2, cutoff=0.4)
        hint = f" Nearest: {near[0]!r}." if near else ""
        raise InvalidOptionError(
            f"{parameter}={quote(value)} is not one of {join_words(self.choices)}.{hint}",
            parameter,
            value,
            tuple(near) or tuple(self.choices),
        )

    def extended(self, more: Mapping[str, str | ParamValue]) -> PresetParam:
        """
        Return a parameter with more values, or with other text for existing values.

        Args:
            more: The values to add, by name: the prompt text of each, or a whole `ParamValue`. Text
                alone keeps the options and aliases of an existing value.
        """
        added = {name: _to_value(text, self.choices.get(name)) for name, text in more.items()}
        return attrs.evolve(self, choices={**self.choices, **added})

    def _by_key(self) -> dict[str, str]:
        aliases = {
            _key(alias): name for name in self.choices for alias in self.choices[name].aliases
        }
        return {**aliases, **{_key(name): name for name in self.choices}}


def join_words(values: Iterable[object]) -> str:
    return ", ".join(repr(value) for value in values) or "none"


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


def _to_value(text: str | ParamValue, existing: ParamValue | None) -> ParamValue:
    if isinstance(text, ParamValue):
        return text
    return attrs.evolve(existing, prompt_text=text) if existing else ParamValue(prompt_text=text)


ParamValue.__module__ = "imagesession.presets"
PresetParam.__module__ = "imagesession.presets"
