"""
Write a library or session as one self-contained HTML page.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imagesession._display import formatting
from imagesession._display.overwrite_guard import check_replaceable
from imagesession._display.templates import render, source
from imagesession._domain.cost import Cost
from imagesession._domain.wording import show_path
from imagesession._engine.store import Store
from imagesession._store.files.atomic_write import ensure_dir, translate_os_errors, write_atomic
from imagesession._store.files.modes import folder_mode, library_mode
from imagesession._store.files.paths import resolve_path
from imagesession._version import __version__
from imagesession.errors import InvalidRequestError

from . import outline, parts, payload
from .outline import Outline
from .thumbnails import make_thumbnails

_SUFFIXES = frozenset({".html", ".htm"})
SCRIPTS = ("data.js", "cards.js", "trees.js", "viewer.js", "main.js")
_SIGNATURE, _SIGNATURE_RANGE = b'<meta name="generator" content="imagesession ', 4096
LARGE = 5_000
"""The most images on a page that holds all of them."""
_TITLE_LENGTH = 120


def write(store: Store, path: object, session_id: str | None = None) -> str:
    """
    Write a gallery of the library, or of one session; return its absolute path.
    """
    page = resolve_path(path)
    if page.suffix.lower() not in _SUFFIXES:
        raise InvalidRequestError(
            f"The gallery is a page, and {show_path(page)} does not end in .html. Write it to "
            f"{show_path(page.with_suffix('.html').name)}, for instance."
        )
    with translate_os_errors(page):
        check_replaceable(page, "gallery", _is_gallery)
        outlines = (
            (outline.of_session(store, session_id),)
            if session_id
            else tuple(outline.of_library(store))
        )
        folder = parts.folder_of(page)
        is_large = sum(len(each.images) for each in outlines) > LARGE
        mode = library_mode(store.address)
        ensure_dir(page.parent, folder_mode(mode))
        content = _in_parts(store, outlines, folder) if is_large else _whole(store, outlines)
        data: dict[str, Any] = {
            **content,
            "alone": session_id is not None,
            "place": _library_href(store, page),
            "folder": f"./{quote(folder.name, errors='replace')}/",
            "written": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        record = outlines[0].record if session_id else None
        title = formatting.format_title(record, _TITLE_LENGTH) if record else "Gallery"
        text = _render(title, data)
        write_atomic(page, text.encode("utf-8", "replace"), page.parent, mode=mode)
        parts.remove_parts(folder, {part["file"] for part in data["parts"]})
    return str(page)


def _is_gallery(page: Path) -> bool:
    with page.open("rb") as file:
        return _SIGNATURE in file.read(_SIGNATURE_RANGE)


# --- content ----------------------------------------------------------------------------------


def _whole(store: Store, outlines: Iterable[Outline]) -> dict[str, Any]:
    views = tuple(outline.read(store, outlines))
    facts = payload.to_facts(views)
    return {
        **payload.to_payload(views, make_thumbnails(store, payload.images(views))),
        "facts": facts,
        "cost": _cost([facts]),
        "parts": [],
    }


def _in_parts(store: Store, outlines: Sequence[Outline], folder: Path) -> dict[str, Any]:
    written = parts.write_parts(store, outlines, folder)
    sessions = [
        {**session, "part": at} for at, part in enumerate(written) for session in part["sessions"]
    ]
    sessions.sort(key=lambda session: session["id"], reverse=True)
    return {
        "sessions": sessions,
        "turns": [],
        "cost": _cost(written),
        "parts": [
            {name: value for name, value in part.items() if name not in {"sessions", "cost"}}
            for part in written
        ],
    }


def _cost(facts: Iterable[Mapping[str, Any]]) -> str:
    total = formatting.add_costs(Cost.read(each["cost"]) for each in facts if each["cost"])
    return str(total) if total else ""


def _library_href(store: Store, page: Path) -> str:
    """
    Return the URL of the library's folder: relative if one of the page's folder and the library
    contains the other, so that they can be moved together; otherwise absolute.
    """
    if "://" in store.address:
        return f"{store.address}/"
    root = Path(store.address)
    if root.is_relative_to(page.parent) or page.parent.is_relative_to(root):
        relative = Path(os.path.relpath(root, page.parent)).as_posix()
        return f"./{quote(relative)}/"
    return f"{root.as_uri()}/"


# --- the page ---------------------------------------------------------------------------------


def _render(title: str, payload: Mapping[str, Any]) -> str:
    style = source("gallery/page.css")
    scripts = [source(f"gallery/{name}") for name in SCRIPTS]
    return render(
        "gallery/page.html",
        title=title,
        version=__version__,
        policy=_policy(style, scripts, in_parts=bool(payload["parts"])),
        style=style,
        scripts=scripts,
        data=payload,
    )


def _policy(style: str, scripts: Iterable[str], *, in_parts: bool) -> str:
    """
    Allow the page's own style and scripts by digest, images from files, and, if there are parts,
    scripts from files; nothing else.
    """
    allowed = " ".join(_digest(script) for script in scripts)
    files, types = (" file: 'self'", "; trusted-types parts") if in_parts else ("", "")
    return (
        f"default-src 'none'; img-src data: file: 'self'; style-src {_digest(style)}; "
        f"script-src {allowed}{files}; base-uri 'none'; form-action 'none'; "
        f"require-trusted-types-for 'script'{types}"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
