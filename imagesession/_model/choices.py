"""
What can be chosen of a preset: its parameters, and the words and options of each choice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imagesession.errors import CallError, OptionError

from .options import Options


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    return dict(options)


def _options(_: object, __: object, value: Mapping[str, Any]) -> None:
    Options().updated(value)


def _text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise CallError(f"A choice's {attribute.name} are a text, not {value!r}.")


@attrs.frozen(kw_only=True)
class Choice:
    """
    One choice of a preset's parameter.

    Attributes:
        words: What it adds to the prompt: a whole sentence, or nothing.
        options: The options that it needs, by name, such as `{"background": "transparent"}`.
        wishes: Options that suit it too, but are given up where the caller's own rule them out:
            an icon wants a transparent background, and may be a JPEG nevertheless.
        aliases: Other names under which it may be chosen.
    """

    words: str = attrs.field(validator=_text)
    options: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_copied, validator=_options
    )
    wishes: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_copied, validator=_options
    )
    aliases: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])


def _copied_choices(choices: Mapping[str, Choice]) -> dict[str, Choice]:
    return dict(choices)


def _default(field: Field, _: object, value: str) -> None:
    if value not in field.choices:
        raise CallError(
            f"The default {value!r} is not one of the choices {listed(field.choices)}. Add it to "
            "them, or name another."
        )


@attrs.frozen(kw_only=True)
class Field:
    """
    One parameter of a preset.

    Attributes:
        choices: What may be chosen, by name.
        default: The name of the one that is taken when nothing is chosen.
    """

    choices: Mapping[str, Choice] = attrs.field(converter=_copied_choices)
    default: str = attrs.field(validator=_default)

    def find(self, parameter: str, value: object) -> str:
        """
        Return the name of a choice, by its name or an alias.

        Case does not count, and blanks and underscores stand for hyphens.

        Args:
            parameter: What this parameter is called, for the message.
            value: What was chosen.

        Raises:
            OptionError: There is no such choice.
        """
        written = value if isinstance(value, str) else ""
        found = written if written in self.choices else self._by_key().get(_key(written))
        if found is not None and isinstance(value, str):
            return found
        near = difflib.get_close_matches(_key(written), self.choices, n=2, cutoff=0.4)
        hint = f" Nearest: {near[0]!r}." if near else ""
        raise OptionError(
            f"{parameter}={value!r} is not one of {listed(self.choices)}.{hint}",
            parameter,
            value,
            tuple(near) or tuple(self.choices),
        )

    def extended(self, more: Mapping[str, str | Choice]) -> Field:
        """
        Return a parameter with more choices, or with other words for those that are there.

        Args:
            more: The choices to add, by name: the words of each, or all of it. Words alone keep
                the options and aliases of a choice that was there.
        """
        added = {name: _said(one, self.choices.get(name)) for name, one in more.items()}
        return attrs.evolve(self, choices={**self.choices, **added})

    def _by_key(self) -> dict[str, str]:
        aliases = {_key(one): name for name in self.choices for one in self.choices[name].aliases}
        return {**aliases, **{_key(name): name for name in self.choices}}


def listed(values: Iterable[object]) -> str:
    """
    Write values in a row, as a message shows them.
    """
    return ", ".join(repr(value) for value in values) or "none"


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


def _said(words: str | Choice, before: Choice | None) -> Choice:
    if isinstance(words, Choice):
        return words
    return attrs.evolve(before, words=words) if before else Choice(words=words)


Choice.__module__ = "imagesession.presets"
Field.__module__ = "imagesession.presets"
