"""
The guide to this library, for people and for language models.

Its text is in `guide.md`; all lists in it that could become outdated are read from the code.
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs

from imagesession import errors, presets
from imagesession._api.batch import BatchesResource
from imagesession._api.config import (
    DEFAULT_MAX_SESSIONS,
    DEFAULT_SESSION_IDLE_TIMEOUT,
    DEFAULT_TIMEOUT,
)
from imagesession._api.models import ModelsResource
from imagesession._api.pending import RequestsResource
from imagesession._api.resources import ImagesResource, SessionsResource
from imagesession._api.session import ImageSession, SavedImage
from imagesession._api.signatures import INHERITED, public
from imagesession._api.studio import Studio
from imagesession._api.workflows import DEFAULT_CONCURRENCY
from imagesession._domain.model_catalog import ModelCatalog, ModelInfo, SizeRule, load_catalogue
from imagesession._domain.options import GenerateOptions, OptionParams
from imagesession._domain.servers import builtin_servers
from imagesession._domain.turn import Kind
from imagesession._engine.bulk import MAX_CONCURRENCY
from imagesession._engine.validate import MAX_PARTIALS, MAX_PROMPT, MAX_REFERENCES
from imagesession._engine.variations import MAX_VARIATIONS
from imagesession._imaging.limits import MAX_BYTES, MAX_PIXELS
from imagesession._imaging.mask import Mask
from imagesession._store.disk import layout
from imagesession._version import __version__

Row: TypeAlias = tuple[str, ...]

_COLLECTIONS = {
    "studio.sessions": SessionsResource,
    "studio.images": ImagesResource,
    "studio.batches": BatchesResource,
    "studio.models": ModelsResource,
    "studio.requests": RequestsResource,
}


@public
def guide() -> str:
    """
    Return the guide to this library in Markdown: runnable examples, all verbs, options, presets and
    models, and what to do about each error.
    """
    return write_guide(dt.datetime.now(dt.UTC).date())


def write_guide(today: dt.date) -> str:
    """
    Return the guide as of a day; models that are retired by then are left out.
    """
    text = resources.files("imagesession._api").joinpath("guide.md").read_text("utf-8")
    catalogue = load_catalogue()
    parts: Mapping[str, Callable[[], str]] = {
        "version": lambda: __version__,
        "dated": lambda: str(catalogue.dated),
        "mainline": lambda: f"`{catalogue.mainline}`",
        "image": lambda: f"`{catalogue.image}`",
        "presets": _presets,
        "folders": _folders,
        # An analysis has no image, so this kind finds nothing.
        "kinds": lambda: _coded(kind for kind in get_args(Kind) if kind != "analysis"),
        "errors": _errors,
        "options": _options,
        "models": lambda: _models(catalogue, today),
        "servers": lambda: _coded(builtin_servers()),
        "limits": _limits,
        "shared_verbs": lambda: _verbs(Studio, _shared()),
        "studio_itself": lambda: f"`Studio{_parameters(Studio)}`",
        "studio_verbs": lambda: _verbs(Studio, _names(Studio) - _shared()),
        "session_verbs": lambda: _verbs(ImageSession, _names(ImageSession) - _shared()),
        "image_verbs": lambda: _methods(SavedImage),
        "image_facts": lambda: _properties(SavedImage),
        "session_facts": lambda: _properties(ImageSession),
        "studio_facts": lambda: _properties(Studio),
        "collection_verbs": _collections,
        "mask_verbs": lambda: _methods(Mask),
    }
    return re.sub(r"\{([a-z_]+)\}", lambda found: parts[found[1]](), text)


# --- verbs -------------------------------------------------------------------------------------


def _names(kind: type) -> set[str]:
    return {
        name
        for name in dir(kind)
        if not name.startswith("_") and inspect.isroutine(getattr(kind, name))
    }


def _properties(kind: type) -> str:
    names = {
        name
        for name in dir(kind)
        if not name.startswith("_") and isinstance(getattr(kind, name), property)
    }
    return " ".join(f"`{name}`: {_doc(kind, name)}" for name in _in_order(kind, names))


def _shared() -> set[str]:
    return {
        name
        for name in _names(Studio) & _names(ImageSession)
        if getattr(Studio, name) is getattr(ImageSession, name)
    }


def _verbs(kind: type, names: set[str]) -> str:
    rows = ((_call(kind, name), _doc(kind, name)) for name in _in_order(kind, names))
    return _table(("call", "what it does"), rows)


def _collections() -> str:
    return " ".join(
        f"`{owner}.{name}{_parameters(getattr(kind, name))}`: {_doc(kind, name)}"
        for owner, kind in _COLLECTIONS.items()
        for name in _in_order(kind, _names(kind))
    )


def _methods(kind: type) -> str:
    verbs = _in_order(kind, _names(kind))
    return " ".join(f"{_call(kind, name)}: {_doc(kind, name)}" for name in verbs)


def _call(kind: type, name: str) -> str:
    return f"`{name}{_parameters(getattr(kind, name))}`"


def _in_order(kind: type, names: set[str]) -> Iterator[str]:
    defined = (name for base in reversed(kind.__mro__) for name in vars(base))
    return (name for name in dict.fromkeys(defined) if name in names)


def _parameters(verb: Callable[..., object]) -> str:
    """
    Format parameters as in the source, with the options as `**options`.
    """
    known = [
        parameter.replace(annotation=parameter.empty)
        for parameter in inspect.signature(verb).parameters.values()
        if parameter.name != "self"
    ]
    own = [parameter for parameter in known if parameter.default is not INHERITED]
    if len(own) < len(known):
        own.append(inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD))
    return str(inspect.Signature(own))


def _doc(kind: type, name: str) -> str:
    return _first(inspect.getdoc(getattr(kind, name)))


def _first(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


# --- errors ------------------------------------------------------------------------------------


def _errors() -> str:
    """
    Read the tree of errors from the docstring of `errors`, and each meaning from its class.
    """
    rows: list[Row] = []
    advice = ""
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        heading = re.fullmatch(r"\s+(\w[\w ,]*):", line)
        listed = re.match(r"\s*[*+-] `(\w+)`", line)
        if heading:
            advice = heading[1]
        elif listed and listed[1] != "ImageSessionError":
            kind: type[errors.ImageSessionError] = getattr(errors, listed[1])
            rows.append((advice, _indented(kind), _first(kind.__doc__), _coded(_fields(kind))))
            advice = ""
    return _table(("what to do", "error", "what it means", "facts beside `message`"), rows)


def _indented(kind: type) -> str:
    depth = len(kind.__mro__) - len(errors.ImageSessionError.__mro__) - 1
    return f"{'↳ ' * depth}`{kind.__name__}`"


def _fields(kind: type[Any]) -> Iterable[str]:
    return (field.name for field in attrs.fields(kind) if field.init and field.name != "message")


# --- options, presets, models ------------------------------------------------------------------


def _options() -> str:
    meanings, types = _attributes(GenerateOptions), get_type_hints(OptionParams)
    rows = (
        (
            f"`{field.name}`",
            _coded(_values(types[field.name])),
            f"`{field.default!r}`",
            meanings.get(field.name, ""),
        )
        for field in attrs.fields(GenerateOptions)
    )
    return _table(("option", "values", "default", "what it means"), rows)


def _values(hint: object) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from (f'"{value}"' for value in get_args(hint))
    elif get_origin(hint) in {Union, UnionType}:
        yield from (value for member in get_args(hint) for value in _values(member))
    elif hint is not type(None):
        yield hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _attributes(kind: type) -> dict[str, str]:
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].split("\n\n")[0]
    attributes = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in attributes}


def _presets() -> str:
    rows = (
        (f"`{name}`", f"`{parameter}`", _coded(choices), f"`{preset.defaults[parameter]}`")
        for name in presets.names()
        for preset in [presets.get(name)]
        for parameter, choices in preset.choices.items()
    )
    return _table(("preset", "parameter", "choices", "default"), rows)


def _models(catalogue: ModelCatalog, today: dt.date) -> str:
    head = ("`image_model`", "qualities", "formats", "sizes", "ends", "then")
    image_models: dict[Row, list[str]] = {}
    for model in catalogue.available("image", today):
        facts = (_coded(model.qualities), _coded(model.formats), _sizes(model.sizes), *_end(model))
        image_models.setdefault(facts, []).append(model.id)
    mainline_models: dict[Row, list[str]] = {}
    for model in catalogue.available("mainline", today):
        mainline_models.setdefault(_end(model), []).append(model.id)
    mainline_head = ("`model`", "ends", "then")
    return f"{_by_facts(head, image_models)}\n\n{_by_facts(mainline_head, mainline_models)}"


def _by_facts(head: Row, models: Mapping[Row, list[str]]) -> str:
    return _table(head, ((_coded(names), *facts) for facts, names in models.items()))


def _end(model: ModelInfo) -> Row:
    end = "not announced" if model.shutdown is None else str(model.shutdown)
    return end, "" if model.replacement is None else f"`{model.replacement}`"


def _sizes(rule: SizeRule) -> str:
    if rule.fixed:
        return _coded(f"{width}x{height}" for width, height in rule.fixed)
    return (
        f"multiples of {rule.multiple}, up to {rule.max_edge} an edge and {rule.max_ratio:g}:1, "
        f"{rule.min_pixels:,} to {rule.max_pixels:,} pixels"
    )


# --- folders and limits -------------------------------------------------------------------------


def _folders() -> str:
    tree = inspect.cleandoc(layout.__doc__ or "").partition("<library>/\n")[2]
    visible = tree.partition(".imagesession/\n")[0].rstrip().splitlines()
    folders = "\n".join(f"  {line.strip()}" for line in visible)
    return f"```\n<library>/\n{folders}\n  .imagesession/   records; leave them alone\n```"


def _limits() -> str:
    return _table(
        ("what", "limit"),
        (
            ("a prompt", f"{MAX_PROMPT:,} characters"),
            ("input images of a prompt", str(MAX_REFERENCES)),
            ("an input image", f"{MAX_BYTES / 1e6:.0f} MB, {MAX_PIXELS:,} pixels"),
            ("`partial_images`", str(MAX_PARTIALS)),
            ("`n` of `variations`, `preset`, `product`, `ui_asset`", str(MAX_VARIATIONS)),
            ("`max_concurrency` of `map`", f"{MAX_CONCURRENCY}; {DEFAULT_CONCURRENCY} by default"),
            ("active sessions", f"`max_active_sessions`, {DEFAULT_MAX_SESSIONS} by default"),
            (
                "until a session is idle",
                f"`session_idle_timeout`, {DEFAULT_SESSION_IDLE_TIMEOUT:g} seconds by default",
            ),
            ("waiting for an image", f"`timeout`, {DEFAULT_TIMEOUT:g} seconds by default"),
        ),
    )


def _coded(values: Iterable[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
