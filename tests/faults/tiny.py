"""
A painter whose pictures cost next to nothing and tell by their colour what was asked.
"""

from __future__ import annotations

import zlib
from typing import Any

from imagesession._fake_openai import sketch
from imagesession._fake_openai.sketch import SketchState
from imagesession.testing import FakeOpenAI, tiny_image


class TinySketcher:
    """
    Paints each prompt in a colour of its own.
    """

    def start(self, prompt: str, **_: Any) -> SketchState:
        """
        Begin a story.
        """
        return sketch.start(prompt, size=(64, 64))

    def refine(self, state: SketchState, prompt: str, **_: Any) -> SketchState:
        """
        Go on with a state.
        """
        return sketch.refine(state, prompt, size=(64, 64))

    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState:
        """
        Take a picture for one of ours.
        """
        return sketch.from_image(data, seed=seed)

    def render(self, state: SketchState, **_: Any) -> bytes:
        """
        Paint what was asked last.
        """
        return picture_of(state.prompts[-1])

    def describe(self, state: SketchState) -> str:
        """
        Say what was asked last.
        """
        return state.prompts[-1]


def picture_of(prompt: str) -> bytes:
    """
    Return the picture that answers a prompt.
    """
    red, green, blue, _ = zlib.crc32(prompt.encode()).to_bytes(4, "big")
    return tiny_image(size=(64, 64), colour=(red, green, blue))


def tiny_provider(**settings: Any) -> FakeOpenAI:
    """
    Make a provider with such a painter.
    """
    return FakeOpenAI(sketcher=TinySketcher(), **settings)
