"""
Presets: frames for prompts, with choices whose words and options a caller need not know.

The packed ones are read from `presets.toml`; `imagesession.presets` keeps those in use.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Literal, get_args

import attrs

from imagesession.errors import InvalidOptionError, InvalidRequestError

from .model_catalog import ModelInfo
from .options import OPTION_NAMES, GenerateOptions, parse_size
from .preset_params import ParamValue, PresetParam, join_words
from .prompt_template import render_template, validate_subject, validate_template
from .sizes import supported_size

PresetKind = Literal["general", "product", "ui_asset"]

# What no parameter can be called: the verbs have arguments of these names.
_RESERVED = frozenset({*OPTION_NAMES, "name", "description", "preset", "prompt", "self"})
# https://developers.openai.com/api/reference/resources/responses, tool `image_generation`:
# background
_SEE_THROUGH = ("png", "webp")


def _copied(fields: Mapping[str, PresetParam]) -> dict[str, PresetParam]:
    return dict(fields)


def _copied_sizes(sizes: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    return dict(sizes)


@attrs.frozen(kw_only=True)
class Sizes:
    """
    The sizes that a preset wants, by what was chosen.

    Attributes:
        by: The parameters that decide on the size; with none, there is one size or no wish.
        wanted: Sizes such as "1536x864", by the choices of these parameters in their order.
    """

    by: tuple[str, ...] = ()
    wanted: Mapping[tuple[str, ...], str] = attrs.field(
        factory=dict[tuple[str, ...], str], converter=_copied_sizes
    )


def _check_name(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(f"A preset's name is a text that is not empty, not {value!r}.")


@attrs.frozen(kw_only=True)
class Preset:
    """
    A frame for prompts: what a professional would add to a description.

    `imagesession.presets` has those that are packed, and shows how to extend one.

    Attributes:
        name: What it is called.
        kind: What its pictures are; they lie in the library's folder of that kind.
        template: The prompt's frame: `{description}` and one `{parameter}` for each of `fields`.
            Each line that comes out empty is left out.
        fields: The parameters, by name.
        sizes: The sizes that it wants; a choice's own option "size" goes before them.
    """

    name: str = attrs.field(validator=_check_name)
    kind: PresetKind = "general"
    template: str
    fields: Mapping[str, PresetParam] = attrs.field(
        factory=dict[str, PresetParam], converter=_copied
    )
    sizes: Sizes = Sizes()

    def __attrs_post_init__(self) -> None:
        _check(self)

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """
        The names of what may be chosen, by parameter; aliases are left out.
        """
        return {name: tuple(field.choices) for name, field in self.fields.items()}

    @property
    def defaults(self) -> Mapping[str, str]:
        """
        What is taken where nothing is chosen, by parameter.
        """
        return {name: field.default for name, field in self.fields.items()}

    def resolve_params(self, **choices: str) -> dict[str, str]:
        """
        Return the choice for every parameter: the given ones by their proper names, and the
        defaults.

        Raises:
            InvalidOptionError: There is no such parameter, or no such choice.
        """
        given = {
            name: self._field(name, value).find(name, value) for name, value in choices.items()
        }
        return {name: given.get(name, field.default) for name, field in self.fields.items()}

    def render_prompt(self, description: str, /, **choices: str) -> str:
        """
        Write the prompt; nothing is sent.

        Args:
            description: What the picture is of, such as "a blue ceramic mug".
            **choices: What is chosen, by parameter; the rest is as in `defaults`.

        Raises:
            InvalidPromptError: The description is no text, or empty.
            InvalidOptionError: There is no such parameter, or no such choice.
        """
        picked = self._picked(self.resolve_params(**choices))
        words = {name: choice.prompt_text for name, choice in picked.items()}
        return render_template(self.template, validate_subject(description), words)

    def options_for(
        self,
        image_model: ModelInfo | None = None,
        own: Mapping[str, Any] | None = None,
        /,
        **choices: str,
    ) -> dict[str, Any]:
        """
        Return the options that suit what is chosen, by name; nothing is sent.

        Args:
            image_model: The model that will draw; the size is one that it takes. None if it is
                not known: the size is then the wanted one.
            own: The caller's own options, by name. They win: what they name is left out here,
                and so is a wish that they rule out.
            **choices: What is chosen, by parameter; the rest is as in `defaults`.

        Raises:
            InvalidOptionError: There is no such parameter, or no such choice.
        """
        own = own or {}
        chosen = self.resolve_params(**choices)
        picked = self._picked(chosen).values()
        needed = _merged(choice.options for choice in picked)
        requests = _granted(_merged(choice.soft_options for choice in picked), {**needed, **own})
        asked = {**self._size_for(chosen), **requests, **needed}
        if "size" in asked:
            asked["size"] = _taken(asked["size"], image_model)
        return {name: value for name, value in asked.items() if name not in own}

    def sizes_for(self, image_model: ModelInfo) -> Mapping[tuple[str, ...], str]:
        """
        Return the wanted sizes as an image model takes them, by the keys of `sizes.wanted`.
        """
        return {key: _taken(size, image_model) for key, size in self.sizes.wanted.items()}

    def extended(self, name: str | None = None, **more: Mapping[str, str | ParamValue]) -> Preset:
        """
        Return a preset with more choices, or with other words for those that are there.

        Args:
            name: What the new one is called; None keeps the name.
            **more: By parameter, the choices to add: the words of each, or a whole `ParamValue`.
                Words alone keep the options and aliases of a choice that was there.

        Raises:
            InvalidOptionError: There is no such parameter.
        """
        extended = {field: self._field(field, item).extended(item) for field, item in more.items()}
        return attrs.evolve(
            self, name=self.name if name is None else name, fields={**self.fields, **extended}
        )

    def _field(self, parameter: str, value: object) -> PresetParam:
        if parameter in self.fields:
            return self.fields[parameter]
        near = difflib.get_close_matches(parameter, self.fields, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = f"Its parameters are: {', '.join(self.fields)}." if self.fields else "It has none."
        raise InvalidOptionError(
            f"The preset {self.name!r} has no parameter {parameter!r}.{hint} {known}",
            parameter,
            value,
            tuple(near),
        )

    def _picked(self, chosen: Mapping[str, str]) -> dict[str, ParamValue]:
        return {name: self.fields[name].choices[choice] for name, choice in chosen.items()}

    def _size_for(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        size = self.sizes.wanted.get(tuple(chosen[name] for name in self.sizes.by))
        return {} if size is None else {"size": size}


def _check(preset: Preset) -> None:
    """
    Refuse a preset that could not be used.

    Raises:
        InvalidRequestError: Its kind, parameters, template and sizes do not go together.
    """
    where = f"The preset {preset.name!r}"
    if preset.kind not in get_args(PresetKind):
        raise InvalidRequestError(
            f"{where} is of kind {preset.kind!r}; the kinds are {join_words(get_args(PresetKind))}."
        )
    for name in preset.fields:
        if not name.isidentifier() or name in _RESERVED:
            raise InvalidRequestError(
                f"{where} has a parameter {name!r}, which "
                + ("the verbs use for something else" if name in _RESERVED else "is no name")
                + ". Call it something else."
            )
    validate_template(preset.template, ("description", *preset.fields), where)
    _check_sizes(preset, where)


def _check_sizes(preset: Preset, where: str) -> None:
    by = preset.sizes.by
    if not set(by) <= set(preset.fields):
        raise InvalidRequestError(
            f"{where} wants sizes by {join_words(by)}; its parameters are "
            f"{join_words(preset.fields)}."
        )
    for key, size in preset.sizes.wanted.items():
        parse_size(size)
        known = len(key) == len(by) and all(
            choice in preset.fields[name].choices for name, choice in zip(by, key, strict=True)
        )
        if not known:
            raise InvalidRequestError(
                f"{where} wants a size for {join_words(key)}, which is not one choice for each of "
                f"{join_words(by)}."
            )


def _merged(options: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for some in options for name, value in some.items()}


def _granted(requests: Mapping[str, Any], firm: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the soft options that firmer options leave room for.
    """
    opaque = firm.get("output_format", "png") not in _SEE_THROUGH
    return {
        name: value
        for name, value in requests.items()
        if not (opaque and (name, value) == ("background", "transparent"))
    }


