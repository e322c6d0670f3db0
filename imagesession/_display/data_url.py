"""
Images embedded in the text of a page or notebook, so that showing them fetches nothing.
"""

from __future__ import annotations

import pybase64

from imagesession._domain.image_header import MIME_TYPES, ImageFormat


def encoded(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")


def data_url(data: bytes, format: ImageFormat) -> str:
    """
    Return an image as a data URL. In an `img` element, even an SVG runs no script.
    """
    return f"data:{MIME_TYPES[format]};base64,{encoded(data)}"
