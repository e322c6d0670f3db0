"""
The official inspector, a client independent of the SDK, over both transports and eras.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.mcp.conformance.node import needs_node, run
from tests.mcp.processes import ROOT, SERVER_MODULE, run_http_server

pytestmark = [pytest.mark.conformance, needs_node]
_REVISIONS = {"legacy": "2025-11-25", "modern": "2026-07-28"}


def _config(folder: Path, era: str, url: str | None) -> tuple[str, ...]:
    stdio = {
        "type": "stdio",
        "command": sys.executable,
        "args": [*SERVER_MODULE, "--offline", "--library", str(folder / "library")],
        "env": {"PYTHONPATH": str(ROOT)},
    }
    server = stdio if url is None else {"type": "streamable-http", "url": url}
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"ours": {**server, "protocolEra": era}}}))
    return ("--cli", "--config", str(file), "--server", "ours", "--format", "json")


def _inspect(config: tuple[str, ...], *arguments: str) -> dict[str, Any]:
    done = run("mcp-inspector", *config, "--method", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["result"]
    return result


def _check_server(config: tuple[str, ...], era: str) -> None:
    assert _inspect(config, "initialize")["protocolVersion"] == _REVISIONS[era]
    tools = {tool["name"] for tool in _inspect(config, "tools/list")["tools"]}
    assert {"generate_image", "create_image_session", "get_generation"} <= tools
    call = ("tools/call", "--tool-name", "generate_image", "--tool-arg", "prompt=a red kettle")
    text, preview = _inspect(config, *call)["content"]
    assert preview["type"] == "image"
    payload = json.loads(text["text"])
    with Image.open(payload["image_path"]) as picture:
        assert picture.size == (1024, 1024)
    read = _inspect(config, "resources/read", "--uri", payload["uri"])
    assert read["contents"][0]["mimeType"] == "image/png"


def test_errors_are_shown(tmp_path: Path) -> None:
    """
    A call that fails ends with the inspector's status for errors of tools, and shows the reason.
    """
    config = _config(tmp_path, "legacy", None)
    call = ("tools/call", "--tool-name", "get_session_status", "--tool-arg", "session_id=nope")
    done = run("mcp-inspector", *config, "--method", *call)
    assert done.returncode == 5
    assert "session_not_found" in done.stdout + done.stderr


@pytest.mark.parametrize("era", _REVISIONS)
def test_over_stdio(tmp_path: Path, era: str) -> None:
    """
    The inspector starts the server, lists tools, generates an image, and reads it as a resource.
    """
    _check_server(_config(tmp_path, era, None), era)


@pytest.mark.parametrize("era", _REVISIONS)
def test_over_http(tmp_path: Path, era: str) -> None:
    """
    The inspector does the same with a server over HTTP.
    """
    with run_http_server("--offline", "--library", str(tmp_path / "library")) as running:
        _check_server(_config(tmp_path, era, running.url), era)
