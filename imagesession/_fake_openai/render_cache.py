"""
A cache of rendered images, shared by all requests.

Rendering is the slow part. Concurrent requests for the same image wait for one rendering, and only
as many render at once as there are processors, because each takes memory.
"""

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Protocol

import attrs
import pybase64

from imagesession._fake_openai.image_tool import Encoding
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.sketch.encode import Format

# How much base64 text is cached: some forty images of 2 MB.
_KEPT_CHARACTERS = 96 * 1024 * 1024


class Sketcher(Protocol):
    """
    What the provider needs of a sketcher; the package `sketch` is one.
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
    ) -> SketchState: ...

    def refine(
        self,
        state: SketchState,
        prompt: str,
        *,
        size: tuple[int, int] | None = None,
        transparent: bool | None = None,
    ) -> SketchState: ...

    # ValueError if it cannot be read.
    def from_image(self, data: bytes, *, seed: int = 0) -> SketchState: ...

    def render(
        self,
        state: SketchState,
        *,
        format: Format = "png",
        compression: int = 100,
        frames: int = 9,
        frame_ms: int = 200,
        share: float = 1.0,  # below 1 for a partial image
    ) -> bytes: ...

    def describe(self, state: SketchState) -> str: ...


@attrs.frozen(kw_only=True)
class RenderKey:
    sketch: SketchState
    encoding: Encoding = attrs.field(factory=Encoding)
    share: float = 1.0


class RenderCache:
    def __init__(self, sketcher: Sketcher) -> None:
        self.sketcher = sketcher
        self._entries: OrderedDict[RenderKey, bytes] = OrderedDict()
        self._characters = 0
        self._started: dict[RenderKey, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._render_slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))

    def data(self, key: RenderKey) -> bytes:
        return pybase64.b64decode(self.base64(key))

    def base64(self, key: RenderKey) -> bytes:
        with self._lock:
            text = self._entries.get(key)
            if text is not None:
                self._entries.move_to_end(key)
                return text
            future = self._started.get(key)
            is_first = future is None
            if future is None:
                future = self._started[key] = Future()
        if is_first:
            self._render(key, future)
        return future.result()

    def _render(self, key: RenderKey, future: Future[bytes]) -> None:
        try:
            with self._render_slots:
                options = attrs.asdict(key.encoding)
                data = self.sketcher.render(key.sketch, share=key.share, **options)
            text = pybase64.b64encode(data)
        except BaseException as error:
            with self._lock:
                del self._started[key]
            future.set_exception(error)
            raise
        self._remember(key, text)
        future.set_result(text)

    def _remember(self, key: RenderKey, text: bytes) -> None:
        with self._lock:
            del self._started[key]
            self._entries[key] = text
            self._characters += len(text)
            while self._characters > _KEPT_CHARACTERS and len(self._entries) > 1:
                _, dropped = self._entries.popitem(last=False)
                self._characters -= len(dropped)
