"""
Turn what people call things into names of folders that every file system takes.
"""

from __future__ import annotations

import re
import unicodedata

FALLBACK_SLUG = "unnamed"
_MAX_CHARACTERS = 60
# Most file systems take 255 bytes a name; what is left is room for numbers and suffixes.
_MAX_BYTES = 180
# Letters, marks and digits of any script; everything else becomes a line.
_KEPT = frozenset("LMN")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)


def slugify(text: str) -> str:
    """
    Return a name for a folder: the words of any language, without anything that means a path.
    """
    normal = unicodedata.normalize("NFC", text)
    words = "".join(char if unicodedata.category(char)[0] in _KEPT else "_" for char in normal)
    name = re.sub("_+", "_", words)[:_MAX_CHARACTERS]
    name = name.encode("utf-8")[:_MAX_BYTES].decode("utf-8", "ignore").strip("_")
    return f"_{name}" if _RESERVED.fullmatch(name) else name or FALLBACK_SLUG
