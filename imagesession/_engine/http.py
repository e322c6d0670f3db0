"""
Requests and replies between workflows and the provider, and transport errors.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.turn import Source

from .coerce import as_id

# OpenAI's, then Azure's: https://platform.openai.com/docs/api-reference/debugging-requests
_REQUEST_IDS = ("x-request-id", "apim-request-id", "x-ms-request-id")


@attrs.frozen(kw_only=True)
class FilePart:
    """
    A file in a multipart form.
    """

    field: str
    name: str
    mime: str
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(kw_only=True)
class HttpRequest:
    """
    An HTTP request to the provider.

    Attributes:
        body: Sent as JSON, or as form fields if there are files.
        timeout: Seconds in all after which the reply counts as lost, even a partial one.
        silence: Seconds without a byte after which it counts as lost earlier; None for no limit.
        rows: Whether a successful reply is a file that is read line by line, which may be larger
            than any other reply.
        url: A whole URL in place of a path; no redirect is followed.
        keyed: Whether the provider's key goes along with it.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    files: tuple[FilePart, ...] = ()
    timeout: float = 600.0
    silence: float | None = None
    rows: bool = False
    url: str | None = None
    keyed: bool = True


@attrs.frozen(kw_only=True)
class HttpResponse:
    """
    An HTTP reply of any status; `responses` parses it.

    Attributes:
        headers: By lower-case name; `date` is always among those of a real reply.
        body: Its bytes, decoded from any transfer or content encoding.
        whole: Whether the body is complete; a body above the size limit is cut off.
        opened: Whether the body is a stream of events that is yet to be read.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    whole: bool = True
    opened: bool = False

    @property
    def request_id(self) -> str | None:
        """
        The provider's id of the request, which its support asks for.
        """
        ids = (as_id(self.headers.get(name)) for name in _REQUEST_IDS)
        return next(filter(None, ids), None)

    @property
    def date(self) -> dt.datetime | None:
        return parse_date(self.headers.get("date", ""))


def to_path(*parts: str, **query: str | int | None) -> str:
    """
    Join the parts of a path, and a query without empty values. The provider's ids may hold
    characters that are not valid in either.
    """
    path = "/" + "/".join(urllib.parse.quote(part, safe="", errors="replace") for part in parts)
    given = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urllib.parse.urlencode(given, errors='replace')}" if given else path


def parse_date(text: str) -> dt.datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=dt.UTC)


@attrs.define(eq=False)
class TransportError(Exception):
    """
    A request had no complete reply.

    Attributes:
        sent: Whether the request may have reached the provider. False is proof that it did not.
        advice: What to change, if trying again cannot help; empty if it may.
        body: The part of a successful reply's body that arrived.
    """

    sent: bool
    reason: str
    advice: str = attrs.field(default="", kw_only=True)
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")


@attrs.frozen(kw_only=True)
class ReceivedImage:
    """
    An image to record: as the provider sent it, or made from that.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    revised_prompt: str | None = None
    call_id: str | None = None
    source: Source = "reply"
