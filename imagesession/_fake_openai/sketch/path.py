"""
Paths: outlines made of lines and Bézier curves, and their transformation.

A contour is a tuple of segments. The first is the starting point `(x, y)`; the others are
`(x, y)` for a line or `(x1, y1, x2, y2, x, y)` for a cubic curve.
"""

import functools
import math
import re
from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Segment: TypeAlias = tuple[float, ...]
Contour: TypeAlias = tuple[Segment, ...]
Matrix: TypeAlias = tuple[float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_TOKEN = re.compile(r"[MLHVCQZ]|-?\d*\.?\d+")
_ROUND = 0.5523  # control distance that makes four cubic curves a circle


def multiply(outer: Matrix, inner: Matrix) -> Matrix:
    """Combine two transformations: the inner is applied first."""
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    return (
        a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j,
        a * k + c * m + e, b * k + d * m + f,
    )  # fmt: skip


def moved(matrix: Matrix, contour: Contour) -> Contour:
    """Transform a contour."""
    a, b, c, d, e, f = matrix
    out: list[Segment] = []
    for seg in contour:
        if len(seg) == 2:
            x, y = seg
            out.append((a * x + c * y + e, b * x + d * y + f))
        else:
            p, q, r, s, x, y = seg
            out.append((
                a * p + c * q + e, b * p + d * q + f, a * r + c * s + e, b * r + d * s + f,
                a * x + c * y + e, b * x + d * y + f,
            ))  # fmt: skip
    return tuple(out)


def scale_of(matrix: Matrix) -> float:
    """Return the factor by which a transformation scales lengths."""
    a, b, c, d, _, _ = matrix
    return math.sqrt(abs(a * d - b * c))


def ellipse(cx: float, cy: float, rx: float, ry: float) -> Contour:
    """Outline an ellipse."""
    h, v = rx * _ROUND, ry * _ROUND
    return (
        (cx + rx, cy),
        (cx + rx, cy + v, cx + h, cy + ry, cx, cy + ry),
        (cx - h, cy + ry, cx - rx, cy + v, cx - rx, cy),
        (cx - rx, cy - v, cx - h, cy - ry, cx, cy - ry),
        (cx + h, cy - ry, cx + rx, cy - v, cx + rx, cy),
    )


def rectangle(x: float, y: float, w: float, h: float, radius: float = 0) -> Contour:
    """Outline a rectangle, with rounded corners if a radius is given."""
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


def arc(cx: float, cy: float, r: float, start: float, end: float, squash: float = 1.0) -> Contour:
    """Outline an arc between two angles in degrees, clockwise from the right."""
    steps = max(1, math.ceil(abs(end - start) / 60))
    step = math.radians(end - start) / steps
    k = 4 / 3 * math.tan(step / 4)
    angle = math.radians(start)
    out: list[Segment] = [(cx + r * math.cos(angle), cy + r * squash * math.sin(angle))]
    for _ in range(steps):
        c, s = math.cos(angle), math.sin(angle)
        angle += step
        d, t = math.cos(angle), math.sin(angle)
        out.append((
            cx + r * (c - k * s), cy + r * squash * (s + k * c),
            cx + r * (d + k * t), cy + r * squash * (t - k * d),
            cx + r * d, cy + r * squash * t,
        ))  # fmt: skip
    return tuple(out)


def star(cx: float, cy: float, outer: float, inner: float, points: int = 5) -> Contour:
    """Outline a star standing on two points."""
    out: list[Segment] = []
    for i in range(points * 2):
        r = inner if i % 2 else outer
        angle = math.pi * i / points - math.pi / 2
        out.append((cx + r * math.cos(angle), cy + r * math.sin(angle)))
    return tuple(out)


@functools.lru_cache(maxsize=1024)
def parse(d: str) -> tuple[Contour, ...]:
    """Read a path written in SVG's absolute commands M, L, H, V, C, Q and Z."""
    tokens = _TOKEN.findall(d)
    contours: list[list[Segment]] = []
    x = y = 0.0
    i, command = 0, "M"
    while i < len(tokens):
        if tokens[i].isalpha():
            command = tokens[i]
            i += 1
            if command == "Z":
                continue
        count = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "Q": 4}[command]
        v = [float(token) for token in tokens[i : i + count]]
        i += count
        seg = _segment(command, v, x, y)
        x, y = seg[-2:]
        if command == "M":
            contours.append([seg])
            command = "L"
        else:
            contours[-1].append(seg)
    return tuple(tuple(contour) for contour in contours)


def _segment(command: str, v: list[float], x: float, y: float) -> Segment:
    match command:
        case "H":
            return (v[0], y)
        case "V":
            return (x, v[0])
        case "Q":
            p, q, e, f = v
            return (
                x + (p - x) * 2 / 3, y + (q - y) * 2 / 3,
                e + (p - e) * 2 / 3, f + (q - f) * 2 / 3, e, f,
            )  # fmt: skip
        case _:
            return tuple(v)


def flatten(contour: Contour, parts: int) -> list[Point]:
    """Turn each curve into a number of straight lines."""
    x, y = contour[0][:2]
    out: list[Point] = [(x, y)]
    for seg in contour[1:]:
        if len(seg) == 2:
            out.append((seg[0], seg[1]))
        else:
            p, q, r, s, e, f = seg
            for i in range(1, parts + 1):
                t = i / parts
                u = 1 - t
                a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
                out.append((a * x + b * p + c * r + d * e, a * y + b * q + c * s + d * f))
        x, y = seg[-2:]
    return out


def bounds(contours: Sequence[Contour]) -> tuple[float, float, float, float]:
    """Find the box around the end points of outlines."""
    xs, ys = zip(*((seg[-2], seg[-1]) for contour in contours for seg in contour), strict=True)
    return (min(xs), min(ys), max(xs), max(ys))
