"""
Boxes within a picture: in pixels, or in shares of its size.
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
    A box whose size may depend on the picture that it is for.

    Attributes:
        corners: Left, top, right and bottom; right and bottom lie just outside.
        shares: Whether they are shares of the picture's width and height, or pixels.
    """

    corners: Corners
    shares: bool

    def on(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """
        Return the box in whole pixels of a picture.

        Args:
            size: Width and height of the picture, in pixels.

        Raises:
            InvalidImageError: It is empty or reversed, or does not lie within the picture.
        """
        width, height = size
        left, top, right, bottom = self.corners
        if self.shares:
            left, right = left * width, right * width
            top, bottom = top * height, bottom * height
        box = (round(left), round(top), round(right), round(bottom))
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            raise InvalidImageError(_outside(self, box, size))
        return box

    def __str__(self) -> str:
        shown = self.corners if self.shares else map(int, self.corners)
        return f"({', '.join(map(str, shown))})"


def parse_box(box: object) -> Box:
    """
    Read a box as users write it.

    Args:
        box: Left, top, right and bottom: whole numbers are pixels; where one of the four is
            a float, all are shares of the picture between 0 and 1.

    Raises:
        InvalidImageError: It is not that.
    """
    values = _numbers(box)
    if len(values) != _SIDES:
        raise InvalidImageError(
            f"A box is four numbers, (left, top, right, bottom), not {box!r:.80}. Whole numbers "
            "are pixels, and floats from 0.0 to 1.0 are shares of the picture."
        )
    left, top, right, bottom = (float(value) for value in values)
    corners = (left, top, right, bottom)
    if all(isinstance(value, Integral) for value in values):
        return Box(corners, shares=False)
    if not all(0 <= value <= 1 for value in corners):
        raise InvalidImageError(
            f"The box {box!r:.80} has floats, which are shares of the picture from 0.0 to 1.0. "
            "For pixels, give whole numbers."
        )
    return Box(corners, shares=True)


def _numbers(values: object) -> list[Real]:
    """
    Return values as they are, if they are finite numbers in a sequence; otherwise none.
    """
    numbers: list[Real] = []
    for value in cast("Sequence[object]", values) if isinstance(values, Sequence) else ():
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return []
        numbers.append(value)
    return numbers


def _outside(box: Box, pixels: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    left, top, right, bottom = box.corners
    if left > right or top > bottom:
        wrong = "is reversed: its right must be greater than its left, its bottom than its top"
    elif pixels[0] >= pixels[2] or pixels[1] >= pixels[3]:
        wrong = "is empty: it is less than a pixel wide or high"
    else:
        wrong = "does not lie within the picture"
    return (
        f"The box {box} {wrong}. The picture is {size[0]}x{size[1]} pixels; a box is "
        "(left, top, right, bottom), counted from its upper left corner."
    )
