"""
Access to the notebook that the program runs in, if any. IPython is never imported for this check:
in a notebook it is imported already.
"""

from __future__ import annotations

import sys
from typing import Any


def get_shell() -> Any | None:  # noqa: ANN401 - IPython's shell, which need not be here
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython else None
    # Colab and others derive their own from it.
    kinds = {kind.__name__ for kind in type(shell).__mro__}
    return shell if "ZMQInteractiveShell" in kinds else None
