"""
What crosses between flows and the provider: requests, replies, and the lack of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from imagesession._model.pictures import PictureFacts


@attrs.frozen(kw_only=True)
class Request:
    """
    An HTTP request to the provider.

    Attributes:
        method: Its verb.
        path: Beneath the base URL.
        body: Sent as JSON.
        timeout: Seconds without a byte after which the answer counts as lost.
    """

    method: Literal["GET", "POST"]
    path: str
    body: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    timeout: float = 600.0


@attrs.frozen(kw_only=True)
class Reply:
    """
    An HTTP answer, whatever its status; `replies` decides what it means.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: Its bytes, decoded from any transfer or content encoding.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")


@attrs.define(eq=False)
class NoReplyError(Exception):
    """
    There was no answer to a request.

    Attributes:
        sent: Whether the request may have reached the provider. False is proof that it did not.
        reason: What went wrong, in a few words.
    """

    sent: bool
    reason: str


@attrs.frozen(kw_only=True)
class Received:
    """
    A picture as it came from the provider.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: PictureFacts
    revised_prompt: str | None = None
    call_id: str | None = None
