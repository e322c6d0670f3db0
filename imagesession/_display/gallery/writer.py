"""
Gather what a library holds, and write it as one page that needs nothing else.
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
from imagesession._engine.store import ImageQuery, Store
from imagesession._store.archive_files import resolve_path
from imagesession._store.atomic_write import ensure_dir, translate_os_errors, write_atomic
from imagesession._version import __version__
from imagesession.errors import InvalidRequestError

from . import payload
from .payload import Shown
from .thumbnails import allowance, thumbnail

_SUFFIXES = frozenset({".html", ".htm"})
SCRIPTS = ("data.js", "cards.js", "trees.js", "viewer.js", "main.js")
_SIGN, _HEAD = b'<meta name="generator" content="imagesession ', 4096
_ENOUGH = 2**62
_AT_ONCE = 4
_TITLE = 120


def write(store: Store, path: object, session_id: str | None = None) -> str:
    """
    Write a gallery.

    Args:
        store: The library.
        path: The page; an earlier gallery there is replaced.
        session_id: Only this session; None for the whole library.

    Returns:
        The path in full.

    Raises:
        InvalidRequestError: The path is none, or does not end in .html.
        StorageIOError: There is something else at that path, or it cannot be written.
    """
    page = resolve_path(path)
    if page.suffix.lower() not in _SUFFIXES:
        raise InvalidRequestError(
            f"The gallery is a page, and {str(page)!r} does not end in .html. Write it to "
            f"{str(page.with_suffix('.html'))!r}, for instance."
        )
    with translate_os_errors(page):
        check_replaceable(page, "gallery", _is_gallery)
        shown = tuple(_of_session(store, session_id) if session_id else _of_all(store))
        reported = {
            **payload.to_payload(shown, _thumbnails(store, shown)),
            "alone": session_id is not None,
            "place": _library_href(store, page),
            "written": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        text = _render(_title(shown[0].record) if session_id else "Gallery", reported)
        ensure_dir(page.parent)
        write_atomic(page, text.encode("utf-8", "replace"), page.parent)
    return str(page)


def _is_gallery(page: Path) -> bool:
    with page.open("rb") as file:
        return _SIGN in file.read(_HEAD)


# --- gathering --------------------------------------------------------------------------------


def _of_session(store: Store, session_id: str) -> Iterator[Shown]:
    record = store.find_session(session_id)
    yield Shown(record=record, tree=store.tree(record))


def _of_all(store: Store) -> Iterator[Shown]:
    """
    Yield all sessions, the latest first, and then what belongs to none that can be read.
    """
    known: set[str] = set()
    for record in store.list_sessions():
        known.add(record.id)
        yield Shown(record=record, tree=store.tree(record))
    loose: dict[str | None, dict[str, Turn]] = {None: {}}
    for turn, _ in store.list_images(ImageQuery(limit=_ENOUGH)):
        if turn.session not in known:
            loose.setdefault(turn.session, {})[turn.id] = turn
    for session_id, turns in loose.items():
        tree = Tree().with_turn(turns.values())
        lost = None if session_id is None else _stand_in(session_id, tree)
        yield Shown(record=lost, tree=tree, named=False)


def _stand_in(session_id: str, tree: Tree) -> SessionRecord:
    """
    Return what stands for a session whose own record is lost.
    """
    first = next(iter(tree.turns.values()))
    return SessionRecord(id=session_id, description="", created=first.started)


def _images(shown: Iterable[Shown]) -> list[ImageRecord]:
    turns = (turn for item in shown for turn in item.tree.turns.values())
    return [image for turn in turns for image in turn.images]


def _thumbnails(store: Store, shown: Iterable[Shown]) -> dict[str, Preview]:
    """
    Make all pictures small.
    """
    images = _images(shown)
    make = functools.partial(thumbnail, store, max_bytes=allowance(len(images)))
    # Pillow's decoders let other threads work meanwhile.
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        made = zip(images, pool.map(make, images), strict=True)
        return {image.id: small for image, small in made if small}


def _library_href(store: Store, page: Path) -> str:
    """
    Return what leads from the page to the library's folder: a relative path where one of both
    holds the other, so that they can be moved together; the whole address where not.
    """
    # A name that no picture has, to learn where the folder is.
    probe = ImageRecord(id="", file="-", format="png", width=0, height=0, bytes=0, sha256="")
    root = Path(store.path(probe)).parent
    if root.is_relative_to(page.parent) or page.parent.is_relative_to(root):
        way = Path(os.path.relpath(root, page.parent)).as_posix()
        return f"./{quote(way)}/"
    return f"{root.as_uri()}/"


# --- the page ---------------------------------------------------------------------------------


def _title(record: SessionRecord | None) -> str:
    name = (record.name or record.description) if record else ""
    return formatting.shortened(name, _TITLE) or "Untitled session"


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
    Allow what the page has itself, by its digests, and pictures from files; nothing else.
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


def _trusted(text: str) -> Any:  # noqa: ANN401 - markupsafe's own type says more than it should
    return markupsafe.Markup(text)  # noqa: S704 - a file of this package, in which nothing is filled in
