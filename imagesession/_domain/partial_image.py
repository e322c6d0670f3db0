"""
A picture on its way: what streaming shows before the last one.
"""

from __future__ import annotations

import base64
from typing import Any

import attrs

from .image_header import MIME_TYPES, PictureFormat

_SHOWN = 512


@attrs.frozen(kw_only=True)
class PartialImage:
    """
    An unfinished picture, as the provider shows it while it works. It is not kept on disk.

    Attributes:
        index: Counted from 0; there may be fewer or one more than were asked for.
        data: The file's bytes: a whole picture of full size in the format that was asked for.
        format: Its file format.
        width: In pixels.
        height: In pixels.
    """

    index: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    format: PictureFormat
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
        Show it in a notebook as it came, at most 512 pixels wide and high; the next one takes its
        place there.
        """
        shown = {"text/plain": repr(self)}
        if self.format == "svg":
            return shown, {}  # put into the page itself, it could run
        mime = MIME_TYPES[self.format]
        scale = min(1.0, _SHOWN / max(*self.size, 1))
        size = {"width": round(self.width * scale), "height": round(self.height * scale)}
        return {mime: base64.b64encode(self.data).decode("ascii"), **shown}, {mime: size}


PartialImage.__module__ = "imagesession"
