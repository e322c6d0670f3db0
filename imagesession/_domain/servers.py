"""
Servers that speak OpenAI's protocol: what each has, lacks and refuses. Read from `servers.toml`, or
from a table of the user's in the same form.
"""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

import attrs

from imagesession.errors import InvalidOptionError, InvalidRequestError

from .cost import is_amount
from .model_catalog import read_table
from .options import OPTION_NAMES, parse_ratio, parse_size

Feature: TypeAlias = Literal[
    "responses",
    "image_tool",
    "background",
    "stream",
    "store",
    "files",
    "conversation",
    "previous_response_id",
    "prompt_cache_key",
    "edits",
    "masks",
    "markup",
    "batches",
]
"""A feature that a server with OpenAI's protocol may lack: an endpoint, or a part of one."""
Edits = Literal["form", "json", "input_references", "ref_images"]
"""
How input images are sent: as files of a form, as JSON to the same endpoint, or in a field of a
generation.
"""
# How far a ratio may be from the size that was requested.
_TOLERANCE = 0.02
# No user name, and nothing that two parsers of URLs might read differently.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?")


@attrs.frozen(kw_only=True)
class ServerProfile:
    """
    What is known of a server, on the day when it was checked.

    Attributes:
        hosts: Patterns of the host names by which it is recognised.
        has: Features that it certainly has.
        lacks: Features that it certainly lacks.
        image_model: The image model for "auto"; empty to let the server choose; None for OpenAI's.
        generations: The path of the endpoint that makes images.
        edits: How input images are sent.
        reply: How images come unless something else is requested.
        response_format: Whether it takes `response_format`, by which base64 is requested.
        refuses: Options that it does not take, by their names in this library, and "n".
        aspect_ratios: The values of `aspect_ratio`, which it takes instead of a size in pixels.
        model_header: The header in which the image tool's model is named, if there is one.
        headers: Headers to send along.
        image_hosts: Patterns of the hosts, besides its own, from which images may be fetched.
        price: US dollars per image; None if it is unknown.
    """

    name: str
    checked: dt.date | None = None
    source: str = ""
    hosts: tuple[str, ...] = ()
    has: frozenset[Feature] = frozenset()
    lacks: frozenset[Feature] = frozenset()
    image_model: str | None = None
    generations: str = "/images/generations"
    edits: Edits = "form"
    reply: Literal["b64_json", "url"] = "b64_json"
    response_format: bool = False
    refuses: frozenset[str] = frozenset()
    aspect_ratios: tuple[str, ...] = ()
    model_header: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    image_hosts: tuple[str, ...] = ()
    price: float | None = None

    def may_fetch(self, url: str, base_url: str) -> bool:
        """
        Return whether an image may be fetched from a URL: from the server's own origin, or by https
        from a host that the table names.
        """
        if _PLAIN_URL.fullmatch(url) is None:
            return False
        target = urlsplit(url)
        return is_same_origin(url, base_url) or (
            target.scheme == "https" and _matches(target.hostname or "", self.image_hosts)
        )

    def aspect_ratio(self, size: str) -> str:
        width, height = parse_size(size) or (1, 1)
        wanted = width / height
        nearest = min(self.aspect_ratios, key=lambda ratio: abs(_ratio(ratio) / wanted - 1))
        if abs(_ratio(nearest) / wanted - 1) <= _TOLERANCE:
            return nearest
        raise InvalidOptionError(
            f"size={size!r} has none of the shapes that {self.name} makes, which are "
            f"{', '.join(self.aspect_ratios)}. The nearest is {nearest}.",
            "size",
            size,
            (nearest,),
        )


UNKNOWN_SERVER = ServerProfile(name="the server")
"""A server of which nothing is known."""


def is_same_origin(url: str, base_url: str) -> bool:
    return _origin(url) == _origin(base_url)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _matches(host: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in patterns)


def _ratio(text: str) -> float:
    width, height = parse_ratio(text) or (1.0, 1.0)
    return width / height


def find_server(profiles: Mapping[str, ServerProfile], host: str) -> ServerProfile | None:
    return next((server for server in profiles.values() if _matches(host, server.hosts)), None)


@functools.cache
def builtin_servers() -> Mapping[str, ServerProfile]:
    return read_servers(read_table("servers.toml"), "servers.toml")


