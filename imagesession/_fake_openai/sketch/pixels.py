"""
Two of Pillow's methods with precise types: Pillow's own name NumPy, which may not be installed.
"""

from collections.abc import Sequence
from typing import Any, cast

from PIL import Image


def resized(
    image: Image.Image, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """Scale an image to a size."""
    return cast("Image.Image", cast("Any", image).resize(size, how))


def mapped(image: Image.Image, table: Sequence[int]) -> Image.Image:
    """Replace every value by the table's."""
    return cast("Image.Image", cast("Any", image).point(table))
