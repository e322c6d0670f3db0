"""
The documentation's programs share one library, as on a reader's computer, and can be run again.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import logging
import os
import re
import runpy
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from imagesession import Studio, presets
from imagesession.testing import tiny_image

ROOT = Path(__file__).parent.parent.parent
HOW_TO = ROOT / "docs" / "howto"
PAGES = re.findall(r"^([a-z-]+)$", (HOW_TO / "index.md").read_text("utf-8"), re.MULTILINE)
DOCUMENTED = [
    ROOT / "examples" / "quickstart.py",
    ROOT / "README.md",
    ROOT / "docs" / "tutorial.md",
    *(HOW_TO / f"{page}.md" for page in PAGES),
]


@contextlib.contextmanager
def readers_computer(folder: Path) -> Generator[None]:
    """
    Work in a folder with one library and no key, with warnings as errors and in silence.
    """
    root = logging.getLogger()
    handlers = [*root.handlers]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in [name for name in os.environ if "OPENAI" in name]:
            patch.delenv(name)
        patch.setenv("IMAGESESSION_LIBRARY", str(folder / "library"))
        patch.setenv("HOME", str(folder))
        patch.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    root.handlers[:] = handlers
    presets.reset()


def run_page(page: Path) -> dict[str, Any]:
    """
    Run a program, or all Python of a page, in a module of its own, and return its names.
    """
    if page.suffix == ".py":
        return runpy.run_path(str(page), run_name="__main__")
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if page.name == "README.md":
        # Its last block needs servers of other kinds.
        blocks = [re.sub(r"\b((?:Async)?Studio)\(", r"\1.offline(", text) for text in blocks[:-1]]
    names: dict[str, Any] = {}
    for block in blocks:
        # A block may await, as in a notebook's cell.
        code = compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(code, names)  # noqa: S307 - our own pages
        if inspect.iscoroutine(made):
            asyncio.run(made)
    return names


def test_every_program_runs_in_one_library_and_again(tmp_path: Path) -> None:
    """
    Quickstart, README, tutorial and how-tos follow each other in one library without an error or a
    warning, and so they do a second time. README's code makes what its text says.
    """
    names: dict[str, dict[str, Any]] = {}
    for _ in range(2):
        for page in DOCUMENTED:
            with readers_computer(tmp_path):
                Path("photo.jpg").write_bytes(tiny_image("jpeg"))
                names[page.name] = run_page(page)
        readme = names["README.md"]
        assert readme["wide"].size == (1536, 864)
        assert readme["cup"].path.parent.name == "ceramic_coffee_mug"
        assert readme["results"].ok
        assert readme["session"].name == "Tea shop"
    assert Studio.offline(tmp_path / "library").stats().total_images > 100
