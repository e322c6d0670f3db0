"""
The options of an image request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast, get_args

import attrs

from imagesession.errors import InvalidOptionError

from .foreign_words import SHAPES, nearest_values, to_value, translate, unknown_option
from .wording import quote

Quality = Literal["auto", "low", "medium", "high", "xhigh", "max"]
Background = Literal["auto", "transparent", "opaque"]
OutputFormat = Literal["png", "jpeg", "webp", "gif", "svg"]
InputFidelity = Literal["low", "high"]
Moderation = Literal["auto", "low"]
Complexity = Literal["low", "medium", "high"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ServiceTier = Literal["auto", "default", "flex", "priority"]
Size = str | tuple[int, int]
# Newer models make all sizes that are multiples of it; older ones have a few.
_GRID = 16


class OptionParams(TypedDict, total=False):
    """
    The keyword arguments that every verb takes; see `GenerateOptions` for what they mean.
    """

    model: str
    image_model: str | Sequence[str]
    size: Size
    quality: Quality
    background: Background
    output_format: OutputFormat
    output_compression: int | None
    input_fidelity: InputFidelity | None
    moderation: Moderation
    complexity: Complexity | None
    frames: int | None
    frame_ms: int | None
    svg_model: str | None
    reasoning_effort: ReasoningEffort | None
    safety_identifier: str | None
    service_tier: ServiceTier
    compact_threshold: int | None


def parse_size(text: str) -> tuple[int, int] | None:
    """
    Read `"1536x864"` as `(1536, 864)`; None for `"auto"`.
    """
    if text == "auto":
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text, re.ASCII)
    if match is None:
        raise InvalidOptionError(
            f'size={quote(text)} is not a size. Write "1536x864", "16:9", "landscape", "portrait", '
            '"square" or "auto".',
            "size",
            text,
            ("auto", "1024x1024", "1536x864"),
        )
    return int(match[1]), int(match[2])


def parse_ratio(text: str) -> tuple[float, float] | None:
    """
    Read `"16:9"` as `(16.0, 9.0)`; None if the text is no ratio.
    """
    match = re.fullmatch(
        r"([0-9]{1,5}(?:\.[0-9]{1,3})?):([0-9]{1,5}(?:\.[0-9]{1,3})?)", text, re.ASCII
    )
    if match is None or not (float(match[1]) and float(match[2])):
        return None
    return float(match[1]), float(match[2])


def _size_text(value: Size | int) -> str:
    """
    Format a size as the API does, whatever its separator, case or type; a shape as its ratio.

    A tuple that no model makes exactly becomes a ratio of pixels, for which the nearest size is
    taken.
    """
    if isinstance(value, str):
        text = re.sub(r"[×*]", "x", value.strip().lower().replace(" ", "").replace("/", ":"))
        return SHAPES.get(text, f"{text}x{text}" if text.isdecimal() else text)
    if type(value) is int:
        return f"{value}x{value}"
    try:
        width, height = cast("tuple[int, int]", value)
    except (TypeError, ValueError):
        return quote(value)
    exact = all(type(edge) is int and edge % _GRID == 0 for edge in (width, height))
    return f"{width}{'x' if exact else ':'}{height}"


def _join_names(value: str | Sequence[str]) -> str:
    """
    Write a list of models as one text; anything else is left for the validator.
    """
    names = value if isinstance(value, list | tuple) else ()
    if not names or not all(type(name) is str and name.strip() for name in names):
        return cast("str", value)
    return ", ".join(name.strip() for name in names)


def _check_size(_: object, __: object, value: str) -> None:
    if parse_ratio(value) is None:
        parse_size(value)


def _one_of(literal: Any) -> Any:  # noqa: ANN401 - a Literal, and attrs' own type
    """
    Make a validator whose message lists the choices; attrs' own raises a 4-tuple.
    """
    choices = get_args(literal)

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value in choices or (value is None and attribute.default is None):
            return
        near = nearest_values(attribute.name, value, choices)
        listed = ", ".join(repr(choice) for choice in choices)
        hint = f" Nearest: {near[0]!r}." if near else ""
        raise InvalidOptionError(
            f"{attribute.name}={quote(value)} is not one of {listed}.{hint}",
            attribute.name,
            value,
            tuple(near) or choices,
        )

    return check


def _between(low: int, high: int, unit: str) -> Any:  # noqa: ANN401 - attrs' own type
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            nearest: tuple[str, ...] = ()
        elif low <= value <= high:
            return
        else:
            nearest = (str(min(max(value, low), high)),)
        raise InvalidOptionError(
            f"{attribute.name}={quote(value)} is not a whole number of {unit} from {low} to "
            f"{high}.",
            attribute.name,
            value,
            nearest,
        )

    return check


def _name(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None and attribute.default is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise InvalidOptionError(
            f'{attribute.name}={quote(value)} is not the name of a model; "auto" leaves the choice '
            "to the library or the provider.",
            attribute.name,
            value,
            ("auto",),
        )


def _identifier(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or (isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= 128):  # noqa: PLR2004 - openai 3.57's docstring
        return
    raise InvalidOptionError(
        f"{attribute.name}={quote(value)} is not a text of 1 to 128 characters. Hash longer ones.",
        attribute.name,
        value,
    )


@attrs.frozen(kw_only=True, repr=False)
class GenerateOptions:
    """
    The options of an image request: everything beside its prompt and images.

    Every verb takes them as keyword arguments. An option that is left out has the session's
    value, then the studio's, then the default here.

    Attributes:
        model: The mainline model, which leads the conversation and writes the image model's
            prompt; "auto" is the newest suitable one in this library's catalogue.
        image_model: The model that makes the image; "auto" leaves the choice to the provider. Of a
            list, the next one is asked if the answer of the one before it billed nothing.
        size: "auto", or width and height in pixels, as "1536x864" or `(1536, 864)`; or a ratio or
            shape, as "16:9", "landscape", "portrait" or "square", for which the image model's
            nearest size is taken. A tuple that it does not make is rounded to the nearest size too.
        quality: "low" to "high"; newer image models also take "xhigh" and "max".
        background: "transparent" needs output_format "png" or "webp".
        output_format: The file format of the image.
        output_compression: 0 (smallest) to 100 (best), for "jpeg" and "webp" only.
        input_fidelity: How closely input images are preserved; only older image models take it.
        moderation: "low" requests a less strict filter.
        complexity: How much the image model may plan before it draws.
        frames: Frames of a "gif", 2 to 16.
        frame_ms: How long each frame of a "gif" is shown, in milliseconds, 10 to 10,000.
        svg_model: The model that writes an "svg".
        reasoning_effort: How much the mainline model reasons before it calls the image model, in
            tokens and seconds. It sets `complexity` too unless that is given, so a lower effort may
            make plainer images; left out, it is the model's default.
        safety_identifier: Your own stable id of the end user, at most 128 characters, by which the
            provider tells users apart if one violates its policies. Hash names and addresses.
        service_tier: How the mainline model is served: "flex" is cheaper and slower, "priority"
            faster and dearer, "default" standard; "auto" is what the provider's project is set to.
        compact_threshold: Input tokens above which the provider summarises a session's earlier
            turns, 20,000 or more; None for never. Set it far above what one turn adds.

    Source: https://developers.openai.com/api/reference/resources/responses (tool
    `image_generation`, `reasoning` and `safety_identifier`), as of November 2026.
    """

    model: str = attrs.field(default="auto", validator=_name)
    image_model: str = attrs.field(default="auto", converter=_join_names, validator=_name)
    size: str = attrs.field(default="auto", converter=_size_text, validator=_check_size)
    quality: Quality = attrs.field(default="auto", validator=_one_of(Quality))
    background: Background = attrs.field(default="auto", validator=_one_of(Background))
    output_format: OutputFormat = attrs.field(default="png", validator=_one_of(OutputFormat))
    output_compression: int | None = attrs.field(
        default=None, validator=_between(0, 100, "percent")
    )
    input_fidelity: InputFidelity | None = attrs.field(
        default=None, validator=_one_of(InputFidelity)
    )
    moderation: Moderation = attrs.field(default="auto", validator=_one_of(Moderation))
    complexity: Complexity | None = attrs.field(default=None, validator=_one_of(Complexity))
    frames: int | None = attrs.field(default=None, validator=_between(2, 16, "frames"))
    frame_ms: int | None = attrs.field(default=None, validator=_between(10, 10_000, "milliseconds"))
    svg_model: str | None = attrs.field(default=None, validator=_name)
    reasoning_effort: ReasoningEffort | None = attrs.field(
        default=None, validator=_one_of(ReasoningEffort)
    )
    safety_identifier: str | None = attrs.field(default=None, validator=_identifier)
    service_tier: ServiceTier = attrs.field(default="auto", validator=_one_of(ServiceTier))
    # Near the size of one request, users have seen ten compactions in one response, each billed.
    compact_threshold: int | None = attrs.field(
        default=None, validator=_between(20_000, 10_000_000, "tokens")
    )

    @property
    def image_models(self) -> tuple[str, ...]:
        """
        The image models to ask, one after the other.
        """
        return tuple(name.strip() for name in self.image_model.split(","))

    def updated(self, changes: Mapping[str, Any]) -> GenerateOptions:
        """
        Return these options with some of them changed.

        Raises:
            InvalidOptionError: There is no such option, or a value is not valid.
        """
        options = translate(changes)
        for name, value in options.items():
            if name not in OPTION_NAMES:
                raise unknown_option(name, value, OPTION_NAMES)
        given: dict[str, Any] = {
            name: to_value(name, value)
            for name, value in options.items()
            if value is not None or name in OPTIONAL
        }
        try:
            return attrs.evolve(self, **given)
        except InvalidOptionError as error:
            # The message explains the value; the frames of the check would hide the caller's line.
            raise error.with_traceback(None) from None

    def changed(self) -> dict[str, Any]:
        """
        Return the options that differ from the defaults, by name.
        """
        values = ((name, getattr(self, name), default) for name, default in _DEFAULTS)
        return {name: value for name, value, default in values if value != default}

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self.changed().items())
        return f"{type(self).__name__}({changed})"


_DEFAULTS = tuple((field.name, field.default) for field in attrs.fields(GenerateOptions))
OPTION_NAMES: tuple[str, ...] = tuple(field.name for field in attrs.fields(GenerateOptions))
# For these None is a value; for the others it leaves the option out.
OPTIONAL = frozenset(field.name for field in attrs.fields(GenerateOptions) if field.default is None)


GenerateOptions.__module__ = "imagesession"
