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
from imagesession_mcp.settings import OPTIONS, SECRETS, Option, Settings
from imagesession_mcp.texts import read_text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """
    Parse the command line and the environment; the command line takes precedence.

    Raises:
        SystemExit: With status 2 and a message on stderr if a value is invalid; also after --help
            and --version.
    """
    parser = _parser()
    flags = vars(parser.parse_args(arguments))
    try:
        settings = Settings(**_read_all(flags, environment))
        if settings.http:
            settings = _add_principals(settings, environment)
            settings.check()
    except InvalidOptionError as error:
        parser.error(str(error))
    return settings


def _parser() -> argparse.ArgumentParser:
    about, key = read_text("help.txt").split("\n\n")
    parser = _Parser(prog="imagesession-mcp", description=about, epilog=key, allow_abbrev=False)
    for option in OPTIONS.values():
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


def _read_all(flags: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for field, option in OPTIONS.items():
        source, texts = _read(option, flags, environment)
        try:
            values = tuple(option.parse(text) for text in texts)
        except InvalidOptionError as error:
            raise InvalidOptionError(f"{source} {error}") from None
        if values:
            settings[field] = values if option.separator else values[0]
    return settings


def _read(
    option: Option, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    """
    Return an option's source, for error messages, and its values as text.
    """
    flag = flags[option.name.replace("-", "_")]
    if flag is not None:
        return f"--{option.name}", flag if option.separator else [flag]
    text = environment.get(option.variable, "")
    texts = text.split(option.separator) if option.separator else [text]
    # Some hosts set an omitted variable to an empty string.
    return option.variable, [text.strip() for text in texts if text.strip()]


def _add_principals(settings: Settings, environment: Mapping[str, str]) -> Settings:
    for variable, parse_secret in SECRETS:
        text = environment.get(variable, "").strip()
        if text and not settings.principals:
            try:
                settings = attrs.evolve(settings, principals=parse_secret(text))
            except InvalidOptionError as error:
                raise InvalidOptionError(f"{variable} {error}") from None
    return settings
