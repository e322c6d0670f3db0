"""
What the person who runs the server decides, and agents cannot change.

A setting stands here once, with its default, its option on the command line, and what `--help` says
of it. Only the API key is not here: imagesession reads it when a studio is opened.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import attrs

ProviderState: TypeAlias = Literal["responses", "conversation", "none"]
DEFAULT_PRINCIPAL = "default"
"""Who calls with the token of IMAGESESSION_MCP_TOKEN."""
_TOKEN_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):(\S+)")
_MIN_TOKEN = 16
_MAX_PREVIEW = 1_000_000
_MAX_WAIT = 3600.0
_MAX_PORT = 65535


class InvalidOptionError(ValueError):
    """
    An option has a value that it cannot have; the message says which are possible.
    """


def _variable_of(option: Option) -> str:
    plural = "S" if option.separator else ""
    return f"IMAGESESSION_MCP_{option.name.replace('-', '_').upper()}{plural}"


@attrs.frozen(kw_only=True)
class Option:
    """
    An option of `imagesession-mcp`.

    Attributes:
        name: Its name, without the dashes.
        metavar: What `--help` shows in the place of its value; empty for a switch.
        separator: What separates several values in the variable; empty if it takes one value.
        parse: Reads a value.
        help: What it does.
        variable: Its environment variable.
    """

    name: str
    metavar: str = ""
    separator: str = ""
    parse: Callable[[str], object]
    help: str
    variable: str = attrs.Factory(_variable_of, takes_self=True)


def _setting(*, default: object, **option: Any) -> Any:  # noqa: ANN401 - the field has the type
    """
    Declare a setting with its option.
    """
    return attrs.field(default=default, metadata={"option": Option(**option)})


@attrs.frozen
class Principal:
    """
    A caller over HTTP.

    Attributes:
        name: Their name; each name has a library of its own.
        token: What they send to prove it.
    """

    name: str
    token: str = attrs.field(repr=False)


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise InvalidOptionError("takes 1 or 0")
    return words[text.lower()]


def _path(text: str) -> Path:
    if "\0" in text:
        raise InvalidOptionError("takes a path")
    # Hosts start servers without a shell, which would have expanded the ~.
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - never raises


def _folder(text: str) -> Path:
    path = _path(text)
    if not path.is_dir():
        raise InvalidOptionError("takes a folder that exists")
    return path


def _number(most: float, what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number <= most:
            raise InvalidOptionError(f"takes {what}")
        return number

    return parse


def _integer(most: int, what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None or int(text) > most:
            raise InvalidOptionError(f"takes {what}")
        return int(text)

    return parse


def _budget(text: str) -> float | None:
    if text.lower() == "none":
        return None
    return _number(1e9, "US dollars, as 2.50, or none for no limit")(text)


def _provider_state(text: str) -> ProviderState:
    states: tuple[ProviderState, ...] = get_args(ProviderState)
    for state in states:
        if text.lower() == state:
            return state
    raise InvalidOptionError(f"takes {', '.join(states)}")


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text) is None:
        raise InvalidOptionError("takes a name or an address, as 127.0.0.1 or images.example.com")
    return text


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or text != f"{parts.scheme}://{parts.netloc}":
        raise InvalidOptionError("takes an origin, as https://app.example.com")
    return text


def _token(text: str) -> tuple[Principal, ...]:
    return (_principal(DEFAULT_PRINCIPAL, text),)


def _tokens(text: str) -> tuple[Principal, ...]:
    principals: list[Principal] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (match := _TOKEN_LINE.fullmatch(line.strip())) is None:
            raise InvalidOptionError(f"has something else than name:token in line {number}")
        principals.append(_principal(*match.groups()))
    for what in ("name", "token"):
        if len({getattr(principal, what) for principal in principals}) < len(principals):
            raise InvalidOptionError(f"has the same {what} twice")
    if not principals:
        raise InvalidOptionError("takes lines of name:token, and has none")
    return tuple(principals)


def _token_file(text: str) -> tuple[Principal, ...]:
    try:
        lines = _path(text).read_text("utf-8")
    except (OSError, UnicodeError):
        raise InvalidOptionError("takes a text file that can be read") from None
    return _tokens(lines)


def _principal(name: str, token: str) -> Principal:
    if len(token) < _MIN_TOKEN or re.fullmatch(r"[!-~]+", token) is None:
        raise InvalidOptionError(f"takes tokens of at least {_MIN_TOKEN} letters, digits and signs")
    return Principal(name, token)


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the server runs.

    Attributes:
        owns_process: Whether its process does nothing else.
    """

    offline: bool = _setting(
        default=False,
        name="offline",
        parse=_switch,
        help="Draw sketches on this computer, without a key, a network or cost.",
    )
    library: Path | None = _setting(
        default=None,
        name="library",
        variable="IMAGESESSION_LIBRARY",
        metavar="FOLDER",
        parse=_path,
        help="Where pictures are kept. Left out, it is a folder among your pictures.",
    )
    allow_dirs: tuple[Path, ...] = _setting(
        default=(),
        name="allow-dir",
        metavar="FOLDER",
        separator=os.pathsep,
        parse=_folder,
        help="A folder from which files named in calls are read, such as photographs to edit. "
        "The library is always allowed, and nothing else. Can be given several times.",
    )
    daily_budget: float | None = _setting(
        default=5.0,
        name="daily-budget",
        metavar="USD",
        parse=_budget,
        help="What may be spent from midnight to midnight UTC, in US dollars; what would pass it "
        "is not sent. none for no limit. Left out, it is 5.00.",
    )
    provider_state: ProviderState = _setting(
        default="responses",
        name="provider-state",
        metavar="STATE",
        parse=_provider_state,
        help="What the provider keeps of each turn: responses, for 30 days; conversation, until "
        "it is deleted; none. Left out, it is responses.",
    )
    wait_seconds: float = _setting(
        default=45.0,
        name="wait-seconds",
        metavar="SECONDS",
        parse=_number(_MAX_WAIT, f"seconds, from 0 to {_MAX_WAIT:.0f}"),
        help="How long a call waits for its picture. After that it answers with a generation_id, "
        "and the picture is made all the same. Many clients give up at 60 seconds. Left out, it "
        "is 45.",
    )
    preview_bytes: int = _setting(
        default=75_000,
        name="preview-bytes",
        metavar="BYTES",
        parse=_integer(_MAX_PREVIEW, f"bytes, from 0 to {_MAX_PREVIEW}"),
        help="The most that the preview in a result may weigh; the whole picture is always kept. "
        "0 for no preview. Left out, it is 75000, which is 100 kB on the wire.",
    )
    http: bool = _setting(
        default=False,
        name="http",
        parse=_switch,
        help="Serve over streamable HTTP, at /mcp, rather than over stdin and stdout.",
    )
    owns_process: bool = False


