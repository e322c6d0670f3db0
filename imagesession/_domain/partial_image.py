"""
Partial images: the unfinished images that a stream yields before the final one.
"""

from __future__ import annotations

import base64
from typing import Any

import attrs

from .image_header import MIME_TYPES, ImageFormat

_SHOWN = 512


@attrs.frozen(kw_only=True)
class PartialImage:
    """
    An unfinished image that the provider sends while it works. It is not saved.

    Attributes:
        index: Its number, from 0; there may be fewer than requested, or one more.
        data: The file's bytes: a complete image of full size in the requested format.
        format: Its file format.
        width: In pixels.
        height: In pixels.
    """

    index: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    format: ImageFormat
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """
        Width and height in pixels.
        """
        return self.width, self.height

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
        """
        Show it in a notebook, at most 512 pixels wide and high, with its bytes as received.
        """
        shown = {"text/plain": repr(self)}
        if self.format == "svg":
            return shown, {}  # an SVG that is embedded in the page could run scripts
        mime = MIME_TYPES[self.format]
        scale = min(1.0, _SHOWN / max(*self.size, 1))
        size = {"width": round(self.width * scale), "height": round(self.height * scale)}
        return {mime: base64.b64encode(self.data).decode("ascii"), **shown}, {mime: size}


PartialImage.__module__ = "imagesession"
