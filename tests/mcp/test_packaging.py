"""
The files by which others start the server: snippets, registry entry and bundle.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imagesession
import imagesession_mcp
from imagesession_mcp import cli
from imagesession_mcp.settings import OPTIONS, SECRETS, Settings
from tests.mcp.conformance.node import needs_node, run
from tests.mcp.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = (ROOT / "docs" / "agents.md").read_text("utf-8")
VARIABLES = {
    "OPENAI_API_KEY",
    *(item.variable for item in OPTIONS.values()),
    *(name for name, _ in SECRETS),
}


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def _servers() -> Iterator[dict[str, Any]]:
    for block in _blocks("json"):
        snippet = json.loads(block)
        yield from (snippet.get("mcpServers") or snippet["servers"]).values()
    for block in _blocks("toml"):
        yield from tomllib.loads(block)["mcp_servers"].values()


def _parse_command(arguments: list[str], tmp_path: Path) -> Settings:
    """
    Parse the server's arguments in a snippet's command line.
    """
    rest = arguments[arguments.index("imagesession-mcp") + 1 :]
    return cli.parse([item.replace("/home/you/Photos", str(tmp_path)) for item in rest], {})


def test_snippets_are_valid_client_configurations(tmp_path: Path) -> None:
    """
    Each JSON and TOML snippet of the page is valid, and uses existing options and variables.
    """
    servers = list(_servers())
    assert len(servers) == 7
    for server in servers:
        assert server["command"] == "uvx"
        assert server["args"][:3] == ["--from", "imagesession[mcp]", "imagesession-mcp"]
        assert set(server["env"]) <= VARIABLES
        assert _parse_command(server["args"], tmp_path).http is False


def test_shell_snippets_have_existing_options(tmp_path: Path) -> None:
    """
    The page's commands can be parsed.
    """
    (tmp_path / "tokens.txt").write_text("ann:0123456789abcdef")
    commands = [line for block in _blocks("sh") for line in block.splitlines()]
    assert len(commands) == 4
    for line in commands:
        words = shlex.split(line.replace("tokens.txt", str(tmp_path / "tokens.txt")))
        assert _parse_command(words, tmp_path)


def test_page_has_the_defaults() -> None:
    """
    The page's table has the options with their variables and defaults.
    """
    for option in list(OPTIONS.values())[: list(OPTIONS).index("http")]:
        assert f"| `--{option.name}{f' {option.metavar}' * bool(option.metavar)}` |" in PAGE
        assert f"`{option.variable}`" in PAGE
    defaults = Settings()
    assert f"| {defaults.daily_budget:.2f} per day" in PAGE
    assert f"| {defaults.wait_seconds:.0f}: after" in PAGE
    assert f"| {defaults.preview_bytes};" in PAGE


def _read_json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "imagesession_mcp" / name).read_text("utf-8"))
    return content


def test_registry_entry_is_valid() -> None:
    """
    server.json follows the registry's schema of 2025-12-11: names, lengths, the package's version,
    and variables that the server reads.
    """
    entry = _read_json("server.json")
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert 1 <= len(entry["description"]) <= 100
    assert 1 <= len(entry["title"]) <= 100
    (package,) = entry["packages"]
    assert entry["version"] == package["version"] == imagesession.__version__
    assert (package["registryType"], package["identifier"]) == ("pypi", PROJECT["name"])
    assert package["transport"] == {"type": "stdio"}
    (extra,) = package["runtimeArguments"]
    assert (extra["name"], [extra["value"]]) == ("--with", PROJECT["optional-dependencies"]["mcp"])
    for variable in package["environmentVariables"]:
        assert variable["name"] in VARIABLES
        assert variable["description"]
        assert variable.get("format", "string") in {"string", "number", "boolean", "filepath"}
        assert isinstance(variable.get("default", ""), str)
    assert [item["isSecret"] for item in package["environmentVariables"] if "isSecret" in item] == [
        True
    ]


def test_bundle_starts_this_version() -> None:
    """
    manifest.json has and starts the package's version, with variables that the server reads, each
    from the user's configuration.
    """
    manifest = _read_json("manifest.json")
    server = manifest["server"]
    assert manifest["version"] == imagesession.__version__
    assert f"imagesession[mcp]=={imagesession.__version__}" in server["mcp_config"]["args"]
    assert (ROOT / "imagesession_mcp" / server["entry_point"]).is_file()
    env = server["mcp_config"]["env"]
    assert set(env) <= VARIABLES
    placeholders = {f"${{user_config.{name}}}" for name in manifest["user_config"]}
    assert set(env.values()) == placeholders
    assert manifest["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    defaults = {name: str(item["default"]) for name, item in manifest["user_config"].items()}
    environment = {key: defaults[value[14:-1]] for key, value in env.items()}
    assert cli.parse([], environment).daily_budget == Settings().daily_budget


def test_console_scripts_start_the_server() -> None:
    """
    Both console scripts start the same function as `python -m imagesession_mcp`.
    """
    ours = "imagesession_mcp.__main__:main"
    assert PROJECT["scripts"] == {"imagesession-mcp": ours, "imagesession": ours}


@pytest.mark.conformance
@needs_node
def test_bundle_can_be_packed(tmp_path: Path) -> None:
    """
    The bundle tool validates and packs the manifest.
    """
    folder = ROOT / "imagesession_mcp"
    checked = run("mcpb", "validate", str(folder / "manifest.json"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    packed = run("mcpb", "pack", str(folder), str(tmp_path / "imagesession.mcpb"))
    assert packed.returncode == 0, packed.stdout + packed.stderr
    assert (tmp_path / "imagesession.mcpb").stat().st_size < 200_000


def test_server_stays_a_thin_adapter() -> None:
    """
    The server's code has at most 3,700 lines: whatever needs thought is in the library.
    """
    modules = Path(imagesession_mcp.__path__[0]).rglob("*.py")
    assert sum(len(module.read_text("utf-8").splitlines()) for module in modules) <= 3_700
