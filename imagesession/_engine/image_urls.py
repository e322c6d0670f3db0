"""
Fetch images that a server names by URL, within the intent of the request that made them.

They are paid for, and their addresses expire. So each is fetched at once, but only from the
provider's own origin or from hosts that the server's profile names; a key goes to the former only.
"""

from __future__ import annotations

from urllib.parse import urljoin

import attrs

from imagesession._domain.image_header import parse_header
from imagesession._domain.servers import ServerProfile, is_same_origin
from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError, OutcomeUnknownError

from .effects import GetBaseUrl, MonotonicTime, Send, Sleep, Workflow
from .http import HttpRequest, HttpResponse, ReceivedImage, TransportError
from .outcomes import ResponseOutcome
from .poll import record_response_id
from .responses import is_success

_SECONDS = 60.0
_MIN_SECONDS = 2.0
_DELAYS = (0.5, 1.0, 2.0, 4.0)
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# The provider may still be writing the file, or be busy.
_TEMPORARY = frozenset({404, 408, 425, 429})
_SERVER_ERROR = 500


class _UnfetchableError(Exception):
    """
    An image cannot be fetched.

    Attributes:
        temporary: Whether it may be fetched later.
    """

    def __init__(self, reason: str, *, temporary: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary


def join_urls(urls: tuple[str, ...]) -> str:
    """
    Write the URLs of a turn's images as the id by which the journal knows its outcome.
    """
    return " ".join(urls)


def split_urls(response_id: str | None) -> tuple[str, ...]:
    """
    Return the URLs in such an id; none if it is the id of a response.
    """
    text = response_id or ""
    return tuple(text.split()) if text.startswith(("http://", "https://")) else ()


def fetch_images(
    turn: Turn, outcome: ResponseOutcome, server: ServerProfile, deadline: float
) -> Workflow[ResponseOutcome]:
    """
    Fetch the images that an outcome has only by URL. The URLs are in the journal first, so that
    `recover` fetches what a killed program did not.
    """
    if not outcome.urls:
        return outcome
    yield from record_response_id(turn, join_urls(outcome.urls))
    base_url = yield from GetBaseUrl()
    images, problems = list(outcome.images), list[str]()
    temporary = False
    for url in outcome.urls:
        try:
            images.append((yield from _fetch(url, server, base_url, deadline)))
        except _UnfetchableError as error:
            problems.append(f"{error} ({url})")
            temporary = temporary or error.temporary
    if temporary and not images:
        raise OutcomeUnknownError(
            f"The image was made, and cannot be fetched now: {'; '.join(problems)}. Call "
            "studio.recover() before its address expires.",
            turn.id,
        )
    return attrs.evolve(
        outcome,
        images=tuple(images),
        unreadable=outcome.unreadable + len(problems),
        error=None if images else InvalidResponseError(_explain(problems)),
        urls=(),
    )


def _explain(problems: list[str]) -> str:
    return (
        f"The image was made and probably billed, but not fetched: {'; '.join(problems)}. Fetch it "
        "yourself before its address expires, or name its host in image_hosts of server=."
    )


def _fetch(
    url: str, server: ServerProfile, base_url: str, deadline: float
) -> Workflow[ReceivedImage]:
    end = min(deadline, (yield from MonotonicTime()) + _SECONDS)
    for delay in (*_DELAYS, None):
        left = end - (yield from MonotonicTime())
        try:
            return (yield from _fetch_once(url, server, base_url, max(left, _MIN_SECONDS)))
        except _UnfetchableError as error:
            if not error.temporary or delay is None or left <= delay:
                raise
        yield from Sleep(delay)
    raise AssertionError("the last attempt returns or raises")


def _fetch_once(
    url: str, server: ServerProfile, base_url: str, seconds: float
) -> Workflow[ReceivedImage]:
    for _ in range(_MAX_REDIRECTS + 1):
        if not server.may_fetch(url, base_url):
            raise _UnfetchableError("its host is neither the provider's nor named in its profile")
        keyed = is_same_origin(url, base_url)
        request = HttpRequest(method="GET", path="", url=url, keyed=keyed, timeout=seconds)
        try:
            reply = yield from Send(request)
        except TransportError as error:
            raise _UnfetchableError(error.reason, temporary=True) from error
        if reply.status not in _REDIRECTS:
            return _read_image(reply)
        url = urljoin(url, reply.headers.get("location", ""))
    raise _UnfetchableError("it redirects too often")


def _read_image(reply: HttpResponse) -> ReceivedImage:
    if not is_success(reply):
        temporary = reply.status >= _SERVER_ERROR or reply.status in _TEMPORARY
        raise _UnfetchableError(f"HTTP {reply.status}", temporary=temporary)
    if not reply.whole:
        raise _UnfetchableError(f"it has more than {len(reply.body) / 1e6:.0f} MB")
    facts = parse_header(reply.body)
    if facts is None:
        kind = reply.headers.get("content-type", "no content type")[:80]
        raise _UnfetchableError(f"what is there is not an image, but {kind}")
    return ReceivedImage(data=reply.body, facts=facts)
