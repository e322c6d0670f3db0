"""
What can be said on the command line and in the environment, and how it is told when it cannot be.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imagesession
from imagesession_mcp import cli
from imagesession_mcp.settings import (
    OPTIONS,
    SECRETS,
    HttpSettings,
    InvalidOptionError,
    Option,
    Principal,
    Settings,
)
from tests.mcp.processes import OURS, ROOT, environment

TOKEN = "0123456789abcdef"  # noqa: S105 - of nobody


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str, **env: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.parse(arguments, env)
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("imagesession-mcp: ")
    assert text.endswith("See imagesession-mcp --help.\n")
    assert text.count("\n") == 1
    return text


def test_defaults_are_those_of_the_settings() -> None:
    """
    Without options the settings are those of `Settings`, over stdin and stdout.
    """
    assert cli.parse([], {}) == cli.ParsedCommand(Settings(), None)
    assert cli.parse(["--http"], {}).http == HttpSettings()


def test_every_option_reaches_the_settings(tmp_path: Path) -> None:
    """
    Each option reaches the settings, and each variable says the same as its option.
    """
    photos, scans = tmp_path / "photos", tmp_path / "scans"
    for folder in (photos, scans):
        folder.mkdir()
    (tmp_path / "tokens").write_text(f"ann:{TOKEN}\n")
    given_values = {
        "offline": "", "library": str(tmp_path), "allow-dir": f"{photos} {scans}",
        "daily-budget": "2.5", "provider-state": "none", "wait-seconds": "20",
        "preview-bytes": "0", "http": "",
        "host": "images.example.com", "port": "0", "token-file": str(tmp_path / "tokens"),
        "allow-host": "a.example.com b.example.com", "allow-origin": "https://app.example.com",
    }  # fmt: skip
    arguments: list[str] = []
    env: dict[str, str] = {}
    for option in OPTIONS:
        values = given_values[option.name].split()
        env[option.variable] = (option.separator or " ").join(values) or "1"
        for value in values:
            arguments += [f"--{option.name}", value]
        arguments += [] if values else [f"--{option.name}"]
    command = cli.parse(arguments, {})
    assert command == cli.parse([], env)
    assert command.settings == Settings(
        library=tmp_path, offline=True, allow_dirs=(photos, scans), daily_budget=2.5,
        provider_state="none",
        wait_seconds=20, preview_bytes=0, http=True,
    )  # fmt: skip
    assert command.http == HttpSettings(
        host="images.example.com", port=0, principals=(Principal("ann", TOKEN),),
        allow_hosts=("a.example.com", "b.example.com"), allow_origins=("https://app.example.com",),
    )  # fmt: skip


def test_command_line_overrides_environment() -> None:
    """
    What is on the command line outdoes the environment; empty variables say nothing.
    """
    env = {"IMAGESESSION_MCP_DAILY_BUDGET": "1", "IMAGESESSION_MCP_WAIT_SECONDS": " "}
    settings = cli.parse(["--daily-budget", "none"], env).settings
    assert settings.daily_budget is None
    assert settings.wait_seconds == Settings().wait_seconds
    assert cli.parse([], env).settings.daily_budget == 1


def test_paths_are_expanded_and_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    The person may write ~, for hosts start servers without a shell; relative folders are made
    absolute, for hosts start them anywhere.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for written in ("~/art", "art", f"{tmp_path}/x/../art"):
        assert cli.parse(["--library", written], {}).settings.library == tmp_path / "art"


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["--allow-dir", "/nowhere/at/all"], "--allow-dir takes a folder that exists"),
        (["--daily-budget", "-1"], "US dollars"),
        (["--daily-budget", "nan"], "none for no limit"),
        (["--daily-budget", "inf"], "none for no limit"),
        (["--provider-state", "some"], "takes responses, conversation, none"),
        (["--wait-seconds", "soon"], "from 0 to 3600"),
        (["--preview-bytes", "1.5"], "from 0 to 1000000"),
        (["--port", "65536"], "from 0 to 65535"),
        (["--port", "٣"], "a port"),
        (["--host", "a b"], "an address"),
        (["--allow-origin", "app.example.com"], "an origin"),
        (["--allow-origin", "https://app.example.com/"], "an origin"),
        (["--token-file", "/nowhere/at/all"], "can be read"),
        (["--offline=maybe"], "--offline"),
        (["--color"], "--color"),
        (["--off"], "--off"),
        (["--http", "--host", "0.0.0.0"], "needs a token"),  # noqa: S104 - is refused
        (["--http", "--host", "192.0.2.7"], "needs a token"),
        (["--http", "--host", "images.example.com"], "needs a token"),
        (["--http", "--host", "::"], "needs a token"),
    ],
)
def test_wrong_value_is_one_line_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """
    A value that cannot be ends it with one line that says which could, and status 2.
    """
    assert words in _refused(capsys, *arguments)


def test_wildcard_address_needs_a_host_name(capsys: pytest.CaptureFixture[str]) -> None:
    """
    On every address it listens only for names that were given; a name is then enough.
    """
    arguments = ["--http", "--host", "0.0.0.0"]  # noqa: S104 - is refused, or has a token
    env = {"IMAGESESSION_MCP_TOKEN": TOKEN}
    assert "--allow-host" in _refused(capsys, *arguments, **env)
    http = cli.parse([*arguments, "--allow-host", "images.example.com"], env).http
    assert http is not None
    assert http.principals == (Principal("default", TOKEN),)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """
    Addresses of this computer alone need no token.
    """
    assert cli.parse(["--http", "--host", host], {}).http == HttpSettings(host=host)


@pytest.mark.parametrize(
    "lines,words",
    [
        ("ann", "name:token in line 1"),
        (f"# two\n../ann:{TOKEN}", "name:token in line 2"),
        (f"ann:{TOKEN}\nann:{TOKEN}x", "same name twice"),
        (f"ann:{TOKEN}\nbob:{TOKEN}", "same token twice"),
        ("ann:short-secret", "at least 16"),
        ("# nobody", "has none"),
    ],
)
def test_wrong_tokens_are_refused_without_showing_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lines: str, words: str
) -> None:
    """
    A wrong list of tokens is refused, in a file as in the environment, without showing any.
    """
    (tmp_path / "tokens").write_text(lines)
    in_file = _refused(capsys, "--http", "--token-file", str(tmp_path / "tokens"))
    in_environment = _refused(capsys, "--http", IMAGESESSION_MCP_TOKENS=lines)
    for text in (in_file, in_environment):
        assert words in text
        assert TOKEN not in text
        assert "short-secret" not in text


def test_repr_shows_no_token() -> None:
    """
    Neither a settings' nor a door's text shows a token.
    """
    command = cli.parse(["--http"], {"IMAGESESSION_MCP_TOKENS": f"ann:{TOKEN}"})
    assert TOKEN not in repr(command)


def _refusal(read: Callable[[str], object], value: str) -> str | None:
    try:
        read(value)
    except InvalidOptionError as error:
        return str(error)
    return None


@settings(deadline=None)
@given(st.sampled_from(OPTIONS), st.text())
def test_any_value_is_parsed_or_refused(option: Option, value: str) -> None:
    """
    Whatever is written for an option is read, or refused with a sentence; nothing else is raised.
    """
    assert _refusal(option.parse, value) != ""


@settings(deadline=None)
@given(st.sampled_from(SECRETS), st.text(min_size=6))
def test_any_token_is_parsed_or_refused(
    secret: tuple[str, Callable[[str], object]], value: str
) -> None:
    """
    Whatever is written for tokens is read or refused, and never told.
    """
    assert value not in (_refusal(secret[1], value) or "")


def _run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *OURS, *arguments],
        env=environment(env), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_help_explains_every_option() -> None:
    """
    --help tells every option with its variable, the key, and what is so where nothing is said.
    """
    text = " ".join(_run("--help", COLUMNS="100").stdout.split())
    for option in OPTIONS:
        assert f"--{option.name}" in text
        assert f"[{option.variable}]" in text
    for word in ("OPENAI_API_KEY", "--version", *(variable for variable, _ in SECRETS)):
        assert word in text


def test_version_is_that_of_the_package() -> None:
    """
    --version tells the package's version, which stands in one place.
    """
    assert _run("--version").stdout == f"imagesession {imagesession.__version__}\n"


def test_wrong_value_ends_the_program() -> None:
    """
    The program itself ends with status 2, one line on stderr, and nothing on stdout.
    """
    ended = _run("--port", "x")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count(os.linesep) == 1
