"""
Parse the command line and the environment.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import attrs

import imagesession
from imagesession_mcp.option_values import InvalidOptionError
from imagesession_mcp.settings import OPTIONS, SECRETS, HttpSettings, Option, Settings, options_of

_ABOUT = """
An MCP server that makes images in conversation: sessions with memory, branches and undo, and a
library that saves every image that was billed. Without --http it communicates over stdin and
stdout, and the client starts it.
"""
_KEY = """
OPENAI_API_KEY is read from the environment; without it the server starts, and calls that generate
return an error. --offline needs no key. OPENAI_BASE_URL is the URL of a provider other than OpenAI.
"""


@attrs.frozen
class ParsedCommand:
    """
    The settings from the command line and the environment.

    Attributes:
        settings: The server's settings.
        http: The settings for HTTP; None for stdin and stdout.
    """

    settings: Settings
    http: HttpSettings | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> ParsedCommand:
    """
    Parse the command line and the environment; the command line takes precedence.

    Raises:
        SystemExit: With status 2 and a message on stderr if a value is invalid; also after --help
            and --version.
    """
    parser = _parser()
    flags = vars(parser.parse_args(arguments))
    try:
        settings = Settings(**_collect_settings(Settings, flags, environment))
        http = HttpSettings(**_collect_settings(HttpSettings, flags, environment))
        if not settings.http:
            return ParsedCommand(settings, None)
        http = _add_principals(http, environment)
        return ParsedCommand(settings.shared_among(http.principals), http)
    except InvalidOptionError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="imagesession-mcp", description=_ABOUT, epilog=_KEY, allow_abbrev=False)
    for option in OPTIONS:
        keywords: dict[str, Any] = {"action": "store_const", "const": "1"}
        if option.metavar:
            keywords = {
                "action": "append" if option.separator else "store",
                "metavar": option.metavar,
            }
        text = f"{option.help} [{option.variable}]".replace("%", "%%")
        parser.add_argument(f"--{option.name}", help=text, **keywords)
    version = f"imagesession {imagesession.__version__}"
    parser.add_argument("--version", action="version", version=version)
    return parser


def _collect_settings(
    kind: type[Settings | HttpSettings],
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """
    Return the settings that the command line or the environment sets.
    """
    settings: dict[str, Any] = {}
    for field, option in options_of(kind).items():
        source, texts = _read_option(option, flags, environment)
        try:
            values = tuple(option.parse(text) for text in texts)
        except InvalidOptionError as error:
            raise InvalidOptionError(f"{source} {error}") from None
        if values:
            settings[field] = values if option.separator else values[0]
    return settings


def _read_option(
    option: Option, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    """
    Return an option's source, for error messages, and its values as text.
    """
    flag = flags[option.name.replace("-", "_")]
    if flag is not None:
        return f"--{option.name}", flag if option.separator else [flag]
    text = environment.get(option.variable, "")
    # Some hosts set an omitted variable to an empty string.
    texts = text.split(option.separator) if option.separator else [text]
    return option.variable, [text.strip() for text in texts if text.strip()]


def _add_principals(http: HttpSettings, environment: Mapping[str, str]) -> HttpSettings:
    """
    Add the principals from the environment, if no file defines any.
    """
    for variable, parse_secret in SECRETS:
        text = environment.get(variable, "").strip()
        if text and not http.principals:
            try:
                http = attrs.evolve(http, principals=parse_secret(text))
            except InvalidOptionError as error:
                raise InvalidOptionError(f"{variable} {error}") from None
    _check_access(http)
    return http


def _check_access(http: HttpSettings) -> None:
    if http.is_local:
        return
    if not http.principals:
        raise InvalidOptionError(
            f"--host {http.host} lets others than this computer call, so it needs a token: give "
            "--token-file, or set IMAGESESSION_MCP_TOKEN"
        )
    if http.is_everywhere and not http.allow_hosts:
        raise InvalidOptionError(
            f"--host {http.host} listens on every address, so it needs --allow-host with the "
            "name by which clients call it"
        )
