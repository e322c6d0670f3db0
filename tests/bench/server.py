"""
A provider on loopback that returns fixed images, so that only the library is measured.

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
    Returns the same image for every prompt.
    """

    picture: bytes = attrs.field(repr=False)
    size: tuple[int, int]

    def start(self, prompt: str, **_: Any) -> SketchState:
        """
        Start a sketch of the image's size.
        """
        return sketch.start(prompt, size=self.size)

    def refine(self, state: SketchState, prompt: str, **_: Any) -> SketchState:
        """
        Refine a sketch.
        """
        return sketch.refine(state, prompt, size=self.size)

    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState:
        """
        Read the sketch of an image.
        """
        return sketch.from_image(data, seed=seed)

    def render(self, state: SketchState, **_: Any) -> bytes:  # noqa: ARG002 - part of the sketcher's interface
        """
        Return the fixed image.
        """
        return self.picture

    def describe(self, state: SketchState) -> str:  # noqa: ARG002 - part of the sketcher's interface
        """
        Return a fixed description.
        """
        return "a fixed picture"


def noise(size: tuple[int, int], noise_fraction: float = 1.0) -> bytes:
    """
    Encode a PNG with a fraction of its rows noise, which cannot be compressed, the rest black.
    """
    width, height = size
    rows = int(height * noise_fraction)
    pixels = os.urandom(width * rows * 3) + bytes(width * (height - rows) * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@contextlib.contextmanager
def serve_fixed_images(
    size: tuple[int, int] = (1024, 1024), noise_fraction: float = 1.0, latency: float = 0.0
) -> Generator[str, None, None]:
    """
    Run the provider in a separate process; yield its base URL.
    """
    with run_module("tests.bench.server", *map(str, (*size, noise_fraction, latency))) as base_url:
        yield base_url


@contextlib.contextmanager
def run_module(module: str, *arguments: str) -> Generator[str, None, None]:
    """
    Run a module that serves until it is terminated; yield the base URL that it prints first.
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
    width, height, noise_fraction, latency = sys.argv[1:]
    size = int(width), int(height)
    fixed = FixedSketcher(noise(size, float(noise_fraction)), size)
    provider = FakeOpenAI(latency=float(latency), sketcher=fixed)
    with serve(provider) as running_server:
        print(running_server.base_url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
