"""
A progress bar for bulk work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator

from .ipython import get_shell


@contextlib.contextmanager
def bar(total: int, *, enabled: bool | None) -> Generator[Callable[[], object], None, None]:
    """
    Show a progress bar on standard error while the block runs.

    Args:
        total: The number of images to make.
        enabled: Whether to show it; None shows it in a terminal or notebook only.

    Yields:
        A function to call when an image is done.
    """
    if not (_is_interactive() if enabled is None else enabled):
        yield lambda: None
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - slow to import, and hardly ever needed

    with tqdm(total=total, unit="image") as progress:
        yield progress.update


def _is_interactive() -> bool:
    return sys.stderr.isatty() or get_shell() is not None
