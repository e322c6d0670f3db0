"""
Mask operations: values that are drawn once the image's size is known.

Each operation draws an "L" image that says how far each pixel may change: 255 fully, 0 not at all.
"""

from __future__ import annotations

import functools
from typing import Literal, Protocol, TypeAlias

import attrs

from imagesession.errors import InvalidImageError

from . import pillow
from .boxes import Box
from .pillow import Picture, resize

Size: TypeAlias = tuple[int, int]
Sign: TypeAlias = Literal["|", "&"]


class MaskOp(Protocol):
    """
    An operation that draws a mask at an image's size. A mask that was read from an image of another
    size is rescaled only if `resize_mask`.
    """

    def draw(self, size: Size, *, resize_mask: bool) -> Picture: ...


@attrs.frozen
class Shape:
    kind: Literal["rectangle", "ellipse"]
    box: Box

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:  # noqa: ARG002 - part of the protocol; a box needs no rescaling
        left, top, right, bottom = self.box.on(size)
        alpha = pillow.Image.new("L", size, 0)
        brush = pillow.ImageDraw.Draw(alpha)
        # Pillow draws no ellipse that is one pixel wide or high.
        thin = right - left == 1 or bottom - top == 1
        paint = brush.rectangle if thin or self.kind == "rectangle" else brush.ellipse
        paint((left, top, right - 1, bottom - 1), fill=255)
        return alpha

    def __str__(self) -> str:
        return f"Mask.{self.kind}({self.box})"


@attrs.frozen
class LoadedMask:
    """
    A mask that was read from an image by a constructor of `Mask`, its origin; one byte a pixel.
    """

    size: Size
    pixels: bytes = attrs.field(repr=False)
    origin: str = attrs.field(eq=False)

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:
        alpha = pillow.Image.frombytes("L", self.size, self.pixels)
        check_size("mask", self.size, size, resize_mask=resize_mask)
        return alpha if size == self.size else resize(alpha, size, pillow.Image.Resampling.BILINEAR)

    def __str__(self) -> str:
        return f"Mask.{self.origin}(<{self.size[0]}x{self.size[1]}>)"


@attrs.frozen
class CombinedMask:
    sign: Sign
    parts: tuple[MaskOp, ...]

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:
        join = pillow.ImageChops.lighter if self.sign == "|" else pillow.ImageChops.darker
        return functools.reduce(
            join, (part.draw(size, resize_mask=resize_mask) for part in self.parts)
        )

    def __str__(self) -> str:
        return f"({f' {self.sign} '.join(map(str, self.parts))})"


@attrs.frozen
class Inverted:
    inner: MaskOp

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:
        return pillow.ImageChops.invert(self.inner.draw(size, resize_mask=resize_mask))

    def __str__(self) -> str:
        return f"~{self.inner}"


@attrs.frozen
class FeatheredMask:
    inner: MaskOp
    radius: float

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:
        alpha = self.inner.draw(size, resize_mask=resize_mask)
        # A radius beyond the image's size changes nothing more.
        radius = min(self.radius, max(size))
        return alpha.filter(pillow.ImageFilter.GaussianBlur(radius))

    def __str__(self) -> str:
        return f"{self.inner}.feather({self.radius:g})"


@attrs.frozen
class DilatedMask:
    inner: MaskOp
    px: int

    def draw(self, size: Size, *, resize_mask: bool) -> Picture:
        alpha = self.inner.draw(size, resize_mask=resize_mask)
        if self.px >= 0:
            return _dilate(alpha, self.px)
        return pillow.ImageChops.invert(_dilate(pillow.ImageChops.invert(alpha), -self.px))

    def __str__(self) -> str:
        return f"{self.inner}.dilate({self.px})"


def combine(sign: Sign, left: MaskOp, right: MaskOp) -> CombinedMask:
    """
    Combine two operations. Repeated combinations of the same kind stay one flat list.
    """
    parts: list[MaskOp] = []
    for operation in (left, right):
        if isinstance(operation, CombinedMask) and operation.sign == sign:
            parts.extend(operation.parts)
        else:
            parts.append(operation)
    return CombinedMask(sign, tuple(parts))


def check_size(what: str, actual: Size, expected: Size, *, resize_mask: bool) -> None:
    if actual != expected and not resize_mask:
        raise InvalidImageError(
            f"The {what} is {actual[0]}x{actual[1]} pixels and the image "
            f"{expected[0]}x{expected[1]}; they must be the same. Make the {what} in that size, or "
            "rescale it with resize_mask=True."
        )


def _dilate(alpha: Picture, px: int) -> Picture:
    """
    Give every pixel the greatest value within the square of radius `px` around it.

    Each pass about doubles the radius reached, so a wide dilation costs little more than a narrow
    one; Pillow's MaxFilter visits every pixel of the square.
    """
    width, height = alpha.size
    for right, down, length in ((1, 0, width), (-1, 0, width), (0, 1, height), (0, -1, height)):
        radius, target = 0, min(px, length)
        while radius < target:
            step = min(radius + 1, target - radius)
            left, top = -right * step, -down * step
            moved = alpha.crop((left, top, left + width, top + height))
            alpha = pillow.ImageChops.lighter(alpha, moved)
            radius += step
    return alpha
