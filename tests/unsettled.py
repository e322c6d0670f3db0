"""
Intents of a library that are not settled, for tests.
"""

from __future__ import annotations

from pathlib import Path


def unsettled(library: Path) -> list[Path]:
    """
    Return the journal files of turns without a record. Those of settled turns may stay there until
    the index takes them in.

    Args:
        library: The library's folder.
    """
    inner = library / ".imagesession"
    settled = {file.stem for file in (inner / "turns").rglob("*.json")}
    files = (inner / "journal").glob("*.jsonl")
    return [file for file in files if file.name.partition(".")[0] not in settled]
