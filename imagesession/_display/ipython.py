"""
Access to the notebook that the program runs in, if any. IPython is never imported for this check:
in a notebook it is imported already.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def get_shell() -> Any | None:  # noqa: ANN401 - IPython's shell, which need not be here
    """
    Return the shell of the running notebook; None outside of one.
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython else None
    # Colab and others derive their own from it.
    kinds = {kind.__name__ for kind in type(shell).__mro__}
    return shell if "ZMQInteractiveShell" in kinds else None


def display_in_cell(value: object) -> Any:  # noqa: ANN401 - IPython's handle, which need not be here
    """
    Show a value in the running cell; the handle's `update` shows another in the same place.
    """
    return importlib.import_module("IPython.display").display(value, display_id=True)
