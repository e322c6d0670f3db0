"""
The sizes that a model supports, and the closest ones to a size that it does not support.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from imagesession.errors import InvalidOptionError

from .model_catalog import SizeRule
from .options import parse_ratio, parse_size

# The edges of an image whose shape alone is given: those of the sizes that all models share.
_SQUARE, _LONGER_EDGE = 1024, 1536
# From here on, the numbers of a ratio are pixels.
_PIXELS = 100
# Above this logarithmic distance, a ratio is another shape: 16:9 is 3:2, and 3:1 is not.
_OTHER_SHAPE = 0.35
# The sizes of an unknown model; every model of OpenAI since 2025 makes these.
_COMMON = SizeRule(fixed=((1024, 1024), (1536, 1024), (1024, 1536)))


def is_supported(rule: SizeRule, width: int, height: int) -> bool:
    if rule.fixed:
        return (width, height) in rule.fixed
    return (
        width > 0
        and height > 0
        and width % rule.multiple == 0
        and height % rule.multiple == 0
        and max(width, height) <= rule.max_edge
        and max(width, height) <= rule.max_ratio * min(width, height)
        and rule.min_pixels <= width * height <= rule.max_pixels
    )


def resolve_size(text: str, rule: SizeRule | None) -> str:
    """
    Return the nearest size that a model makes to a ratio, in the form of `GenerateOptions.size`;
    another size unchanged.
    """
    ratio = parse_ratio(text)
    if ratio is None:
        return text
    rule, aim = rule or _COMMON, _aim(*ratio)
    width, height = supported_size(rule, *aim)
    if _aspect_distance((width, height), aim) > _OTHER_SHAPE:
        raise InvalidOptionError(
            f"size={text!r} is longer than the image model makes images. Nearest: "
            f"{width}x{height}.",
            "size",
            text,
            (f"{width}x{height}",),
        )
    return f"{width}x{height}"


def canvas_size(text: str, image: tuple[int, int], rule: SizeRule | None) -> tuple[int, int]:
    """
    Return the size of the canvas on which an image is extended to a size or ratio.
    """
    ratio = parse_ratio(text)
    if ratio is not None and min(ratio) < _PIXELS:
        width = max(image[0], image[1] * ratio[0] / ratio[1])
        text = f"{round(width)}:{max(1, round(width * ratio[1] / ratio[0]))}"
    size = parse_size(resolve_size(text, rule))
    if size is None:
        raise InvalidOptionError(
            'to="auto" names no shape. Write a ratio such as to="16:9", or a size.', "to", text
        )
    return size


def _aim(width: float, height: float) -> tuple[int, int]:
    """
    Return the pixels that a ratio stands for; numbers that are pixels already are kept.
    """
    if min(width, height) >= _PIXELS:
        return round(width), round(height)
    longer = _SQUARE if width == height else _LONGER_EDGE
    scale = longer / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def nearest_sizes(rule: SizeRule, width: int, height: int) -> tuple[str, ...]:
    best = _by_distance(rule, width, height)[:2]
    return tuple(f"{size[0]}x{size[1]}" for size in sorted(best))


def supported_size(rule: SizeRule, width: int, height: int) -> tuple[int, int]:
    """
    Return a size if a model supports it, else the best substitute. Among fixed sizes the closest
    aspect ratio comes first: a wide image stays wide.
    """
    if is_supported(rule, width, height):
        return width, height
    nearest = _by_distance(rule, width, height)
    if not rule.fixed:
        return nearest[0]
    return min(nearest, key=lambda size: _aspect_distance(size, (width, height)))


def _by_distance(rule: SizeRule, width: int, height: int) -> list[tuple[int, int]]:
    def distance(size: tuple[int, int]) -> tuple[float, int]:
        away = abs(size[0] - ideal[0]) + abs(size[1] - ideal[1])
        return away + 100 * _aspect_distance(size, (width, height)), size[0]

    ideal = (float(width), float(height)) if rule.fixed else _fit_limits(rule, width, height)
    candidates = rule.fixed or tuple(
        size for size in _around(ideal, rule.multiple) if is_supported(rule, *size)
    )
    return sorted(candidates, key=distance)


def _aspect_distance(size: tuple[int, int], target: tuple[int, int]) -> float:
    return abs(math.log(size[0] / size[1]) - math.log(target[0] / target[1]))


def _fit_limits(rule: SizeRule, width: int, height: int) -> tuple[float, float]:
    """
    Change a size's ratio and scale as little as the limits on ratio, edge and pixels require.
    """
    ratio = min(max(width / height, 1 / rule.max_ratio), rule.max_ratio)
    pixels = min(max(width * height, rule.min_pixels), rule.max_pixels)
    high = math.sqrt(pixels / ratio)
    wide = high * ratio
    shrink = min(1.0, rule.max_edge / max(wide, high))
    return wide * shrink, high * shrink


def _around(ideal: tuple[float, float], multiple: int) -> Iterable[tuple[int, int]]:
    steps = range(-1, 3)
    columns, rows = (int(edge // multiple) for edge in ideal)
    for across, down in itertools.product(steps, steps):
        yield (columns + across) * multiple, (rows + down) * multiple
