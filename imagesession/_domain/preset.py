"""
Presets: prompt templates with parameters, whose values set words and options.

The built-in ones are read from `presets.toml`; `imagesession.presets` holds the registered ones.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import attrs

from imagesession.errors import InvalidOptionError, InvalidRequestError

from .model_catalog import ModelInfo, read_table
from .options import OPTION_NAMES, GenerateOptions, parse_size
from .preset_params import ParamValue, PresetParam, join_words
from .prompt_template import render_template, validate_subject, validate_template
from .readable import readable
from .sizes import resolve_size, supported_size
from .wording import quote

PresetKind = Literal["general", "product", "ui_asset"]

# Reserved for arguments of the verbs, so no parameter can have these names.
_RESERVED = frozenset({*OPTION_NAMES, "name", "description", "preset", "prompt", "self"})
# https://developers.openai.com/api/reference/resources/responses, tool `image_generation`:
# background
_FORMATS_WITH_ALPHA = ("png", "webp")


def _copied(fields: Mapping[str, PresetParam]) -> dict[str, PresetParam]:
    return dict(fields)


def _copied_sizes(sizes: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    return dict(sizes)


@attrs.frozen(kw_only=True)
class Sizes:
    """
    The preferred sizes of a preset, by the values of its parameters.

    Attributes:
        by: The parameters that determine the size; if empty, there is at most one size.
        wanted: Sizes such as "1536x864", by the values of these parameters in their order.
    """

    by: tuple[str, ...] = ()
    wanted: Mapping[tuple[str, ...], str] = attrs.field(
        factory=dict[tuple[str, ...], str], converter=_copied_sizes
    )


def _check_name(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(f"A preset's name must be a non-empty text, not {quote(value)}.")


@readable
@attrs.frozen(kw_only=True)
class Preset:
    """
    A prompt template with parameters: what a professional would add to a description.

    `imagesession.presets` has the built-in ones, and shows how to extend one.

    Attributes:
        name: Its name.
        kind: The kind of its images, which are saved in the library's folder of that kind.
        template: The template: `{description}` and one `{parameter}` for each of `fields`. Lines
            that are empty once filled are left out.
        fields: The parameters, by name.
        sizes: The preferred sizes; an option "size" of a parameter's value has precedence.
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

    def __str__(self) -> str:
        params = [f"{name} ({', '.join(field.choices)})" for name, field in self.fields.items()]
        return f"{self.name} ({self.kind}): {'; '.join(params) or 'no parameters'}"

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """
        The names of the values of each parameter, without aliases.
        """
        return {name: tuple(field.choices) for name, field in self.fields.items()}

    @property
    def defaults(self) -> Mapping[str, str]:
        """
        The name of the default value of each parameter.
        """
        return {name: field.default for name, field in self.fields.items()}

    def resolve_params(self, **choices: str) -> dict[str, str]:
        """
        Return the value of every parameter: the chosen ones with aliases resolved, and the
        defaults.

        Raises:
            InvalidOptionError: There is no such parameter or value.
        """
        chosen = {
            name: self._field(name, value).find(name, value) for name, value in choices.items()
        }
        return {name: chosen.get(name, field.default) for name, field in self.fields.items()}

    def render_prompt(self, description: str, /, **choices: str) -> str:
        """
        Return the whole prompt; nothing is sent.

        Args:
            description: What the image shows, such as "a blue ceramic mug".
            **choices: Values by parameter; the other parameters have their defaults.

        Raises:
            InvalidPromptError: The description is empty or not text.
            InvalidOptionError: There is no such parameter or value.
        """
        values = self._values_of(self.resolve_params(**choices))
        words = {name: value.prompt_text for name, value in values.items()}
        return render_template(self.template, validate_subject(description), words)

    def options_for(
        self,
        image_model: ModelInfo | None = None,
        own: Mapping[str, Any] | None = None,
        refused: frozenset[str] = frozenset(),
        /,
        **choices: str,
    ) -> dict[str, Any]:
        """
        Return the options that belong to the values, by name; nothing is sent.

        Args:
            image_model: The image model; the size is adjusted to one that it supports. None if it
                is unknown: the size is then the preferred one.
            own: The caller's own options, by name. They have precedence: the result leaves them
                out, and also any soft option that contradicts them.
            refused: Options that the server does not take; soft ones among them are left out.
            **choices: Values by parameter; the other parameters have their defaults.

        Raises:
            InvalidOptionError: There is no such parameter or value.
        """
        own = own or {}
        chosen = self.resolve_params(**choices)
        values = self._values_of(chosen).values()
        required = _merge(value.options for value in values)
        soft = _merge(value.soft_options for value in values)
        soft = _without_conflicts(soft, {**required, **own})
        if not refused.isdisjoint(soft):
            soft = {}  # they belong together, as a transparent background and PNG do
        options = {**self._size_for(chosen), **soft, **required}
        if "size" in options:
            options["size"] = _to_supported_size(options["size"], image_model)
        return {name: value for name, value in options.items() if name not in own}

    def sizes_for(self, image_model: ModelInfo) -> Mapping[tuple[str, ...], str]:
        """
        Return the preferred sizes, adjusted to an image model, by the keys of `sizes.wanted`.
        """
        return {
            key: _to_supported_size(size, image_model) for key, size in self.sizes.wanted.items()
        }

    def extended(self, name: str | None = None, **more: Mapping[str, str | ParamValue]) -> Preset:
        """
        Return a preset with more values, or with other words for existing values.

        Args:
            name: The new preset's name; None keeps the name.
            **more: By parameter, the values to add: the prompt text of each, or a whole
                `ParamValue`. Text alone keeps the options and aliases of an existing value.

        Raises:
            InvalidOptionError: There is no such parameter.
        """
        extended = {
            field: self._field(field, values).extended(values) for field, values in more.items()
        }
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
            f"The preset {self.name!r} has no parameter {quote(parameter)}.{hint} {known}",
            parameter,
            value,
            tuple(near),
        )

    def _values_of(self, chosen: Mapping[str, str]) -> dict[str, ParamValue]:
        return {name: self.fields[name].choices[choice] for name, choice in chosen.items()}

    def _size_for(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        size = self.sizes.wanted.get(tuple(chosen[name] for name in self.sizes.by))
        return {} if size is None else {"size": size}


def _check(preset: Preset) -> None:
    where = f"The preset {preset.name!r}"
    if preset.kind not in get_args(PresetKind):
        raise InvalidRequestError(
            f"{where} is of kind {quote(preset.kind)}; the kinds are "
            f"{join_words(get_args(PresetKind))}."
        )
    for name in preset.fields:
        if not name.isidentifier() or name in _RESERVED:
            raise InvalidRequestError(
                f"{where} has a parameter {quote(name)}, which "
                + ("is reserved for the verbs" if name in _RESERVED else "is not a valid name")
                + ". Use another name."
            )
    validate_template(preset.template, ("description", *preset.fields), where)
    _check_sizes(preset, where)


def _check_sizes(preset: Preset, where: str) -> None:
    by = preset.sizes.by
    if not set(by) <= set(preset.fields):
        raise InvalidRequestError(
            f"{where} has sizes by {join_words(by)}; its parameters are "
            f"{join_words(preset.fields)}."
        )
    for key, size in preset.sizes.wanted.items():
        parse_size(size)
        known = len(key) == len(by) and all(
            choice in preset.fields[name].choices for name, choice in zip(by, key, strict=True)
        )
        if not known:
            raise InvalidRequestError(
                f"{where} has a size for {join_words(key)}, which is not one value for each of "
                f"{join_words(by)}."
            )


def _merge(options: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for mapping in options for name, value in mapping.items()}


def _without_conflicts(soft: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any]:
    opaque = required.get("output_format", "png") not in _FORMATS_WITH_ALPHA
    return {
        name: value
        for name, value in soft.items()
        if not (opaque and (name, value) == ("background", "transparent"))
    }


def _to_supported_size(size: Any, image_model: ModelInfo | None) -> str:  # noqa: ANN401 - any size
    text = resolve_size(GenerateOptions(size=size).size, image_model.sizes if image_model else None)
    pixels = parse_size(text)
    if pixels is None or image_model is None:
        return text
    width, height = supported_size(image_model.sizes, *pixels)
    return f"{width}x{height}"


@functools.cache
def load_presets() -> Mapping[str, Preset]:
    return {name: _read_preset(name, facts) for name, facts in read_table("presets.toml").items()}


def _read_preset(name: str, facts: Mapping[str, Any]) -> Preset:
    sizes: Mapping[str, Any] = facts.get("sizes", {})
    fields: Mapping[str, Mapping[str, Any]] = facts.get("fields", {})
    return Preset(
        name=name,
        kind=facts["kind"],
        template=facts["template"],
        fields={field: _read_field(table) for field, table in fields.items()},
        sizes=Sizes(by=tuple(sizes.get("by", ())), wanted=_flatten(sizes.get("wanted", {}))),
    )


def _read_field(facts: Mapping[str, Any]) -> PresetParam:
    choices: Mapping[str, Mapping[str, Any]] = facts["choices"]
    return PresetParam(
        choices={name: ParamValue(**choice) for name, choice in choices.items()},
        default=facts["default"],
    )


def _flatten(table: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    flat: dict[tuple[str, ...], str] = {}
    for name, value in table.items():
        nested = {(): value} if isinstance(value, str) else _flatten(value)
        flat |= {(name, *path): size for path, size in nested.items()}
    return flat


Sizes.__module__ = "imagesession.presets"
Preset.__module__ = "imagesession.presets"
