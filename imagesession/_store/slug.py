"""
Turn labels into names of folders that are valid on every file system.
"""

from __future__ import annotations

import re
import unicodedata

FALLBACK_SLUG = "unnamed"
_MAX_CHARACTERS = 60
# Most file systems allow names of 255 bytes; the rest is room for numbers and suffixes.
_MAX_BYTES = 180
# Letters, marks and digits of any script; everything else becomes an underscore.
_KEPT_CATEGORIES = frozenset("LMN")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
"""Names that Windows keeps for devices, with whatever suffix."""


def slugify(text: str) -> str:
    """
    Return a name for a folder: words of any language, without characters special in paths.
    """
    normal = unicodedata.normalize("NFC", text)
    words = "".join(
        char if unicodedata.category(char)[0] in _KEPT_CATEGORIES else "_" for char in normal
    )
    name = re.sub("_+", "_", words)[:_MAX_CHARACTERS]
    name = name.encode("utf-8")[:_MAX_BYTES].decode("utf-8", "ignore").strip("_")
    return f"_{name}" if RESERVED.match(name) else name or FALLBACK_SLUG