def _taken(size: Any, image_model: ModelInfo | None) -> str:  # noqa: ANN401 - whatever Options takes
    text = GenerateOptions(size=size).size
    wanted = parse_size(text)
    if wanted is None or image_model is None:
        return text
    width, height = supported_size(image_model.sizes, *wanted)
    return f"{width}x{height}"


@functools.cache
def load_presets() -> Mapping[str, Preset]:
    """
    Read the presets that are packed with this library, by name.
    """
    text = resources.files("imagesession._domain").joinpath("presets.toml").read_text("utf-8")
    return read_presets(tomllib.loads(text))


def read_presets(data: Mapping[str, Any]) -> Mapping[str, Preset]:
    """
    Build presets from the parsed form of `presets.toml`.
    """
    return {name: _read_preset(name, facts) for name, facts in data.items()}


def _read_preset(name: str, facts: Mapping[str, Any]) -> Preset:
    sizes: Mapping[str, Any] = facts.get("sizes", {})
    fields: Mapping[str, Mapping[str, Any]] = facts.get("fields", {})
    return Preset(
        name=name,
        kind=facts["kind"],
        template=facts["template"],
        fields={field: _read_field(item) for field, item in fields.items()},
        sizes=Sizes(by=tuple(sizes.get("by", ())), wanted=_paths(sizes.get("wanted", {}))),
    )


def _read_field(facts: Mapping[str, Any]) -> PresetParam:
    choices: Mapping[str, Mapping[str, Any]] = facts["choices"]
    return PresetParam(
        choices={name: ParamValue(**choice) for name, choice in choices.items()},
        default=facts["default"],
    )


def _paths(table: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """
    Turn tables within tables into one, whose keys are the paths.
    """
    flat: dict[tuple[str, ...], str] = {}
    for name, value in table.items():
        below = {(): value} if isinstance(value, str) else _paths(value)
        flat |= {(name, *path): size for path, size in below.items()}
    return flat


Sizes.__module__ = "imagesession.presets"
Preset.__module__ = "imagesession.presets"
