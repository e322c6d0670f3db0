"""
Boxes within an image, in pixels or in fractions of its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeAlias, cast

import attrs

from imagesession.errors import InvalidImageError

Corners: TypeAlias = tuple[float, float, float, float]
_SIDES = 4


@attrs.frozen
class Box:
    """
    A box in pixels, or relative to the size of the image it is applied to.

    Attributes:
        corners: Left, top, right and bottom; right and bottom are exclusive.
        relative: Whether they are fractions of the image's width and height, or pixels.
    """

    corners: Corners
    relative: bool

    def on(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        width, height = size
        left, top, right, bottom = self.corners
        if self.relative:
            left, right = left * width, right * width
            top, bottom = top * height, bottom * height
        box = (round(left), round(top), round(right), round(bottom))
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            raise InvalidImageError(_outside_message(self, box, size))
        return box

    def __str__(self) -> str:
        shown = self.corners if self.relative else map(int, self.corners)
        return f"({', '.join(map(str, shown))})"


def parse_box(box: object) -> Box:
    """
    Parse a box as users write it: left, top, right and bottom. Integers are pixels; if any of the
    four is a float, all are fractions of the image from 0.0 to 1.0.
    """
    values = _numbers(box)
    if len(values) != _SIDES:
        raise InvalidImageError(
            f"A box is four numbers, (left, top, right, bottom), not {box!r:.80}. Whole numbers "
            "are pixels, and floats from 0.0 to 1.0 are shares of the image."
        )
    left, top, right, bottom = (float(value) for value in values)
    corners = (left, top, right, bottom)
    if all(isinstance(value, Integral) for value in values):
        return Box(corners, relative=False)
    if not all(0 <= value <= 1 for value in corners):
        raise InvalidImageError(
            f"The box {box!r:.80} has floats, which are shares of the image from 0.0 to 1.0. "
            "For pixels, give whole numbers."
        )
    return Box(corners, relative=True)


def _numbers(values: object) -> list[Real]:
    numbers: list[Real] = []
    for value in cast("Sequence[object]", values) if isinstance(values, Sequence) else ():
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return []
        numbers.append(value)
    return numbers


def _outside_message(box: Box, pixels: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    left, top, right, bottom = box.corners
    if left > right or top > bottom:
        problem = "is reversed: its right must be greater than its left, its bottom than its top"
    elif pixels[0] >= pixels[2] or pixels[1] >= pixels[3]:
        problem = "is empty: it is less than a pixel wide or high"
    else:
        problem = "does not lie within the image"
    return (
        f"The box {box} {problem}. The image is {size[0]}x{size[1]} pixels; a box is "
        "(left, top, right, bottom), counted from its upper left corner."
    )
