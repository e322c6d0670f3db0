"""
Look at the machine that a library is on: Python, SQLite, and the packages that pictures need.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sqlite3

from imagesession._model.checkup import Check

# STRICT tables: https://sqlite.org/releaselog/3_37_0.html
_SQLITE = (3, 37, 0)
_NEEDED = {"pillow": (12, 3), "openai": (3, 50)}


def look_at_sqlite() -> Check:
    """
    Look whether SQLite knows all that the index uses.
    """
    old = sqlite3.sqlite_version_info < _SQLITE
    return Check(
        name="sqlite",
        state="problem" if old else "ok",
        message=f"SQLite {sqlite3.sqlite_version}.",
        remedy=f"Use a Python with SQLite {'.'.join(map(str, _SQLITE))} or later." if old else "",
    )


def look_at_python() -> Check:
    """
    Tell which Python this is, and where.
    """
    return Check(
        name="python", message=f"Python {platform.python_version()} on {platform.platform()}."
    )


def look_at_package(name: str) -> Check:
    """
    Look which version of a package is installed, without loading it.
    """
    floor = ".".join(map(str, _NEEDED[name]))
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[: len(_NEEDED[name])])
    old = numbers < _NEEDED[name]
    return Check(
        name=name,
        state="problem" if old else "ok",
        message=f"{name} {version or 'is not installed'}.",
        remedy=f"pip install -U '{name}>={floor}'" if old else "",
    )


def look_at_heic() -> Check:
    """
    Look whether the pictures of many cameras can be read.
    """
    if importlib.util.find_spec("pillow_heif") is not None:
        return Check(name="heic", message="HEIC pictures can be read.")
    return Check(
        name="heic",
        message="HEIC pictures cannot be read.",
        remedy="If they shall be: pip install 'imagesession[heic]'",
    )
