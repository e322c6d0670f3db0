"""
A provider on loopback whose pictures cost nothing to draw, so that only ours is measured.

    python -m tests.bench.server BYTES [WIDTH HEIGHT] [LATENCY]
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any

import attrs
from PIL import Image

from imagesession._fake_openai import sketch
from imagesession._fake_openai.sketch import SketchState
from imagesession.testing import FakeOpenAI, serve


@attrs.frozen
class FixedSketcher:
    """
    Paints the same picture whatever is asked.
    """

    picture: bytes = attrs.field(repr=False)
    size: tuple[int, int]

    def start(self, prompt: str, **_: Any) -> SketchState:
        """
        Tell a story of the picture's size.
        """
        return sketch.start(prompt, size=self.size)

    def refine(self, state: SketchState, prompt: str, **_: Any) -> SketchState:
        """
        Go on with a state.
        """
        return sketch.refine(state, prompt, size=self.size)

    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState:
        """
        Take a picture for one of ours.
        """
        return sketch.from_image(data, seed=seed)

    def render(self, state: SketchState, **_: Any) -> bytes:  # noqa: ARG002 - a painter's face
        """
        Return the picture.
        """
        return self.picture

    def describe(self, state: SketchState) -> str:  # noqa: ARG002 - a painter's face
        """
        Say nothing much.
        """
        return "a fixed picture"


def noise(size: tuple[int, int], share: float = 1.0) -> bytes:
    """
    Encode a PNG that cannot be compressed: noise over a share of its rows, the rest black.
    """
    width, height = size
    rows = int(height * share)
    pixels = os.urandom(width * rows * 3) + bytes(width * (height - rows) * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@contextlib.contextmanager
def served(
    size: tuple[int, int] = (1024, 1024), share: float = 1.0, latency: float = 0.0
) -> Generator[str, None, None]:
    """
    Run the provider in a process of its own; give its base URL.
    """
    with running("tests.bench.server", *map(str, (*size, share, latency))) as base_url:
        yield base_url


@contextlib.contextmanager
def running(module: str, *arguments: str) -> Generator[str, None, None]:
    """
    Run a module that serves until it is terminated; give the base URL that it prints first.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """
    Serve until terminated.
    """
    width, height, share, latency = sys.argv[1:]
    size = int(width), int(height)
    fixed = FixedSketcher(noise(size, float(share)), size)
    provider = FakeOpenAI(latency=float(latency), sketcher=fixed)
    with serve(provider) as position:
        print(position.base_url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
