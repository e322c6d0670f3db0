"""
Make the openai clients that transports send through.

Import this no sooner than a client is needed: it loads openai, which takes most of a second.
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
    Make a client for a key.

    Raises:
        AuthenticationError: There is none.
        InvalidRequestError: The base URL is none.
    """
    url, auth = _split_userinfo(access.base_url)
    http_client = None if auth is None else openai.DefaultHttpx2Client(auth=auth)
    client = openai.OpenAI(api_key=access.key(), base_url=url, http_client=http_client)
    return OpenAITransport(client, ours=True)


def connect_async(access: Credentials) -> AsyncOpenAITransport:
    """
    Same as `connect`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        url, auth = _split_userinfo(access.base_url)
        http_client = None if auth is None else openai.DefaultAsyncHttpx2Client(auth=auth)
        return openai.AsyncOpenAI(api_key=access.key(), base_url=url, http_client=http_client)

    return AsyncOpenAITransport(make, ours=True)


def connect_with_transport(transport: httpx2.BaseTransport) -> OpenAITransport:
    """
    Make a client whose requests never leave the process.
    """
    http_client = httpx2.Client(transport=transport)
    client = openai.OpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)
    return OpenAITransport(client, ours=True)


def connect_through_async(transport: httpx2.AsyncBaseTransport) -> AsyncOpenAITransport:
    """
    Same as `connect_with_transport`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        http_client = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)

    return AsyncOpenAITransport(make, ours=True)


def wrap(client: openai.OpenAI) -> OpenAITransport:
    """
    Use a client that the caller made; it is the caller's to close.

    Raises:
        InvalidRequestError: It is not one for this kind of studio.
    """
    _check_kind(client, openai.OpenAI, "a Studio")
    return OpenAITransport(client, ours=False)


def wrap_async(client: openai.AsyncOpenAI) -> AsyncOpenAITransport:
    """
    Same as `wrap`, for async.
    """
    _check_kind(client, openai.AsyncOpenAI, "an AsyncStudio")
    return AsyncOpenAITransport(lambda: client, ours=False)


def _split_userinfo(url: str | None) -> tuple[httpx2.URL | None, httpx2.BasicAuth | None]:
    """
    Take user and password out of a base URL. The HTTP client would send them just so, and would
    write every URL into its log.

    Raises:
        InvalidRequestError: It is no URL. It is not shown, for what is wrong may stand in its
            password.
    """
    if url is None:
        return None, None
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise InvalidRequestError(
            "base_url= is no URL; it should look like https://api.example.com/v1. If there are a "
            "user and a password in it, write their special characters as %40, %2F and so on."
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
