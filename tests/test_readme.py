"""
The README's examples run, without a key.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import imagesession
from imagesession.testing import tiny_image

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The README's Python runs from top to bottom, offline; the last block needs custom clients.
    """
    *runnable, clients = BLOCKS
    assert "AzureOpenAI" in clients
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(tiny_image("jpeg"))
    monkeypatch.setenv("IMAGESESSION_LIBRARY", str(tmp_path / "library"))
    names: dict[str, Any] = {"AsyncStudio": imagesession.AsyncStudio}
    for block in runnable:
        code = re.sub(r"\b(Async)?Studio\(", lambda match: f"{match[0][:-1]}.offline(", block)
        if "await " in code:
            body = "".join(f"    {line}\n" for line in code.splitlines())
            exec(f"async def run():\n{body}    return image\n", names)  # noqa: S102 - our own README
            assert asyncio.run(names["run"]()).path.exists()
        else:
            exec(code, names)  # noqa: S102 - our own README
    assert names["wide"].size == (1536, 864)
    assert names["cup"].path.parent.name == "ceramic_coffee_mug"
    assert names["results"].ok
    assert names["session"].name == "Tea shop"


def test_links_exist() -> None:
    """
    Every relative link of the README and its neighbours is a file.
    """
    root = Path(__file__).parent.parent
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
        for link in re.findall(r"\]\(([^)]+)\)", (root / page).read_text("utf-8")):
            file = root / link.partition("#")[0]
            assert link.startswith("https://") or file.exists(), f"{page}: {link}"
