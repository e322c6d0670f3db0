"""
The server's settings, which its operator chooses and agents cannot change.

What the command line says of each is in `options.toml`. Only the API key is not here: imagesession
reads it when a studio is opened.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints

import attrs
from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError

from imagesession_mcp import option_values as values
from imagesession_mcp.option_values import InvalidOptionError, Principal
from imagesession_mcp.texts import read_table

_PREFIX = "IMAGESESSION_MCP_"
_Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Host: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:\[\]-]+$")]
_Origin: TypeAlias = Annotated[str, Field(pattern=r"^https?://[^/?#\s]+$")]
_Folder: TypeAlias = Annotated[Path, PlainValidator(values.parse_folder)]
_lowered = BeforeValidator(str.lower)


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the server runs, and over HTTP its address and who may call it.

    Attributes:
        owner: Whose calls a studio serves, if several callers share the library of a team.
        owns_process: Whether the process runs nothing but the server.
    """

    offline: bool = False
    library: Annotated[Path | str | None, PlainValidator(values.parse_library)] = None
    allow_dirs: tuple[_Folder, ...] = ()
    daily_budget: Annotated[float | None, PlainValidator(values.parse_budget)] = 5.0
    server: Annotated[str | None, PlainValidator(values.parse_server)] = None
    api: Annotated[Literal["responses", "images"], _lowered] = "responses"
    provider_state: Annotated[Literal["responses", "conversation", "none"], _lowered] = "responses"
    max_sessions: _Count = 100
    session_timeout: _Count = 3600
    wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 45.0
    preview_bytes: Annotated[int, Field(ge=0, le=1_000_000)] = 75_000
    links: bool = False
    image_first: bool = False
    http: bool = False
    host: _Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    principals: Annotated[tuple[Principal, ...], PlainValidator(values.parse_token_file)] = ()
    allow_hosts: tuple[_Host, ...] = ()
    allow_origins: tuple[_Origin, ...] = ()
    owner: str | None = None
    owns_process: bool = False

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
        Check what goes together over HTTP: others may not call without a token or under a name that
        is not known, and the limits of principals must not exceed the server's.
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


@attrs.frozen(kw_only=True)
class Option:
    """
    An option of `imagesession-mcp`: a switch if it has no metavar. `takes` says in errors what it
    takes, and `separator` divides the values in its variable, if it takes several.
    """

    type: Any
    help: str
    name: str
    variable: str
    metavar: str = ""
    takes: str = "1 or 0"
    separator: str = ""

    def parse(self, text: str) -> object:
        """
        Parse a value, or say which are valid.
        """
        try:
            return TypeAdapter[object](self.type).validate_strings(text)
        except ValidationError as error:
            reason = error.errors()[0].get("ctx", {}).get("error")
        if isinstance(reason, InvalidOptionError):
            raise reason
        raise InvalidOptionError(f"takes {self.takes}")


def _read_options() -> dict[str, Option]:
    types = get_type_hints(Settings, include_extras=True)
    options: dict[str, Option] = {}
    for field, facts in read_table("options.toml").items():
        names = {"name": field.replace("_", "-"), "variable": _PREFIX + field.upper()}
        separator = facts.get("separator", "").replace("PATH", os.pathsep)
        of_value = get_args(types[field])[0] if separator else types[field]
        options[field] = Option(**{**names, **facts, "separator": separator, "type": of_value})
    return options


OPTIONS = _read_options()
"""The options by the settings' names."""
# Secrets have no option, because every user of a computer can read a process's command line.
SECRETS = ((f"{_PREFIX}TOKENS", values.parse_tokens), (f"{_PREFIX}TOKEN", values.parse_token))
