"""
Runs the protocol's own tools, which need Node, from where `install.sh` installed them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("IMAGESESSION_NODE_TOOLS")
    or Path(tempfile.gettempdir()) / "imagesession-node-tools"
)
needs_node = pytest.mark.skipif(
    not (FOLDER / "node_modules" / "@modelcontextprotocol" / "sdk").exists(),
    reason="run tests/mcp/conformance/install.sh first, which fetches Node and the suites from npm",
)


BINARIES = f"{FOLDER / 'node' / 'bin'}{os.pathsep}{FOLDER / 'node_modules' / '.bin'}"
"""Where Node and the tools are, for PATH."""


def run(tool: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """
    Run a tool to completion.

    Args:
        tool: Its name.
        *arguments: Its arguments.
        seconds: The timeout in seconds.
    """
    path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
    # The inspector would look for a keychain, which test machines do not have.
    env = {**os.environ, "PATH": path, "MCP_INSPECTOR_SECRET_STORE": "memory"}
    return subprocess.run(
        [str(FOLDER / "node_modules" / ".bin" / tool), *arguments],
        env=env, timeout=seconds, capture_output=True, text=True, check=False,
    )  # fmt: skip
