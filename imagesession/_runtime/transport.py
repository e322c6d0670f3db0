"""
The protocols of transports, through which interpreters reach the provider.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol, TypeVar

from imagesession._engine.http import HttpRequest, HttpResponse
from imagesession._engine.memory import Memory

T_co = TypeVar("T_co", covariant=True)


class Deadline(Protocol):
    """
    When a stream has to end, by the monotonic clock; may be changed while it is read.
    """

    end: float


class Transport(Protocol):
    """
    Sends requests; raises only `TransportError`, if there is no response.
    """

    def provider(self) -> str:
        """Return the provider's address."""
        ...

    def base_url(self) -> str:
        """Return the provider's base URL, without user name and password."""
        ...

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole response."""
        ...

    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractContextManager[tuple[HttpResponse, Iterator[bytes], Deadline]]:
        """
        Send a request; yield the response, the data of its events if it is a stream, and when it
        has to end.
        """
        ...


class AsyncTransport(Protocol):
    """
    Same as `Transport`, but awaits.
    """

    def provider(self) -> str:
        """Return the provider's address. May take a second the first time."""
        ...

    def base_url(self) -> str:
        """Return the provider's base URL, without user name and password."""
        ...

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole response."""
        ...

    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractAsyncContextManager[
        tuple[HttpResponse, AsyncIterator[bytes], Deadline]
    ]:
        """
        Send a request; yield the response, the data of its events if it is a stream, and when it
        has to end.
        """
        ...


class LazyTransport(Protocol[T_co]):
    """
    Returns the transport, which is made on first use.
    """

    @property
    def made(self) -> T_co | None:
        """The transport, if it was made already."""
        ...

    @property
    def memory(self) -> Memory:
        """What this program remembers about the provider."""
        ...

    def __call__(self) -> T_co:
        """Return the transport; make it if necessary."""
        ...
