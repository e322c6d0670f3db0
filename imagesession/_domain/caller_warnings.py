"""
Warn at the line of the program that called this library, however deep the check lies.
"""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str, category: type[Warning]) -> None:
    """
    Issue a warning that names the caller's line, from a workflow of either twin.
    """
    level, frame = 1, sys._getframe()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - warnings count so
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
