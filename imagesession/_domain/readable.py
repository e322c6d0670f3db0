"""
Show values in consoles and notebooks as people read them.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def readable(cls: type[T]) -> type[T]:
    """
    Make IPython and Jupyter show a value as `print` does, instead of its `repr` with all members.

    Source: https://ipython.readthedocs.io/en/stable/api/generated/IPython.lib.pretty.html
    """

    def show(self: T, printer: Any, cycle: bool) -> None:  # noqa: ANN401, ARG001, FBT001 - IPython's form
        printer.text(str(self))

    cls._repr_pretty_ = show  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    return cls
