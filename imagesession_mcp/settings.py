"""
The server's settings, which its operator chooses and agents cannot change.

Each setting is declared once, with its default, its command-line option and its help text. Only the
API key is not here: imagesession reads it when a studio is opened.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from imagesession_mcp.option_values import (
    Api,
    InvalidOptionError,
    Principal,
    ProviderState,
    integer_parser,
    number_parser,
    parse_api,
    parse_budget,
    parse_folder,
    parse_host,
    parse_library,
    parse_origin,
    parse_provider_state,
    parse_server,
    parse_switch,
    parse_token,
    parse_token_file,
    parse_tokens,
)

_MAX_PREVIEW = 1_000_000
_MAX_WAIT = 3600.0
_MAX_PORT = 65535


def _variable_name(option: Option) -> str:
    plural = "S" if option.separator else ""
    return f"IMAGESESSION_MCP_{option.name.replace('-', '_').upper()}{plural}"


@attrs.frozen(kw_only=True)
class Option:
    """
    An option of `imagesession-mcp`.

    Attributes:
        name: Its name, without the leading dashes.
        metavar: The placeholder for its value in `--help`; empty for a switch.
        separator: The separator of values in the variable; empty if it takes a single value.
        parse: Parses a value.
        help: Its help text.
        variable: Its environment variable.
    """

    name: str
    metavar: str = ""
    separator: str = ""
    parse: Callable[[str], object]
    help: str
    variable: str = attrs.Factory(_variable_name, takes_self=True)


def _setting(*, default: object, **option: Any) -> Any:  # noqa: ANN401 - the field has the type
    """
    Declare a setting with its option.
    """
    return attrs.field(default=default, metadata={"option": Option(**option)})


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the server runs.

    Attributes:
        owns_process: Whether the process runs nothing but the server.
        shares: The part of the daily budget that each principal over HTTP has.
    """

    offline: bool = _setting(
        default=False,
        name="offline",
        parse=parse_switch,
        help="Draw sketches on this computer, without a key, a network or cost.",
    )
    library: Path | str | None = _setting(
        default=None,
        name="library",
        variable="IMAGESESSION_LIBRARY",
        metavar="FOLDER",
        parse=parse_library,
        help="The folder where images are saved, or the URL of a library on PostgreSQL and S3. "
        "The default is in your Pictures folder.",
    )
    allow_dirs: tuple[Path, ...] = _setting(
        default=(),
        name="allow-dir",
        metavar="FOLDER",
        separator=os.pathsep,
        parse=parse_folder,
        help="A folder from which files named in calls are read, such as photographs to edit. "
        "The library is always allowed, and nothing else. Can be given several times.",
    )
    daily_budget: float | None = _setting(
        default=5.0,
        name="daily-budget",
        metavar="USD",
        parse=parse_budget,
        help="The server's limit per UTC day, in US dollars; a request that could exceed it "
        "is not sent. none for no limit. The default is 5.00.",
    )
    server: str | None = _setting(
        default=None,
        name="server",
        metavar="NAME",
        parse=parse_server,
        help="What kind of server OPENAI_BASE_URL names: azure, xai, openrouter, localai, litellm, "
        "vllm-omni, plain; or a .toml file that describes it, with a price for the budget. The "
        "default is known by its host.",
    )
    api: Api = _setting(
        default="responses",
        name="api",
        metavar="API",
        parse=parse_api,
        help="The API that makes images: responses, where a lost answer can be looked up, or "
        "images, where no text model is billed. The default is responses.",
    )
    provider_state: ProviderState = _setting(
        default="responses",
        name="provider-state",
        metavar="STATE",
        parse=parse_provider_state,
        help="What the provider stores of each turn: responses, for 30 days; conversation, until "
        "it is deleted; none. The default is responses.",
    )
    max_sessions: int = _setting(
        default=100,
        name="max-sessions",
        variable="MCP_MAX_SESSIONS",
        metavar="NUMBER",
        parse=integer_parser(1_000_000, "a number of sessions, from 1", minimum=1),
        help="How many sessions may be active at the same time. The default is 100.",
    )
    session_timeout: float = _setting(
        default=3600.0,
        name="session-timeout",
        variable="MCP_SESSION_TIMEOUT",
        metavar="SECONDS",
        parse=integer_parser(1_000_000_000, "seconds, from 1", minimum=1),
        help="Seconds without activity after which a session counts as idle; it can still be "
        "continued. The default is 3600.",
    )
    wait_seconds: float = _setting(
        default=45.0,
        name="wait-seconds",
        metavar="SECONDS",
        parse=number_parser(_MAX_WAIT, f"seconds, from 0 to {_MAX_WAIT:.0f}"),
        help="How long a call waits for its image. After that it returns a generation_id, "
        "and the generation continues. Many clients give up at 60 seconds. The default "
        "is 45.",
    )
    preview_bytes: int = _setting(
        default=75_000,
        name="preview-bytes",
        metavar="BYTES",
        parse=integer_parser(_MAX_PREVIEW, f"bytes, from 0 to {_MAX_PREVIEW}"),
        help="The maximum size of the preview in a result; the full picture is always saved. "
        "0 for no preview. The default is 75000, which is 100 kB in base64.",
    )
    links: bool = _setting(
        default=False,
        name="links",
        parse=parse_switch,
        help="Add a link to each image's resource, for clients that show such links to people. "
        "Some frameworks take a link for an image's URL, which a provider refuses.",
    )
    http: bool = _setting(
        default=False,
        name="http",
        parse=parse_switch,
        help="Serve over streamable HTTP, at /mcp, rather than over stdin and stdout.",
    )
    owns_process: bool = False
    shares: Mapping[str, float] = attrs.field(factory=dict[str, float])

    def for_principal(self, name: str) -> Settings:
        """
        Return the settings of a principal's studio, with its own daily budget.
        """
        return attrs.evolve(self, daily_budget=self.shares.get(name, self.daily_budget))

    def shared_among(self, principals: Sequence[Principal]) -> Settings:
        """
        Share the daily budget among principals: each has its own limit, or an equal part of what
        the others leave, so that all together never exceed the server's.

        Raises:
            InvalidOptionError: Their own limits together exceed the server's.
        """
        own = {each.name: each.daily_budget for each in principals if each.daily_budget is not None}
        if self.daily_budget is None:
            return attrs.evolve(self, shares=own)
        left = self.daily_budget - sum(own.values())
        others = [each.name for each in principals if each.name not in own]
        if left < 0 or (others and not left):
            raise InvalidOptionError(
                f"--daily-budget {self.daily_budget:.2f} is used up by the limits of principals, "
                f"{sum(own.values()):.2f} in total; raise it, or lower theirs"
            )
        return attrs.evolve(self, shares={**own, **{name: left / len(others) for name in others}})


