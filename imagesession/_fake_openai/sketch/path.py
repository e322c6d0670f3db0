"""
Paths: outlines made of lines and Bézier curves, and their transformation.

A contour is a tuple of segments. The first is the starting point `(x, y)`; the others are
`(x, y)` for a line or `(x1, y1, x2, y2, x, y)` for a cubic curve.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Warp: TypeAlias = Callable[[Point], Point]
Segment: TypeAlias = tuple[float, ...]
Contour: TypeAlias = tuple[Segment, ...]

_COMMAND = re.compile(r"([MLCZ])([^MLCZ]*)")
_ROUND = 0.5523  # control distance that makes four cubic curves a circle


def warped(contour: Contour, warp: Warp) -> Contour:
    return tuple(
        tuple(part for i in range(0, len(seg), 2) for part in warp((seg[i], seg[i + 1])))
        for seg in contour
    )


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Contour:
    h, v = rx * _ROUND, ry * _ROUND
    return (
        (cx + rx, cy),
        (cx + rx, cy + v, cx + h, cy + ry, cx, cy + ry),
        (cx - h, cy + ry, cx - rx, cy + v, cx - rx, cy),
        (cx - rx, cy - v, cx - h, cy - ry, cx, cy - ry),
        (cx + h, cy - ry, cx + rx, cy - v, cx + rx, cy),
    )


def rectangle(x: float, y: float, w: float, h: float, radius: float = 0) -> Contour:
    if radius <= 0:
        return ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    r = min(radius, w / 2, h / 2)
    k, x2, y2 = r * (1 - _ROUND), x + w, y + h
    return (
        (x + r, y), (x2 - r, y), (x2 - k, y, x2, y + k, x2, y + r),
        (x2, y2 - r), (x2, y2 - k, x2 - k, y2, x2 - r, y2),
        (x + r, y2), (x + k, y2, x, y2 - k, x, y2 - r),
        (x, y + r), (x, y + k, x + k, y, x + r, y),
    )  # fmt: skip


@functools.lru_cache(maxsize=1024)
def parse(d: str) -> tuple[Contour, ...]:
    """Read a path written in SVG's absolute commands M, L, C and Z."""
    contours: list[list[Segment]] = []
    for command, numbers in _COMMAND.findall(d):
        values = tuple(map(float, numbers.split()))
        step = 6 if command == "C" else 2
        contours += [[]] if command == "M" else []
        contours[-1] += [values[i : i + step] for i in range(0, len(values), step)]
    return tuple(map(tuple, contours))


def flatten(contour: Contour) -> list[Point]:
    out: list[Point] = []
    for seg in contour:
        if len(seg) == 6:
            (x, y), (p, q, r, s, e, f) = out[-1], seg
            out.append(((x + 3 * p + 3 * r + e) / 8, (y + 3 * q + 3 * s + f) / 8))
        out.append((seg[-2], seg[-1]))
    return out


def bounds(contours: Sequence[Contour]) -> tuple[float, float, float, float]:
    xs, ys = zip(*((seg[-2], seg[-1]) for contour in contours for seg in contour), strict=True)
    return (min(xs), min(ys), max(xs), max(ys))
