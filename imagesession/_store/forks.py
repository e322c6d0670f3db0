"""
What a forked process inherits, and must not use: its parent's locks, leases and connections; and
the locks of modules that another thread is importing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")
# What is imported on first use, perhaps in a thread, and takes a while.
_IMPORTED_LATE = ("PIL", "httpx2", "imagesession", "numpy", "openai", "pydantic")


def _finish_imports() -> None:
    """
    Wait for other threads to finish what they import: a fork would find such a module half made,
    and its lock held for ever.
    """
    for name, module in tuple(sys.modules.items()):
        is_late = name.partition(".")[0] in _IMPORTED_LATE
        if is_late and getattr(getattr(module, "__spec__", None), "_initializing", False):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_finish_imports)


def abandoned_in_forks(abandon: Callable[[T], object]) -> WeakSet[T]:
    """
    Return a set of objects that each forked process abandons: `abandon` makes one forget what
    belongs to the parent process.
    """
    known: WeakSet[T] = WeakSet()

    def abandon_all() -> None:
        for each in list(known):
            abandon(each)

    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=abandon_all)
    return known
