"""
The programs of agents, with a script in place of their model: each takes its snippet from the page
on agents as it stands there, lists the tools and calls them, and shows its model what they return.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from imagesession_mcp.tools import TOOLS
from tests.mcp.conformance.node import BINARIES, FOLDER, needs_node
from tests.mcp.conformance.scripted_model import DONE, ScriptedModel, serve_model
from tests.mcp.processes import ROOT, SERVER_MODULE

pytestmark = [
    pytest.mark.conformance,
    needs_node,
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "@openai" / "codex").exists(),
        reason="run tests/mcp/conformance/install.sh, which fetches the programs from npm",
    ),
]
_PAGE = (ROOT / "docs" / "agents.md").read_text("utf-8")
_CALLS = (
    ("generate_image", {"prompt": "a red kettle"}),
    ("get_session_status", {"session_id": "nope"}),
)
_ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "x",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "ENABLE_TOOL_SEARCH": "false",  # all tools are offered at once
    "MCP_CONNECTION_NONBLOCKING": "0",
    "GEMINI_API_KEY": "x",
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
    "OPENAI_API_KEY": "x",
}
_CODEX = """
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "OPENAI_API_KEY"
"""
_GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"disableAutoUpdate": True},
}


def _snippet(title: str, kind: str) -> str:
    section = _PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return section.partition(f"```{kind}\n")[2].partition("```")[0]


class _Computer:
    """
    A home folder whose `uvx` starts this checkout's server offline.
    """

    def __init__(self, home: Path, model: ScriptedModel) -> None:
        self.home, self.model = home, model
        server = shlex.join([sys.executable, *SERVER_MODULE])
        uvx = home / "bin" / "uvx"
        self.write("bin/uvx", f'#!/bin/sh\nshift 3\nexec {server} --offline "$@"\n')
        uvx.chmod(0o755)

    def write(self, name: str, text: str) -> None:
        """
        Write a file.
        """
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def run(self, *command: str) -> str:
        """
        Run a command that must succeed, and return what it prints.
        """
        bin_folders = (str(self.home / "bin"), BINARIES, os.environ["PATH"])
        env = {
            **_ENVIRONMENT,
            "HOME": str(self.home),
            "PATH": os.pathsep.join(bin_folders),
            "PYTHONPATH": str(ROOT),
            "IMAGESESSION_LIBRARY": str(self.home / "library"),
            "ANTHROPIC_BASE_URL": self.model.url,
            "GOOGLE_GEMINI_BASE_URL": self.model.url,
        }
        done = subprocess.run(
            command, env=env, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _check(model: ScriptedModel, printed: str) -> None:
    """
    Check that the model was offered every tool, saw the picture, and learned the error's reason.
    """
    assert DONE in printed
    reported = json.dumps(model.requests[-1])
    assert [tool.name for tool in TOOLS if f'{tool.name}"' not in reported] == []
    assert "/9j/4AAQ" in reported  # how a JPEG begins in base64
    assert "image_path" in reported
    assert "session_not_found" in reported


_TOOLS = ",".join(f"mcp__imagesession__{name}" for name, _ in _CALLS)


def test_claude_code_with_a_command(tmp_path: Path) -> None:
    """
    Claude Code adds the server with the page's command, and its model sees pictures and errors.
    """
    with serve_model(*_CALLS) as model:
        computer = _Computer(tmp_path, model)
        computer.run("sh", "-c", _snippet("Claude Code", "sh"))
        assert "Connected" in computer.run("claude", "mcp", "list")
        _check(model, computer.run("claude", "-p", "A picture!", "--allowedTools", _TOOLS))


def test_claude_code_with_a_file(tmp_path: Path) -> None:
    """
    Claude Code takes the page's file of a project.
    """
    with serve_model(*_CALLS) as model:
        computer = _Computer(tmp_path, model)
        computer.write(".mcp.json", _snippet("Claude Code", "json"))
        approved = ("--settings", '{"enableAllProjectMcpServers": true}')
        command = ("claude", "-p", "A picture!", "--allowedTools", _TOOLS, *approved)
        _check(model, computer.run(*command))


def test_codex(tmp_path: Path) -> None:
    """
    Codex takes the page's table, and its model sees pictures and errors.
    """
    with serve_model(*_CALLS) as model:
        computer = _Computer(tmp_path, model)
        config = _CODEX.format(url=model.url) + _snippet("Codex", "toml")
        computer.write(".codex/config.toml", config)
        assert "enabled" in computer.run("codex", "mcp", "list")
        _check(model, computer.run("codex", "exec", "--skip-git-repo-check", "A picture!"))


def test_gemini_cli(tmp_path: Path) -> None:
    """
    Gemini CLI takes the page's settings, and its model sees pictures and errors.
    """
    with serve_model(*_CALLS) as model:
        computer = _Computer(tmp_path, model)
        settings = {**_GEMINI, **json.loads(_snippet("Gemini CLI", "json"))}
        computer.write(".gemini/settings.json", json.dumps(settings))
        _check(
            model, computer.run("gemini", "-m", "gemini-2.5-flash", "--yolo", "-p", "A picture!")
        )


@pytest.mark.parametrize("title", ["Claude Desktop", "Cursor"])
def test_inspector_with_the_file_of_another_program(tmp_path: Path, title: str) -> None:
    """
    The inspector, which reads the same files, lists the tools of a program that cannot be had here.
    """
    computer = _Computer(tmp_path, ScriptedModel(()))
    computer.write("mcp.json", _snippet(title, "json"))
    config = ("--cli", "--config", "mcp.json", "--server", "imagesession", "--format", "json")
    listed = json.loads(computer.run("mcp-inspector", *config, "--method", "tools/list"))
    assert [tool["name"] for tool in listed["result"]["tools"]] == [tool.name for tool in TOOLS]
