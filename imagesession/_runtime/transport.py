"""
The protocols of transports, through which interpreters reach the provider.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol, TypeVar

from imagesession._engine.effects import Memory
from imagesession._engine.http import HttpRequest, HttpResponse

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

    # Its address.
    def provider(self) -> str: ...
    # Without user name and password.
    def base_url(self) -> str: ...
    # Reads the whole response.
    def send(self, request: HttpRequest) -> HttpResponse: ...
    # The response, the data of its events if it is a stream, and when it has to end.
    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractContextManager[tuple[HttpResponse, Iterator[bytes], Deadline]]: ...


class AsyncTransport(Protocol):
    """
    Same as `Transport`, but awaits.
    """

    # May take a second the first time.
    def provider(self) -> str: ...
    def base_url(self) -> str: ...
    async def send(self, request: HttpRequest) -> HttpResponse: ...
    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractAsyncContextManager[
        tuple[HttpResponse, AsyncIterator[bytes], Deadline]
    ]: ...


class LazyTransport(Protocol[T_co]):
    """
    Returns the transport, which is made on first use.
    """

    @property
    def made(self) -> T_co | None: ...
    @property
    def memory(self) -> Memory: ...
    def __call__(self) -> T_co: ...
