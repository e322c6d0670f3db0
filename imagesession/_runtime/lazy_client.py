"""
Reach the provider, no sooner than it is needed.

Importing the openai package takes most of a second, and looking at one's pictures needs none of
it. So this module does without; `clients` does not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import attrs

from imagesession.errors import AuthenticationError, InvalidRequestError

from .transport import AsyncTransport, Transport

T = TypeVar("T")
_NO_KEY = (
    "There is no API key. Set the environment variable OPENAI_API_KEY, or pass api_key= or "
    "client=. Studio.offline() needs none and draws sketches."
)


class ClosableTransport(Transport, Protocol):
    """
    A transport that can be closed.
    """

    def close(self) -> None:
        """Close its connections."""
        ...


class AsyncClosing(AsyncTransport, Protocol):
    """
    Same as `ClosableTransport`, but awaits.
    """

    async def close(self) -> None:
        """Close its connections."""
        ...


class LazyClient(Generic[T]):
    """
    Makes a transport when it is asked for first, whichever thread asks.

    Attributes:
        made: The transport, once there is one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._closed = False
        self.made: T | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._closed:
                raise InvalidRequestError("This studio was closed; make another one.")
            if self.made is None:
                self.made = self._make()
            return self.made

    def close(self) -> T | None:
        """
        Give out no more; return the transport, if there is one, to be closed.
        """
        with self._lock:
            self._closed = True
            return self.made


@attrs.frozen(kw_only=True)
class Credentials:
    """
    How the provider is reached.

    Attributes:
        api_key: The key; None where there is none.
        base_url: Where the provider is; None for what the openai package makes of it.
    """

    api_key: str | None = attrs.field(default=None, repr=False)
    # A user and a password may stand in it.
    base_url: str | None = attrs.field(default=None, repr=False)

    def key(self) -> str:
        """
        Return the key.

        Raises:
            AuthenticationError: There is none, or it cannot be one.
        """
        key = (self.api_key or "").strip()
        if not key:
            raise AuthenticationError(_NO_KEY)
        if not (key.isascii() and key.isprintable()):
            raise AuthenticationError(
                "The API key has characters in it that no key has; copy it again."
            )
        return key
