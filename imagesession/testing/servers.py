"""
The value of the fixture `openai_images_server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imagesession._fake_openai import FakeOpenAI


class ImagesServer(NamedTuple):
    """
    The address of the fake provider, and the provider itself.

    Attributes:
        base_url: The base URL for an OpenAI client.
        port: The port on 127.0.0.1.
        api_key: A key that it accepts; it accepts any.
        provider: The provider, to script responses and faults and to assert on requests.
    """

    base_url: str
    port: int
    api_key: str
    provider: FakeOpenAI
