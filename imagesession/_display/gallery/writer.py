"""
Write a library or session as one self-contained HTML page.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import markupsafe

from imagesession._display import formatting
from imagesession._display.overwrite_guard import check_replaceable
from imagesession._display.templates import render, source
from imagesession._domain.previews import Preview
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._domain.wording import show_path
from imagesession._engine.store import ImageQuery, Store
from imagesession._store.files.archive_files import resolve_path
from imagesession._store.files.atomic_write import ensure_dir, translate_os_errors, write_atomic
from imagesession._version import __version__
from imagesession.errors import InvalidRequestError

from . import payload
from .payload import SessionView
from .thumbnails import allowance, thumbnail

_SUFFIXES = frozenset({".html", ".htm"})
SCRIPTS = ("data.js", "cards.js", "trees.js", "viewer.js", "main.js")
_SIGNATURE, _SIGNATURE_RANGE = b'<meta name="generator" content="imagesession ', 4096
_UNLIMITED = 2**62
_MAX_THREADS = 4
_TITLE_LENGTH = 120


def write(store: Store, path: object, session_id: str | None = None) -> str:
    """
    Write a gallery.

    Args:
        store: The library.
        path: The page to write; an earlier gallery is replaced.
        session_id: The only session to show; None for the whole library.

    Returns:
        The absolute path.

    Raises:
        InvalidRequestError: The path is invalid, or does not end in .html.
        StorageIOError: The path holds something else, or cannot be written.
    """
    page = resolve_path(path)
    if page.suffix.lower() not in _SUFFIXES:
        raise InvalidRequestError(
            f"The gallery is a page, and {show_path(page)} does not end in .html. Write it to "
            f"{show_path(page.with_suffix('.html').name)}, for instance."
        )
    with translate_os_errors(page):
        check_replaceable(page, "gallery", _is_gallery)
        views = tuple(_session_view(store, session_id) if session_id else _library_views(store))
        data = {
            **payload.to_payload(views, _thumbnails(store, views)),
            "alone": session_id is not None,
            "place": _library_href(store, page),
            "written": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        text = _render(_title(views[0].record) if session_id else "Gallery", data)
        ensure_dir(page.parent)
        write_atomic(page, text.encode("utf-8", "replace"), page.parent)
    return str(page)


def _is_gallery(page: Path) -> bool:
    with page.open("rb") as file:
        return _SIGNATURE in file.read(_SIGNATURE_RANGE)


# --- content ----------------------------------------------------------------------------------


def _session_view(store: Store, session_id: str) -> Iterator[SessionView]:
    record = store.find_session(session_id)
    yield SessionView(record=record, tree=store.tree(record))


def _library_views(store: Store) -> Iterator[SessionView]:
    """
    Yield all sessions, the latest first, then turns without a readable session record.
    """
    session_ids: set[str] = set()
    for record in store.list_sessions():
        session_ids.add(record.id)
        yield SessionView(record=record, tree=store.tree(record))
    orphans: dict[str | None, dict[str, Turn]] = {None: {}}
    for turn, _ in store.list_images(ImageQuery(limit=_UNLIMITED)):
        if turn.session not in session_ids:
            orphans.setdefault(turn.session, {})[turn.id] = turn
    for session_id, turns in orphans.items():
        tree = Tree().with_turn(turns.values())
        placeholder = None if session_id is None else _placeholder_record(session_id, tree)
        yield SessionView(record=placeholder, tree=tree, has_record=False)


def _placeholder_record(session_id: str, tree: Tree) -> SessionRecord:
    """
    Return a placeholder for a session whose record is lost.
    """
    first = next(iter(tree.turns.values()))
    return SessionRecord(id=session_id, description="", created=first.started)


def _images(views: Iterable[SessionView]) -> list[ImageRecord]:
    turns = (turn for view in views for turn in view.tree.turns.values())
    return [image for turn in turns for image in turn.images]


def _thumbnails(store: Store, views: Iterable[SessionView]) -> dict[str, Preview]:
    """
    Make the thumbnails of all images, by image id.
    """
    images = _images(views)
    make = functools.partial(thumbnail, store, max_bytes=allowance(len(images)))
    # Pillow's decoders release the GIL.
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        thumbnails = zip(images, pool.map(make, images), strict=True)
        return {image.id: small for image, small in thumbnails if small}


def _library_href(store: Store, page: Path) -> str:
    """
    Return the URL of the library's folder: relative if one of the page's folder and the library
    contains the other, so that they can be moved together; otherwise absolute.
    """
    # A record with a made-up name, to learn the folder's path.
    probe = ImageRecord(id="", file="-", format="png", width=0, height=0, bytes=0, sha256="")
    if "://" in store.path(probe):
        return f"{store.path(probe).removesuffix('-')}"
    root = Path(store.path(probe)).parent
    if root.is_relative_to(page.parent) or page.parent.is_relative_to(root):
        relative = Path(os.path.relpath(root, page.parent)).as_posix()
        return f"./{quote(relative)}/"
    return f"{root.as_uri()}/"


# --- the page ---------------------------------------------------------------------------------


def _title(record: SessionRecord | None) -> str:
    name = (record.name or record.description) if record else ""
    return formatting.shorten(name, _TITLE_LENGTH) or "Untitled session"


def _render(title: str, payload: Mapping[str, Any]) -> str:
    style = source("gallery/page.css")
    scripts = [source(f"gallery/{name}") for name in SCRIPTS]
    return render(
        "gallery/page.html",
        title=title,
        version=__version__,
        policy=_policy(style, scripts),
        style=_trusted(style),
        scripts=[_trusted(script) for script in scripts],
        data=payload,
    )


def _policy(style: str, scripts: Iterable[str]) -> str:
    """
    Allow the page's own style and scripts by digest, and images from files; nothing else.
    """
    allowed = " ".join(_digest(script) for script in scripts)
    return (
        f"default-src 'none'; img-src data: file: 'self'; style-src {_digest(style)}; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _trusted(text: str) -> Any:  # noqa: ANN401 - markupsafe's own type is too narrow
    return markupsafe.Markup(text)  # noqa: S704 - a file of this package, without variables
