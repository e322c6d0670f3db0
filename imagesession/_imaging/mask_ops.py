"""
How a mask is made: facts that say what to draw once a picture's size is known.

Every recipe draws an "L" picture whose pixels say how far they may change: 255 wholly, 0 not.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import attrs

from imagesession.errors import InvalidImageError

from .boxes import Box
from .pillow_typing import resize

if TYPE_CHECKING:
    from PIL import Image

Size: TypeAlias = tuple[int, int]
Sign: TypeAlias = Literal["|", "&"]


class MaskOp(Protocol):
    """
    What to draw.
    """

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw it in a picture's size; rescale what has another size only where `resize_mask` says so.
        """
        ...


@attrs.frozen
class Shape:
    """
    A rectangle, or the ellipse that fills it.
    """

    kind: Literal["rectangle", "ellipse"]
    box: Box

    def draw(self, size: Size, *, fit: bool) -> Image.Image:  # noqa: ARG002 - a recipe takes it; a box has no size to fit
        """
        Draw it, sharp at the edge.
        """
        from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

        left, top, right, bottom = self.box.on(size)
        opening = Image.new("L", size, 0)
        brush = ImageDraw.Draw(opening)
        # Pillow draws no ellipse of a single pixel.
        thin = right - left == 1 or bottom - top == 1
        paint = brush.rectangle if thin or self.kind == "rectangle" else brush.ellipse
        paint((left, top, right - 1, bottom - 1), fill=255)
        return opening

    def __str__(self) -> str:
        return f"Mask.{self.kind}({self.box})"


@attrs.frozen
class LoadedMask:
    """
    What a picture opened when it was read.

    Attributes:
        size: Of the picture, in pixels.
        pixels: Its opening, a byte a pixel.
        origin: The named constructor that read it.
    """

    size: Size
    pixels: bytes = attrs.field(repr=False)
    origin: str = attrs.field(eq=False)

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw it as it was read.

        Raises:
            InvalidImageError: It has another size, and is not to be rescaled.
        """
        from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

        opening = Image.frombytes("L", self.size, self.pixels)
        check_size("mask", self.size, size, fit=fit)
        return opening if size == self.size else resize(opening, size, Image.Resampling.BILINEAR)

    def __str__(self) -> str:
        return f"Mask.{self.origin}(<{self.size[0]}x{self.size[1]}>)"


@attrs.frozen
class CombinedMask:
    """
    Several recipes: what any of them opens, or what all do.
    """

    sign: Sign
    parts: tuple[MaskOp, ...]

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw them and join them pixel by pixel.
        """
        from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

        join = ImageChops.lighter if self.sign == "|" else ImageChops.darker
        return functools.reduce(join, (part.draw(size, fit=fit) for part in self.parts))

    def __str__(self) -> str:
        return f"({f' {self.sign} '.join(map(str, self.parts))})"


@attrs.frozen
class Inverted:
    """
    What a recipe does not open.
    """

    inner: MaskOp

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw it and swap what is open and what is not.
        """
        from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

        return ImageChops.invert(self.inner.draw(size, fit=fit))

    def __str__(self) -> str:
        return f"~{self.inner}"


@attrs.frozen
class FeatheredMask:
    """
    A recipe with a soft edge.

    Attributes:
        inner: What is softened.
        radius: Of the Gaussian blur, in pixels.
    """

    inner: MaskOp
    radius: float

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw it and blur it.
        """
        from PIL import ImageFilter  # noqa: PLC0415 - slow to import, and hardly ever needed

        opening = self.inner.draw(size, fit=fit)
        # Farther than across the picture there is nothing more to blur.
        radius = min(self.radius, max(size))
        return opening.filter(ImageFilter.GaussianBlur(radius))

    def __str__(self) -> str:
        return f"{self.inner}.feather({self.radius:g})"


@attrs.frozen
class DilatedMask:
    """
    A recipe with its edge moved outwards, or inwards where `px` is negative.

    Attributes:
        inner: What grows.
        px: By how many pixels.
    """

    inner: MaskOp
    px: int

    def draw(self, size: Size, *, fit: bool) -> Image.Image:
        """
        Draw it and move its edge.
        """
        from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

        opening = self.inner.draw(size, fit=fit)
        if self.px >= 0:
            return _dilate(opening, self.px)
        return ImageChops.invert(_dilate(ImageChops.invert(opening), -self.px))

    def __str__(self) -> str:
        return f"{self.inner}.dilate({self.px})"


def combine(sign: Sign, left: MaskOp, right: MaskOp) -> CombinedMask:
    """
    Join two recipes; what is joined alike already stays one list, however many there are.
    """
    parts: list[MaskOp] = []
    for recipe in (left, right):
        if isinstance(recipe, CombinedMask) and recipe.sign == sign:
            parts.extend(recipe.parts)
        else:
            parts.append(recipe)
    return CombinedMask(sign, tuple(parts))


def check_size(what: str, own: Size, wanted: Size, *, fit: bool) -> None:
    """
    Refuse a picture whose size is not that of the one it lies over, unless it is to be rescaled.

    Raises:
        InvalidImageError: The sizes differ.
    """
    if own != wanted and not fit:
        raise InvalidImageError(
            f"The {what} is {own[0]}x{own[1]} pixels and the picture {wanted[0]}x{wanted[1]}; they "
            f"must be the same. Make the {what} anew, or have it rescaled with fit=True."
        )


def _dilate(opening: Image.Image, px: int) -> Image.Image:
    """
    Give every pixel the greatest value within a square around it.

    Each pass doubles how far values have come, so that a wide spread costs hardly more than a
    narrow one; Pillow's own MaxFilter looks at every pixel of the square.
    """
    from PIL import ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

    width, height = opening.size
    for right, down, length in ((1, 0, width), (-1, 0, width), (0, 1, height), (0, -1, height)):
        reached, goal = 0, min(px, length)
        while reached < goal:
            step = min(reached + 1, goal - reached)
            left, top = -right * step, -down * step
            moved = opening.crop((left, top, left + width, top + height))
            opening = ImageChops.lighter(opening, moved)
            reached += step
    return opening
