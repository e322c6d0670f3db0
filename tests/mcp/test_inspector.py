"""
The official inspector, a client that is not the SDK's, over both transports and in both eras.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.mcp.conformance.node import needs_node, run
from tests.mcp.processes import OURS, ROOT, listening

pytestmark = [pytest.mark.conformance, needs_node]
_NAMED = {"legacy": "2025-11-25", "modern": "2026-07-28"}


def _config(folder: Path, era: str, url: str | None) -> tuple[str, ...]:
    stdio = {
        "type": "stdio",
        "command": sys.executable,
        "args": [*OURS, "--offline", "--library", str(folder / "library")],
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


def _look(config: tuple[str, ...], era: str) -> None:
    assert _inspect(config, "initialize")["protocolVersion"] == _NAMED[era]
    tools = {tool["name"] for tool in _inspect(config, "tools/list")["tools"]}
    assert {"generate_image", "create_image_session", "get_generation"} <= tools
    call = ("tools/call", "--tool-name", "generate_image", "--tool-arg", "prompt=a red kettle")
    text, preview, link = _inspect(config, *call)["content"]
    assert (preview["type"], link["type"]) == ("image", "resource_link")
    with Image.open(json.loads(text["text"])["image_path"]) as picture:
        assert picture.size == (1024, 1024)
    read = _inspect(config, "resources/read", "--uri", link["uri"])
    assert read["contents"][0]["mimeType"] == "image/png"


@pytest.mark.parametrize("era", _NAMED)
def test_over_stdio(tmp_path: Path, era: str) -> None:
    """
    The inspector starts the server, lists its tools, gets a picture, and reads it as a resource.
    """
    _look(_config(tmp_path, era, None), era)


@pytest.mark.parametrize("era", _NAMED)
def test_over_http(tmp_path: Path, era: str) -> None:
    """
    The inspector does the same with a server over HTTP.
    """
    with listening("--offline", "--library", str(tmp_path / "library")) as running:
        _look(_config(tmp_path, era, running.url), era)
