"""
Posters, for prompts that name nothing known: their words, well set, on a composition of shapes.
"""

import random

from imagesession._offline.sketch import path
from imagesession._offline.sketch.colour import Colour, dark, light, luminance, mix
from imagesession._offline.sketch.canvas import Linear, Pen, down, fade
from imagesession._offline.sketch.plan import Plan
from imagesession._offline.sketch.staging import NIGHT, is_dark
from imagesession._offline.sketch.lettering import fitting, letter, lines


def colours(plan: Plan) -> tuple[Colour, Colour, Colour, Colour]:
    """
    Choose four colours: the prompt's own first, then the scheme's.
    """
    s = plan.scheme
    own = list(plan.colours[:3])
    if plan.accent:
        own.append(plan.accent)
    rest = [s.main, s.second, s.accent, s.ink]
    if own and len(own) < 3:
        rest = [dark(own[0], 0.35), light(own[0], 0.4), s.accent, s.ink]
    a, b, c, d = (own + rest)[:4]
    return a, b, c, d


def ground(plan: Plan, pen: Pen, w: float, h: float, *, calm: bool = False) -> None:
    """
    Paint a ground for a sign: soft shapes around the middle, or nothing if it is to be calm.
    """
    rng = random.Random(plan.seed)
    a, b, c, _ = colours(plan)
    base = plan.ground or light(a, 0.78)
    if calm:
        base = plan.ground or light(plan.scheme.ground, 0.2)
    pen.rect(0, 0, w, h, Linear((0, 0), (w, h), fade(light(base, 0.3), base)))
    if calm:
        return
    x, y = w / 2, h / 2
    for share, r in ((0.62, 470), (0.5, 380)):
        pen.circle(x, y, r, mix(base, light(a, 0.45), 1 - share))
    for i in range(9):
        across, along = rng.uniform(-1, 1), rng.uniform(-1, 1)
        if abs(across) < 0.62 and abs(along) < 0.62:
            across = 0.8 if across > 0 else -0.8
        spot = (x + across * w * 0.46, y + along * h * 0.46)
        ink = (a, b, c)[i % 3]
        reach = rng.uniform(10, 26)
        if i % 3 == 0:
            pen.ring(*spot, reach, ink, 7, alpha=0.75)
        elif i % 3 == 1:
            pen.circle(*spot, reach * 0.7, ink, alpha=0.75)
        else:
            pen.shape([path.star(*spot, reach, reach * 0.4, 4)], ink, alpha=0.85)


