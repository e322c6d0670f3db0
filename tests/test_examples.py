"""
Every example runs as it stands, without a key, and leaves pictures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    """
    An example prints where its pictures are, and they are there.
    """
    environment = {**os.environ, "IMAGESESSION_LIBRARY": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    assert str(tmp_path) in run.stdout
    assert "not a model's work" in run.stdout
    pictures = list((tmp_path / "general").glob("*.png"))
    assert pictures
    assert all(str(picture) in run.stdout for picture in pictures)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(example: Path) -> None:
    """
    An example is one recipe that fits a screen.
    """
    assert len(example.read_text("utf-8").splitlines()) <= 60
