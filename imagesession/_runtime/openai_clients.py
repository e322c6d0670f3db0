"""
Make the openai clients of the transports.

Import this module only when a client is needed: it imports openai, which takes most of a second.
"""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Generator

import httpx2
import openai

from imagesession.errors import InvalidRequestError, RequestNotSentError

from .lazy_client import Credentials
from .openai_transport import AsyncOpenAITransport, OpenAITransport

_OFFLINE_URL = "http://offline.imagesession/v1"


def connect(access: Credentials) -> OpenAITransport:
    url, auth = _split_userinfo(access.base_url)
    with _proxy_errors():
        http_client = None if auth is None else openai.DefaultHttpx2Client(auth=auth)
        client = openai.OpenAI(api_key=access.key(), base_url=url, http_client=http_client)
    return OpenAITransport(client, owned=True)


def connect_async(access: Credentials) -> AsyncOpenAITransport:
    def make() -> openai.AsyncOpenAI:
        url, auth = _split_userinfo(access.base_url)
        with _proxy_errors():
            http_client = None if auth is None else openai.DefaultAsyncHttpx2Client(auth=auth)
            return openai.AsyncOpenAI(api_key=access.key(), base_url=url, http_client=http_client)

    return AsyncOpenAITransport(make, owned=True)


def connect_with_transport(transport: httpx2.BaseTransport) -> OpenAITransport:
    http_client = httpx2.Client(transport=transport)
    client = openai.OpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)
    return OpenAITransport(client, owned=True)


def connect_with_transport_async(transport: httpx2.AsyncBaseTransport) -> AsyncOpenAITransport:
    def make() -> openai.AsyncOpenAI:
        http_client = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)

    return AsyncOpenAITransport(make, owned=True)


def wrap(client: openai.OpenAI) -> OpenAITransport:
    _check_kind(client, openai.OpenAI, "a Studio")
    return OpenAITransport(client, owned=False)


def wrap_async(client: openai.AsyncOpenAI) -> AsyncOpenAITransport:
    _check_kind(client, openai.AsyncOpenAI, "an AsyncStudio")
    return AsyncOpenAITransport(lambda: client, owned=False)


def _split_userinfo(url: str | None) -> tuple[httpx2.URL | None, httpx2.BasicAuth | None]:
    """
    Split user name and password off a base URL, because the HTTP client would log them with every
    URL.
    """
    if url is None:
        return None, None
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise InvalidRequestError(
            "base_url= is not a URL such as https://api.example.com/v1. If it contains a user name "
            "and a password, write their special characters as %40, %2F and so on."
        ) from None
    if not parsed.userinfo:
        return parsed, None
    return parsed.copy_with(userinfo=b""), httpx2.BasicAuth(parsed.username, parsed.password)


@contextlib.contextmanager
def _proxy_errors() -> Generator[None, None, None]:
    """
    Raise a typed error if the client cannot use the proxy of this computer's settings.

    The proxy's address is not shown, because it may contain a password.
    """
    try:
        yield
    except ImportError:  # of socksio, which httpx2 wants for SOCKS
        raise RequestNotSentError(
            f"{_proxy_setting('socks')} is a SOCKS proxy, which needs the package socksio; nothing "
            "was sent. Run pip install socksio, or unset the variable."
        ) from None
    except (ValueError, httpx2.InvalidURL):
        raise RequestNotSentError(
            f"{_proxy_setting()} is not the address of a proxy that can be used; nothing was sent. "
            "It has the form http://user:password@proxy.example.com:8080."
        ) from None


def _proxy_setting(prefix: str = "") -> str:
    """
    Return the name of the environment variable with the first proxy whose address has this prefix.
    """
    proxies = urllib.request.getproxies()
    scheme = next((name for name, url in proxies.items() if url.startswith(prefix)), "all")
    variable = f"{scheme}_proxy"
    return next((name for name in os.environ if name.lower() == variable), variable.upper())


def _check_kind(client: object, kind: type[object], studio: str) -> None:
    if not isinstance(client, kind):
        raise InvalidRequestError(
            f"client= of {studio} takes an openai.{kind.__name__} (or one made from it), not "
            f"{type(client).__name__}."
        )
