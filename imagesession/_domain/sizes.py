"""
Which sizes a model takes, and which come closest to one that it does not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from .model_catalog import SizeRule


def is_supported(rule: SizeRule, width: int, height: int) -> bool:
    """
    Tell whether a size in pixels is one that a model takes.
    """
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


def nearest_sizes(rule: SizeRule, width: int, height: int) -> tuple[str, ...]:
    """
    Return the one or two sizes closest to one that a model does not take.
    """
    best = _by_distance(rule, width, height)[:2]
    return tuple(f"{size[0]}x{size[1]}" for size in sorted(best))


def supported_size(rule: SizeRule, width: int, height: int) -> tuple[int, int]:
    """
    Return a wanted size if a model takes it, else the one that stands in for it best.

    Where there are only a few sizes the shape counts first: a wide picture stays wide.

    Args:
        rule: What the model takes.
        width: Wanted, in pixels.
        height: Wanted, in pixels.
    """
    if is_supported(rule, width, height):
        return width, height
    nearest = _by_distance(rule, width, height)
    if not rule.fixed:
        return nearest[0]
    return min(nearest, key=lambda size: _aspect_distance(size, (width, height)))


def _by_distance(rule: SizeRule, width: int, height: int) -> list[tuple[int, int]]:
    """
    List the sizes that a model takes around a wanted one, the closest first.
    """

    def distance(size: tuple[int, int]) -> tuple[float, int]:
        away = abs(size[0] - ideal[0]) + abs(size[1] - ideal[1])
        return away + 100 * _aspect_distance(size, (width, height)), size[0]

    ideal = (float(width), float(height)) if rule.fixed else _into_limits(rule, width, height)
    candidates = rule.fixed or tuple(
        size for size in _around(ideal, rule.multiple) if is_supported(rule, *size)
    )
    return sorted(candidates, key=distance)


def _aspect_distance(size: tuple[int, int], wanted: tuple[int, int]) -> float:
    """
    Measure how far the shape of a size is from a wanted one, tall or wide alike.
    """
    return abs(math.log(size[0] / size[1]) - math.log(wanted[0] / wanted[1]))


def _into_limits(rule: SizeRule, width: int, height: int) -> tuple[float, float]:
    """
    Bend and scale a size as little as the limits on ratio, edge and pixels allow.
    """
    ratio = min(max(width / height, 1 / rule.max_ratio), rule.max_ratio)
    pixels = min(max(width * height, rule.min_pixels), rule.max_pixels)
    high = math.sqrt(pixels / ratio)
    wide = high * ratio
    shrink = min(1.0, rule.max_edge / max(wide, high))
    return wide * shrink, high * shrink


def _around(ideal: tuple[float, float], multiple: int) -> Iterable[tuple[int, int]]:
    """
    Yield the sizes on the grid of multiples around an ideal one.
    """
    steps = range(-1, 3)
    columns, rows = (int(edge // multiple) for edge in ideal)
    for across, down in itertools.product(steps, steps):
        yield (columns + across) * multiple, (rows + down) * multiple
