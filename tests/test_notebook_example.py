"""
The example notebook runs without a key, and its outputs are stored.
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


def kinds_of_output(notebook: Any) -> list[list[tuple[str, ...]]]:
    """
    Return the kinds of the outputs of each cell.
    """
    return [
        [
            (output.output_type, *sorted(output.get("data", {})))
            for output in cell.get("outputs", [])
        ]
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module", name="ran")
def running(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watched, Path]:
    """
    Run the example once.
    """
    folder = tmp_path_factory.mktemp("notebook")
    return run(read(), folder), folder


def test_notebook_runs_and_matches_its_stored_outputs(ran: tuple[Watched, Path]) -> None:
    """
    Every cell runs, and shows the same kinds of output as when it was stored.
    """
    client, _ = ran
    stored = read()
    assert kinds_of_output(client.nb) == kinds_of_output(stored)
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    output_kinds = {kind for cell in kinds_of_output(stored) for output in cell for kind in output}
    assert {"text/html", "display_data", "execute_result"} <= output_kinds
    assert output_kinds & {"image/png", "image/jpeg"}


def test_stored_notebook_is_small_and_has_no_machine_paths(ran: tuple[Watched, Path]) -> None:
    """
    The stored notebook has less than 300 kB, and no path of the machine where it ran.
    """
    client, folder = ran
    text = EXAMPLE.read_text("utf-8")
    assert len(text) < 300_000
    assert len(written(client.nb)) < 300_000
    assert tempfile.gettempdir() not in text
    assert str(folder) not in text
    assert "/home/you/notebook pictures" in text


def test_notebook_states_what_is_billed(ran: tuple[Watched, Path]) -> None:
    """
    Its first cell says how many images are billed with a key, and their approximate cost.
    """
    head = read().cells[0].source
    with Studio.offline(ran[1] / "notebook pictures") as studio:
        stats = studio.stats()
    number = re.search(r"(\w+) images, about \$(\d\.\d\d)", head)
    assert number is not None
    assert NUMBERS.index(number[1]) == stats.total_images
    assert 0.5 <= float(number[2]) / stats.spent <= 2
