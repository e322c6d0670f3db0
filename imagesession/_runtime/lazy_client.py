"""
Connect to the provider only when it is needed.

Importing the openai package takes most of a second, and browsing a library does not need it. So
this module does not import it; `openai_clients` does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import attrs

from imagesession.errors import AuthenticationError, InvalidRequestError

from .memory import ProcessMemory
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


class AsyncClosableTransport(AsyncTransport, Protocol):
    """
    Same as `ClosableTransport`, but awaits.
    """

    async def close(self) -> None:
        """Close its connections."""
        ...


class LazyClient(Generic[T]):
    """
    Makes a transport on first use, from any thread.

    Attributes:
        made: The transport, once it was made.
        memory: What this program remembers about the provider.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._closed = False
        self.made: T | None = None
        self.memory = ProcessMemory()

    def __call__(self) -> T:
        with self._lock:
            if self._closed:
                raise InvalidRequestError("This studio was closed; make another one.")
            if self.made is None:
                self.made = self._make()
            return self.made

    def close(self) -> T | None:
        """
        Refuse further use; return the transport to be closed, if there is one.
        """
        with self._lock:
            self._closed = True
            return self.made


@attrs.frozen(kw_only=True)
class Credentials:
    """
    The key and address of the provider.

    Attributes:
        api_key: The key; None if there is none.
        base_url: The provider's address; None for the openai package's default.
    """

    api_key: str | None = attrs.field(default=None, repr=False)
    # It may contain a user name and a password.
    base_url: str | None = attrs.field(default=None, repr=False)

    def key(self) -> str:
        """
        Return the key.

        Raises:
            AuthenticationError: There is no key, or it contains invalid characters.
        """
        key = (self.api_key or "").strip()
        if not key:
            raise AuthenticationError(_NO_KEY)
        if not (key.isascii() and key.isprintable()):
            raise AuthenticationError(
                "The API key contains characters that are not valid in a key; copy it again."
            )
        return key
