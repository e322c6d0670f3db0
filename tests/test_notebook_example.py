"""
The notebook among the examples runs as it stands, without a key, and its outputs are stored.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from imagesession import Studio
from tests.kernels import EXAMPLE, Watched, read, run, written

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def kinds(notebook: Any) -> list[list[tuple[str, ...]]]:
    """
    Return what the outputs of each cell are.
    """
    return [
        [(item.output_type, *sorted(item.get("data", {}))) for item in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module", name="ran")
def running(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watched, Path]:
    """
    Run the example once.
    """
    folder = tmp_path_factory.mktemp("notebook")
    return run(read(), folder), folder


def test_it_runs_and_shows_what_is_stored(ran: tuple[Watched, Path]) -> None:
    """
    Every cell runs, and shows the same kinds of things as when it was stored.
    """
    client, _ = ran
    stored = read()
    assert kinds(client.nb) == kinds(stored)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    shown = {kind for cell in kinds(stored) for item in cell for kind in item}
    assert {"text/html", "display_data", "execute_result"} <= shown
    assert shown & {"image/png", "image/jpeg"}


def test_it_is_light_and_tells_nothing_of_the_machine(ran: tuple[Watched, Path]) -> None:
    """
    Stored, it has less than 300 kB, as when it runs; it names no folder of where it ran.
    """
    client, folder = ran
    text = EXAMPLE.read_text("utf-8")
    assert len(text) < 300_000
    assert len(written(client.nb)) < 300_000
    assert tempfile.gettempdir() not in text
    assert str(folder) not in text
    assert "/home/you/notebook pictures" in text


def test_it_says_what_is_billed(ran: tuple[Watched, Path]) -> None:
    """
    Its head says how many pictures a key pays for, and about what they cost.
    """
    head = read().cells[0].source
    with Studio.offline(ran[1] / "notebook pictures") as studio:
        stats = studio.stats()
    number = re.search(r"(\w+) pictures, some \$(\d\.\d\d)", head)
    assert number is not None
    assert NUMBERS.index(number[1]) == stats.total_images
    assert 0.5 <= float(number[2]) / stats.spent <= 2
