"""
Pillow: its modules, each loaded when it is first used, because they are slow to import and hardly
ever needed; and its methods whose own types need NumPy, which may not be installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from PIL import (
        Image,
        ImageChops,
        ImageCms,
        ImageDraw,
        ImageFile,
        ImageFilter,
        ImageFont,
        ImageShow,
        ImageStat,
    )

__all__ = [
    "Image",
    "ImageChops",
    "ImageCms",
    "ImageDraw",
    "ImageFile",
    "ImageFilter",
    "ImageFont",
    "ImageShow",
    "ImageStat",
]
Picture: TypeAlias = "Image.Image"


def load(name: str) -> Any:  # noqa: ANN401 - any module
    return importlib.import_module(f"PIL.{name}")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, load(name))


def resize(
    picture: Picture,
    size: tuple[int, int],
    resample: Image.Resampling | None = None,
    gap: float | None = None,
) -> Picture:
    """
    Scale an image; the filter None is Pillow's choice, which is bicubic. With a gap, Pillow's
    `reducing_gap`, blocks of pixels are averaged first, which is several times faster, down to this
    many times the final size.
    """
    return cast("Picture", cast("Any", picture).resize(size, resample, reducing_gap=gap))


def apply_lut(picture: Picture, table: Sequence[int]) -> Picture:
    return cast("Picture", cast("Any", picture).point(table))


def scaled(picture: Picture, factor: float) -> Picture:
    """
    Multiply all values of an image in mode F, and round them; those beyond 0 to `factor` are cut.
    """

    def multiply(value: Any) -> Any:  # noqa: ANN401 - an expression, which Pillow applies to each
        return value * factor + 0.5

    return cast("Picture", cast("Any", picture).point(multiply))
