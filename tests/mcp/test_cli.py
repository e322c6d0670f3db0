"""
The command line and the environment, and the errors for invalid values.
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
from imagesession_mcp.option_values import InvalidOptionError, Principal
from imagesession_mcp.settings import OPTIONS, SECRETS, Option, Settings
from tests.mcp.processes import ROOT, SERVER_MODULE, environment

TOKEN = "0123456789abcdef"  # noqa: S105 - a made-up token


def _parse_error(capsys: pytest.CaptureFixture[str], *arguments: str, **env: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        cli.parse(arguments, env)
    assert exit_info.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("imagesession-mcp: ")
    assert text.endswith("See imagesession-mcp --help.\n")
    assert text.count("\n") == 1
    return text


def test_defaults_are_those_of_the_settings() -> None:
    """
    Without options the settings are those of `Settings`, over stdin and stdout.
    """
    assert cli.parse([], {}) == Settings()
    assert cli.parse(["--http"], {}) == Settings(http=True)


def test_every_option_reaches_the_settings(tmp_path: Path) -> None:
    """
    Each option reaches the settings, and each variable is equivalent to its option.
    """
    photos, scans = tmp_path / "photos", tmp_path / "scans"
    for folder in (photos, scans):
        folder.mkdir()
    (tmp_path / "tokens").write_text(f"ann:{TOKEN}\n")
    option_values = {
        "offline": "", "library": str(tmp_path), "allow-dir": f"{photos} {scans}",
        "daily-budget": "2.5", "server": "localai", "api": "images", "provider-state": "none",
        "max-sessions": "7", "session-timeout": "60",
        "wait-seconds": "20", "preview-bytes": "0", "links": "", "image-first": "", "http": "",
        "host": "images.example.com", "port": "0", "token-file": str(tmp_path / "tokens"),
        "allow-host": "a.example.com b.example.com", "allow-origin": "https://app.example.com",
    }  # fmt: skip
    arguments: list[str] = []
    env: dict[str, str] = {}
    for option in OPTIONS.values():
        values = option_values[option.name].split()
        env[option.variable] = (option.separator or " ").join(values) or "1"
        for value in values:
            arguments += [f"--{option.name}", value]
        arguments += [] if values else [f"--{option.name}"]
    command = cli.parse(arguments, {})
    assert command == cli.parse([], env)
    assert command == Settings(
        library=tmp_path, offline=True, allow_dirs=(photos, scans), daily_budget=2.5,
        server="localai", api="images", provider_state="none", max_sessions=7, session_timeout=60,
        wait_seconds=20, preview_bytes=0, links=True, image_first=True, http=True,
        host="images.example.com", port=0, principals=(Principal("ann", TOKEN),),
        allow_hosts=("a.example.com", "b.example.com"), allow_origins=("https://app.example.com",),
    )  # fmt: skip


def test_command_line_overrides_environment() -> None:
    """
    The command line overrides the environment; empty variables are ignored.
    """
    env = {"IMAGESESSION_MCP_DAILY_BUDGET": "1", "IMAGESESSION_MCP_WAIT_SECONDS": " "}
    settings = cli.parse(["--daily-budget", "none"], env)
    assert settings.daily_budget is None
    assert settings.wait_seconds == Settings().wait_seconds
    assert cli.parse([], env).daily_budget == 1


def test_paths_are_expanded_and_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    ~ is expanded, because hosts start servers without a shell; relative paths become absolute,
    because hosts start them in any folder.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for written in ("~/art", "art", f"{tmp_path}/x/../art"):
        assert cli.parse(["--library", written], {}).library == tmp_path / "art"


def test_library_of_a_team_is_passed_on() -> None:
    """
    A library's URL reaches the library as it is, also if callers have tokens: each is an owner.
    """
    url = "postgresql://db.example.com/pictures?blobs=s3://pictures"
    assert cli.parse(["--library", url], {}).library == url
    env = {"IMAGESESSION_LIBRARY": url, "IMAGESESSION_MCP_TOKEN": TOKEN}
    assert cli.parse(["--http"], env).library == url


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--allow-dir", "/nowhere/at/all"], "--allow-dir takes a folder that exists"),
        (["--daily-budget", "-1"], "US dollars"),
        (["--daily-budget", "0"], "above 0, as 2.50, or none for no limit; --offline"),
        (["--daily-budget", "nan"], "none for no limit"),
        (["--daily-budget", "inf"], "none for no limit"),
        (["--api", "chat"], "takes responses or images"),
        (["--provider-state", "some"], "takes responses, conversation or none"),
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
def test_invalid_value_is_one_line_on_stderr(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    """
    An invalid value ends the program with one line that describes valid values, and status 2.
    """
    (tmp_path / "tokens").write_text(f"ann:{TOKEN}\nbob:{TOKEN}b")
    words = [word.replace("TOKENS", str(tmp_path / "tokens")) for word in arguments]
    assert message in _parse_error(capsys, *words)


def test_wildcard_address_needs_a_host_name(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Listening on all addresses requires an allowed host name.
    """
    arguments = ["--http", "--host", "0.0.0.0"]  # noqa: S104 - is refused, or has a token
    env = {"IMAGESESSION_MCP_TOKEN": TOKEN}
    assert "--allow-host" in _parse_error(capsys, *arguments, **env)
    http = cli.parse([*arguments, "--allow-host", "images.example.com"], env)
    assert http.principals == (Principal("default", TOKEN),)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """
    Loopback addresses need no token.
    """
    assert cli.parse(["--http", "--host", host], {}) == Settings(http=True, host=host)


