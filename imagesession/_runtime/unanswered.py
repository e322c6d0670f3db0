"""
Tell of a request without an answer whether it left, what went wrong, and what came of the answer.

A request that provably never left can be sent again. The proof is the HTTP client's own: it
announces each step of a connection, and the request itself last, before its first byte is written.
Where it announces nothing, as other transports do, the kind of error decides.

Source: https://www.encode.io/httpcore/extensions/#trace
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import anyio
import attrs
import httpx2
import openai

from imagesession._engine.http import TransportError

from .redact import contains_secret, redact

# They are raised while a connection is made or waited for, and nowhere else: see `_backends`,
# `http_proxy` and `socks_proxy` in httpcore2. TLS handshakes and names that nobody knows are
# ConnectErrors there, and a refused CONNECT is a ProxyError.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    # A host name that no name service takes.
    UnicodeError,
)
_BAD_HEADER = "Illegal header"
# A RuntimeError is what a closed event loop or client raises, at whatever point. The last three are
# TLS and sockets by anyio, which the client does not translate everywhere:
# https://github.com/pydantic/httpx2/issues/854
_LOST = (
    httpx2.TransportError,
    httpx2.StreamError,
    httpx2.DecodingError,
    UnicodeError,
    RuntimeError,
    OSError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)
_SENDS = "send_request_headers.started"
_PROXY_WANTS_LOGIN = "407"


@attrs.define(eq=False)
class RequestTrace:
    """
    What the HTTP client announced of a request.

    Attributes:
        began: Whether it announces anything at all.
        sent: Whether the request itself was begun to be written, and not only the one that has a
            proxy connect.
    """

    began: bool = attrs.field(default=False, init=False)
    sent: bool = attrs.field(default=False, init=False)

    def note(self, name: str, info: dict[str, Any]) -> None:
        """
        Take note of an announcement.
        """
        self.began = True
        connects = getattr(info.get("request"), "method", b"") == b"CONNECT"
        self.sent = self.sent or (name.endswith(_SENDS) and not connects)

    async def note_async(self, name: str, info: dict[str, Any]) -> None:
        """
        Same as `note`, but awaits.
        """
        self.note(name, info)


_trace: ContextVar[RequestTrace] = ContextVar("imagesession_trace")


@contextlib.contextmanager
def tracing(trace: RequestTrace) -> Generator[None, None, None]:
    """
    Have what is sent within this context announced.
    """
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)


def announce(client: openai.OpenAI) -> None:
    """
    Have a client's requests announced to whoever traces them.

    There is no public way to the request before it is sent; the client has a method for it.
    """
    prepare: Any = client._prepare_request  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    def prepared(request: httpx2.Request) -> None:
        prepare(request)
        request.extensions.setdefault("trace", _trace.get().note)

    client._prepare_request = prepared  # type: ignore[method-assign] # noqa: SLF001 - see above


def announce_async(client: openai.AsyncOpenAI) -> None:
    """
    Same as `announce`, for a client that awaits.
    """
    prepare: Any = client._prepare_request  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    async def prepared(request: httpx2.Request) -> None:
        await prepare(request)
        request.extensions.setdefault("trace", _trace.get().note_async)

    client._prepare_request = prepared  # type: ignore[method-assign] # noqa: SLF001 - see above


@contextlib.contextmanager
def losses(
    came: Callable[[], bytes], trace: RequestTrace | None = None
) -> Generator[None, None, None]:
    """
    Say of a failure whether the request may have reached the provider, and what came until then.

    Args:
        came: Returns what came of a successful answer and was not handed on.
        trace: What was announced of the request; None once its answer has begun.
    """
    try:
        yield
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise _lost(cause, error.request, came, trace) from _tellable(cause, error.request, error)
    except _LOST as error:
        request = _request_of(error)
        raise _lost(error, request, came, trace) from _tellable(error, request, error)
    except Exception as error:
        # Handshakes with a SOCKS proxy fail in ways that no client translates.
        if trace is None or trace.sent or not trace.began:
            raise
        raise _lost(error, None, came, trace) from error


def _lost(
    cause: BaseException,
    request: httpx2.Request | None,
    came: Callable[[], bytes],
    trace: RequestTrace | None,
) -> TransportError:
    body = came() if request is None else redact(came(), request)
    sent = trace is None or not _was_kept_back(cause, trace)
    return TransportError(sent=sent, reason=_describe(cause, request), body=body)


def _was_kept_back(cause: BaseException, trace: RequestTrace) -> bool:
    """
    Tell whether a failure proves that nothing reached the provider.
    """
    if isinstance(cause, httpx2.LocalProtocolError) and _BAD_HEADER in str(cause):
        return True
    return not trace.sent and (trace.began or isinstance(cause, _NOT_SENT))


def _request_of(error: BaseException) -> httpx2.Request | None:
    try:
        return error.request if isinstance(error, httpx2.RequestError) else None
    except RuntimeError:
        return None


def _tellable(
    cause: BaseException, request: httpx2.Request | None, error: Exception
) -> Exception | None:
    """
    Return the error to chain to, unless what it says has to be hidden.
    """
    return error if _describe(cause, request) == _describe(cause) else None


def _describe(error: BaseException, request: httpx2.Request | None = None) -> str:
    """
    Say what went wrong, but nothing that proves who we are; a header that is malformed is shown by
    whoever refuses it.
    """
    said = str(error)
    if request is not None and (_BAD_HEADER in said or contains_secret(said, request)):
        said = "a header is malformed" if _BAD_HEADER in said else ""
    if isinstance(error, httpx2.ProxyError):
        return _describe_proxy(said)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _describe_proxy(said: str) -> str:
    if said.startswith(_PROXY_WANTS_LOGIN):
        return "the proxy wants a user name and password (407)"
    return f"the proxy does not connect to the provider: {said}" if said else "ProxyError"
