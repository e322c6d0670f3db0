"""
Keep what proves who we are out of what is raised, logged and written down.

A server or a proxy may send back what it was sent, in the words of its error or on a page of its
own; what it says is told to people and kept in records.
"""

from __future__ import annotations

import base64
import binascii

import httpx2

_TELLING = (
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "openai-organization",
    "openai-project",
    "cookie",
)
# Shorter ones are no secrets, and could stand in any text by chance.
_SHORTEST = 8
# Replies that are larger carry pictures; looking through them would take its time.
_LARGEST = 65_536
REDACTED = b"[hidden]"


def redact(data: bytes, request: httpx2.Request) -> bytes:
    """
    Take out of what came what was sent to prove who we are.

    Args:
        data: What came; longer than 64 kB it is left as it is.
        request: What was sent.
    """
    if len(data) > _LARGEST:
        return data
    for secret in _secrets(request):
        data = data.replace(secret, REDACTED)
    return data


def contains_secret(text: str, request: httpx2.Request | None) -> bool:
    """
    Tell whether a text holds what was sent to prove who we are.

    Args:
        text: Whatever is said of a failure.
        request: What was sent; None where that is not known.
    """
    plain = text.encode("utf-8", "replace")
    return request is not None and redact(plain, request) != plain


def _secrets(request: httpx2.Request) -> list[bytes]:
    """
    Return what nobody else should see, the longest first.
    """
    found = [request.url.password.encode()]
    for name in _TELLING:
        # The scheme, such as Bearer, is no secret.
        sent = request.headers.get(name, "").rpartition(" ")[2]
        found += [sent.encode(), _password(sent)]
    return sorted((data for data in found if len(data) >= _SHORTEST), key=len, reverse=True)


def _password(credentials: str) -> bytes:
    """
    Return the password in what HTTP's Basic scheme sends; nothing in anything else.
    """
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
