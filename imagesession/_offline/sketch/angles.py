"""
Angles: show a subject from the side, from a corner or from above, by moving its marks' points.
"""

from imagesession._offline.sketch.canvas import Mark, Warp, warped
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
    return marks if angle == "front" else [warped(mark, warps[angle]) for mark in marks]