def poster(plan: Plan, pen: Pen, w: float, h: float) -> None:
    """
    Compose shapes that the words choose, and set the words below them.
    """
    rng = random.Random(plan.seed)
    kinds = (_orbits, _bauhaus, _waves, _blooms, _strata)
    with pen.role("ground"):
        kinds[(plan.seed // 8) % len(kinds)](plan, pen, rng, w, h)
    base = _base(plan)
    ink = plan.scheme.ink if luminance(base) > 120 else (250, 247, 240)
    title = plan.poster
    short = len(title) <= 16
    rows = [title.upper()] if short else lines(title[:1].upper() + title[1:], round(22 * max(1, w / h)))
    size = min(74.0, *(fitting(row, 74.0, 0.84 * w / (1.16 if short else 1.0)) for row in rows))
    size = min(size, 190 / len(rows))
    top = h - 128 - (len(rows) - 1) * size * 0.58
    for i, row in enumerate(rows):
        letter(pen, row, w / 2, top + i * size * 1.16, size, ink,
               tracking=size * (0.12 if short else 0.015), bold=0.006)  # fmt: skip
    pen.rect(w / 2 - 34, h - 44, 68, 6, colours(plan)[2], radius=3)


def _base(plan: Plan) -> Colour:
    return plan.ground or (NIGHT if is_dark(plan) else light(colours(plan)[0], 0.84))


def _orbits(plan: Plan, pen: Pen, rng: random.Random, w: float, h: float) -> None:
    a, b, c, d = colours(plan)
    base = _base(plan)
    pen.rect(0, 0, w, h, down(0, h, light(base, 0.4), base))
    x, y = w / 2, h * 0.43
    r = 300.0
    pen.circle(x, y, r, Linear((x - r, y - r), (x + r, y + r), fade(light(a, 0.25), dark(a, 0.15))))
    for i in range(3 + plan.seed % 3):
        orbit = r * (0.45 + 0.3 * i)
        pen.ring(x, y, orbit, mix(d, base, 0.35), 3)
        angle = rng.uniform(0, 360)
        with pen.placed(x, y, turn=angle):
            pen.circle(orbit, 0, rng.uniform(18, 54), (b, c, light(b, 0.3))[i % 3])
    pen.path(
        f"M{x - r} {y} C{x - r} {y + 400} {x + r} {y + 400} {x + r} {y} "
        f"C{x + r * 0.5} {y + 130} {x - r * 0.5} {y - 130} {x - r} {y} Z",
        b,
        alpha=0.85,
    )


def _bauhaus(plan: Plan, pen: Pen, rng: random.Random, w: float, h: float) -> None:
    inks = colours(plan)
    base = _base(plan)
    pen.rect(0, 0, w, h, base)
    cell = 170.0
    columns, rows = max(3, int(w * 0.72 / cell)), max(3, int((h - 330) / cell))
    left, top = (w - columns * cell) / 2, 90.0 + max(0.0, (h - 330 - rows * cell) / 2)
    for i in range(columns * rows):
        x, y = left + i % columns * cell, top + i // columns * cell
        ink, other = rng.sample(inks, 2)
        pen.rect(x, y, cell - 8, cell - 8, light(ink, 0.62), radius=10)
        s = cell - 8
        with pen.placed(x + s / 2, y + s / 2, s / 100, turn=rng.randrange(4) * 90):
            match rng.randrange(6):
                case 0:
                    pen.path("M-50 -50 C5.2 -50 50 -5.2 50 50 L-50 50 Z", ink)
                case 1:
                    pen.circle(0, 0, 38, ink)
                    pen.circle(0, 0, 16, other)
                case 2:
                    pen.polygon((-50, 50), (50, 50), (50, -50), ink=ink)
                case 3:
                    for k in range(4):
                        pen.rect(-50 + k * 26, -50, 13, 100, ink)
                case 4:
                    pen.path("M-50 0 C-50 -66 50 -66 50 0 Z", ink)
                    pen.path("M-50 50 C-50 -16 50 -16 50 50 Z", other)
                case _:
                    pen.polygon((0, -44), (44, 0), (0, 44), (-44, 0), ink=ink)


def _waves(plan: Plan, pen: Pen, rng: random.Random, w: float, h: float) -> None:
    a, b, c, d = colours(plan)
    base = _base(plan)
    pen.rect(0, 0, w, h, down(0, h, light(base, 0.5), mix(base, c, 0.25)))
    x = w * rng.uniform(0.3, 0.7)
    pen.circle(x, h * 0.3, 150, Linear((x, h * 0.15), (x, h * 0.45), fade(light(c, 0.3), c)))
    n = 6
    for i in range(n):
        ink = mix(light(a, 0.35), mix(b, d, 0.35), i / (n - 1))
        y = h * (0.34 + 0.085 * i)
        points = [(k * w / 5 - w / 10, y + rng.uniform(-60, 60)) for k in range(7)]
        pen.shape([(*path.smooth(points, closed=False), (w * 1.2, h + 9), (-w * 0.2, h + 9))],
                  down(y - 60, 320, light(ink, 0.12), ink))  # fmt: skip
    points = [(k * w / 5 - w / 10, h - 232 + rng.uniform(-26, 26)) for k in range(7)]
    pen.shape([(*path.smooth(points, closed=False), (w * 1.2, h + 9), (-w * 0.2, h + 9))], base)


def _blooms(plan: Plan, pen: Pen, rng: random.Random, w: float, h: float) -> None:
    inks = colours(plan)
    base = _base(plan)
    pen.rect(0, 0, w, h, base)
    x, y = w / 2, h * 0.43
    petals = 5 + plan.seed % 7
    for ring in range(4):
        ink = inks[(ring + plan.seed) % 4]
        k = 1 - ring * 0.23
        for i in range(petals):
            with pen.placed(x, y, 3.4 * k, turn=(i + ring * 0.5) * 360 / petals):
                pen.path("M0 0 C-36 -26 -30 -84 0 -100 C30 -84 36 -26 0 0 Z", ink,
                         alpha=0.72)  # fmt: skip
    pen.circle(x, y, 38, light(inks[2], 0.5))
    for _ in range(14):
        pen.circle(rng.uniform(0, w), rng.uniform(0, h * 0.8), rng.uniform(4, 13), rng.choice(inks),
                   alpha=0.45)  # fmt: skip


def _strata(plan: Plan, pen: Pen, rng: random.Random, w: float, h: float) -> None:
    inks = colours(plan)
    base = _base(plan)
    pen.rect(0, 0, w, h, down(0, h, light(base, 0.5), base))
    n = 5 + plan.seed % 4
    wide = min(w * 0.74, 1100.0)
    left = (w - wide) / 2
    for i in range(n):
        x = left + i * wide / n
        tall = h * rng.uniform(0.3, 0.66)
        top = h * 0.78 - tall
        ink = inks[i % 4]
        s = wide / n - 14
        pen.shape([path.rectangle(x, top, s, tall, s / 2)], down(top, tall, light(ink, 0.3), ink))
        pen.circle(x + s / 2, top + s / 2, s * 0.3, inks[(i + 1) % 4])
    pen.rect(0, h * 0.78 - 6, w, h, base)
    pen.rect(left, h * 0.78 - 6, wide, 5, plan.scheme.ink, radius=2)


def mesh(plan: Plan, pen: Pen, w: float, h: float) -> None:
    """
    Paint soft coloured light, as a background.
    """
    rng = random.Random(plan.seed)
    inks = colours(plan)
    base = plan.ground or light(inks[0], 0.5)
    pen.rect(0, 0, w, h, Linear((0, 0), (w, h), fade(light(base, 0.3), inks[0])))
    for i in range(7):
        spot = (w * rng.uniform(-0.05, 1.05), h * rng.uniform(-0.05, 1.05))
        r = rng.uniform(380, 700)
        with pen.role("glow"):
            pen.glow(*spot, r, inks[i % 3], 0.8)
    for i in range(3):
        y = h * (0.55 + 0.14 * i)
        points = [(k * w / 4 - w / 8, y + rng.uniform(-90, 90)) for k in range(6)]
        pen.shape([(*path.smooth(points, closed=False), (w * 1.2, h + 9), (-w * 0.2, h + 9))],
                  inks[i], alpha=0.22)  # fmt: skip
