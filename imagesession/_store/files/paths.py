"""
Paths that people give.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from imagesession._domain.wording import quote
from imagesession.errors import InvalidRequestError, StorageIOError


def resolve_path(path: object) -> Path:
    """
    Return where a path given by a person leads, in full.

    Raises:
        InvalidRequestError: It is no path, or leads to a home that there is not.
        StorageIOError: It is relative, and the working directory is gone.
    """
    text, shown = "", quote(path)
    if isinstance(path, (str, os.PathLike)):
        text = os.fsdecode(cast("str | os.PathLike[str]", path))
    if not text or "\0" in text:
        raise InvalidRequestError(f"The path is {shown}; give it as text or as a Path.")
    try:
        os.fsencode(text)
        return Path(text).expanduser().absolute()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"The path {shown} contains half a character, so no file can have it. Check where it "
            "was cut or decoded."
        ) from error
    except RuntimeError as error:
        raise InvalidRequestError(
            f"The path {text} cannot be found: {error}. Write the path in full."
        ) from error
    except OSError as error:
        raise StorageIOError(
            f"{text} cannot be found, as the working directory is gone. Write the path in full."
        ) from error
