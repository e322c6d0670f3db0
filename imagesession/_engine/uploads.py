"""
Send pictures up once, and name them by the provider's id while it lives.

A file costs nothing, so whatever goes wrong here is no failure: the picture then goes along with
the request itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES
from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .coerce import as_text
from .effects import Send, Sleep, StoreCall, Workflow
from .http import FilePart, HttpRequest, HttpResponse, TransportError
from .responses import is_success, parse_json_object
from .store import InputImage, Upload

# The longest life that the provider gives: thirty days.
# https://developers.openai.com/api/reference/resources/files/methods/create (expires_after)
_LIFE = dt.timedelta(days=30)
_SECONDS = 60.0
_AGAIN = 0.05
_NO_FILES_HERE = frozenset({404, 405, 501})


def ensure_uploaded(
    pictures: Iterable[InputImage], provider: str, at: dt.datetime
) -> Workflow[dict[str, str]]:
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
        held = yield from _find_or_upload(picture, provider, at)
        if held is not None and held.file_id is not None:
            files[picture.sha256] = held.file_id
    return files


def find_uploaded(past: Iterable[Turn], turn: Turn) -> Workflow[dict[str, str]]:
    """
    Find what the provider holds still of the pictures that went along with earlier turns.

    Args:
        past: The turns.
        turn: The one that is to come.

    Returns:
        The provider's ids by the pictures' digests.
    """
    files: dict[str, str] = {}
    for digest in {reference.sha256 for earlier in past for reference in earlier.references}:
        found = yield from _find(digest, turn.provider, turn.started)
        if found is not None and found.file_id is not None:
            files[digest] = found.file_id
    return files


def invalidate_uploads(files: Iterable[str], provider: str) -> Workflow[None]:
    """
    Forget what the provider says that it does not hold any more.
    """
    for digest in files:
        yield from _drop(digest, provider)


def _find_or_upload(picture: InputImage, provider: str, at: dt.datetime) -> Workflow[Upload | None]:
    """
    Have the provider hold a picture. Where another call is sending it up just now, wait for that.
    """
    waited = 0.0
    while (ours := (yield from _find(picture.sha256, provider, at))) is None:
        lease = yield from StoreCall(lambda store: store.begin_upload(picture.sha256, provider))
        if lease is not None:
            try:
                # It may have arrived in between.
                found = yield from _find(picture.sha256, provider, at)
                return found or (yield from _send(picture, provider, at))
            finally:
                lease.release()
        if waited >= _SECONDS:
            return None
        yield from Sleep(_AGAIN)
        waited += _AGAIN
    return ours


def _find(digest: str, provider: str, at: dt.datetime) -> Workflow[Upload | None]:
    return (yield from StoreCall(lambda store: store.find_upload(digest, provider, at)))


def _drop(digest: str, provider: str) -> Workflow[None]:
    yield from StoreCall(lambda store: store.invalidate_upload(digest, provider))


def _send(picture: InputImage, provider: str, at: dt.datetime) -> Workflow[Upload | None]:
    try:
        reply = yield from Send(_request(picture))
    except TransportError:
        return None
    upload = _read(reply, at)
    if upload is not None:
        yield from StoreCall(lambda store: store.record_upload(picture.sha256, provider, upload))
    return upload


def _request(picture: InputImage) -> HttpRequest:
    kind = picture.facts.format
    part = FilePart(
        field="file",
        name=f"{picture.sha256[:16]}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=picture.data,
    )
    return upload_request(part, "vision", _LIFE, _SECONDS)


def upload_request(part: FilePart, purpose: str, life: dt.timedelta, seconds: float) -> HttpRequest:
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
    return HttpRequest(
        method="POST",
        path="/files",
        body={"purpose": purpose, "expires_after": expires},
        files=(part,),
        timeout=seconds,
    )


def _read(reply: HttpResponse, at: dt.datetime) -> Upload | None:
    """
    Read the answer to an upload; None where it says nothing that lasts.
    """
    if reply.status in _NO_FILES_HERE:
        return Upload(file_id=None, expires=at)
    if not is_success(reply):
        return None
    try:
        file = parse_json_object(reply)
    except InvalidResponseError:
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
