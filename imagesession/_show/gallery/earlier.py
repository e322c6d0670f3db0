"""
The thumbnails of the gallery that is replaced, so that only new pictures have to be made small.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from imagesession._model.pictures import read_facts

from .thumbnails import Thumbnail

SIGN = '<meta name="generator" content="imagesession '
_HEAD = 4096
_LARGEST = 100_000_000
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def is_gallery(page: Path) -> bool:
    """
    Tell whether a file is a gallery that was written before.
    """
    if not page.is_file() or page.is_symlink():
        return False
    with page.open("rb") as file:
        return SIGN.encode() in file.read(_HEAD)


def thumbnails(page: Path, most: int) -> dict[str, Thumbnail]:
    """
    Return the thumbnails of an earlier gallery by their pictures' ids; none where there is none.

    Drawings are left out: they are made safe anew every time.

    Args:
        page: Where it may be.
        most: How many bytes a thumbnail may have now; those of another allowance are not used.
    """
    if not is_gallery(page) or page.stat().st_size > _LARGEST:
        return {}
    found = _DATA.search(page.read_text("utf-8", "replace"))
    try:
        known: object = json.loads(found[1]) if found else {}
    except (ValueError, RecursionError):
        return {}
    told = _mapping(known)
    return dict(_read(told)) if told.get("allowance") == most else {}


def _read(told: dict[str, Any]) -> Iterator[tuple[str, Thumbnail]]:
    for turn in map(_mapping, _list(told.get("turns"))):
        for image in map(_mapping, _list(turn.get("images"))):
            small, name = image.get("thumb"), image.get("id")
            if isinstance(small, str) and isinstance(name, str) and _is_webp(small):
                yield name, Thumbnail(kind="webp", data=small, alpha=image.get("alpha") is True)


def _is_webp(text: str) -> bool:
    """
    Tell whether a text is a WebP in base64; anybody may have written into the page since.
    """
    try:
        facts = read_facts(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
    return facts is not None and facts.format == "webp"


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
