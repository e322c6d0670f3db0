"""
Painting once: a memory of finished pictures, shared by all calls.

Painting is the slow part. Calls that want the same picture at the same time wait for one of them
to paint it, and only as many paint at once as there are processors, because each takes memory.
"""

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Protocol

import attrs
import pybase64

from imagesession._fake_openai.image_tool import ImageToolParams
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.sketch.encode import Format

# Base64 text kept for repeated reads: some forty pictures of 2 MB.
_KEPT_CHARACTERS = 96 * 1024 * 1024


class Sketcher(Protocol):
    """
    Say what the provider needs of a painter; the package `sketch` is one.
    """

    def start(
        self,
        prompt: str,
        *,
        size: tuple[int, int] | None = None,
        transparent: bool | None = None,
        seed: int = 0,
        base: bytes | None = None,
        mask: bytes | None = None,
        insets: tuple[bytes, ...] = (),
    ) -> SketchState:
        """
        Start a picture.
        """
        ...

    def refine(
        self,
        state: SketchState,
        prompt: str,
        *,
        size: tuple[int, int] | None = None,
        transparent: bool | None = None,
    ) -> SketchState:
        """
        Change a picture as told.
        """
        ...

    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState:
        """
        Go on from a picture that was sent; ValueError if it is none.
        """
        ...

    def render(
        self,
        state: SketchState,
        *,
        format: Format = "png",
        compression: int = 100,
        frames: int = 9,
        frame_ms: int = 200,
        share: float = 1.0,
    ) -> bytes:
        """
        Draw the picture, or with a share below 1 a first sketch of it.
        """
        ...

    def describe(self, state: SketchState) -> str:
        """
        Tell in words what is drawn.
        """
        ...


@attrs.frozen(kw_only=True)
class RenderKey:
    """
    Hold everything a picture's bytes depend on.
    """

    sketch: SketchState
    format: Format = "png"
    compression: int = 100
    frames: int = 9
    frame_ms: int = 200
    share: float = 1.0

    @classmethod
    def of(cls, sketch: SketchState, tool: ImageToolParams, share: float = 1.0) -> "RenderKey":
        """
        Take from the tool what concerns the bytes.
        """
        return cls(
            sketch=sketch,
            format=tool.format,
            compression=tool.compression,
            frames=tool.frames,
            frame_ms=tool.frame_ms,
            share=share,
        )


class RenderCache:
    """
    Paint on demand, each picture once, and remember the latest.
    """

    def __init__(self, sketcher: Sketcher, *, keep: int = _KEPT_CHARACTERS) -> None:
        self._sketcher = sketcher
        self._keep = keep
        self._kept: OrderedDict[RenderKey, bytes] = OrderedDict()
        self._characters = 0
        self._started: dict[RenderKey, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._brushes = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))

    def data(self, look: RenderKey) -> bytes:
        """
        Give a picture's bytes.
        """
        return pybase64.b64decode(self.base64(look))

    def base64(self, look: RenderKey) -> bytes:
        """
        Give a picture as base64 text, painting it unless it is at hand.
        """
        with self._lock:
            text = self._kept.get(look)
            if text is not None:
                self._kept.move_to_end(look)
                return text
            future = self._started.get(look)
            mine = future is None
            if future is None:
                future = self._started[look] = Future()
        if mine:
            self._paint(look, future)
        return future.result()

    def _paint(self, look: RenderKey, future: Future[bytes]) -> None:
        try:
            with self._brushes:
                data = self._sketcher.render(
                    look.sketch,
                    format=look.format,
                    compression=look.compression,
                    frames=look.frames,
                    frame_ms=look.frame_ms,
                    share=look.share,
                )
            text = pybase64.b64encode(data)
        except BaseException as error:
            with self._lock:
                del self._started[look]
            future.set_exception(error)
            raise
        self._remember(look, text)
        future.set_result(text)

    def _remember(self, look: RenderKey, text: bytes) -> None:
        with self._lock:
            del self._started[look]
            self._kept[look] = text
            self._characters += len(text)
            while self._characters > self._keep and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._characters -= len(dropped)
