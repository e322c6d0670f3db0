"""
Run notebooks in a real kernel; `python -m tests.kernels` updates the example's stored outputs.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "notebook.ipynb"
_SECONDS = 120
# Its functions have no types.
_nbformat: Any = importlib.import_module("nbformat")


class Watched(NotebookClient):
    """
    Runs a notebook and records every message with output, in order.
    """

    def __init__(self, notebook: Any, folder: Path) -> None:
        super().__init__(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """
        Record output, and output that replaces it.
        """
        if "data" in msg["content"]:
            self.shown.append((msg["msg_type"], msg["content"]["data"]))
        return super().process_message(msg, cell, cell_index)


def run(notebook: Any, folder: Path) -> Watched:
    """
    Run a notebook in a folder, without a key; a cell that raises fails it.
    """
    Path.home().mkdir(parents=True, exist_ok=True)  # Jupyter keeps files there, and warns without
    client = Watched(notebook, folder)
    without = {name: value for name, value in os.environ.items() if "OPENAI" not in name}
    without.pop("IMAGESESSION_LIBRARY", None)
    client.execute(env={**without, "PYTHONPATH": str(ROOT)})
    return client


def cells(*sources: str) -> Any:
    """
    Return a notebook with these cells.
    """
    notebook = _nbformat.v4.new_notebook()
    notebook.cells = [_nbformat.v4.new_code_cell(source) for source in sources]
    return notebook


def read() -> Any:
    """
    Return the example as it is stored.
    """
    return _nbformat.read(EXAMPLE, as_version=4)


def written(notebook: Any) -> str:
    """
    Return a notebook as JSON text.
    """
    return str(_nbformat.writes(notebook))


def store() -> None:
    """
    Run the example and store its outputs, without the path of the folder in which it ran.
    """
    notebook = read()
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, Path(folder))
        text = written(notebook)
        EXAMPLE.write_text(text.replace(str(Path(folder).resolve()), "/home/you") + "\n", "utf-8")


if __name__ == "__main__":
    store()
