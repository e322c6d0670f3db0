"""
Hold a request to its time in all, however slowly its answer comes.

The HTTP client's own limits are for each read: a server that sends a byte a second meets none of
them. An async request is ended by a cancellation. A sync one waits in the system, which has to be
told before each read how much time is left.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

# Large bodies go out in pieces, for each of which the time is looked at.
_PIECE = 256 * 1024
_TIME_IS_UP = "the time is up"


class RemainingTimeout(float):
    """
    The seconds that one read or write may take, which are never more than are left in all.

    It passes through the HTTP client as a number of seconds, which it also is.

    Attributes:
        end: When the time is up, by the monotonic clock.
    """

    end: float

    @classmethod
    def make(cls, seconds: float, silence: float | None = None) -> RemainingTimeout:
        """
        Begin to count.

        Args:
            seconds: For everything.
            silence: For one read or write; None for no other limit.
        """
        until = cls(seconds if silence is None else min(seconds, silence))
        until.end = time.monotonic() + seconds
        return until

    @property
    def left(self) -> float:
        """
        How many seconds are left; not above 0 when the time is up.
        """
        return self.end - time.monotonic()


def install_deadline_backend(client: object) -> None:
    """
    Have the reads and writes of an HTTP client keep to the time that is left.

    There is no public way to the place where they happen. Where a client has none that is known,
    the time is looked at between the pieces of an answer alone.

    Args:
        client: An `openai.OpenAI`, or what it sends through.
    """
    http_client = getattr(client, "_client", client)
    mounted: dict[Any, Any] = getattr(http_client, "_mounts", {})
    for transport in (getattr(http_client, "_transport", None), *mounted.values()):
        pool = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore2.NetworkBackend) and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)  # type: ignore[union-attr] # noqa: SLF001 - see above


class DeadlineStream(httpx2.SyncByteStream):
    """
    An answer's bytes, as long as there is time for them.

    Args:
        inner: Where they come from.
        until: How much time there is.
    """

    def __init__(self, inner: httpx2.SyncByteStream, until: RemainingTimeout) -> None:
        self._inner = inner
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            if self._until.left <= 0:
                raise httpx2.ReadTimeout(_TIME_IS_UP)
            yield piece

    def close(self) -> None:
        """
        Let go of the connection.
        """
        self._inner.close()


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = _seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, seconds, local_address, socket_options))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = _seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_unix_socket(path, seconds, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _seconds(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]  # the buffer itself where it is no longer
            self._inner.write(piece, _seconds(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = _seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever the stream tells
        return self._inner.get_extra_info(info)


def _seconds(timeout: float | None, error: type[Exception]) -> float | None:
    """
    Return how long the system may be waited for, which is always some time.
    """
    if not isinstance(timeout, RemainingTimeout):
        return timeout
    left = timeout.left
    if left <= 0:
        raise error(_TIME_IS_UP)
    return min(float(timeout), left)