@attrs.frozen(kw_only=True)
class HttpSettings:
    """
    The address of the server over HTTP, and who may call it.

    Attributes:
        stateless: Whether requests are independent, so that any instance of the server can answer
            them. Otherwise clients of protocol 2025-11-25 have sessions, in which a server can
            send requests to them; no tool here does.
    """

    host: str = _setting(
        default="127.0.0.1",
        name="host",
        metavar="ADDRESS",
        parse=parse_host,
        help="The address to listen on with --http. Any but a loopback address needs a "
        "token. The default is 127.0.0.1.",
    )
    port: int = _setting(
        default=8765,
        name="port",
        metavar="PORT",
        parse=integer_parser(_MAX_PORT, f"a port, from 0 to {_MAX_PORT}"),
        help="The port with --http; 0 for any free port. The default is 8765.",
    )
    principals: tuple[Principal, ...] = _setting(
        default=(),
        name="token-file",
        metavar="FILE",
        parse=parse_token_file,
        help="A file with a line name:token for each caller over HTTP. Each caller has its own "
        "library, and an equal share of the daily budget unless its line ends with its own limit: "
        "name:token 1.50. Instead of a file, IMAGESESSION_MCP_TOKENS can hold such lines, or "
        "IMAGESESSION_MCP_TOKEN one token.",
    )
    allow_hosts: tuple[str, ...] = _setting(
        default=(),
        name="allow-host",
        metavar="NAME",
        separator=",",
        parse=parse_host,
        help="A host name by which clients reach the server over HTTP, besides the local ones; "
        "with :PORT for that port alone. Can be given several times.",
    )
    allow_origins: tuple[str, ...] = _setting(
        default=(),
        name="allow-origin",
        metavar="ORIGIN",
        separator=",",
        parse=parse_origin,
        help="The origin of a web page that may call the server, as https://app.example.com. "
        "Can be given several times.",
    )
    stateless: bool = True

    @property
    def is_local(self) -> bool:
        """
        Whether only this computer can connect.
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


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def options_of(settings: type[Settings | HttpSettings]) -> dict[str, Option]:
    """
    Return the options of a settings class by field name.
    """
    fields = attrs.fields(settings)
    return {field.name: field.metadata["option"] for field in fields if field.metadata}


OPTIONS = (*options_of(Settings).values(), *options_of(HttpSettings).values())
# Secrets have no option, because every user of a computer can read a process's command line.
SECRETS = (("IMAGESESSION_MCP_TOKENS", parse_tokens), ("IMAGESESSION_MCP_TOKEN", parse_token))
