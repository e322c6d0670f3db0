"""
Keep credentials out of errors, logs and records.

A server or a proxy may echo a request in its error message or page, which is shown to people and
recorded.
"""

from __future__ import annotations

import base64
import binascii
import re

import httpx2

# The names of secret headers; those of gateways are a caller's `extra_headers`.
_SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|openai-(organization|project)")
# Shorter values are no secrets, and could occur in any text by chance.
_MIN_SECRET_BYTES = 8
# Larger responses contain images; searching them would take too long.
_MAX_BODY_BYTES = 65_536
REDACTED = b"[hidden]"


def redact(data: bytes, request: httpx2.Request) -> bytes:
    if len(data) > _MAX_BODY_BYTES:
        return data
    for secret in _secrets(request):
        data = data.replace(secret, REDACTED)
    return data


def contains_secret(text: str, request: httpx2.Request | None) -> bool:
    data = text.encode("utf-8", "replace")
    return request is not None and redact(data, request) != data


def _secrets(request: httpx2.Request) -> list[bytes]:
    secrets = [request.url.password.encode()]
    for name, text in request.headers.items():
        if not _SECRET_HEADERS.search(name.lower()):
            continue
        # The scheme, such as Bearer, is no secret.
        value = text.rpartition(" ")[2]
        secrets += [value.encode(), _password(value)]
    return sorted(
        (data for data in secrets if len(data) >= _MIN_SECRET_BYTES), key=len, reverse=True
    )


def _password(credentials: str) -> bytes:
    """
    Return the password of HTTP Basic credentials; empty for anything else.
    """
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
