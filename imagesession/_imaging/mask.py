"""
Masks: what may change in a picture, and what is to stay.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from imagesession.errors import InvalidImageError

from .boxes import parse_box
from .color import apply_orientation, encode_png
from .decode import decode_image, decode_upright
from .inputs import read_image_input
from .limits import check_pixels
from .mask_ops import DilatedMask, FeatheredMask, Inverted, LoadedMask, MaskOp, Shape, combine
from .mask_readers import Side, from_alpha, from_alpha_or_luminance, from_luminance
from .pillow_typing import apply_lut

if TYPE_CHECKING:
    from PIL import Image

Size: TypeAlias = tuple[int, int]
_TINT = (255, 0, 102)
_TINTING = [value * 5 // 9 for value in range(256)]
_WHITE = 255


@attrs.frozen(repr=False)
class Mask:
    """
    A recipe of what may change in a picture; it is drawn when the picture's size is known.

        sky = Mask.rectangle((0.0, 0.0, 1.0, 0.4))
        kettle = Mask.ellipse((320, 300, 700, 760)).dilate(8).feather(4)
        session.edit("a storm is coming", mask=sky & ~kettle)

    Masks are values: `a | b` opens what either opens, `a & b` what both open, and `~a` the rest.
    In black-and-white pictures white may change, unless `opens="black"` is said; in pictures with
    transparency, what is transparent may change.
    """

    _recipe: MaskOp

    @classmethod
    def rectangle(cls, box: Sequence[float]) -> Mask:
        """
        Open a rectangle.

        Args:
            box: Left, top, right and bottom; right and bottom lie just outside of it. Whole
                numbers are pixels, floats from 0.0 to 1.0 are shares of the picture.

        Raises:
            InvalidImageError: It is no box.
        """
        return cls(Shape("rectangle", parse_box(box)))

    @classmethod
    def ellipse(cls, box: Sequence[float]) -> Mask:
        """
        Open the ellipse that fills a box.

        Args:
            box: As for `rectangle`.

        Raises:
            InvalidImageError: It is no box.
        """
        return cls(Shape("ellipse", parse_box(box)))

    @classmethod
    def from_luminance(
        cls,
        picture: object,
        *,
        opens: Literal["white", "black"] = "white",
        threshold: int | None = None,
    ) -> Mask:
        """
        Read a black-and-white picture; greys may change in part.

        Args:
            picture: A path, bytes, an open file, a PIL image or a SavedImage.
            opens: What may change: its white, or its black. Transparent pixels never do.
            threshold: From 1 to 255: what is at least as bright counts as white and the rest as
                black; None keeps greys.

        Raises:
            InvalidImageError: The picture cannot be read.
        """
        side = _side(opens)
        _check_threshold(threshold)
        opening = from_luminance(_read(picture), side, threshold)
        return cls(_painted(opening, "from_luminance"))

    @classmethod
    def from_alpha(cls, picture: object) -> Mask:
        """
        Read a picture's transparency: what is transparent may change.

        Args:
            picture: A path, bytes, an open file, a PIL image or a SavedImage.

        Raises:
            InvalidImageError: The picture cannot be read, or has no alpha channel.
        """
        return cls(_painted(from_alpha(_read(picture)), "from_alpha"))

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, opens: Literal["white", "black"] = "white"
    ) -> Mask:
        """
        Read a mask from a file: by its transparency if it has any, else by its black and white.

        Args:
            path: Where it lies.
            opens: What may change in a black-and-white picture.

        Raises:
            InvalidImageError: The file cannot be read, or is neither.
        """
        return cls(_painted(from_alpha_or_luminance(_read(path), _side(opens)), "from_file"))

    @classmethod
    def of(cls, value: object) -> Mask:
        """
        Take a mask as it is, and read any picture as `from_file` does.

        Args:
            value: A mask, or a path, bytes, an open file, a PIL image or a SavedImage.

        Raises:
            InvalidImageError: The picture cannot be read, or is no mask.
        """
        if isinstance(value, Mask):
            return value
        return cls(_painted(from_alpha_or_luminance(_read(value), "white"), "of"))

    def __or__(self, other: object) -> Mask:
        return (
            Mask(combine("|", self._recipe, other._recipe))
            if isinstance(other, Mask)
            else NotImplemented
        )

    def __and__(self, other: object) -> Mask:
        return (
            Mask(combine("&", self._recipe, other._recipe))
            if isinstance(other, Mask)
            else NotImplemented
        )

    def __invert__(self) -> Mask:
        return Mask(Inverted(self._recipe))

    def __repr__(self) -> str:
        return str(self._recipe)

    def feather(self, radius_px: float) -> Mask:
        """
        Soften the edge.

        Args:
            radius_px: How far, in pixels of the picture; what lies that close outside the edge
                may then change a little.

        Raises:
            InvalidImageError: It is no number from 0 up.
        """
        if not _is_length(radius_px):
            raise InvalidImageError(
                f"A feather's radius is a number of pixels from 0 up, not {radius_px!r}."
            )
        return Mask(FeatheredMask(self._recipe, radius_px))

    def dilate(self, px: int) -> Mask:
        """
        Move the edge outwards, with square corners.

        Args:
            px: By how many pixels of the picture; negative moves it inwards.

        Raises:
            InvalidImageError: It is no whole number.
        """
        if not _is_whole(px):
            raise InvalidImageError(f"A mask grows by a whole number of pixels, not {px!r}.")
        return Mask(DilatedMask(self._recipe, px))

    def alpha(self, size: Size, *, fit: bool = False) -> Image.Image:
        """
        Draw what may change in a picture.

        Args:
            size: The picture's width and height, in pixels.
            fit: Whether to rescale what was read from pictures of another size.

        Returns:
            A PIL image of mode L: 255 where pixels may change, 0 where they stay.

        Raises:
            InvalidImageError: It was read from a picture of another size, or a box does not lie
                within the picture.
        """
        return self._recipe.draw(_checked_size(size), fit=fit)

    def coverage(self, size: Size, *, fit: bool = False) -> float:
        """
        Return which share of a picture may change, from 0.0 to 1.0.

        Args:
            size: The picture's width and height, in pixels.
            fit: As for `opening`.

        Raises:
            InvalidImageError: As for `opening`.
        """
        return _share(self.alpha(size, fit=fit))

    def png(self, size: Size, *, fit: bool = False) -> bytes:
        """
        Write the mask as the wire takes it: a PNG that is transparent where pixels may change.

        Args:
            size: The picture's width and height, in pixels.
            fit: As for `opening`.

        Raises:
            InvalidImageError: As for `opening`; or the mask opens nothing, or everything.
        """
        from PIL import Image, ImageChops  # noqa: PLC0415 - slow to import, and hardly ever needed

        opening = self.alpha(size, fit=fit)
        validate_alpha(opening)
        form = Image.new("RGBA", opening.size, (0, 0, 0, 255))
        form.putalpha(ImageChops.invert(opening))
        return encode_png(form)

    def preview(self, picture: object, *, fit: bool = False) -> Image.Image:
        """
        Show what may change, tinted, in a picture that is otherwise as it was.

        Args:
            picture: A path, bytes, an open file, a PIL image or a SavedImage.
            fit: As for `opening`.

        Raises:
            InvalidImageError: As for `opening`, or the picture cannot be read.
        """
        from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

        data, name = read_image_input(picture)
        shown = decode_upright(data, name).convert("RGBA")
        opening = self.alpha(shown.size, fit=fit)
        tint = Image.new("RGBA", shown.size, (*_TINT, 255))
        return Image.composite(tint, shown, apply_lut(opening, _TINTING))


# The name under which users import it.
Mask.__module__ = "imagesession"


def validate_alpha(opening: Image.Image) -> None:
    """
    Refuse an opening that asks for nothing, or leaves nothing to keep.

    Args:
        opening: As `Mask.opening` draws it.

    Raises:
        InvalidImageError: No pixel of it may change, or every pixel may wholly.
    """
    histogram = opening.histogram()
    if sum(histogram[1:]) == 0:
        raise InvalidImageError(
            "The mask opens nothing: no pixel may change. In a black-and-white mask, white opens, "
            'and with opens="black" black does; in one with transparency, what is transparent '
            "opens. Look at it with mask.preview(picture), or invert it with ~mask."
        )
    if sum(histogram[:255]) == 0:
        raise InvalidImageError(
            "The mask opens everything: each pixel may change. Leave the mask out to change the "
            "whole picture; or look at it with mask.preview(picture), or invert it with ~mask."
        )


def _share(opening: Image.Image) -> float:
    weighed = sum(value * count for value, count in enumerate(opening.histogram()))
    return weighed / (255 * opening.width * opening.height)


def _read(picture: object) -> tuple[Image.Image, str]:
    data, name = read_image_input(picture, "The mask")
    return apply_orientation(decode_image(data, name)), name


def _painted(opening: Image.Image, origin: str) -> LoadedMask:
    return LoadedMask(opening.size, opening.tobytes(), origin)


def _side(opens: object) -> Side:
    if opens == "white":
        return "white"
    if opens == "black":
        return "black"
    raise InvalidImageError(
        f'What opens in a black-and-white mask is "white" or "black", not {opens!r}.'
    )


def _check_threshold(threshold: object) -> None:
    if threshold is not None and not (
        isinstance(threshold, int) and _is_whole(threshold) and 0 < threshold <= _WHITE
    ):
        raise InvalidImageError(
            f"A mask's threshold is a whole number from 1 to 255, not {threshold!r}."
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_length(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


def _checked_size(size: Size) -> Size:
    width, height = size
    if width < 1 or height < 1:
        raise InvalidImageError(f"A picture has at least one pixel; {width}x{height} has none.")
    check_pixels((width, height), "The picture")
    return width, height
