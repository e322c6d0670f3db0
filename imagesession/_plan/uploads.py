"""
Send pictures up once, and name them by the provider's id while it lives.

A file costs nothing, so whatever goes wrong here is no failure: the picture then goes along with
the request itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from imagesession._model.pictures import MIME_TYPES, SUFFIXES
from imagesession._model.turns import Turn
from imagesession.errors import ReplyError

from .replies import is_success, read_json
from .steps import Flow, OnDisk, Send, Wait
from .store import Fetched, Upload
from .tolerance import as_text
from .wire import NoReplyError, Part, Reply, Request

# The longest life that the provider gives: thirty days.
# https://developers.openai.com/api/reference/resources/files/methods/create (expires_after)
_LIFE = dt.timedelta(days=30)
_SECONDS = 60.0
_AGAIN = 0.05
_NO_FILES_HERE = frozenset({404, 405, 501})


def upload(pictures: Iterable[Fetched], provider: str, at: dt.datetime) -> Flow[dict[str, str]]:
    """
    Have the provider hold pictures, each once while it lives there.

    Args:
        pictures: What goes along with a request.
        provider: Who is asked.
        at: The time now.

    Returns:
        The provider's ids by the pictures' digests; what is missing goes along in full.
    """
    files: dict[str, str] = {}
    for picture in pictures:
        held = yield from _hold(picture, provider, at)
        if held is not None and held.file_id is not None:
            files[picture.sha256] = held.file_id
    return files


def held(past: Iterable[Turn], turn: Turn) -> Flow[dict[str, str]]:
    """
    Find what the provider holds still of the pictures that went along with earlier turns.

    Args:
        past: The turns.
        turn: The one that is to come.

    Returns:
        The provider's ids by the pictures' digests.
    """
    files: dict[str, str] = {}
    for digest in {one.sha256 for earlier in past for one in earlier.references}:
        found = yield from _find(digest, turn.provider, turn.started)
        if found is not None and found.file_id is not None:
            files[digest] = found.file_id
    return files


def invalidate_uploads(files: Iterable[str], provider: str) -> Flow[None]:
    """
    Forget what the provider says that it does not hold any more.
    """
    for digest in files:
        yield from _drop(digest, provider)


def _hold(picture: Fetched, provider: str, at: dt.datetime) -> Flow[Upload | None]:
    """
    Have the provider hold a picture. Where another call is sending it up just now, wait for that.
    """
    waited = 0.0
    while (ours := (yield from _find(picture.sha256, provider, at))) is None:
        lease = yield from OnDisk(lambda store: store.start_upload(picture.sha256, provider))
        if lease is not None:
            try:
                # It may have arrived in between.
                found = yield from _find(picture.sha256, provider, at)
                return found or (yield from _send(picture, provider, at))
            finally:
                lease.release()
        if waited >= _SECONDS:
            return None
        yield from Wait(_AGAIN)
        waited += _AGAIN
    return ours


def _find(digest: str, provider: str, at: dt.datetime) -> Flow[Upload | None]:
    return (yield from OnDisk(lambda store: store.find_upload(digest, provider, at)))


def _drop(digest: str, provider: str) -> Flow[None]:
    yield from OnDisk(lambda store: store.drop_upload(digest, provider))


def _send(picture: Fetched, provider: str, at: dt.datetime) -> Flow[Upload | None]:
    try:
        reply = yield from Send(_request(picture))
    except NoReplyError:
        return None
    upload = _read(reply, at)
    if upload is not None:
        yield from OnDisk(lambda store: store.keep_upload(picture.sha256, provider, upload))
    return upload


def _request(picture: Fetched) -> Request:
    kind = picture.facts.format
    part = Part(
        field="file",
        name=f"{picture.sha256[:16]}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=picture.data,
    )
    return send_up(part, "vision", _LIFE, _SECONDS)


def send_up(part: Part, purpose: str, life: dt.timedelta, seconds: float) -> Request:
    """
    Build the free request that sends a file up.

    Args:
        part: The file.
        purpose: What the provider is told that it is for.
        life: How long the provider keeps it.
        seconds: What the request may take.

    Source: https://developers.openai.com/api/reference/resources/files/methods/create
    """
    expires = {"anchor": "created_at", "seconds": int(life.total_seconds())}
    return Request(
        method="POST",
        path="/files",
        body={"purpose": purpose, "expires_after": expires},
        files=(part,),
        timeout=seconds,
    )


def _read(reply: Reply, at: dt.datetime) -> Upload | None:
    """
    Read the answer to an upload; None where it says nothing that lasts.
    """
    if reply.status in _NO_FILES_HERE:
        return Upload(file_id=None, expires=at)
    if not is_success(reply):
        return None
    try:
        file = read_json(reply)
    except ReplyError:
        return None
    file_id, expires = as_text(file.get("id")), file.get("expires_at")
    if not file_id:
        return None
    if isinstance(expires, int) and not isinstance(expires, bool):
        return Upload(file_id=file_id, expires=_moment(expires, at))
    return Upload(file_id=file_id, expires=at + _LIFE)


def _moment(seconds: int, at: dt.datetime) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return at