@pytest.mark.parametrize(
    "lines,message",
    [
        ("ann", "not name:token [USD]: line 1"),
        (f"# two\n../ann:{TOKEN}", "not name:token [USD]: line 2"),
        (f"ann:{TOKEN}\nann:{TOKEN}x", "same name twice"),
        (f"ann:{TOKEN}\nAnn:{TOKEN}x", "same name twice"),
        (f"ann:{TOKEN}\nbob:{TOKEN}", "same token twice"),
        (f"ann:{TOKEN} much", "US dollars"),
        (f"ann:{TOKEN} 0", "above 0"),
        (f"ann:{TOKEN} 3.00\nbob:{TOKEN}x 2.50", "5.50 in total"),
        (f"ann:{TOKEN} 5.00\nbob:{TOKEN}x", "raise it"),
        ("ann:short-secret", "at least 16"),
        ("# nobody", "has none"),
    ],
)
def test_invalid_tokens_are_rejected_without_showing_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lines: str, message: str
) -> None:
    """
    An invalid list of tokens is rejected, from a file or the environment, without showing tokens.
    """
    (tmp_path / "tokens").write_text(lines)
    in_file = _parse_error(capsys, "--http", "--token-file", str(tmp_path / "tokens"))
    in_environment = _parse_error(capsys, "--http", IMAGESESSION_MCP_TOKENS=lines)
    for text in (in_file, in_environment):
        assert message in text
        assert TOKEN not in text
        assert "short-secret" not in text


def test_principals_share_the_daily_budget() -> None:
    """
    A principal has its own limit, or an equal share of what the others leave; all together have the
    server's.
    """
    lines = f"ann:{TOKEN} 2.00\nbob:{TOKEN}b\ncy:{TOKEN}c"
    settings = cli.parse(["--http"], {"IMAGESESSION_MCP_TOKENS": lines})
    assert [settings.budget_of(name) for name in ("ann", "bob", "cy")] == [2.0, 1.5, 1.5]
    endless = cli.parse(["--http", "--daily-budget", "none"], {"IMAGESESSION_MCP_TOKENS": lines})
    assert [endless.budget_of(name) for name in ("ann", "bob", "cy")] == [2.0, None, None]
    assert Settings().budget_of("") == 5.0


def test_variables_of_openai_image_mcp_are_read() -> None:
    """
    The variables of openai-image-mcp set what they set there.
    """
    env = {"MCP_MAX_SESSIONS": "7", "MCP_SESSION_TIMEOUT": "1800"}
    settings = cli.parse([], env)
    assert (settings.max_sessions, settings.session_timeout) == (7, 1800)


def test_repr_shows_no_token() -> None:
    """
    The repr of the parsed command shows no token.
    """
    command = cli.parse(["--http"], {"IMAGESESSION_MCP_TOKENS": f"ann:{TOKEN}"})
    assert TOKEN not in repr(command)


def _parse_message(read: Callable[[str], object], value: str) -> str | None:
    try:
        read(value)
    except InvalidOptionError as error:
        return str(error)
    return None


@settings(deadline=None)
@given(st.sampled_from([*OPTIONS.values()]), st.text())
def test_any_value_is_parsed_or_rejected(option: Option, value: str) -> None:
    """
    Any value of an option is parsed, or rejected with a message; nothing else is raised.
    """
    assert _parse_message(option.parse, value) != ""


@settings(deadline=None)
@given(st.sampled_from(SECRETS), st.text(min_size=6))
def test_any_token_is_parsed_or_rejected(
    secret: tuple[str, Callable[[str], object]], value: str
) -> None:
    """
    Any value for tokens is parsed or rejected, and never shown.
    """
    assert value not in (_parse_message(secret[1], value) or "")


def _run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *SERVER_MODULE, *arguments],
        env=environment(env), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_help_explains_every_option() -> None:
    """
    --help lists every option with its variable, and the variables of the key and the tokens.
    """
    text = " ".join(_run("--help", COLUMNS="100").stdout.split())
    for option in OPTIONS.values():
        assert f"--{option.name}" in text
        assert f"[{option.variable}]" in text
    for word in ("OPENAI_API_KEY", "--version", *(variable for variable, _ in SECRETS)):
        assert word in text


def test_version_is_that_of_the_package() -> None:
    """
    --version prints the package's version, which is defined in one place.
    """
    assert _run("--version").stdout == f"imagesession {imagesession.__version__}\n"


def test_invalid_value_ends_the_program() -> None:
    """
    The program exits with status 2, one line on stderr, and nothing on stdout.
    """
    exit_info = _run("--port", "x")
    assert (exit_info.returncode, exit_info.stdout) == (2, "")
    assert exit_info.stderr.count(os.linesep) == 1
