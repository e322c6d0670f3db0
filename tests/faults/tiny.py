"""
A painter whose pictures cost next to nothing and tell by their colour what was asked.
"""

from __future__ import annotations

import zlib
from typing import Any

from imagesession._offline import painter
from imagesession._offline.painter import Story
from imagesession.testing import OfflineProvider, tiny_image


class TinyPainter:
    """
    Paints each prompt in a colour of its own.
    """

    def begin(self, prompt: str, **_: Any) -> Story:
        """
        Begin a story.
        """
        return painter.begin(prompt, size=(64, 64))

    def retell(self, story: Story, prompt: str, **_: Any) -> Story:
        """
        Go on with a story.
        """
        return painter.retell(story, prompt, size=(64, 64))

    def recall(self, data: bytes, *, seed: int = 0) -> Story:
        """
        Take a picture for one of ours.
        """
        return painter.recall(data, seed=seed)

    def paint(self, story: Story, **_: Any) -> bytes:
        """
        Paint what was asked last.
        """
        return picture_of(story.prompts[-1])

    def describe(self, story: Story) -> str:
        """
        Say what was asked last.
        """
        return story.prompts[-1]


def picture_of(prompt: str) -> bytes:
    """
    Return the picture that answers a prompt.
    """
    red, green, blue, _ = zlib.crc32(prompt.encode()).to_bytes(4, "big")
    return tiny_image(size=(64, 64), colour=(red, green, blue))


def tiny_provider(**settings: Any) -> OfflineProvider:
    """
    Make a provider with such a painter.
    """
    return OfflineProvider(painter=TinyPainter(), **settings)
