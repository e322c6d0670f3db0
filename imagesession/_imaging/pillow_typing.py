"""
Typed wrappers for Pillow's methods whose own types need NumPy, which may not be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from PIL import Image, ImageCms


class _Untyped(Protocol):
    def resize(
        self, size: tuple[int, int], resample: int, *, reducing_gap: float | None
    ) -> Image.Image: ...

    def point(self, lut: Sequence[int] | Callable[[Any], Any]) -> Image.Image: ...


class _ProfileFactory(Protocol):
    def createProfile(self, colorSpace: str) -> Any: ...  # noqa: N802, N803, ANN401 - Pillow's names


def resize(
    picture: Image.Image,
    size: tuple[int, int],
    resample: Image.Resampling,
    gap: float | None = None,
) -> Image.Image:
    """
    Scale an image to a size.

    Args:
        picture: The image.
        size: Width and height in pixels.
        resample: The resampling filter.
        gap: Pillow's `reducing_gap`: blocks of pixels are averaged first, which is several times
            faster, down to this many times the final size; None for no averaging.
    """
    return cast("_Untyped", picture).resize(size, resample, reducing_gap=gap)


def apply_lut(picture: Image.Image, table: Sequence[int]) -> Image.Image:
    """
    Replace every value by the table's entry for it.
    """
    return cast("_Untyped", picture).point(table)


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    """
    Multiply all values of an image in mode F, and round them; those beyond 0 to `factor` are cut.
    """
    # Pillow calls the function once, with an expression that it then applies to every value.
    return cast("_Untyped", picture).point(lambda value: value * factor + 0.5)


def srgb() -> ImageCms.ImageCmsProfile:
    """
    Return the sRGB profile, which applies to images without a profile of their own.
    """
    from PIL import ImageCms  # noqa: PLC0415 - slow to import, and hardly ever needed

    return ImageCms.ImageCmsProfile(cast("_ProfileFactory", ImageCms).createProfile("sRGB"))