def named_server(name: str) -> ServerProfile:
    known = builtin_servers()
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidRequestError(
        f"server={name!r} is not known.{hint} There are {', '.join(known)}; or pass the path of "
        "a .toml table of your own, or its facts as a mapping."
    )


# --- reading a table ------------------------------------------------------------------------------


def read_servers(data: Mapping[str, Any], source: str) -> Mapping[str, ServerProfile]:
    return {name: read_profile(name, facts, f"{source}, [{name}]") for name, facts in data.items()}


def read_profile(name: str, facts: object, source: str) -> ServerProfile:
    """
    Read a server's facts by key, as in `servers.toml`; `source` begins the message of an error.
    """
    if not isinstance(facts, Mapping):
        raise InvalidRequestError(f"{source} is {facts!r}, not a table of facts.")
    values: dict[str, Any] = {}
    for key, value in cast("Mapping[str, object]", facts).items():
        if key not in _READERS:
            near = difflib.get_close_matches(str(key), _READERS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidRequestError(
                f"{source} has an unknown key {key!r}.{hint} The keys are {', '.join(_READERS)}."
            )
        read, form = _READERS[key]
        try:
            values[key] = read(value)
        except (TypeError, ValueError):
            raise InvalidRequestError(f"{source}: {key}={value!r} is not {form}.") from None
    both = values.get("has", frozenset()) & values.get("lacks", frozenset())
    if both:
        raise InvalidRequestError(f"{source} has {', '.join(sorted(both))} in has and in lacks.")
    return ServerProfile(name=name, **values)


def _of_type(kind: type[Any]) -> Callable[[object], Any]:
    def read(value: object) -> object:
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError
    texts = tuple(cast("list[object]", value))
    if not all(isinstance(text, str) and text for text in texts):
        raise TypeError
    return tuple(map(str, texts))


def _choice(choices: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return read


def _choices(choices: tuple[str, ...]) -> Callable[[object], frozenset[str]]:
    return lambda value: frozenset(map(_choice(choices), _texts(value)))


def _hosts(value: object) -> tuple[str, ...]:
    hosts = _texts(value)
    if any(re.fullmatch(r"(\*\.)?[A-Za-z0-9.:-]+", host) is None for host in hosts):
        raise ValueError
    return tuple(host.lower() for host in hosts)


def _ratios(value: object) -> tuple[str, ...]:
    ratios = _texts(value)
    if None in map(parse_ratio, ratios):
        raise ValueError
    return ratios


def _matching(pattern: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise ValueError
        return value

    return read


_header = _matching("[A-Za-z0-9-]+")


def _headers(value: object) -> dict[str, str]:
    headers = dict(cast("Mapping[object, object]", value))
    if not all(isinstance(text, str) and text.isprintable() for text in headers.values()):
        raise ValueError
    return {_header(name): str(text) for name, text in headers.items()}


def _price(value: object) -> float:
    if not is_amount(value):
        raise ValueError
    return float(value)


_FEATURES: tuple[str, ...] = get_args(Feature)
_READERS: Mapping[str, tuple[Callable[[object], Any], str]] = {
    "checked": (_of_type(dt.date), "a date such as 2026-11-29"),
    "source": (_of_type(str), "text"),
    "hosts": (_hosts, 'a list of host names such as ["images.example.com", "*.example.com"]'),
    "has": (_choices(_FEATURES), f"a list of some of {', '.join(_FEATURES)}"),
    "lacks": (_choices(_FEATURES), f"a list of some of {', '.join(_FEATURES)}"),
    "image_model": (_of_type(str), "the name of a model"),
    "generations": (_matching("(/[A-Za-z0-9._-]+)+"), 'a path such as "/images/generations"'),
    "edits": (_choice(get_args(Edits)), f"one of {', '.join(get_args(Edits))}"),
    "reply": (_choice(("b64_json", "url")), '"b64_json" or "url"'),
    "response_format": (_of_type(bool), "true or false"),
    "refuses": (
        _choices((*OPTION_NAMES, "n")),
        f"a list of some of {', '.join((*OPTION_NAMES, 'n'))}",
    ),
    "aspect_ratios": (_ratios, 'a list of ratios such as ["1:1", "16:9"]'),
    "model_header": (_header, "the name of a header"),
    "headers": (_headers, "a table of headers"),
    "image_hosts": (_hosts, 'a list of host names such as ["cdn.example.com"]'),
    "price": (_price, "a number of US dollars from 0"),
}
"""How each key is read, and the form of its values."""
