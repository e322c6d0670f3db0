"""
The settings of a provider, which may change between requests.
"""

from typing import Protocol


class Settings(Protocol):
    """
    The attributes of a `FakeOpenAI` that endpoints read; they are documented there.
    """

    latency: float
    pictures_per_reply: int
    retrieve_includes_image: bool
    conversation_items_include_image: bool
    poor_terminal_event: bool
    context_tokens: int | None
