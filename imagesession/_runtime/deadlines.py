"""
Enforce a total deadline on a request, however slowly its response arrives.

The HTTP client's own timeouts apply to each read: a server that sends a byte a second never exceeds
them. An async request is ended by a cancellation. A sync one blocks in the system, so each read
gets the remaining time as its timeout.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

# Large bodies are sent in chunks; the deadline is checked for each.
_CHUNK_BYTES = 256 * 1024
_DEADLINE_PASSED = "the time is up"


class RemainingTimeout(float):
    """
    The timeout of one read or write in seconds, which also knows the deadline of the request.

    It is a float, so that it passes through the HTTP client as a number of seconds.

    Attributes:
        end: The deadline, by the monotonic clock.
    """

    end: float

    @classmethod
    def make(cls, seconds: float, silence: float | None = None) -> RemainingTimeout:
        """
        Make a timeout whose deadline is that many seconds from now.

        Args:
            seconds: The limit for the whole request.
            silence: The limit for one read or write; None for no other limit.
        """
        timeout = cls(seconds if silence is None else min(seconds, silence))
        timeout.end = time.monotonic() + seconds
        return timeout

    @property
    def left(self) -> float:
        """
        The seconds until the deadline; 0 or less once it has passed.
        """
        return self.end - time.monotonic()


def install_deadline_backend(client: object) -> None:
    """
    Make the reads and writes of an HTTP client obey the deadline.

    There is no public hook for this. If the client's internals are not the known ones, the deadline
    is only checked between the chunks of a response.

    Args:
        client: An `openai.OpenAI`, or its HTTP client.
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
    A response's byte stream that ends at the deadline.

    Args:
        inner: The original stream.
        timeout: The timeout with the deadline.
    """

    def __init__(self, inner: httpx2.SyncByteStream, timeout: RemainingTimeout) -> None:
        self._inner = inner
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            if self._timeout.left <= 0:
                raise httpx2.ReadTimeout(_DEADLINE_PASSED)
            yield chunk

    def close(self) -> None:
        """
        Release the connection.
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
        seconds = _remaining_seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, seconds, local_address, socket_options))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = _remaining_seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_unix_socket(path, seconds, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _remaining_seconds(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _CHUNK_BYTES):
            chunk = buffer[start : start + _CHUNK_BYTES]  # no copy if it is the whole buffer
            self._inner.write(chunk, _remaining_seconds(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        seconds = _remaining_seconds(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - depends on the stream
        return self._inner.get_extra_info(info)


def _remaining_seconds(timeout: float | None, error: type[Exception]) -> float | None:
    """
    Return the timeout of the next system call in seconds, above 0.

    Raises:
        Exception: The given `error`: the deadline has passed.
    """
    if not isinstance(timeout, RemainingTimeout):
        return timeout
    left = timeout.left
    if left <= 0:
        raise error(_DEADLINE_PASSED)
    return min(float(timeout), left)
