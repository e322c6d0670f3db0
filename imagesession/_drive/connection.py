"""
Make the client through which the provider is reached, no sooner than it is needed.

Importing the openai package takes most of a second, and looking at one's pictures needs none of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from imagesession.errors import AccessError, CallError

from .drivers import AsyncTransport, Transport

if TYPE_CHECKING:
    import httpx2
    import openai

T = TypeVar("T")
OFFLINE_URL = "http://offline.imagesession/v1"
_CONNECT_SECONDS = 10.0
# Between two bytes, not in all.
_READ_SECONDS = 600.0
_NO_KEY = (
    "There is no API key. Set the environment variable OPENAI_API_KEY, or pass api_key= or "
    "client=. Studio.offline() needs none and draws sketches."
)


class Closing(Transport, Protocol):
    """
    A transport that can be closed.
    """

    def close(self) -> None:
        """Close its connections."""
        ...


class AsyncClosing(AsyncTransport, Protocol):
    """
    Same as `Closing`, but awaits.
    """

    async def close(self) -> None:
        """Close its connections."""
        ...


class Connection(Generic[T]):
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
                raise CallError("This studio was closed; make another one.")
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
class Access:
    """
    How the provider is reached.

    Attributes:
        api_key: The key; None where there is none.
        base_url: Where the provider is; None for what the openai package makes of it.
    """

    api_key: str | None = attrs.field(default=None, repr=False)
    base_url: str | None = None


def connect(access: Access) -> Closing:
    """
    Make a client for a key.

    Raises:
        AccessError: There is none.
    """
    import openai  # noqa: PLC0415 - see above

    return wrap(
        openai.OpenAI(
            api_key=_key(access), base_url=access.base_url, timeout=_timeout(), max_retries=0
        )
    )


def connect_async(access: Access) -> AsyncClosing:
    """
    Same as `connect`, for async.
    """
    import openai  # noqa: PLC0415 - see above

    return wrap_async(
        openai.AsyncOpenAI(
            api_key=_key(access), base_url=access.base_url, timeout=_timeout(), max_retries=0
        )
    )


def connect_through(transport: httpx2.BaseTransport) -> Closing:
    """
    Make a client whose requests never leave the process.
    """
    import httpx2  # noqa: PLC0415 - see above
    import openai  # noqa: PLC0415 - see above

    http_client = httpx2.Client(transport=transport)
    return wrap(openai.OpenAI(api_key="offline", base_url=OFFLINE_URL, http_client=http_client))


def connect_through_async(transport: httpx2.AsyncBaseTransport) -> AsyncClosing:
    """
    Same as `connect_through`, for async.
    """
    import httpx2  # noqa: PLC0415 - see above
    import openai  # noqa: PLC0415 - see above

    http_client = httpx2.AsyncClient(transport=transport)
    return wrap_async(
        openai.AsyncOpenAI(api_key="offline", base_url=OFFLINE_URL, http_client=http_client)
    )


def wrap(client: openai.OpenAI, *, ours: bool = True) -> Closing:
    """
    Make a transport of a client; one that is not ours is left open when the studio is closed.
    """
    from .openai import OpenAITransport  # noqa: PLC0415 - see above

    return OpenAITransport(client, ours=ours)


def wrap_async(client: openai.AsyncOpenAI, *, ours: bool = True) -> AsyncClosing:
    """
    Same as `wrap`, for async.
    """
    from .openai import AsyncOpenAITransport  # noqa: PLC0415 - see above

    return AsyncOpenAITransport(client, ours=ours)


def _timeout() -> httpx2.Timeout:
    import httpx2  # noqa: PLC0415 - see above

    return httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)


def _key(access: Access) -> str:
    key = (access.api_key or "").strip()
    if not key:
        raise AccessError(_NO_KEY)
    if not (key.isascii() and key.isprintable()):
        raise AccessError("The API key has characters in it that no key has; copy it again.")
    return key
