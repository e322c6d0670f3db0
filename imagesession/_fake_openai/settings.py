"""
What the owner of a provider may change between calls.
"""

import attrs


@attrs.frozen(kw_only=True)
class Settings:
    """
    Hold a `FakeOpenAI`'s attributes as they are at a moment; they are explained there.
    """

    latency: float
    pictures_per_reply: int
    retrieve_includes_image: bool
    conversation_items_include_image: bool
    poor_terminal_event: bool
    context_tokens: int | None
