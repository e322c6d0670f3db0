"""
Make the openai clients of the transports.

Import this module only when a client is needed: it imports openai, which takes most of a second.
"""

from __future__ import annotations

import httpx2
import openai

from imagesession.errors import InvalidRequestError

from .lazy_client import Credentials
from .openai_transport import AsyncOpenAITransport, OpenAITransport

_OFFLINE_URL = "http://offline.imagesession/v1"


def connect(access: Credentials) -> OpenAITransport:
    """
    Make a client with a key.

    Raises:
        AuthenticationError: There is no key.
        InvalidRequestError: The base URL is not valid.
    """
    url, auth = _split_userinfo(access.base_url)
    http_client = None if auth is None else openai.DefaultHttpx2Client(auth=auth)
    client = openai.OpenAI(api_key=access.key(), base_url=url, http_client=http_client)
    return OpenAITransport(client, owned=True)


def connect_async(access: Credentials) -> AsyncOpenAITransport:
    """
    Same as `connect`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        url, auth = _split_userinfo(access.base_url)
        http_client = None if auth is None else openai.DefaultAsyncHttpx2Client(auth=auth)
        return openai.AsyncOpenAI(api_key=access.key(), base_url=url, http_client=http_client)

    return AsyncOpenAITransport(make, owned=True)


def connect_with_transport(transport: httpx2.BaseTransport) -> OpenAITransport:
    """
    Make a client that sends through an in-process transport.
    """
    http_client = httpx2.Client(transport=transport)
    client = openai.OpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)
    return OpenAITransport(client, owned=True)


def connect_with_transport_async(transport: httpx2.AsyncBaseTransport) -> AsyncOpenAITransport:
    """
    Same as `connect_with_transport`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        http_client = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)

    return AsyncOpenAITransport(make, owned=True)


def wrap(client: openai.OpenAI) -> OpenAITransport:
    """
    Use the caller's client, which the caller closes.

    Raises:
        InvalidRequestError: The client is of the wrong type for this kind of studio.
    """
    _check_kind(client, openai.OpenAI, "a Studio")
    return OpenAITransport(client, owned=False)


def wrap_async(client: openai.AsyncOpenAI) -> AsyncOpenAITransport:
    """
    Same as `wrap`, for async.
    """
    _check_kind(client, openai.AsyncOpenAI, "an AsyncStudio")
    return AsyncOpenAITransport(lambda: client, owned=False)


def _split_userinfo(url: str | None) -> tuple[httpx2.URL | None, httpx2.BasicAuth | None]:
    """
    Split user name and password off a base URL, because the HTTP client would log them with every
    URL.

    Raises:
        InvalidRequestError: It is not a URL. The message does not show it, because it may contain a
            password.
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


def _check_kind(client: object, kind: type[object], studio: str) -> None:
    if not isinstance(client, kind):
        raise InvalidRequestError(
            f"client= of {studio} takes an openai.{kind.__name__} (or one made from it), not "
            f"{type(client).__name__}."
        )
