"""
A picture made small, to be looked at.
"""

from __future__ import annotations

import attrs

from .image_header import MIME_TYPES, PictureFormat


@attrs.frozen(kw_only=True)
class Preview:
    """
    A picture made small, for places where the whole one is too large. It is not kept on disk.

    Attributes:
        data: The file's bytes.
        format: Its file format: "jpeg", "webp" where pixels are transparent, or the picture's own
            where that is small enough as it is.
        width: In pixels.
        height: In pixels.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    format: PictureFormat
    width: int
    height: int

    @property
    def mime_type(self) -> str:
        """
        Its media type, such as "image/jpeg".
        """
        return MIME_TYPES[self.format]


Preview.__module__ = "imagesession"
