"""
What crosses between flows and the provider: requests, replies, and the lack of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.turn import Source

Feature: TypeAlias = Literal[
    "responses", "background", "stream", "store", "files", "conversation", "previous_response_id"
]
"""
What a server that speaks OpenAI's protocol may not take: the Responses API as such, or a part of
it.
"""


@attrs.frozen(kw_only=True)
class FilePart:
    """
    A file in a form that is sent.

    Attributes:
        field: The form's field.
        name: What the file is called.
        mime: Its media type.
        data: Its bytes.
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
        method: Its verb.
        path: Beneath the base URL.
        body: Sent as JSON, or as the fields of a form where there are files.
        files: Sent as parts of a form.
        timeout: Seconds in all after which the answer counts as lost, however much of it came.
        silence: Seconds without a byte after which it does so before; None for no limit.
        rows: Whether the answer, if it is one, is a file that is heard line by line: it may be
            larger than any other answer.
    """

    method: Literal["GET", "POST"]
    path: str
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    files: tuple[FilePart, ...] = ()
    timeout: float = 600.0
    silence: float | None = None
    rows: bool = False


@attrs.frozen(kw_only=True)
class HttpResponse:
    """
    An HTTP answer, whatever its status; `replies` decides what it means.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: Its bytes, decoded from any transfer or content encoding.
        whole: Whether that is all of them; what is longer than any answer should be is not read on.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    whole: bool = True


@attrs.define(eq=False)
class TransportError(Exception):
    """
    There was no answer to a request.

    Attributes:
        sent: Whether the request may have reached the provider. False is proof that it did not.
        reason: What went wrong, in a few words.
        body: What came before of an answer that HTTP calls a success.
    """

    sent: bool
    reason: str
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")


@attrs.frozen(kw_only=True)
class ReceivedImage:
    """
    A picture to keep: as it came from the provider, or put together from that.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    revised_prompt: str | None = None
    call_id: str | None = None
    source: Source = "reply"
