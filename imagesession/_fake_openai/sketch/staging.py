"""
Staging: how a single subject is drawn into an image, with its colours, shadow and light.
"""

import math

from imagesession._fake_openai.sketch import path, people, symbols
from imagesession._fake_openai.sketch.canvas import Mark, Pen, Radial, Stop
from imagesession._fake_openai.sketch.colour import Colour, dark, light, luminance, mix, rgb
from imagesession._fake_openai.sketch.path import Warp
from imagesession._fake_openai.sketch.plan import Angle, Item, Plan
from imagesession._fake_openai.sketch.symbols import TABLE, Palette, shades

FLAT = 0.6  # how tall a thing looks from above
NIGHT = rgb("#171b26")
SHADE: Colour = (24, 20, 48)


def is_dark(plan: Plan) -> bool:
    return "dark" in plan.styles or "neon" in plan.styles or plan.time == "night"


def ground_of(plan: Plan) -> Colour:
    if plan.ground:
        return plan.ground
    if is_dark(plan):
        return mix(plan.scheme.ink, (12, 10, 12), 0.45) if plan.palette else NIGHT
    return plan.scheme.ground


def tone_of(item: Item, plan: Plan, ground: Colour | None = None) -> Palette:
    """Choose the colours of a subject: the prompt's, else its own."""
    subject = TABLE[item.name]
    first = bool(plan.items) and item.name == plan.items[0].name
    main = item.colour or (plan.colours[0] if plan.colours and first else subject.colour)
    second = plan.colours[1] if len(plan.colours) > 1 and first else None
    accent = item.accent or plan.accent or second or subject.accent
    if ground and math.dist(main, ground) < 46:
        main = dark(main, 0.13) if luminance(ground) > 110 else light(main, 0.4)
    if math.dist(accent, main) < 40 and not plan.accent:
        accent = light(main, 0.6) if luminance(main) < 140 else dark(main, 0.45)
    return shades(main, accent, paper=ground) if ground else shades(main, accent)


def put(pen: Pen, item: Item, tone: Palette, x: float, base: float, size: float, *, plan: Plan,
        flip: bool = False, stretch: float = 1.0) -> None:  # fmt: skip
    """Draw a subject standing on a point: x is its middle, base its foot."""
    s = size / 100
    with pen.placed(x, base, s, flip=flip, stretch=stretch), pen.placed(-50, -92):
        if item.name == "person":
            people.draw(pen, people.person_of(item, plan))
        else:
            symbols.draw(pen, item.name, tone)


def shadow(pen: Pen, x: float, base: float, size: float, strength: float = 0.3) -> None:
    x, base = x + size * 0.02, base + size * 0.004
    dim(pen, x, base, size * 0.48, size * 0.075, min(0.9, strength * 1.5))


def dim(pen: Pen, x: float, y: float, rx: float, ry: float, strength: float) -> None:
    """Draw a soft dark ellipse, by a gradient: a filter would take ten times as long."""
    stops = (Stop(0, SHADE, strength), Stop(0.45, SHADE, strength * 0.74),
             Stop(0.75, SHADE, strength * 0.24), Stop(1, SHADE, 0.0))  # fmt: skip
    with pen.role("shadow"):
        pen.shape([path.ellipse(x, y, rx, ry)], Radial((x, y), rx, stops, ry / rx))


def seen(marks: list[Mark], angle: Angle, x: float, base: float, size: float) -> list[Mark]:
    """Show marks from an angle; x is their middle, base their foot, size the side of their box."""
    eye = base - 0.6 * size
    warps: dict[Angle, Warp] = {
        "side": lambda p: (x - (p[0] - x) * 0.62, p[1]),
        # The right side recedes: it is smaller and higher.
        "three-quarter": lambda p: (x + (p[0] - x) * 0.86 - size * 0.03,
                                    eye + (p[1] - eye) * (1 - 0.16 * (p[0] - x) / size)),
        # The top is nearer to the eye, so it is larger.
        "top": lambda p: (x + (p[0] - x) * (0.78 + 0.42 * (base - p[1]) / size),
                          base - (base - p[1]) * FLAT),
    }  # fmt: skip
    return marks if angle == "front" else [mark.warped(warps[angle]) for mark in marks]
