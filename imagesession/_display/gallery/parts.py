"""
Parts: the turns of a large library in scripts beside the page, which loads them as they are seen.

A part's name is the digest of what it holds, so a part that has not changed is not written again,
and the turns in it are not read.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from imagesession._engine.store import Store
from imagesession._store.files.atomic_write import ensure_dir, write_atomic
from imagesession._store.files.modes import folder_mode, library_mode
from imagesession._version import __version__

from . import outline, payload
from .outline import Outline
from .thumbnails import make_thumbnails

TURNS = 500
_NAME_LENGTH = 200
_HEADER = b"//imagesession gallery part "
_PART = re.compile(r"[0-9a-f]{24}\.js")
# Browsers show the files of other formats by themselves, and these would run or move.
_THUMBNAIL_FORMATS = frozenset({"svg", "gif"})


def folder_of(page: Path) -> Path:
    return page.with_name(f"{page.stem}-data")


def write_parts(store: Store, outlines: Sequence[Outline], folder: Path) -> list[dict[str, Any]]:
    """
    Write the parts that are not there yet; return what the page knows of each: its file, its
    sessions and the facts of `payload.to_facts`.
    """
    ensure_dir(folder, folder_mode(library_mode(store.address)))
    return [_write_part(store, group, folder) for group in _groups(outlines)]


def _groups(outlines: Sequence[Outline]) -> Iterator[tuple[Outline, ...]]:
    """
    Yield the outlines in groups of some hundred turns, from the oldest, so that new turns leave the
    groups of earlier ones as they are. A session stays whole, as its tree is shown whole.
    """
    group: list[Outline] = []
    for each in reversed(outlines):
        if each.record is None:
            yield from _slices(each)
            continue
        group.append(each)
        if sum(len(member.turns) for member in group) >= TURNS:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _slices(standalone: Outline) -> Iterator[tuple[Outline]]:
    images = sorted(standalone.images)
    for start in range(0, len(standalone.turns), TURNS):
        turns = standalone.turns[start : start + TURNS]
        first, after = (bisect.bisect(images, (turns[at], end)) for at, end in ((0, ""), (-1, "~")))
        pairs = tuple(images[first:after])
        ids = {*turns, *(image for _, image in pairs)}
        marks = {key: mark for key, mark in standalone.marks.items() if key in ids}
        yield (attrs.evolve(standalone, turns=turns, images=pairs, marks=marks),)


def _write_part(store: Store, group: tuple[Outline, ...], folder: Path) -> dict[str, Any]:
    digest = hashlib.sha256(repr((__version__, group)).encode("utf-8", "backslashreplace"))
    file = folder / f"{digest.hexdigest()[:24]}.js"
    facts = _read_facts(file)
    if facts is None:
        views = tuple(outline.read(store, group))
        moving = [image for image in payload.images(views) if image.format in _THUMBNAIL_FORMATS]
        content = payload.to_payload(views, make_thumbnails(store, moving))
        facts = payload.to_facts(views)
        write_atomic(
            file, _script(file.name, facts, content), folder, mode=library_mode(store.address)
        )
    sessions = [
        {
            "id": each.record.id,
            "name": (each.record.name or each.record.description)[:_NAME_LENGTH],
            "lost": not each.has_record,
        }
        for each in group
        if each.record
    ]
    return {"file": file.name, "sessions": sessions, **facts}


def _script(name: str, facts: Mapping[str, Any], content: Mapping[str, Any]) -> bytes:
    """
    Return a part as a script, in ASCII. The data is a string that the page parses as JSON, so no
    text in it is ever code.
    """
    data = json.dumps(json.dumps(content, separators=(",", ":")))
    call = f"arrive({json.dumps(name)},{data});\n"
    return _HEADER + json.dumps(facts).encode("ascii") + b"\n" + call.encode("ascii")


def _read_facts(file: Path) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError, ValueError), file.open("rb") as opened:
        line = opened.readline()
        if line.startswith(_HEADER):
            facts: dict[str, Any] = json.loads(line.removeprefix(_HEADER))
            return facts
    return None


def remove_parts(folder: Path, kept: Collection[str]) -> None:
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if _PART.fullmatch(file.name) and file.name not in kept and _read_facts(file):
                file.unlink()
        if not kept:
            folder.rmdir()
