"""
Reads and writes of the HTTP client's connections that obey the deadline of their request.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2

from .deadlines import DEADLINE_PASSED, RemainingTimeout

# Large bodies are sent in chunks; the deadline is checked for each.
_CHUNK_BYTES = 256 * 1024


def guard(pool: Any) -> None:  # noqa: ANN401 - the client's internals
    """
    Make the connections of a client's pool obey deadlines, if it is of the known kind.
    """
    backend = getattr(pool, "_network_backend", None)
    if isinstance(backend, httpcore2.NetworkBackend) and not isinstance(backend, _Backend):
        pool._network_backend = _Backend(backend)  # noqa: SLF001 - there is no public hook


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
    if not isinstance(timeout, RemainingTimeout):
        return timeout
    left = timeout.left
    if left <= 0:
        raise error(DEADLINE_PASSED)
    return min(float(timeout), left)
