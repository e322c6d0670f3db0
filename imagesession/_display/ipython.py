"""
The notebook that a program runs in, if it does. IPython is not imported for it: whoever runs in a
notebook has imported it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def get_shell() -> Any | None:  # noqa: ANN401 - IPython's shell, which need not be here
    """
    Return the shell of the notebook that this runs in; None outside of one.
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython else None
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


def display_in_cell(thing: object) -> Any:  # noqa: ANN401 - IPython's handle, which need not be here
    """
    Show a thing in the running cell.

    Returns:
        What shows another thing in its place, by `update`.
    """
    return importlib.import_module("IPython.display").display(thing, display_id=True)
