"""
Packages that only come with an extra.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from imagesession.errors import InvalidRequestError


@contextlib.contextmanager
def needs_extra(extra: str, what: str) -> Generator[None]:
    """
    Say which extra to install if a package cannot be imported within a block.
    """
    try:
        yield
    except ImportError as error:
        raise InvalidRequestError(
            f"{what} needs a package that is not installed ({error.name}). Run "
            f"pip install 'imagesession[{extra}]'."
        ) from None
