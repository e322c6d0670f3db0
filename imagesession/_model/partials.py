"""
A picture on its way: what streaming shows before the last one.
"""

from __future__ import annotations

from typing import Any

import attrs

from .pictures import PictureFormat


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

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        from imagesession._show import notebook  # noqa: PLC0415 - loads Pillow

        return notebook.partial(self)


PartialImage.__module__ = "imagesession"
