"""
Runs the protocol's own programs, which are Node's, where `install.sh` put them.
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
    not (FOLDER / "node_modules" / ".bin" / "conformance").exists(),
    reason="run tests/mcp/conformance/install.sh first, which fetches Node and the suites",
)


def run(tool: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end.

    Args:
        tool: Its name.
        *arguments: Its command line.
        seconds: How long it may take.
    """
    path = f"{FOLDER / 'node' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # Inspectors would look for a keychain, which servers for tests have not.
    env = {**os.environ, "PATH": path, "MCP_INSPECTOR_SECRET_STORE": "memory"}
    return subprocess.run(
        [str(FOLDER / "node_modules" / ".bin" / tool), *arguments],
        env=env, timeout=seconds, capture_output=True, text=True, check=False,
    )  # fmt: skip
