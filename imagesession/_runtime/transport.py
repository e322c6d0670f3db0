"""
What drivers want of a way to the provider.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol, TypeVar

from imagesession._engine.http import HttpRequest, HttpResponse

T_co = TypeVar("T_co", covariant=True)


class Transport(Protocol):
    """
    Sends requests; raises `TransportError` where there is no answer, and nothing else.
    """

    def provider(self) -> str:
        """Name who answers."""
        ...

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole reply."""
        ...

    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractContextManager[HttpResponse | Iterator[bytes]]:
        """Send a request; give the reply, or the events' data if it is a stream."""
        ...


class AsyncTransport(Protocol):
    """
    Same as `Transport`, but awaits.
    """

    def provider(self) -> str:
        """Name who answers. May take a second, the first time."""
        ...

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request and read the whole reply."""
        ...

    def listen(
        self, request: HttpRequest
    ) -> contextlib.AbstractAsyncContextManager[HttpResponse | AsyncIterator[bytes]]:
        """Send a request; give the reply, or the events' data if it is a stream."""
        ...


class LazyTransport(Protocol[T_co]):
    """
    Gives the way to the provider, made when it is asked for first.
    """

    @property
    def made(self) -> T_co | None:
        """The way, if it is made already."""
        ...

    def __call__(self) -> T_co:
        """Give the way; make it if need be."""
        ...
