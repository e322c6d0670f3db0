"""
Upload each image once, and refer to it by the provider's file id until that expires.

Uploads are optional: if one fails, the image's bytes are sent with the request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES
from imagesession._domain.servers import ServerProfile
from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .coerce import as_text, as_time
from .effects import Send, Sleep, StoreCall, Workflow
from .http import FilePart, HttpRequest, HttpResponse, TransportError
from .pixels import InputImage
from .responses import is_success, parse_json_object
from .store import Upload

# The provider's longest lifetime of a file: 30 days.
# https://developers.openai.com/api/reference/resources/files/methods/create (expires_after)
_LIFETIME = dt.timedelta(days=30)
_TIMEOUT = 60.0
_POLL_INTERVAL = 0.05
_NO_FILES_ENDPOINT = frozenset({404, 405, 501})
# LiteLLM's answer without a configuration for files (1.108.7, tried 2026-11-29).
_PROXY_ERROR = 500


def ensure_uploaded(
    images: Iterable[InputImage], provider: str, at: dt.datetime, server: ServerProfile
) -> Workflow[dict[str, str]]:
    """
    Upload images that have no unexpired file at the provider. Return the file ids by the images'
    digests; images that are missing have to be sent in full.
    """
    files: dict[str, str] = {}
    for image in images:
        unsupported = yield from StoreCall(lambda store: store.providers.unsupported(provider))
        if "files" in unsupported | server.lacks:
            break
        upload = yield from _find_or_upload(image, provider, at, server)
        if upload is not None:
            files[image.sha256] = upload.file_id
    return files


def find_uploaded(past: Iterable[Turn], turn: Turn) -> Workflow[dict[str, str]]:
    files: dict[str, str] = {}
    for digest in {reference.sha256 for earlier in past for reference in earlier.references}:
        upload = yield from _find(digest, turn.provider, turn.started)
        if upload is not None:
            files[digest] = upload.file_id
    return files


def invalidate_uploads(files: Iterable[str], provider: str) -> Workflow[None]:
    for digest in files:
        yield from _invalidate(digest, provider)


def _find_or_upload(
    image: InputImage, provider: str, at: dt.datetime, server: ServerProfile
) -> Workflow[Upload | None]:
    """
    Find an image's file, or upload the image. If another call is uploading it, wait for that.
    """
    waited = 0.0
    while (upload := (yield from _find(image.sha256, provider, at))) is None:
        lease = yield from StoreCall(lambda store: store.uploads.begin(image.sha256, provider))
        if lease is not None:
            try:
                # Another call may have uploaded it in between.
                existing = yield from _find(image.sha256, provider, at)
                return existing or (yield from _upload(image, provider, at, server))
            finally:
                lease.release()
        if waited >= _TIMEOUT:
            return None
        yield from Sleep(_POLL_INTERVAL)
        waited += _POLL_INTERVAL
    return upload


def _find(digest: str, provider: str, at: dt.datetime) -> Workflow[Upload | None]:
    return (yield from StoreCall(lambda store: store.uploads.find(digest, provider, at)))


def _invalidate(digest: str, provider: str) -> Workflow[None]:
    yield from StoreCall(lambda store: store.uploads.invalidate(digest, provider))


def _upload(
    image: InputImage, provider: str, at: dt.datetime, server: ServerProfile
) -> Workflow[Upload | None]:
    try:
        reply = yield from Send(_request(image))
    except TransportError:
        return None
    proxied = reply.status == _PROXY_ERROR and "files" not in server.has
    if proxied or reply.status in _NO_FILES_ENDPOINT:
        yield from StoreCall(lambda store: store.providers.mark_unsupported(provider, ("files",)))
        return None
    upload = _parse_upload(reply, at)
    if upload is not None:
        yield from StoreCall(lambda store: store.uploads.record(image.sha256, provider, upload))
    return upload


def _request(image: InputImage) -> HttpRequest:
    kind = image.facts.format
    part = FilePart(
        field="file",
        name=f"{image.sha256[:16]}{SUFFIXES[kind]}",
        mime=MIME_TYPES[kind],
        data=image.data,
    )
    return upload_request(part, "vision", _LIFETIME, _TIMEOUT)


def upload_request(part: FilePart, purpose: str, life: dt.timedelta, seconds: float) -> HttpRequest:
    # https://developers.openai.com/api/reference/resources/files/methods/create
    expires = {"anchor": "created_at", "seconds": int(life.total_seconds())}
    return HttpRequest(
        method="POST",
        path="/files",
        body={"purpose": purpose, "expires_after": expires},
        files=(part,),
        timeout=seconds,
    )


def _parse_upload(reply: HttpResponse, at: dt.datetime) -> Upload | None:
    """
    Parse the reply to an upload; None if it is an error that may be temporary, or unreadable.
    """
    if not is_success(reply):
        return None
    try:
        file = parse_json_object(reply)
    except InvalidResponseError:
        return None
    file_id = as_text(file.get("id"))
    if not file_id:
        return None
    stated = file.get("expires_at")
    # A time that cannot be read counts as past, so that the file is not relied on.
    expires = (as_time(stated) or at) if type(stated) is int else at + _LIFETIME
    return Upload(file_id=file_id, expires=expires)
