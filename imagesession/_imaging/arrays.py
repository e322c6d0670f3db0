"""
Read arrays of pixels, such as NumPy's, without needing NumPy.

Source: https://numpy.org/doc/stable/reference/arrays.interface.html, as of November 2026.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeGuard, cast

from imagesession.errors import InvalidImageError

from . import pillow
from .limits import check_pixels
from .pillow import Picture, apply_lut, scaled

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ENDIAN = "<" if sys.byteorder == "little" else ">"
# The formats of memoryview and of Pillow's raw decoder for floats.
_FLOATS: dict[str, tuple[Literal["f", "d"], str]] = {
    f"{_ENDIAN}f4": ("f", "F;32NF"),
    f"{_ENDIAN}f8": ("d", "F;64NF"),
}
# Interpolation may exceed a range a little.
_SLACK = 0.01


class Pixels(Protocol):
    """
    An array of pixels: its shape, type and memory.
    """

    @property
    def __array_interface__(self) -> Any: ...  # noqa: ANN401 - arrays differ in how they declare it


def has_pixels(source: object) -> TypeGuard[Pixels]:
    return isinstance(getattr(source, "__array_interface__", None), Mapping)


def is_buffer(source: object) -> bool:
    try:
        memoryview(cast("bytes", source)).release()
    except (TypeError, ValueError, BufferError):
        return False
    return True


def read_array(source: Pixels, what: str) -> bytes | Picture:
    """
    Read an array as an image: of the shape (height, width), or with 1, 3 or 4 channels as a third
    dimension, of uint8, bool, or floats from 0.0 to 1.0. One dimension of uint8 is a file.
    """
    facts = cast("Mapping[str, Any]", source.__array_interface__)
    shape, kind = tuple(facts["shape"]), str(facts["typestr"])
    if len(shape) == 1 and kind == "|u1":
        return _raw(source, facts, what)
    height, width, channels = _dimensions(shape, what)
    if kind not in {"|u1", "|b1", *_FLOATS}:
        raise InvalidImageError(
            f"{what} is an array of {kind!r}. Convert it to uint8 from 0 to 255, to bool, or to "
            "float32 from 0.0 to 1.0."
        )
    data = _raw(source, facts, what)
    if len(data) != height * width * channels * int(kind[2:]):
        raise InvalidImageError(f"{what} is an array with fewer numbers than its shape {shape}.")
    if kind in _FLOATS:
        return _from_floats(data, (width, height), channels, kind, what)
    return _from_bytes(data, (width, height), channels, kind)


def _dimensions(shape: tuple[int, ...], what: str) -> tuple[int, int, int]:
    height, width, channels = (*shape, 1)[:3] if len(shape) in {2, 3} else (0, 0, 0)
    if not height or not width or channels not in _MODES:
        raise InvalidImageError(
            f"{what} is an array of the shape {str(shape)[:60]}; an image's is (height, width), "
            "(height, width, 3) or (height, width, 4)."
        )
    check_pixels((width, height), what)
    return height, width, channels


def _raw(source: object, facts: Mapping[str, Any], what: str) -> bytes:
    data = facts.get("data")
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(cast("bytes", source)).tobytes()
    except (TypeError, ValueError, BufferError) as error:
        raise InvalidImageError(
            f"{what} is an array whose memory cannot be read here ({error}). Copy it to the "
            "computer's own memory, or give PIL.Image.fromarray(array)."
        ) from error


def _from_bytes(data: bytes, size: tuple[int, int], channels: int, kind: str) -> Picture:
    picture = pillow.Image.frombytes(_MODES[channels], size, data)
    table = [0, *[255] * 255] * channels
    return apply_lut(picture, table) if kind == "|b1" else picture


def _from_floats(
    data: bytes, size: tuple[int, int], channels: int, kind: str, what: str
) -> Picture:
    code, raw_mode = _FLOATS[kind]
    numbers = memoryview(data).cast(code)
    if not math.isfinite(sum(numbers)):
        raise InvalidImageError(
            f"{what} is an array with numbers that are not finite (NaN or infinity). Replace them "
            "first, as with numpy.nan_to_num."
        )
    bands = [
        pillow.Image.frombytes("F", size, numbers[first::channels].tobytes(), "raw", raw_mode)
        for first in range(channels)
    ]
    lows, highs = zip(
        *(cast("tuple[float, float]", band.getextrema()) for band in bands), strict=True
    )
    if min(lows) < -_SLACK or max(highs) > 1 + _SLACK:
        raise InvalidImageError(
            f"{what} is an array of floats from {min(lows):g} to {max(highs):g}; an image's are "
            "from 0.0 to 1.0. Scale them, or convert it to uint8."
        )
    return pillow.Image.merge(_MODES[channels], [scaled(band, 255).convert("L") for band in bands])
