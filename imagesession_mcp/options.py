"""
The options of `imagesession-mcp`: one table, from which its help and its settings are made.

Each can be given on the command line or in the environment, which is read here and nowhere else;
only the key is left to imagesession, which reads it where a studio is made.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import attrs

from imagesession_mcp.settings import Doors, Principal, ProviderState, Settings

_TOKEN_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(\S+)")
_MIN_TOKEN = 16
_MAX_PREVIEW = 1_000_000
_MAX_WAIT = 3600.0
_MAX_PORT = 65535
ALONE = "default"
"""The name of whoever shows the only token there is."""


class OptionError(ValueError):
    """
    An option has a value that it cannot have; the sentence says which are possible.
    """


@attrs.frozen(kw_only=True)
class Option:
    """
    One option.

    Attributes:
        name: What it is called, without the dashes.
        variable: The environment variable that stands for it.
        metavar: What is written in the place of its value; empty for a switch.
        read: Reads a value.
        many: What separates several values in the variable; empty where there is only one.
        help: What it does.
    """

    name: str
    variable: str
    metavar: str
    read: Callable[[str], object]
    many: str = ""
    help: str


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise OptionError("takes 1 or 0")
    return words[text.lower()]


def _path(text: str) -> Path:
    if "\0" in text:
        raise OptionError("takes a path")
    # Hosts start servers without a shell, which would have followed the ~.
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - never raises


def _folder(text: str) -> Path:
    path = _path(text)
    if not path.is_dir():
        raise OptionError("takes a folder that exists")
    return path


def _number(most: float, what: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number <= most:
            raise OptionError(f"takes {what}")
        return number

    return read


def _whole(most: int, what: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None or int(text) > most:
            raise OptionError(f"takes {what}")
        return int(text)

    return read


def _budget(text: str) -> float:
    if text.lower() == "none":
        return math.inf
    return _number(1e9, "US dollars, as 2.50, or none for no limit")(text)


def _provider_state(text: str) -> ProviderState:
    states: tuple[ProviderState, ...] = get_args(ProviderState)
    for state in states:
        if text.lower() == state:
            return state
    raise OptionError(f"takes {', '.join(states)}")


def _name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text) is None:
        raise OptionError("takes a name or an address, as 127.0.0.1 or images.example.com")
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or text != f"{parts.scheme}://{parts.netloc}":
        raise OptionError("takes an origin, as https://app.example.com")
    return text


def _token(text: str) -> tuple[Principal, ...]:
    return (_principal(ALONE, text),)


def _tokens(text: str) -> tuple[Principal, ...]:
    principals: list[Principal] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (match := _TOKEN_LINE.fullmatch(line.strip())) is None:
            raise OptionError(f"has something else than name:token in line {number}")
        principals.append(_principal(*match.groups()))
    for what in ("name", "token"):
        if len({getattr(one, what) for one in principals}) < len(principals):
            raise OptionError(f"has the same {what} twice")
    if not principals:
        raise OptionError("takes lines of name:token, and has none")
    return tuple(principals)


def _token_file(text: str) -> tuple[Principal, ...]:
    try:
        lines = _path(text).read_text("utf-8")
    except (OSError, UnicodeError):
        raise OptionError("takes a text file that can be read") from None
    return _tokens(lines)


def _principal(name: str, token: str) -> Principal:
    if len(token) < _MIN_TOKEN or re.fullmatch(r"[!-~]+", token) is None:
        raise OptionError(f"takes tokens of at least {_MIN_TOKEN} letters, digits and signs")
    return Principal(name, token)


OPTIONS = (
    Option(
        name="offline",
        variable="IMAGESESSION_MCP_OFFLINE",
        metavar="",
        read=_switch,
        help="Draw sketches on this computer, without a key, a network or cost.",
    ),
    Option(
        name="library",
        variable="IMAGESESSION_LIBRARY",
        metavar="FOLDER",
        read=_path,
        help="Where pictures are kept. Left out, it is a folder among your pictures.",
    ),
    Option(
        name="allow-dir",
        variable="IMAGESESSION_MCP_ALLOW_DIRS",
        metavar="FOLDER",
        read=_folder,
        many=os.pathsep,
        help=(
            "A folder from which files named in calls are read, such as photographs to edit. "
            "The library is always allowed, and nothing else. Can be given several times."
        ),
    ),
    Option(
        name="daily-budget",
        variable="IMAGESESSION_MCP_DAILY_BUDGET",
        metavar="USD",
        read=_budget,
        help=(
            "What may be spent from midnight to midnight UTC, in US dollars; what would pass it "
            f"is not sent. none for no limit. Left out, it is {Settings().daily_budget:.2f}."
        ),
    ),
    Option(
        name="provider-state",
        variable="IMAGESESSION_MCP_PROVIDER_STATE",
        metavar="STATE",
        read=_provider_state,
        help=(
            "What the provider keeps of each turn: responses, for 30 days; conversation, until it "
            f"is deleted; none. Left out, it is {Settings().provider_state}."
        ),
    ),
    Option(
        name="wait-seconds",
        variable="IMAGESESSION_MCP_WAIT_SECONDS",
        metavar="SECONDS",
        read=_number(_MAX_WAIT, f"seconds, from 0 to {_MAX_WAIT:.0f}"),
        help=(
            "How long a call waits for its picture. After that it answers with a generation_id, "
            "and the picture is made all the same. Many clients give up at 60 seconds. "
            f"Left out, it is {Settings().wait_seconds:.0f}."
        ),
    ),
    Option(
        name="preview-bytes",
        variable="IMAGESESSION_MCP_PREVIEW_BYTES",
        metavar="BYTES",
        read=_whole(_MAX_PREVIEW, f"bytes, from 0 to {_MAX_PREVIEW}"),
        help=(
            "The most that the preview in a result may weigh; the whole picture is always kept. "
            f"0 for no preview. Left out, it is {Settings().preview_bytes}, which is 100 kB on "
            "the wire."
        ),
    ),
    Option(
        name="http",
        variable="IMAGESESSION_MCP_HTTP",
        metavar="",
        read=_switch,
        help="Serve over streamable HTTP, at /mcp, rather than over stdin and stdout.",
    ),
    Option(
        name="host",
        variable="IMAGESESSION_MCP_HOST",
        metavar="ADDRESS",
        read=_name,
        help=(
            "The address to listen on with --http. Any other than this computer's own needs a "
            f"token. Left out, it is {Doors().host}."
        ),
    ),
    Option(
        name="port",
        variable="IMAGESESSION_MCP_PORT",
        metavar="PORT",
        read=_whole(_MAX_PORT, f"a port, from 0 to {_MAX_PORT}"),
        help=f"The port with --http; 0 for any that is free. Left out, it is {Doors().port}.",
    ),
    Option(
        name="token-file",
        variable="IMAGESESSION_MCP_TOKEN_FILE",
        metavar="FILE",
        read=_token_file,
        help=(
            "A file with a line name:token for each who may call over HTTP. Each has a library of "
            "their own. Instead of a file, IMAGESESSION_MCP_TOKENS holds such lines, or "
            "IMAGESESSION_MCP_TOKEN one token."
        ),
    ),
    Option(
        name="allow-host",
        variable="IMAGESESSION_MCP_ALLOW_HOSTS",
        metavar="NAME",
        read=_name,
        many=",",
        help=(
            "A name by which clients call the server over HTTP, beside those of this computer; "
            "with :PORT for that port alone. Can be given several times."
        ),
    ),
    Option(
        name="allow-origin",
        variable="IMAGESESSION_MCP_ALLOW_ORIGINS",
        metavar="ORIGIN",
        read=_origin,
        many=",",
        help=(
            "The origin of a web page that may call the server, as https://app.example.com. "
            "Can be given several times."
        ),
    ),
)
# Secrets have no option, for anybody on the computer can read a command line.
SECRETS = (("IMAGESESSION_MCP_TOKENS", _tokens), ("IMAGESESSION_MCP_TOKEN", _token))
