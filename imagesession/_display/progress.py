"""
A bar that shows how far many things are.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator

from .ipython import get_shell


@contextlib.contextmanager
def bar(total: int, *, wanted: bool | None) -> Generator[Callable[[], object], None, None]:
    """
    Show a bar on standard error while something is done.

    Args:
        total: How many things there are to do.
        wanted: Whether to show it; None shows it where somebody looks: in a terminal or notebook.

    Yields:
        What to call when one is done.
    """
    if not (_is_interactive() if wanted is None else wanted):
        yield lambda: None
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - slow to import, and hardly ever needed

    with tqdm(total=total, unit="image") as shown:
        yield shown.update


def _is_interactive() -> bool:
    return sys.stderr.isatty() or get_shell() is not None
