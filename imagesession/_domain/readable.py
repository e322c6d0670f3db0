"""
Show values in consoles and notebooks as people read them.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")
_LONGEST = 80


def readable(cls: type[T]) -> type[T]:
    """
    Make IPython and Jupyter show a value as `print` does, and give it a short `repr`: the first
    line of that, instead of all members.

    Source: https://ipython.readthedocs.io/en/stable/api/generated/IPython.lib.pretty.html
    """

    def show(self: T, printer: Any, cycle: bool) -> None:  # noqa: ANN401, ARG001, FBT001 - IPython's form
        printer.text(str(self))

    def shorten(self: T) -> str:
        first, *more = str(self).split("\n")
        line = " ".join(first.split())
        cut = len(line) > _LONGEST or bool(more)
        return f"<{type(self).__name__}: {line[:_LONGEST]}{'…' if cut else ''}>"

    cls.__repr__ = shorten  # type: ignore[assignment,method-assign] # pyright: ignore[reportAttributeAccessIssue]
    cls._repr_pretty_ = show  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    return cls
