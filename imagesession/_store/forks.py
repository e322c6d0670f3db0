"""
What a forked process inherits, and must not use: its parent's locks, leases and connections.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakSet

T = TypeVar("T")


def abandoned_in_forks(abandon: Callable[[T], object]) -> WeakSet[T]:
    """
    Return a set of objects that each forked process abandons.

    Args:
        abandon: Makes an object forget what belongs to the parent process.
    """
    known: WeakSet[T] = WeakSet()

    def abandon_all() -> None:
        for each in list(known):
            abandon(each)

    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=abandon_all)
    return known
