"""
Read the values of the server's options and variables.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import attrs

DEFAULT_PRINCIPAL = "default"
"""The principal of the token in IMAGESESSION_MCP_TOKEN."""
_TOKEN_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(\S+)(?:\s+(\S+))?")
_MIN_TOKEN = 16
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


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
    if text.lower() not in _SWITCH:
        raise InvalidOptionError("takes 1 or 0")
    return _SWITCH[text.lower()]


def choice_parser(*choices: str) -> Callable[[str], str]:
    """
    Return the parser of one of several words, in any case.
    """

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise InvalidOptionError(f"takes {', '.join(choices[:-1])} or {choices[-1]}")
        return text.lower()

    return parse


def pattern_parser(pattern: str, what: str) -> Callable[[str], str]:
    """
    Return the parser of a text of a pattern; `what` says in errors what it takes.
    """

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise InvalidOptionError(f"takes {what}")
        return text

    return parse


def number_parser(
    kind: type[int | float], maximum: float, what: str, minimum: float = 0
) -> Callable[[str], float]:
    """
    Return the parser of a number, whole or not; `what` says in errors what it takes.
    """

    def parse(text: str) -> float:
        try:
            number = kind(text) if text.isascii() else math.nan
        except ValueError:
            number = math.nan
        if not minimum <= number <= maximum:
            raise InvalidOptionError(f"takes {what}")
        return number

    return parse


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
    Read a path, or a URL, which the library understands or refuses.
    """
    return text if "://" in text else parse_path(text)


def parse_folder(text: str) -> Path:
    """
    Read the path of a folder that exists.
    """
    path = parse_path(text)
    if not path.is_dir():
        raise InvalidOptionError("takes a folder that exists")
    return path


def parse_server(text: str) -> str:
    """
    Read the name of a server, or the path of a table of servers.
    """
    return str(parse_path(text)) if text.lower().endswith(".toml") else text


def parse_budget(text: str) -> float | None:
    """
    Read a limit in US dollars; None for no limit.
    """
    what = "US dollars above 0, as 2.50, or none for no limit; --offline costs nothing"
    if text.lower() == "none":
        return None
    return number_parser(float, 1e9, what, minimum=1e-6)(text)


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
    if len({principal.name.casefold() for principal in principals}) < len(principals):
        raise InvalidOptionError("has the same name twice")
    if len({principal.token for principal in principals}) < len(principals):
        raise InvalidOptionError("has the same token twice")
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
