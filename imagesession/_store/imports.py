"""
Read images from outside of the library, unchanged and with their sidecars, to import them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from imagesession._domain.image_header import parse_header
from imagesession._engine.store import ImportedImage, Source
from imagesession._imaging.convert import to_provider_format
from imagesession._imaging.inputs import path_of, read_image_input

_MAX_SIDECAR = 1_000_000


def load_original(source: Source) -> ImportedImage:
    """
    Read an image to import: its bytes unchanged, unless no browser shows its format.

    A sidecar of the same name, written by this library or by older tools, gives its prompt and
    model.

    Raises:
        InvalidImageError: It is not an image.
    """
    data, name = read_image_input(source)
    facts = parse_header(data)
    if facts is None:
        data, facts = to_provider_format(data, name)
    elif facts.format != "svg":
        to_provider_format(data, name)  # to check that it opens, whatever its header says
    path = path_of(source)
    sidecar = _read_sidecar(path)
    return ImportedImage(
        data=data,
        facts=facts,
        file=None if path is None else path.name,
        prompt=_text(sidecar, "original_prompt") or "",
        revised_prompt=_text(sidecar, "revised_prompt"),
        model=_text(sidecar, "model"),
    )


def _read_sidecar(path: Path | None) -> Mapping[str, Any]:
    """
    Read an image's sidecar; empty if there is none that can be read.
    """
    if path is None:
        return {}
    for name in (f"{path.stem}.json", f"{path.stem}_metadata.json"):
        file = path.with_name(name)
        try:
            if file.stat().st_size > _MAX_SIDECAR:
                continue
            facts = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            return cast("dict[str, Any]", facts)
    return {}


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    if not isinstance(value, str):
        return None
    # JSON may hold a lone surrogate, which can be neither written nor sent.
    return value.encode("utf-8", "replace").decode("utf-8").strip() or None
