"""
The address of a library on PostgreSQL and S3, and the password in it, which nobody may see.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import attrs

from imagesession._domain.wording import quote as show
from imagesession.errors import InvalidRequestError

SCHEMES = ("postgresql://", "postgres://")
LEASE_SECONDS = 15.0
_LONGEST_LEASE = 600
_EXAMPLE = "postgresql://host/database?blobs=s3://bucket/prefix"


@attrs.frozen(repr=False)
class Secret:
    """
    A text that is not shown.
    """

    value: str | None = attrs.field(default=None)

    def __repr__(self) -> str:
        return "Secret()"


@attrs.frozen(kw_only=True)
class TeamAddress:
    """
    Where a library is.

    Attributes:
        public: The whole address without its password.
        password: The password; None to let libpq look for it, in PGPASSWORD or ~/.pgpass.
        settings: The other parameters of a connection, by their names in libpq.
        bucket: The bucket of the images.
        prefix: What the names of its objects begin with; may be empty.
        lease: For how many seconds a right lasts without being renewed.
    """

    public: str
    password: Secret
    settings: dict[str, str]
    bucket: str
    prefix: str
    lease: float

    @property
    def blobs(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def connection(self) -> dict[str, Any]:
        secret = {} if self.password.value is None else {"password": self.password.value}
        return {"connect_timeout": "10", **self.settings, **secret}


def is_team_address(library: object) -> bool:
    return isinstance(library, str) and library.startswith(SCHEMES)


def parse_address(url: str) -> TeamAddress:
    """
    Parse the address of a library. Errors do not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Not chained: the cause may quote the password.
        raise InvalidRequestError(
            "The library's address cannot be read: a host or port in it is malformed, or its "
            f"password has characters that must be percent-encoded. Write {_EXAMPLE}."
        ) from None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    bucket, prefix = _parse_blobs(query.pop("blobs", ""))
    lease = query.pop("lease", str(LEASE_SECONDS))
    password = query.pop("password", None) or _decoded(parts.password)
    located = {
        "user": _decoded(parts.username),
        "host": _decoded(parts.hostname),
        "port": None if port is None else str(port),
        "dbname": _decoded(parts.path.strip("/")),
    }
    settings = {**{name: value for name, value in located.items() if value}, **query}
    return TeamAddress(
        public=_without_password(url),
        password=Secret(password or _known_password(url)),
        settings=settings,
        bucket=bucket,
        prefix=prefix,
        lease=_parse_lease(lease),
    )


def _parse_blobs(blobs: str) -> tuple[str, str]:
    parts = urlsplit(blobs)
    if parts.scheme != "s3" or not parts.netloc or parts.query or "@" in parts.netloc:
        raise InvalidRequestError(
            "The library's address does not say where images are kept: it needs "
            f"?blobs=s3://bucket/prefix. Write {_EXAMPLE}; S3's keys come from the environment."
        )
    return parts.netloc, parts.path.strip("/")


def _parse_lease(text: str) -> float:
    if text.replace(".", "", 1).isdecimal() and 1 <= float(text) <= _LONGEST_LEASE:
        return float(text)
    raise InvalidRequestError(
        f"The library's address has lease={show(text)}, which is not a number of seconds from 1 to "
        f"{_LONGEST_LEASE}."
    )


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{quote(_decoded(parts.username) or '')}@" if parts.username else ""
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "password"]
    text = urlencode(query, safe=":/")
    return urlunsplit(("postgresql", f"{user}{host}", parts.path, text, ""))


def _known_password(url: str) -> str | None:
    """
    Return the password of the environment's library, if it is this one: an image that was pickled
    names its library without one.
    """
    known = os.environ.get("IMAGESESSION_LIBRARY", "").strip()
    if (
        is_team_address(known)
        and known != url
        and _without_password(known) == _without_password(url)
    ):
        parts = urlsplit(known)
        return _decoded(parts.password) or dict(parse_qsl(parts.query)).get("password")
    return None
