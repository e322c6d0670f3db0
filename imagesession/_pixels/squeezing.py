"""
From pixels to a file of at most so many bytes, with as few attempts as that takes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._model.pictures import PictureFormat
from imagesession._model.previews import Preview

from .shrinking import fitted

if TYPE_CHECKING:
    from PIL import Image

# WebP's method 4 is lighter by a twentieth, and takes two and a half times as long.
_METHOD = 2
# What a drawing or photo takes in bits a pixel before it is known, by experience.
_BITS_EXPECTED = 0.3
# What files have before their pixels, in bytes.
_HEADS: Mapping[PictureFormat, int] = {"jpeg": 620, "webp": 40, "png": 60}
# From so many bits a pixel on, it is noise.
_NOISY = 3.0


@attrs.frozen
class Step:
    """
    How coarse a file may become.

    Attributes:
        side: The longer edge in pixels, at most.
        quality: As the format's encoder counts it, from 0 to 100.
    """

    side: int
    quality: int


def squeezed(
    picture: Image.Image, form: PictureFormat, steps: Sequence[Step], most: int, begin: int = 0
) -> Preview:
    """
    Write a picture as finely as so many bytes allow.

    Args:
        picture: In RGB, or RGBA where the format has transparency.
        form: The format.
        steps: How it may be written, from the finest to the coarsest.
        most: As many bytes as it may have.
        begin: Which step is tried first.

    Returns:
        The file; it has more bytes only if the coarsest step has.
    """
    *_, last = attempts(picture, form, steps, most, begin)
    return last


def attempts(
    picture: Image.Image, form: PictureFormat, steps: Sequence[Step], most: int, begin: int = 0
) -> Iterator[Preview]:
    """
    Write a picture until it has so few bytes: what the first attempt weighs tells which step will
    do, and there is hardly ever a third. All else as for `squeezed`.
    """
    at = begin
    while True:
        shown = fitted(picture, (steps[at].side, steps[at].side))
        written = write(shown, form, quality=steps[at].quality)
        yield written
        if len(written.data) <= most or at == len(steps) - 1:
            return
        at = _next(written, steps, at, most)


def expected(steps: Sequence[Step], most: int) -> int:
    """
    Tell which step will do for a picture of which nothing is known.
    """
    fits = (at for at, one in enumerate(steps) if one.side**2 * _BITS_EXPECTED / 8 <= most)
    return next(fits, len(steps) - 1)


def write(picture: Image.Image, form: PictureFormat, **how: Any) -> Preview:  # noqa: ANN401 - Pillow's own options
    """
    Write a picture as a file with nothing in it but pixels.

    Args:
        picture: In RGB, or RGBA where the format has transparency.
        form: The format.
        how: What its encoder is told beside what it is told always.
    """
    buffer = io.BytesIO()
    method = {"method": _METHOD} if form == "webp" else {}
    picture.save(buffer, form.upper(), exif=b"", icc_profile=None, **method, **how)
    return Preview(data=buffer.getvalue(), format=form, width=picture.width, height=picture.height)


def _next(written: Preview, steps: Sequence[Step], at: int, most: int) -> int:
    """
    Tell which step will do, from what an earlier one weighed.
    """
    edge, tried = max(written.width, written.height), steps[at]
    head = _HEADS[written.format]
    body = max(0, len(written.data) - head)
    bits = min(_NOISY, 8 * body / (written.width * written.height))
    by_side = 1.1 + 0.3 * bits
    by_quality = 0.012 + bits / 400 if written.format == "jpeg" else 0.014 - bits / 700
    for later in range(at + 1, len(steps) - 1):
        step = steps[later]
        share = (min(step.side, edge) / edge) ** by_side
        share *= math.exp(by_quality * (step.quality - tried.quality))
        if head + body * share <= most:
            return later
    return len(steps) - 1
