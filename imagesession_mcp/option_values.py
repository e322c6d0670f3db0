"""
Read the values of the server's options and variables that are more than numbers and words.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import attrs

DEFAULT_PRINCIPAL = "default"
"""The principal of the token in IMAGESESSION_MCP_TOKEN."""
_TOKEN_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(\S+)(?:\s+(\S+))?")
_MIN_TOKEN = 16
_MAX_DOLLARS = 1e9


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
    if text.lower() == "none":
        return None
    with suppress(ValueError):
        if 0 < (dollars := float(text)) <= _MAX_DOLLARS:
            return dollars
    raise InvalidOptionError(
        "takes US dollars above 0, as 2.50, or none for no limit; --offline costs nothing"
    )


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
