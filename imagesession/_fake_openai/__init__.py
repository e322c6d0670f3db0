"""
The embedded provider: OpenAI's wire, spoken without a network, by a sketcher.
"""

from imagesession._fake_openai.app import FakeOpenAI
from imagesession._fake_openai.transport import AsyncFakeTransport, FakeTransport

__all__ = ["AsyncFakeTransport", "FakeOpenAI", "FakeTransport"]
