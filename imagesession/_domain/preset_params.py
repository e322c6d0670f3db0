"""
What can be chosen of a preset: its parameters, and the words and options of each choice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imagesession.errors import InvalidOptionError, InvalidRequestError

from .options import GenerateOptions


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(options)


def _options(_: object, __: object, value: Mapping[str, Any]) -> None:
    GenerateOptions().updated(value)


def _text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequestError(f"A choice's {attribute.name} are a text, not {value!r}.")


@attrs.frozen(kw_only=True)
class ParamValue:
    """
    One choice of a preset's parameter.

    Attributes:
        words: What it adds to the prompt: a whole sentence, or nothing.
        options: The options that it needs, by name, such as `{"background": "transparent"}`.
        wishes: Options that suit it too, but are given up where the caller's own rule them out:
            an icon wants a transparent background, and may be a JPEG nevertheless.
        aliases: Other names under which it may be chosen.
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
            f"The default {value!r} is not one of the choices {join_words(field.choices)}. Add "
            "it to them, or name another."
        )


@attrs.frozen(kw_only=True)
class PresetParam:
    """
    One parameter of a preset.

    Attributes:
        choices: What may be chosen, by name.
        default: The name of the one that is taken when nothing is chosen.
    """

    choices: Mapping[str, ParamValue] = attrs.field(converter=_copied_choices)
    default: str = attrs.field(validator=_default)

    def find(self, parameter: str, value: object) -> str:
        """
        Return the name of a choice, by its name or an alias.

        Case does not count, and blanks and underscores stand for hyphens.

        Args:
            parameter: What this parameter is called, for the message.
            value: What was chosen.

        Raises:
            InvalidOptionError: There is no such choice.
        """
        written = value if isinstance(value, str) else ""
        found = written if written in self.choices else self._by_key().get(_key(written))
        if found is not None and isinstance(value, str):
            return found
        near = difflib.get_close_matches(_key(written), self.choices, n=2, cutoff=0.4)
        hint = f" Nearest: {near[0]!r}." if near else ""
        raise InvalidOptionError(
            f"{parameter}={value!r} is not one of {join_words(self.choices)}.{hint}",
            parameter,
            value,
            tuple(near) or tuple(self.choices),
        )

    def extended(self, more: Mapping[str, str | ParamValue]) -> PresetParam:
        """
        Return a parameter with more choices, or with other words for those that are there.

        Args:
            more: The choices to add, by name: the words of each, or all of it. Words alone keep
                the options and aliases of a choice that was there.
        """
        added = {name: _said(text, self.choices.get(name)) for name, text in more.items()}
        return attrs.evolve(self, choices={**self.choices, **added})

    def _by_key(self) -> dict[str, str]:
        aliases = {
            _key(alias): name for name in self.choices for alias in self.choices[name].aliases
        }
        return {**aliases, **{_key(name): name for name in self.choices}}


def join_words(values: Iterable[object]) -> str:
    """
    Write values in a row, as a message shows them.
    """
    return ", ".join(repr(value) for value in values) or "none"


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


def _said(words: str | ParamValue, before: ParamValue | None) -> ParamValue:
    if isinstance(words, ParamValue):
        return words
    return attrs.evolve(before, prompt_text=words) if before else ParamValue(prompt_text=words)


ParamValue.__module__ = "imagesession.presets"
PresetParam.__module__ = "imagesession.presets"
