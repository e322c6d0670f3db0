"""
The server's settings, which its operator chooses and agents cannot change.

Each setting is declared once, with its default, its command-line option and its help text. Only the
API key is not here: imagesession reads it when a studio is opened.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import attrs

from imagesession_mcp import option_values as values
from imagesession_mcp.option_values import InvalidOptionError, Principal

_PREFIX = "IMAGESESSION_MCP_"
_HOST = "a name or an address, as 127.0.0.1 or images.example.com"
_parse_host = values.pattern_parser(r"[A-Za-z0-9._:\[\]-]+", _HOST)
_parse_origin = values.pattern_parser(
    r"https?://[^/?#\s]+", "an origin, as https://app.example.com"
)
_parse_count = values.number_parser(int, 1_000_000_000, "a whole number, from 1", minimum=1)


@attrs.frozen(kw_only=True)
class Option:
    """
    An option of `imagesession-mcp`.

    Attributes:
        name: Its name, without the leading dashes.
        variable: Its environment variable.
        metavar: The placeholder for its value in `--help`; empty for a switch.
        separator: The separator of values in the variable; empty if it takes a single value.
        parse: Parses a value.
        help: Its help text.
    """

    name: str
    variable: str
    metavar: str = ""
    separator: str = ""
    parse: Callable[[str], object] = values.parse_switch
    help: str


def _setting(*, default: object, **option: Any) -> Any:  # noqa: ANN401 - the field has the type
    """
    Declare a setting with its option, whose name and variable are the field's unless it says so.
    """
    return attrs.field(default=default, metadata={"option": option})


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the server runs, and over HTTP its address and who may call it.

    Attributes:
        owner: Whose calls a studio serves, if several callers share the library of a team.
        owns_process: Whether the process runs nothing but the server.
        stateless: Whether requests over HTTP are independent, so that any instance of the server
            can answer them. Otherwise clients of protocol 2025-11-25 have sessions, in which a
            server can send requests to them; no tool here does.
    """

    offline: bool = _setting(
        default=False, help="Draw sketches on this computer, without a key, a network or cost."
    )
    library: Path | str | None = _setting(
        default=None,
        help="The folder where images are saved, or the URL of a library that a team shares. The "
        "default is in your Pictures folder.",
        metavar="FOLDER",
        parse=values.parse_library,
        variable="IMAGESESSION_LIBRARY",
    )
    allow_dirs: tuple[Path, ...] = _setting(
        default=(),
        help="A folder from which files named in calls are read, such as photographs to edit. "
        "The library is always allowed, and nothing else. Can be given several times.",
        metavar="FOLDER",
        parse=values.parse_folder,
        separator=os.pathsep,
        name="allow-dir",
    )
    daily_budget: float | None = _setting(
        default=5.0,
        help="The server's limit per UTC day, in US dollars; a request that could exceed it "
        "is not sent. none for no limit. The default is 5.00.",
        metavar="USD",
        parse=values.parse_budget,
    )
    server: str | None = _setting(
        default=None,
        help="What kind of server OPENAI_BASE_URL names: azure, xai, openrouter, localai, litellm, "
        "vllm-omni, plain; or a .toml file that describes it, with a price for the budget. The "
        "default is known by its host.",
        metavar="NAME",
        parse=values.parse_server,
    )
    api: Literal["responses", "images"] = _setting(
        default="responses",
        help="The API that makes images: responses, where a lost answer can be looked up, or "
        "images, where no text model is billed. The default is responses.",
        metavar="API",
        parse=values.choice_parser("responses", "images"),
    )
    provider_state: Literal["responses", "conversation", "none"] = _setting(
        default="responses",
        help="What the provider stores of each turn: responses, for 30 days; conversation, until "
        "it is deleted; none. The default is responses.",
        metavar="STATE",
        parse=values.choice_parser("responses", "conversation", "none"),
    )
    max_sessions: int = _setting(
        default=100,
        help="How many sessions may be active at the same time. The default is 100.",
        metavar="NUMBER",
        parse=_parse_count,
        variable="MCP_MAX_SESSIONS",
    )
    session_timeout: float = _setting(
        default=3600.0,
        help="Seconds without activity after which a session counts as idle; it can still be "
        "continued. The default is 3600.",
        metavar="SECONDS",
        parse=_parse_count,
        variable="MCP_SESSION_TIMEOUT",
    )
    wait_seconds: float = _setting(
        default=45.0,
        help="How long a call waits for its image. After that it returns a generation_id, "
        "and the generation continues. Many clients give up at 60 seconds. The default "
        "is 45.",
        metavar="SECONDS",
        parse=values.number_parser(float, 3600, "seconds, from 0 to 3600"),
    )
    preview_bytes: int = _setting(
        default=75_000,
        help="The maximum size of the preview in a result; the full picture is always saved. "
        "0 for no preview. The default is 75000, which is 100 kB in base64.",
        metavar="BYTES",
        parse=values.number_parser(int, 1_000_000, "bytes, from 0 to 1000000"),
    )
    links: bool = _setting(
        default=False,
        help="Add a link to each image's resource, for clients that show such links to people. "
        "Some frameworks take a link for an image's URL, which a provider refuses.",
    )
    image_first: bool = _setting(
        default=False,
        help="Put the picture before the text in results, for frameworks that pass on only the "
        "first part, such as smolagents and CrewAI.",
    )
    http: bool = _setting(
        default=False,
        help="Serve over streamable HTTP, at /mcp, rather than over stdin and stdout.",
    )
    host: str = _setting(
        default="127.0.0.1",
        help="The address to listen on with --http. Any but a loopback address needs a "
        "token. The default is 127.0.0.1.",
        metavar="ADDRESS",
        parse=_parse_host,
    )
    port: int = _setting(
        default=8765,
        help="The port with --http; 0 for any free port. The default is 8765.",
        metavar="PORT",
        parse=values.number_parser(int, 65535, "a port, from 0 to 65535"),
    )
    principals: tuple[Principal, ...] = _setting(
        default=(),
        help="A file with a line name:token for each caller over HTTP. Each caller has its own "
        "library, and an equal share of the daily budget unless its line ends with its own limit: "
        "name:token 1.50. Instead of a file, IMAGESESSION_MCP_TOKENS can hold such lines, or "
        "IMAGESESSION_MCP_TOKEN one token.",
        metavar="FILE",
        parse=values.parse_token_file,
        name="token-file",
        variable=f"{_PREFIX}TOKEN_FILE",
    )
    allow_hosts: tuple[str, ...] = _setting(
        default=(),
        help="A host name by which clients reach the server over HTTP, besides the local ones; "
        "with :PORT for that port alone. Can be given several times.",
        metavar="NAME",
        parse=_parse_host,
        separator=",",
        name="allow-host",
    )
    allow_origins: tuple[str, ...] = _setting(
        default=(),
        help="The origin of a web page that may call the server, as https://app.example.com. "
        "Can be given several times.",
        metavar="ORIGIN",
        parse=_parse_origin,
        separator=",",
        name="allow-origin",
    )
    owner: str | None = None
    owns_process: bool = False
    stateless: bool = True

    @property
    def is_local(self) -> bool:
        """
        Whether only this computer can connect over HTTP.
        """
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """
        Whether it listens on all addresses of this computer.
        """
        address = _address(self.host)
        return address is not None and address.is_unspecified

    def budget_of(self, principal: str) -> float | None:
        """
        Return the daily budget of a principal: its own limit, or an equal part of what the others
        leave, so that all together never exceed the server's.
        """
        own = {each.name: each.daily_budget for each in self.principals}
        mine, limits = own.get(principal), [limit for limit in own.values() if limit is not None]
        if mine is not None or self.daily_budget is None or principal not in own:
            return self.daily_budget if mine is None else mine
        return (self.daily_budget - sum(limits)) / (len(own) - len(limits))

    def check(self) -> None:
        """
        Check what goes together over HTTP.

        Raises:
            InvalidOptionError: Others could call without a token or under a name that is not known,
                or their limits exceed the server's.
        """
        if not self.is_local and not self.principals:
            raise InvalidOptionError(
                f"--host {self.host} lets others than this computer call, so it needs a token: "
                "give --token-file, or set IMAGESESSION_MCP_TOKEN"
            )
        if self.is_everywhere and not self.allow_hosts:
            raise InvalidOptionError(
                f"--host {self.host} listens on every address, so it needs --allow-host with the "
                "name by which clients call it"
            )
        total = sum(each.daily_budget or 0.0 for each in self.principals)
        others = any(each.daily_budget is None for each in self.principals)
        left = float("inf") if self.daily_budget is None else self.daily_budget - total
        if left < 0 or (others and not left):
            raise InvalidOptionError(
                f"--daily-budget {self.daily_budget:.2f} is used up by the limits of principals, "
                f"{total:.2f} in total; raise it, or lower theirs"
            )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _option(field: attrs.Attribute[Any]) -> Option:
    names = {"name": field.name.replace("_", "-"), "variable": _PREFIX + field.name.upper()}
    option: dict[str, Any] = {**names, **field.metadata["option"]}
    return Option(**option)


OPTIONS = {field.name: _option(field) for field in attrs.fields(Settings) if field.metadata}
"""The options by the settings' names."""
# Secrets have no option, because every user of a computer can read a process's command line.
SECRETS = ((f"{_PREFIX}TOKENS", values.parse_tokens), (f"{_PREFIX}TOKEN", values.parse_token))
