"""
Previews: reduced copies of images.
"""

from __future__ import annotations

import attrs

from .image_header import MIME_TYPES, ImageFormat


@attrs.frozen(kw_only=True)
class Preview:
    """
    A reduced copy of an image, for places where the original is too large. It is not saved.

    Attributes:
        data: The file's bytes.
        format: Its file format: "jpeg", "webp" if pixels are transparent, or the image's own if
            the original is small enough.
        width: In pixels.
        height: In pixels.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    format: ImageFormat
    width: int
    height: int

    @property
    def mime_type(self) -> str:
        """
        Its media type, such as "image/jpeg".
        """
        return MIME_TYPES[self.format]


Preview.__module__ = "imagesession"
