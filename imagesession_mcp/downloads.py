"""
Addresses from which a remote caller downloads an image's file: signed, and valid for a short time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import attrs

from imagesession_mcp.option_values import Principal

LIFETIME = 600
"""Seconds for which an address is valid."""


def _make_key(principals: tuple[Principal, ...]) -> bytes:
    # From the tokens, so that every instance of the server knows it; without tokens there is a
    # single instance, on this computer.
    tokens = "\n".join(sorted(principal.token for principal in principals))
    return hashlib.sha256(f"download {tokens or secrets.token_hex()}".encode()).digest()


@attrs.frozen
class DownloadAddresses:
    """
    Makes and checks addresses, which its key signs.
    """

    key: bytes = attrs.field(converter=_make_key, repr=False)

    def make(self, headers: Mapping[str, str], principal: str, image_id: str) -> str:
        """
        Return the address of a principal's image, on the host that a request's headers name.
        """
        scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
        expires = str(int(time.time()) + LIFETIME)
        query = {"for": principal, "expires": expires}
        query["signature"] = self._sign(image_id, principal, expires)
        return f"{scheme}://{headers['host']}/images/{image_id}?{urlencode(query)}"

    def check(self, image_id: str, query: Mapping[str, str]) -> str | None:
        """
        Return the principal whose image an address names; None if it is altered or has expired.
        """
        principal, expires = query.get("for", ""), query.get("expires", "")
        signature = self._sign(image_id, principal, expires)
        given = query.get("signature", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(signature.encode(), given) or int(expires) < time.time():
            return None
        return principal

    def _sign(self, *parts: str) -> str:
        message = "\n".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()
