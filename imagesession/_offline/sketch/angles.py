"""
Angles: show a subject from the side, from a corner or from above, by moving its marks' points.
"""

import attrs

from imagesession._offline.sketch.canvas import Mark, Shape, Text, Warp, flat_colour, warped
from imagesession._offline.sketch.colour import dark
from imagesession._offline.sketch.path import Point
from imagesession._offline.sketch.plan import Angle

_NARROW = 0.62  # how wide a thing looks that is turned by a quarter
FLAT = 0.6  # how tall a thing looks from above
_DEPTH = 5  # layers that make up the side of a thing turned by an eighth


def seen(marks: list[Mark], angle: Angle, x: float, base: float, size: float) -> list[Mark]:
    """
    Show marks from an angle.

    Args:
        marks: A subject as seen from the front.
        angle: From where it is seen.
        x: Its middle.
        base: Its foot.
        size: The side of its box.
    """
    match angle:
        case "front":
            return marks
        case "side":
            return [warped(mark, lambda p: (x - (p[0] - x) * _NARROW, p[1])) for mark in marks]
        case "three-quarter":
            turn = _turned(x, base, size)
            front = [warped(mark, turn) for mark in marks]
            return [*_flank(front, size), *front]
        case "top":
            return [warped(mark, _overhead(x, base, size)) for mark in marks]


def _turned(x: float, base: float, size: float) -> Warp:
    # Its right side recedes: it is smaller there, and its foot is higher.
    eye = base - 0.6 * size

    def turn(point: Point) -> Point:
        across = (point[0] - x) / size
        return (x + (point[0] - x) * 0.86 - size * 0.03,
                eye + (point[1] - eye) * (1 - 0.16 * across))  # fmt: skip

    return turn


def _overhead(x: float, base: float, size: float) -> Warp:
    # What is high is near to the eye, and so it is larger.
    def fall(point: Point) -> Point:
        height = (base - point[1]) / size
        return (x + (point[0] - x) * (0.78 + 0.42 * height), base - height * size * FLAT)

    return fall


def _flank(front: list[Mark], size: float) -> list[Mark]:
    # Dark copies behind the subject, each a little further back, close up to its side.
    solid = [mark for mark in front if isinstance(mark, Shape) and _solid(mark)]
    out: list[Mark] = []
    for layer in range(_DEPTH, 0, -1):
        back = _by(size * 0.0085 * layer, -size * 0.003 * layer)
        out += [_shaded(warped(mark, back), 0.4 + 0.02 * layer) for mark in solid]
    return out


def _by(dx: float, dy: float) -> Warp:
    return lambda point: (point[0] + dx, point[1] + dy)


def _solid(mark: Shape) -> bool:
    # A line has no side to be seen.
    return mark.role == "subject" and mark.fill is not None and mark.alpha >= 0.9


def _shaded(mark: Mark, share: float) -> Mark:
    if isinstance(mark, Text):
        return mark
    fill = None if mark.fill is None else dark(flat_colour(mark.fill), share)
    return attrs.evolve(mark, fill=fill, stroke=None, role="shadow")


