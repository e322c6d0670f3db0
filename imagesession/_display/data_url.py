"""
Pictures within the text of a page or notebook, so that showing them fetches nothing.
"""

from __future__ import annotations

import pybase64

from imagesession._domain.image_header import MIME_TYPES, PictureFormat


def encoded(data: bytes) -> str:
    """
    Write bytes as base64.
    """
    return pybase64.b64encode(data).decode("ascii")


def data_url(data: bytes, form: PictureFormat) -> str:
    """
    Write a picture as the address of an image. In an image, an SVG runs no script either.
    """
    return f"data:{MIME_TYPES[form]};base64,{encoded(data)}"
