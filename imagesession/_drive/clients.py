"""
Make the openai clients that transports send through.

Import this no sooner than a client is needed: it loads openai, which takes most of a second.
"""

from __future__ import annotations

import httpx2
import openai

from imagesession.errors import CallError

from .connection import Access
from .openai import AsyncOpenAITransport, OpenAITransport

_OFFLINE_URL = "http://offline.imagesession/v1"


def connect(access: Access) -> OpenAITransport:
    """
    Make a client for a key.

    Raises:
        AccessError: There is none.
    """
    client = openai.OpenAI(api_key=access.key(), base_url=access.base_url)
    return OpenAITransport(client, ours=True)


def connect_async(access: Access) -> AsyncOpenAITransport:
    """
    Same as `connect`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key=access.key(), base_url=access.base_url)

    return AsyncOpenAITransport(make, ours=True)


def connect_through(transport: httpx2.BaseTransport) -> OpenAITransport:
    """
    Make a client whose requests never leave the process.
    """
    http_client = httpx2.Client(transport=transport)
    client = openai.OpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)
    return OpenAITransport(client, ours=True)


def connect_through_async(transport: httpx2.AsyncBaseTransport) -> AsyncOpenAITransport:
    """
    Same as `connect_through`, for async.
    """

    def make() -> openai.AsyncOpenAI:
        http_client = httpx2.AsyncClient(transport=transport)
        return openai.AsyncOpenAI(api_key="offline", base_url=_OFFLINE_URL, http_client=http_client)

    return AsyncOpenAITransport(make, ours=True)


def wrap(client: openai.OpenAI) -> OpenAITransport:
    """
    Use a client that the caller made; it is the caller's to close.

    Raises:
        CallError: It is not one for this kind of studio.
    """
    _check_kind(client, openai.OpenAI, "a Studio")
    return OpenAITransport(client, ours=False)


def wrap_async(client: openai.AsyncOpenAI) -> AsyncOpenAITransport:
    """
    Same as `wrap`, for async.
    """
    _check_kind(client, openai.AsyncOpenAI, "an AsyncStudio")
    return AsyncOpenAITransport(lambda: client, ours=False)


def _check_kind(client: object, kind: type[object], studio: str) -> None:
    if not isinstance(client, kind):
        raise CallError(
            f"client= of {studio} takes an openai.{kind.__name__} (or one made from it), not "
            f"{type(client).__name__}."
        )
