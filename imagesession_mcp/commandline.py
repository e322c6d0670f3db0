"""
What was asked for on the command line and in the environment.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

import imagesession
from imagesession_mcp.options import OPTIONS, SECRETS, Option, OptionError
from imagesession_mcp.settings import Doors, Settings

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
class Command:
    """
    What was asked for.

    Attributes:
        settings: How the server runs.
        doors: Where it is reached over HTTP; None for stdin and stdout.
    """

    settings: Settings
    doors: Doors | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
    """
    Read the command line and the environment; what is on the command line goes first.

    Args:
        arguments: The command line, without the program.
        environment: The environment variables.

    Raises:
        SystemExit: It asked for help or the version, or it cannot be so: then a sentence was
            written to stderr, and the status is 2.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        values = {option.name: _value_of(option, given, environment) for option in OPTIONS}
        return _command(values, environment)
    except OptionError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="imagesession-mcp", description=_ABOUT, epilog=_KEY, allow_abbrev=False)
    for option in OPTIONS:
        told = f"{option.help} [{option.variable}]".replace("%", "%%")
        if not option.metavar:
            parser.add_argument(f"--{option.name}", help=told, action="store_const", const="1")
        elif option.many:
            parser.add_argument(
                f"--{option.name}", help=told, metavar=option.metavar, action="append"
            )
        else:
            parser.add_argument(f"--{option.name}", help=told, metavar=option.metavar)
    parser.add_argument(
        "--version", action="version", version=f"imagesession {imagesession.__version__}"
    )
    return parser


def _value_of(option: Option, given: Mapping[str, Any], environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - each option has a type of its own
    """
    Return what an option says; None where it says nothing.
    """
    flag, here = f"--{option.name}", given[option.name.replace("-", "_")]
    if here is not None:
        texts = here if option.many else [here]
        return _read(option, flag, texts)
    # Some hosts set what was left empty to an empty string.
    if not (text := environment.get(option.variable, "").strip()):
        return None
    texts = [one.strip() for one in text.split(option.many)] if option.many else [text]
    return _read(option, option.variable, filter(None, texts))


def _read(option: Option, source: str, texts: Iterable[str]) -> Any:  # noqa: ANN401 - as above
    try:
        values = tuple(option.read(text) for text in texts)
    except OptionError as error:
        raise OptionError(f"{source} {error}") from None
    return values if option.many else values[0]


def _command(values: Mapping[str, Any], environment: Mapping[str, str]) -> Command:
    settings = Settings(
        **_said(
            values,
            "library",
            "offline",
            "daily-budget",
            "provider-state",
            "wait-seconds",
            "preview-bytes",
            "http",
        ),
        **_said({"allow_dirs": values["allow-dir"]}, "allow_dirs"),
    )
    if settings.daily_budget == math.inf:
        settings = attrs.evolve(settings, daily_budget=None)
    if not settings.http:
        return Command(settings, None)
    people = {"principals": values["token-file"] or _secrets(environment)}
    lists = {"allow_hosts": values["allow-host"], "allow_origins": values["allow-origin"]}
    doors = Doors(**_said(values, "host", "port"), **_said(people, *people), **_said(lists, *lists))
    _check(doors)
    return Command(settings, doors)


def _said(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    said = {name.replace("-", "_"): values[name] for name in names}
    return {name: value for name, value in said.items() if value is not None}


def _secrets(environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - None where there are none
    for variable, read_secret in SECRETS:
        if text := environment.get(variable, "").strip():
            try:
                return read_secret(text)
            except OptionError as error:
                raise OptionError(f"{variable} {error}") from None
    return None


def _check(doors: Doors) -> None:
    if doors.is_local:
        return
    if not doors.principals:
        raise OptionError(
            f"--host {doors.host} lets others than this computer call, so it needs a token: give "
            "--token-file, or set IMAGESESSION_MCP_TOKEN"
        )
    if doors.is_everywhere and not doors.allow_hosts:
        raise OptionError(
            f"--host {doors.host} listens on every address, so it needs --allow-host with the "
            "name by which clients call it"
        )
