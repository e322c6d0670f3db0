"""
The settings of a provider that may change between requests.
"""

import attrs


@attrs.frozen(kw_only=True)
class Settings:
    """
    A copy of a `FakeOpenAI`'s attributes, which are documented there.
    """

    latency: float
    pictures_per_reply: int
    retrieve_includes_image: bool
    conversation_items_include_image: bool
    poor_terminal_event: bool
    context_tokens: int | None
