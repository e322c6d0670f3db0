"""
A sketcher of tiny images whose colour identifies the prompt.
"""

from __future__ import annotations

import zlib
from typing import Any

from imagesession._fake_openai import sketch
from imagesession._fake_openai.sketch import SketchState
from imagesession.testing import FakeOpenAI, tiny_image


class TinySketcher:
    """
    Draws each prompt as one colour.
    """

    def start(self, prompt: str, **_: Any) -> SketchState:
        """
        Start a sketch.
        """
        return sketch.start(prompt, size=(64, 64))

    def refine(self, state: SketchState, prompt: str, **_: Any) -> SketchState:
        """
        Refine a sketch.
        """
        return sketch.refine(state, prompt, size=(64, 64))

    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState:
        """
        Return the state of a sketch from its image.
        """
        return sketch.from_image(data, seed=seed)

    def render(self, state: SketchState, **_: Any) -> bytes:
        """
        Draw the latest prompt.
        """
        return picture_of(state.prompts[-1])

    def describe(self, state: SketchState) -> str:
        """
        Return the latest prompt.
        """
        return state.prompts[-1]


def picture_of(prompt: str) -> bytes:
    """
    Return the image of a prompt.
    """
    red, green, blue, _ = zlib.crc32(prompt.encode()).to_bytes(4, "big")
    return tiny_image(size=(64, 64), colour=(red, green, blue))


def tiny_provider(**settings: Any) -> FakeOpenAI:
    """
    Make a provider with such a sketcher.
    """
    return FakeOpenAI(sketcher=TinySketcher(), **settings)
