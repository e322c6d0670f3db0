"""
What a test is told of a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imagesession._fake_openai import FakeOpenAI


class ImagesServer(NamedTuple):
    """
    Where the offline provider listens, and the provider itself.

    Attributes:
        base_url: What an OpenAI client takes as its base URL.
        port: The port on 127.0.0.1.
        api_key: A key that it takes, as it takes any.
        provider: The provider: what to reply, how to fail, and the calls that it got.
    """

    base_url: str
    port: int
    api_key: str
    provider: FakeOpenAI
