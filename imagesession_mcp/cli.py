"""
Reads the command line and the environment.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import attrs

import imagesession
from imagesession_mcp.settings import (
    OPTIONS,
    SECRETS,
    HttpSettings,
    Option,
    OptionError,
    Principal,
    Settings,
)

T = TypeVar("T", Settings, HttpSettings)
_ABOUT = """
An MCP server that makes images in conversation: sessions that remember, branch and undo, and a
library that keeps every picture that was paid for. Without --http it speaks over stdin and stdout,
and is started by the client.
"""
_KEY = """
OPENAI_API_KEY is read from the environment; without it the server starts, and says so when a
picture is asked for. --offline needs none. OPENAI_BASE_URL is where requests go, if not to OpenAI.
"""


@attrs.frozen
class ParsedCommand:
    """
    What the command line and the environment say.

    Attributes:
        settings: How the server runs.
        http: Where it is reached over HTTP; None for stdin and stdout.
    """

    settings: Settings
    http: HttpSettings | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> ParsedCommand:
    """
    Read the command line and the environment; the command line wins.

    Args:
        arguments: The command line, without the program.
        environment: The environment variables.

    Raises:
        SystemExit: With status 2 and a message on stderr if a value is wrong; also after --help
            and --version.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        values = {option.name: _value(option, given, environment) for option in OPTIONS}
        return _command(values, environment)
    except OptionError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="imagesession-mcp", description=_ABOUT, epilog=_KEY, allow_abbrev=False)
    for option in OPTIONS:
        how: dict[str, Any] = {"action": "store_const", "const": "1"}
        if option.metavar:
            how = {
                "action": "append" if option.separator else "store",
                "metavar": option.metavar,
            }
        text = f"{option.help} [{option.variable}]".replace("%", "%%")
        parser.add_argument(f"--{option.name}", help=text, **how)
    version = f"imagesession {imagesession.__version__}"
    parser.add_argument("--version", action="version", version=version)
    return parser


def _value(option: Option, given: Mapping[str, Any], environment: Mapping[str, str]) -> object:
    """
    Return an option's value; None if it is given neither way.
    """
    value = given[option.name.replace("-", "_")]
    if value is not None:
        return _parsed(option, f"--{option.name}", value if option.separator else [value])
    # Some hosts set a variable that was left out to an empty string.
    if not (text := environment.get(option.variable, "").strip()):
        return None
    texts = text.split(option.separator) if option.separator else [text]
    return _parsed(option, option.variable, filter(None, map(str.strip, texts)))


def _parsed(option: Option, source: str, texts: Iterable[str]) -> object:
    try:
        values = tuple(option.parse(text) for text in texts)
    except OptionError as error:
        raise OptionError(f"{source} {error}") from None
    return values if option.separator else values[0]


def _command(values: Mapping[str, Any], environment: Mapping[str, str]) -> ParsedCommand:
    fields = {name.replace("-", "_"): value for name, value in values.items()}
    fields["allow_dirs"] = fields["allow_dir"]
    settings = _made(Settings, fields)
    if settings.daily_budget == math.inf:
        settings = attrs.evolve(settings, daily_budget=None)
    if not settings.http:
        return ParsedCommand(settings, None)
    fields["principals"] = fields["token_file"] or _principals(environment)
    fields["allow_hosts"], fields["allow_origins"] = fields["allow_host"], fields["allow_origin"]
    http = _made(HttpSettings, fields)
    _check_access(http)
    return ParsedCommand(settings, http)


def _made(kind: type[T], fields: Mapping[str, Any]) -> T:
    """
    Make settings of the fields that were given; the rest have their defaults.
    """
    names = {field.name for field in attrs.fields(kind)}
    given = {name: value for name, value in fields.items() if value is not None}
    return kind(**{name: value for name, value in given.items() if name in names})


def _principals(environment: Mapping[str, str]) -> tuple[Principal, ...] | None:
    for variable, parse_secret in SECRETS:
        if text := environment.get(variable, "").strip():
            try:
                return parse_secret(text)
            except OptionError as error:
                raise OptionError(f"{variable} {error}") from None
    return None


def _check_access(http: HttpSettings) -> None:
    if http.is_local:
        return
    if not http.principals:
        raise OptionError(
            f"--host {http.host} lets others than this computer call, so it needs a token: give "
            "--token-file, or set IMAGESESSION_MCP_TOKEN"
        )
    if http.is_everywhere and not http.allow_hosts:
        raise OptionError(
            f"--host {http.host} listens on every address, so it needs --allow-host with the "
            "name by which clients call it"
        )
