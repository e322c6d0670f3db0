"""
Masks: which pixels of an image may change.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs

from imagesession._domain.wording import quote
from imagesession.errors import InvalidImageError

from . import pillow
from .boxes import parse_box
from .color import apply_orientation, encode_png
from .decode import decode_image, decode_upright
from .inputs import read_image_input
from .limits import check_pixels
from .mask_ops import DilatedMask, FeatheredMask, Inverted, LoadedMask, MaskOp, Shape, combine
from .mask_readers import OpenSide, from_alpha, from_alpha_or_luminance, from_luminance
from .pillow import apply_lut

if TYPE_CHECKING:
    from PIL import Image


Size: TypeAlias = tuple[int, int]
_TINT = (255, 0, 102)
_TINT_OPACITY = [value * 5 // 9 for value in range(256)]
_WHITE = 255


def _is_operation(_mask: Mask, _field: attrs.Attribute[MaskOp], value: MaskOp) -> None:
    if not hasattr(value, "draw"):
        raise InvalidImageError(
            f"Mask({quote(value)}) is no mask. Write Mask.from_file(path), Mask.rectangle(box) or "
            "another of its constructors."
        )


@attrs.frozen(repr=False)
class Mask:
    """
    Which pixels of an image may change. A mask is drawn once the image's size is known.

        sky = Mask.rectangle((0.0, 0.0, 1.0, 0.4))
        kettle = Mask.ellipse((320, 300, 700, 760)).dilate(8).feather(4)
        session.edit("a storm is coming", mask=sky & ~kettle)

    Masks are values: `a | b` is their union, `a & b` their intersection, `~a` the inverse.
    In a black-and-white image white may change, or black with `opens="black"`; in an image with
    transparency, transparent pixels may change.
    """

    _operation: MaskOp = attrs.field(validator=_is_operation)

    @classmethod
    def rectangle(cls, box: Sequence[float]) -> Mask:
        """
        Allow changes in a rectangle.

        Args:
            box: Left, top, right and bottom; right and bottom are exclusive. Integers are pixels,
                floats from 0.0 to 1.0 are fractions of the image.

        Raises:
            InvalidImageError: `box` is not a box.
        """
        return cls(Shape("rectangle", parse_box(box)))

    @classmethod
    def ellipse(cls, box: Sequence[float]) -> Mask:
        """
        Allow changes in the ellipse inscribed in a box.

        Args:
            box: As for `rectangle`.

        Raises:
            InvalidImageError: `box` is not a box.
        """
        return cls(Shape("ellipse", parse_box(box)))

    @classmethod
    def from_luminance(
        cls,
        image: object,
        *,
        opens: Literal["white", "black"] = "white",
        threshold: int | None = None,
    ) -> Mask:
        """
        Read a black-and-white image; grey pixels may change in part.

        Args:
            image: A path, bytes, an open file, a PIL image or a SavedImage.
            opens: Whether white or black pixels may change. Transparent pixels never do.
            threshold: From 1 to 255: pixels at least this bright count as white, others as black;
                None keeps greys.

        Raises:
            InvalidImageError: The image cannot be read.
        """
        _check_side(opens)
        _check_threshold(threshold)
        return cls(_loaded(from_luminance(_read_mask(image), opens, threshold), "from_luminance"))

    @classmethod
    def from_alpha(cls, image: object) -> Mask:
        """
        Read an image's transparency: transparent pixels may change.

        Args:
            image: A path, bytes, an open file, a PIL image or a SavedImage.

        Raises:
            InvalidImageError: The image cannot be read, or has no alpha channel.
        """
        return cls(_loaded(from_alpha(_read_mask(image)), "from_alpha"))

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, opens: Literal["white", "black"] = "white"
    ) -> Mask:
        """
        Read a mask from a file: by its transparency if it has any, otherwise by its brightness.

        Args:
            path: The file's path.
            opens: Whether white or black pixels may change in a black-and-white image.

        Raises:
            InvalidImageError: The file cannot be read, or is not a mask.
        """
        _check_side(opens)
        return cls(_loaded(from_alpha_or_luminance(_read_mask(path), opens), "from_file"))

    @classmethod
    def of(cls, value: object) -> Mask:
        """
        Return a mask unchanged, or read an image as `from_file` does.

        Args:
            value: A mask, or a path, bytes, an open file, a PIL image or a SavedImage.

        Raises:
            InvalidImageError: The image cannot be read, or is not a mask.
        """
        if isinstance(value, Mask):
            return value
        return cls(_loaded(from_alpha_or_luminance(_read_mask(value), "white"), "of"))

    def __or__(self, other: object) -> Mask:
        if not isinstance(other, Mask):
            return NotImplemented
        return Mask(combine("|", self._operation, other._operation))

    def __and__(self, other: object) -> Mask:
        if not isinstance(other, Mask):
            return NotImplemented
        return Mask(combine("&", self._operation, other._operation))

    def __invert__(self) -> Mask:
        return Mask(Inverted(self._operation))

    def invert(self) -> Mask:
        """
        Return the inverse, as `~mask` does.
        """
        return ~self

    def __repr__(self) -> str:
        return str(self._operation)

    def feather(self, radius_px: float) -> Mask:
        """
        Soften the edge.

        Args:
            radius_px: The radius in pixels of the image; pixels that close outside the edge may
                then change a little.

        Raises:
            InvalidImageError: `radius_px` is not a number from 0 up.
        """
        if not _is_nonnegative_number(radius_px):
            raise InvalidImageError(
                f"A feather's radius is a number of pixels from 0 up, not {quote(radius_px)}."
            )
        return Mask(FeatheredMask(self._operation, radius_px))

    def dilate(self, px: int) -> Mask:
        """
        Move the edge outwards, with square corners.

        Args:
            px: The distance in pixels of the image; a negative value moves the edge inwards.

        Raises:
            InvalidImageError: `px` is not an integer.
        """
        if not _is_whole(px):
            raise InvalidImageError(f"A mask grows by a whole number of pixels, not {quote(px)}.")
        return Mask(DilatedMask(self._operation, px))

    def alpha(self, size: Size, *, resize_mask: bool = False) -> Image.Image:
        """
        Draw which pixels of an image may change.

        Args:
            size: The image's width and height, in pixels.
            resize_mask: Whether to rescale masks that were read from images of another size.

        Returns:
            A PIL image of mode L: 255 where pixels may change, 0 where they stay.

        Raises:
            InvalidImageError: The mask was read from an image of another size, or a box does not
                lie within the image.
        """
        return self._operation.draw(_validate_size(size), resize_mask=resize_mask)

    def coverage(self, size: Size, *, resize_mask: bool = False) -> float:
        """
        Return the fraction of an image that may change, from 0.0 to 1.0.

        Args:
            size: The image's width and height, in pixels.
            resize_mask: As for `alpha`.

        Raises:
            InvalidImageError: As for `alpha`.
        """
        return _mean_fraction(self.alpha(size, resize_mask=resize_mask))

    def png(self, size: Size, *, resize_mask: bool = False) -> bytes:
        """
        Encode the mask as OpenAI expects it: a PNG that is transparent where pixels may change.

        Args:
            size: The image's width and height, in pixels.
            resize_mask: As for `alpha`.

        Raises:
            InvalidImageError: As for `alpha`; or no pixel may change, or every pixel may.
        """
        alpha = self.alpha(size, resize_mask=resize_mask)
        validate_alpha(alpha)
        encoded = pillow.Image.new("RGBA", alpha.size, (0, 0, 0, 255))
        encoded.putalpha(pillow.ImageChops.invert(alpha))
        return encode_png(encoded)

    def preview(self, image: object, *, resize_mask: bool = False) -> Image.Image:
        """
        Return a copy of an image in which the pixels that may change are tinted.

        Args:
            image: A path, bytes, an open file, a PIL image or a SavedImage.
            resize_mask: As for `alpha`.

        Raises:
            InvalidImageError: As for `alpha`, or the image cannot be read.
        """
        data, name = read_image_input(image)
        image = decode_upright(data, name).convert("RGBA")
        alpha = self.alpha(image.size, resize_mask=resize_mask)
        tint = pillow.Image.new("RGBA", image.size, (*_TINT, 255))
        return pillow.Image.composite(tint, image, apply_lut(alpha, _TINT_OPACITY))


# The module that users import it from.
Mask.__module__ = "imagesession"


def validate_alpha(alpha: Image.Image) -> None:
    histogram = alpha.histogram()
    if sum(histogram[1:]) == 0:
        raise InvalidImageError(
            "The mask opens nothing: no pixel may change. White opens in a black-and-white mask "
            '(black with opens="black") and transparency in other masks; look at it with '
            "mask.preview(image), or invert it with ~mask."
        )
    if sum(histogram[:255]) == 0:
        raise InvalidImageError(
            "The mask opens everything: each pixel may change. Leave the mask out to change the "
            "whole image; or look at it with mask.preview(image), or invert it with ~mask."
        )


def _mean_fraction(alpha: Image.Image) -> float:
    weighted = sum(value * count for value, count in enumerate(alpha.histogram()))
    return weighted / (255 * alpha.width * alpha.height)


def _read_mask(image: object) -> tuple[Image.Image, str]:
    data, name = read_image_input(image, "The mask")
    return apply_orientation(decode_image(data, name)), name


def _loaded(alpha: Image.Image, origin: str) -> LoadedMask:
    return LoadedMask(alpha.size, alpha.tobytes(), origin)


def _check_side(opens: object) -> None:
    if opens not in get_args(OpenSide):
        raise InvalidImageError(
            f'What opens in a black-and-white mask is "white" or "black", not {quote(opens)}.'
        )


def _check_threshold(threshold: object) -> None:
    if threshold is not None and not (
        isinstance(threshold, int) and _is_whole(threshold) and 0 < threshold <= _WHITE
    ):
        raise InvalidImageError(
            f"A mask's threshold is a whole number from 1 to 255, not {quote(threshold)}."
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_nonnegative_number(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


def _validate_size(size: Size) -> Size:
    width, height = size
    if width < 1 or height < 1:
        raise InvalidImageError(f"An image has at least one pixel; {width}x{height} has none.")
    check_pixels((width, height), "The image")
    return width, height
