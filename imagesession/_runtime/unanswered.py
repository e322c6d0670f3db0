"""
Translate failures without a response: whether the request was sent, why it failed, and which part
of the response was received.

A request that was provably not sent can be retried. The proof is the HTTP client's trace: it has an
event for each step of a connection, and one before the first byte of the request is written. Other
transports have no trace; there the type of the error decides.

Source: https://www.encode.io/httpcore/extensions/#trace
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any

import anyio
import attrs
import httpx2
import openai

from imagesession._engine.http import TransportError

from .redact import contains_secret, redact

# These are raised only while a connection is made or waited for: see `_backends`, `http_proxy` and
# `socks_proxy` in httpcore2. Failed TLS handshakes and unknown host names are ConnectErrors there,
# and a refused CONNECT is a ProxyError.
_NOT_SENT_ERRORS = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    # An invalid host name, or a URL that is too long: a damaged record may have such an id.
    UnicodeError,
    httpx2.InvalidURL,
)
_BAD_HEADER = "Illegal header"
_MAX_REASON = 160
# A closed event loop or client raises a RuntimeError, at any point. The last three are anyio's TLS
# and socket errors, which the client does not translate everywhere:
# https://github.com/pydantic/httpx2/issues/854
_CONNECTION_ERRORS = (
    httpx2.TransportError,
    httpx2.StreamError,
    httpx2.DecodingError,
    httpx2.InvalidURL,
    UnicodeError,
    RuntimeError,
    OSError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)
_SEND_EVENT = "send_request_headers.started"
_PROXY_WANTS_LOGIN = "407"
# Failures that trying again does not mend: the error, words of its reason, and what to do.
_ADVICE: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        httpx2.ProxyError,
        _PROXY_WANTS_LOGIN,
        "Put them into HTTPS_PROXY, as in http://user:password@proxy.example.com:8080.",
    ),
    (
        httpx2.ConnectError,
        "CERTIFICATE_VERIFY_FAILED",
        "If a company's proxy stands between, put its certificate authority into SSL_CERT_FILE.",
    ),
    (httpx2.LocalProtocolError, "", "Check the characters of the API key and of extra_headers."),
    (httpx2.UnsupportedProtocol, "", "base_url begins with https:// or http://."),
    (UnicodeError, "", "Check the host name in base_url."),
)


@attrs.define(eq=False)
class RequestTrace:
    """
    The trace events of a request.

    Attributes:
        has_events: Whether there were any events.
        sent: Whether writing the request began; a CONNECT request to a proxy does not count.
    """

    has_events: bool = attrs.field(default=False, init=False)
    sent: bool = attrs.field(default=False, init=False)

    def record(self, name: str, info: dict[str, Any]) -> None:
        self.has_events = True
        is_connect = getattr(info.get("request"), "method", b"") == b"CONNECT"
        self.sent = self.sent or (name.endswith(_SEND_EVENT) and not is_connect)

    async def record_async(self, name: str, info: dict[str, Any]) -> None:
        self.record(name, info)


_trace: ContextVar[RequestTrace] = ContextVar("imagesession_trace")


@contextlib.contextmanager
def tracing(trace: RequestTrace) -> Generator[None, None, None]:
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)


def install_trace(client: openai.OpenAI) -> None:
    """
    Make a client's requests report their events to the current trace.

    There is no public hook for a request before it is sent, so a method of the client is wrapped.
    """
    prepare: Any = client._prepare_request  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    def prepare_traced(request: httpx2.Request) -> None:
        prepare(request)
        request.extensions.setdefault("trace", _trace.get().record)

    client._prepare_request = prepare_traced  # type: ignore[method-assign] # noqa: SLF001 - see above


def install_trace_async(client: openai.AsyncOpenAI) -> None:
    prepare: Any = client._prepare_request  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    async def prepare_traced(request: httpx2.Request) -> None:
        await prepare(request)
        request.extensions.setdefault("trace", _trace.get().record_async)

    client._prepare_request = prepare_traced  # type: ignore[method-assign] # noqa: SLF001 - see above


@contextlib.contextmanager
def transport_errors(
    received: Callable[[], bytes], trace: RequestTrace | None = None
) -> Generator[None, None, None]:
    """
    Raise failures as `TransportError`, with whether the request may have been sent and what was
    received.
    """
    try:
        yield
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise _to_transport_error(cause, error.request, received, trace) from _safe_cause(
            cause, error.request, error
        )
    except _CONNECTION_ERRORS as error:
        request = _request_of(error)
        raise _to_transport_error(error, request, received, trace) from _safe_cause(
            error, request, error
        )
    except Exception as error:
        # The client does not translate the errors of SOCKS handshakes.
        if trace is None or trace.sent or not trace.has_events:
            raise
        raise _to_transport_error(error, None, received, trace) from error


def _to_transport_error(
    cause: BaseException,
    request: httpx2.Request | None,
    received: Callable[[], bytes],
    trace: RequestTrace | None,
) -> TransportError:
    body = received() if request is None else redact(received(), request)
    sent = trace is None or not _was_not_sent(cause, trace)
    reason = _describe(cause, request)
    return TransportError(
        sent=sent, reason=reason, advice="" if sent else _advice(cause, reason), body=body
    )


def _advice(cause: BaseException, reason: str) -> str:
    """
    Return what to change if trying again cannot help; empty if it may.
    """
    return next(
        (
            advice
            for kind, words, advice in _ADVICE
            if isinstance(cause, kind) and words.lower() in reason.lower()
        ),
        "",
    )


def _was_not_sent(cause: BaseException, trace: RequestTrace) -> bool:
    """
    Return whether a failure proves that nothing was sent to the provider.
    """
    if isinstance(cause, httpx2.LocalProtocolError) and _BAD_HEADER in str(cause):
        return True
    return not trace.sent and (trace.has_events or isinstance(cause, _NOT_SENT_ERRORS))


def _request_of(error: BaseException) -> httpx2.Request | None:
    try:
        return error.request if isinstance(error, httpx2.RequestError) else None
    except RuntimeError:
        return None


def _safe_cause(
    cause: BaseException, request: httpx2.Request | None, error: Exception
) -> Exception | None:
    """
    Return the error to chain to; None if its message contains secrets.
    """
    return error if _describe(cause, request) == _describe(cause) else None


def _describe(error: BaseException, request: httpx2.Request | None = None) -> str:
    """
    Describe a failure without credentials, which the client shows in its errors about malformed
    headers.
    """
    # The client quotes what it cannot parse, which may be an image.
    text = textwrap.shorten(str(error)[: 4 * _MAX_REASON], _MAX_REASON, placeholder="…")
    if request is not None and (_BAD_HEADER in text or contains_secret(text, request)):
        text = "a header is malformed" if _BAD_HEADER in text else ""
    if isinstance(error, httpx2.ProxyError):
        return _describe_proxy(text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _describe_proxy(text: str) -> str:
    if text.startswith(_PROXY_WANTS_LOGIN):
        return "the proxy wants a user name and password (407)"
    return f"the proxy does not connect to the provider: {text}" if text else "ProxyError"