@attrs.frozen(kw_only=True)
class HttpSettings:
    """
    Where the server is reached over HTTP, and by whom.

    Attributes:
        stateless: Whether each request stands alone, so that any copy of the server answers it.
            Otherwise clients of 2025-11-25 have sessions, in which a server can ask them
            questions; no tool of ours does.
    """

    host: str = _setting(
        default="127.0.0.1",
        name="host",
        metavar="ADDRESS",
        parse=_host,
        help="The address to listen on with --http. Any other than this computer's own needs a "
        "token. Left out, it is 127.0.0.1.",
    )
    port: int = _setting(
        default=8765,
        name="port",
        metavar="PORT",
        parse=_integer(_MAX_PORT, f"a port, from 0 to {_MAX_PORT}"),
        help="The port with --http; 0 for any that is free. Left out, it is 8765.",
    )
    principals: tuple[Principal, ...] = _setting(
        default=(),
        name="token-file",
        metavar="FILE",
        parse=_token_file,
        help="A file with a line name:token for each who may call over HTTP. Each has a library "
        "of their own. Instead of a file, IMAGESESSION_MCP_TOKENS holds such lines, or "
        "IMAGESESSION_MCP_TOKEN one token.",
    )
    allow_hosts: tuple[str, ...] = _setting(
        default=(),
        name="allow-host",
        metavar="NAME",
        separator=",",
        parse=_host,
        help="A name by which clients call the server over HTTP, beside those of this computer; "
        "with :PORT for that port alone. Can be given several times.",
    )
    allow_origins: tuple[str, ...] = _setting(
        default=(),
        name="allow-origin",
        metavar="ORIGIN",
        separator=",",
        parse=_origin,
        help="The origin of a web page that may call the server, as https://app.example.com. "
        "Can be given several times.",
    )
    stateless: bool = True

    @property
    def is_local(self) -> bool:
        """
        Whether only this computer can call.
        """
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """
        Whether it listens on every address that this computer has.
        """
        address = _address(self.host)
        return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def options_of(settings: type[Settings | HttpSettings]) -> dict[str, Option]:
    """
    Return the options of settings by the names of the fields.
    """
    fields = attrs.fields(settings)
    return {field.name: field.metadata["option"] for field in fields if field.metadata}


OPTIONS = (*options_of(Settings).values(), *options_of(HttpSettings).values())
# Secrets have no option: every user of a computer can read a process's command line.
SECRETS = (("IMAGESESSION_MCP_TOKENS", _tokens), ("IMAGESESSION_MCP_TOKEN", _token))
