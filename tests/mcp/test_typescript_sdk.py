"""
The TypeScript SDK of the first version, on which Gemini CLI, opencode and many others are built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagesession.testing import FakeOpenAI, serve
from imagesession_mcp.tools import TOOLS
from tests.mcp.conformance.node import FOLDER, needs_node
from tests.mcp.processes import ROOT, SERVER_MODULE

pytestmark = [pytest.mark.conformance, needs_node]
# Makes the calls of its second argument one after another, each with its timeout in milliseconds,
# and prints how each ended.
_CLIENT = """
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
const [server, calls] = process.argv.slice(1).map((text) => JSON.parse(text));
const client = new Client({ name: "test", version: "1" });
await client.connect(new StdioClientTransport({ ...server, stderr: "ignore" }));
const ended = [(await client.listTools()).tools.map((tool) => tool.name)];
for (const [name, args, timeout] of calls) {
  try {
    ended.push(await client.callTool({ name, arguments: args }, undefined, { timeout }));
  } catch (error) {
    ended.push({ thrown: String(error) });
  }
}
console.log(JSON.stringify(ended));
await client.close();
"""


def _call_all(library: Path, *calls: tuple[str, dict[str, Any], int], **env: str) -> list[Any]:
    server = {
        "command": sys.executable,
        "args": [*SERVER_MODULE, "--library", str(library), *([] if env else ["--offline"])],
        "env": {**os.environ, "PYTHONPATH": str(ROOT), **env},
    }
    node = FOLDER / "node" / "bin" / "node"
    command = [str(node), "--input-type=module", "-e", _CLIENT, json.dumps(server)]
    done = subprocess.run(
        [*command, json.dumps(calls)],
        cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended: list[Any] = json.loads(done.stdout)
    return ended


def test_every_error_is_a_result(tmp_path: Path) -> None:
    """
    Each tool's failure is a result with its reason, which no schema makes the client throw away.
    """
    calls = [(spec.name, {"nonsense": 1}, 60_000) for spec in TOOLS]
    missing = ("get_session_status", {"session_id": "nope"}, 60_000)
    names, *ended = _call_all(tmp_path, *calls, missing)
    assert names == [spec.name for spec in TOOLS]
    for (name, _, _), result in zip([*calls, missing], ended, strict=True):
        assert result.get("isError"), (name, result)
        assert json.loads(result["content"][0]["text"])["error"]


def test_pictures_arrive_and_a_second_attempt_is_free(tmp_path: Path) -> None:
    """
    A picture is a text and an image. A call that ran out of time and is made again gets the first
    one's picture, which is billed once.
    """
    provider = FakeOpenAI(latency=8)
    with serve(provider) as served:
        _, late, found = _call_all(
            tmp_path,
            ("generate_image", {"prompt": "a kettle"}, 5_000),
            ("generate_image", {"prompt": "a kettle"}, 60_000),
            OPENAI_API_KEY="x",
            OPENAI_BASE_URL=served.base_url,
        )
    assert "timed out" in late["thrown"]
    assert [block["type"] for block in found["content"]] == ["text", "image"]
    assert "billed once" in json.loads(found["content"][0]["text"])["repeated"]
    assert (
        sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests) == 1
    )
