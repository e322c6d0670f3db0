"""
Read the values of the server's options and variables.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import attrs

Api: TypeAlias = Literal["responses", "images"]
ProviderState: TypeAlias = Literal["responses", "conversation", "none"]
DEFAULT_PRINCIPAL = "default"
"""The principal of the token in IMAGESESSION_MCP_TOKEN."""
_TOKEN_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(\S+)(?:\s+(\S+))?")
_MIN_TOKEN = 16


class InvalidOptionError(ValueError):
    """
    An option has an invalid value; the message says which values are valid.
    """


@attrs.frozen
class Principal:
    """
    A caller over HTTP.

    Attributes:
        name: The caller's name; each name has its own library.
        token: The caller's bearer token.
        daily_budget: The caller's limit per day, in US dollars; None for a share of the server's.
    """

    name: str
    token: str = attrs.field(repr=False)
    daily_budget: float | None = None


def parse_switch(text: str) -> bool:
    """
    Read a switch: 1, true, yes or on, or the opposite.
    """
    values = {"1": True, "true": True, "yes": True, "on": True}
    values |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in values:
        raise InvalidOptionError("takes 1 or 0")
    return values[text.lower()]


def parse_path(text: str) -> Path:
    """
    Read a path.
    """
    if "\0" in text:
        raise InvalidOptionError("takes a path")
    # Hosts start servers without a shell, so ~ is not expanded yet.
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - never raises


def parse_library(text: str) -> Path | str:
    """
    Read a library's folder, or its URL.
    """
    return text if text.startswith(("postgresql://", "postgres://")) else parse_path(text)


def parse_folder(text: str) -> Path:
    """
    Read the path of a folder that exists.
    """
    path = parse_path(text)
    if not path.is_dir():
        raise InvalidOptionError("takes a folder that exists")
    return path


def number_parser(maximum: float, what: str) -> Callable[[str], float]:
    """
    Return the parser of a number from 0 to `maximum`; `what` says in errors what it takes.
    """

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number <= maximum:
            raise InvalidOptionError(f"takes {what}")
        return number

    return parse


def integer_parser(maximum: int, what: str, minimum: int = 0) -> Callable[[str], int]:
    """
    Return the parser of a whole number; `what` says in errors what it takes.
    """

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None or not minimum <= int(text) <= maximum:
            raise InvalidOptionError(f"takes {what}")
        return int(text)

    return parse


def parse_budget(text: str) -> float | None:
    """
    Read a limit in US dollars; None for no limit.
    """
    if text.lower() == "none":
        return None
    return number_parser(1e9, "US dollars, as 2.50, or none for no limit")(text)


def parse_provider_state(text: str) -> ProviderState:
    """
    Read what the provider may keep.
    """
    states: tuple[ProviderState, ...] = get_args(ProviderState)
    for state in states:
        if text.lower() == state:
            return state
    raise InvalidOptionError(f"takes {', '.join(states)}")


def parse_api(text: str) -> Api:
    """
    Read the API that makes images.
    """
    apis: tuple[Api, ...] = get_args(Api)
    for api in apis:
        if text.lower() == api:
            return api
    raise InvalidOptionError(f"takes {' or '.join(apis)}")


def parse_server(text: str) -> str:
    """
    Read the name of a server, or the path of a table of servers.
    """
    return str(parse_path(text)) if text.lower().endswith(".toml") else text


def parse_host(text: str) -> str:
    """
    Read a host name or an address.
    """
    if re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text) is None:
        raise InvalidOptionError("takes a name or an address, as 127.0.0.1 or images.example.com")
    return text


def parse_origin(text: str) -> str:
    """
    Read the origin of a web page.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or text != f"{parts.scheme}://{parts.netloc}":
        raise InvalidOptionError("takes an origin, as https://app.example.com")
    return text


def parse_token(text: str) -> tuple[Principal, ...]:
    """
    Read the token of the only principal.
    """
    return (_make_principal(DEFAULT_PRINCIPAL, text),)


def parse_tokens(text: str) -> tuple[Principal, ...]:
    """
    Read lines of name:token, each with its own daily budget if it has one.
    """
    principals: list[Principal] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (match := _TOKEN_LINE.fullmatch(line.strip())) is None:
            raise InvalidOptionError(f"has a line that is not name:token [USD]: line {number}")
        principals.append(_make_principal(*match.groups()))
    # Names are folders, and not every file system tells their case.
    for what, values in (
        ("name", {principal.name.casefold() for principal in principals}),
        ("token", {principal.token for principal in principals}),
    ):
        if len(values) < len(principals):
            raise InvalidOptionError(f"has the same {what} twice")
    if not principals:
        raise InvalidOptionError("takes lines of name:token, and has none")
    return tuple(principals)


def parse_token_file(text: str) -> tuple[Principal, ...]:
    """
    Read a file of such lines.
    """
    try:
        lines = parse_path(text).read_text("utf-8")
    except (OSError, UnicodeError):
        raise InvalidOptionError("takes a text file that can be read") from None
    return parse_tokens(lines)


def _make_principal(name: str, token: str, budget: str | None = None) -> Principal:
    if len(token) < _MIN_TOKEN or re.fullmatch(r"[!-~]+", token) is None:
        raise InvalidOptionError(f"takes tokens of at least {_MIN_TOKEN} letters, digits and signs")
    return Principal(name, token, None if budget is None else parse_budget(budget))
