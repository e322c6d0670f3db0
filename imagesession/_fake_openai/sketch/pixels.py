"""
Two of Pillow's methods with precise types: Pillow's own name NumPy, which may not be installed.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, cast

from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]


class _Loose(Protocol):
    def resize(self, size: tuple[int, int], resample: int, box: Box | None) -> Image.Image: ...

    def point(self, lut: Sequence[int]) -> Image.Image: ...


def resized(
    image: Image.Image,
    size: tuple[int, int],
    how: Image.Resampling = Image.Resampling.BICUBIC,
    *,
    box: Box | None = None,
) -> Image.Image:
    """Scale an image, or the part of it in a box, to a size."""
    return cast("_Loose", image).resize(size, how, box)


def mapped(image: Image.Image, table: Sequence[int]) -> Image.Image:
    """Replace every value by the table's."""
    return cast("_Loose", image).point(table)
