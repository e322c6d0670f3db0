"""
Angles: show a subject from the side, from a corner or from above, by moving its marks' points.
"""

import attrs

from imagesession._offline.sketch.canvas import Mark, Shape, Warp, flat_colour, warped
from imagesession._offline.sketch.colour import dark
from imagesession._offline.sketch.plan import Angle

FLAT = 0.6  # how tall a thing looks from above


def seen(marks: list[Mark], angle: Angle, x: float, base: float, size: float) -> list[Mark]:
    """Show marks from an angle; x is their middle, base their foot, size the side of their box."""
    eye = base - 0.6 * size
    warps: dict[Angle, Warp] = {
        "side": lambda p: (x - (p[0] - x) * 0.62, p[1]),
        # Its right side recedes: it is smaller there, and its foot is higher.
        "three-quarter": lambda p: (x + (p[0] - x) * 0.86 - size * 0.03,
                                    eye + (p[1] - eye) * (1 - 0.16 * (p[0] - x) / size)),
        # What is high is near to the eye, and so it is larger.
        "top": lambda p: (x + (p[0] - x) * (0.78 + 0.42 * (base - p[1]) / size),
                          base - (base - p[1]) * FLAT),
    }  # fmt: skip
    if angle == "front":
        return marks
    front = [warped(mark, warps[angle]) for mark in marks]
    return [*_flank(front, size), *front] if angle == "three-quarter" else front


def _flank(front: list[Mark], size: float) -> list[Mark]:
    # Dark copies behind the subject, each a little further back, close up to its side.
    solid = [
        m
        for m in front
        if isinstance(m, Shape) and m.role == "subject" and m.fill and m.alpha >= 0.9
    ]
    out: list[Mark] = []
    for layer in range(5, 0, -1):
        dx, dy = size * 0.0085 * layer, -size * 0.003 * layer
        for mark in solid:
            shade = attrs.evolve(mark, fill=dark(flat_colour(mark.fill), 0.4 + 0.03 * layer),
                                 stroke=None, role="shadow")  # fmt: skip
            out.append(warped(shade, lambda p, dx=dx, dy=dy: (p[0] + dx, p[1] + dy)))  # type: ignore[misc]
    return out
