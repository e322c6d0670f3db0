"""
Pillow's methods whose own types name NumPy, which need not be here, with the types they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from PIL import Image, ImageCms


class _Loose(Protocol):
    def resize(
        self, size: tuple[int, int], resample: int, *, reducing_gap: float | None
    ) -> Image.Image: ...

    def point(self, lut: Sequence[int]) -> Image.Image: ...


class _Profiles(Protocol):
    def createProfile(self, colorSpace: str) -> Any: ...  # noqa: N802, N803, ANN401 - Pillow's names


def resize(
    picture: Image.Image, size: tuple[int, int], how: Image.Resampling, gap: float | None = None
) -> Image.Image:
    """
    Scale a picture to a size.

    Args:
        picture: The picture.
        size: Width and height in pixels.
        how: The filter.
        gap: How many times as large it stays at least while whole blocks of pixels are averaged
            first, which takes a fraction of the time; None for not at all.
    """
    return cast("_Loose", picture).resize(size, how, reducing_gap=gap)


def apply_lut(picture: Image.Image, table: Sequence[int]) -> Image.Image:
    """
    Replace every value by the table's.
    """
    return cast("_Loose", picture).point(table)


def srgb() -> ImageCms.ImageCmsProfile:
    """
    Return the profile of pictures that do not say otherwise.
    """
    from PIL import ImageCms  # noqa: PLC0415 - slow to import, and hardly ever needed

    return ImageCms.ImageCmsProfile(cast("_Profiles", ImageCms).createProfile("sRGB"))
