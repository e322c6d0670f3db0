"""
The texts and tables of this package, which are files beside its modules.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any


def read_text(name: str) -> str:
    """
    Return a file's text.
    """
    return resources.files("imagesession_mcp").joinpath(name).read_text("utf-8")


def read_table(name: str) -> dict[str, Any]:
    """
    Return a file of TOML.
    """
    return tomllib.loads(read_text(name))
