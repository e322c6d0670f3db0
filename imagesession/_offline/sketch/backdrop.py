"""
Backdrops: what stands behind and below the subjects. Units: the picture's short side is 1000.
"""

import random

from imagesession._offline.sketch import path
from imagesession._offline.sketch.canvas import Linear, Pen, Stop, down, fade, vanish
from imagesession._offline.sketch.colour import Colour, dark, light, mix, rgb
from imagesession._offline.sketch.light import Light
from imagesession._offline.sketch.path import Point


def sky(pen: Pen, w: float, h: float, to: float, air: Light) -> None:
    """
    Paint the sky from the top down to a height.
    """
    pen.rect(0, 0, w, h, Linear((0, 0), (0, to), fade(*air.sky)))


def stars(pen: Pen, rng: random.Random, w: float, to: float, ink: Colour) -> None:
    """
    Scatter stars over the sky.
    """
    for alpha, r, count in ((0.45, 1.6, 70), (0.75, 2.4, 40), (1.0, 3.6, 12)):
        n = int(count * max(1.0, w * to / 700_000))
        dots = [path.ellipse(rng.uniform(0, w), rng.uniform(0, to), r, r) for _ in range(n)]
        pen.shape(dots, ink, alpha=alpha)
    for _ in range(4):
        pen.shape([path.star(rng.uniform(0, w), rng.uniform(0, to * 0.7), 11, 2.6, 4)], ink)


def disc(pen: Pen, x: float, y: float, r: float, air: Light, *, moon: bool = False) -> None:
    """
    Paint the sun or the moon with its glow.
    """
    with pen.role("glow"):
        reach = r * 5.2
        pen.glow(x, y, reach, air.glow, 0.4 if moon else 0.75)
    pen.circle(x, y, r, air.sun)
    if moon:
        with pen.role("detail"):
            shade = mix(air.sun, (120, 120, 150), 0.35)
            for dx, dy, k in ((-0.3, -0.2, 0.2), (0.25, 0.3, 0.26), (0.3, -0.35, 0.12),
                              (-0.35, 0.4, 0.14)):  # fmt: skip
                pen.circle(x + dx * r, y + dy * r, r * k, shade, alpha=0.5)


def cloud(pen: Pen, x: float, y: float, size: float, ink: Colour, alpha: float) -> None:
    """
    Paint a flat-bottomed cloud.
    """
    s = size / 100
    with pen.placed(x, y, s):
        pen.path("M-88 0 C-104 -2 -104 -26 -80 -26 C-78 -46 -50 -52 -38 -38 C-30 -66 12 -68 22 -38 "
                 "C36 -50 58 -42 58 -24 C88 -28 104 -4 86 0 Z", ink, alpha=alpha)  # fmt: skip


def clouds(pen: Pen, rng: random.Random, w: float, top: float, air: Light, count: int) -> None:
    """
    Paint some clouds.
    """
    n = max(1, round(count * w / 1000))
    for i in range(n):
        x = (i + rng.uniform(0.15, 0.85)) * w / n
        y = top * rng.uniform(0.22, 0.72)
        cloud(pen, x, y, rng.uniform(70, 130), air.cloud, rng.uniform(0.5, 0.85))


def _peak(pen: Pen, rng: random.Random, x: float, base: float, half: float, height: float,
          ink: Colour, snow: Colour | None) -> None:  # fmt: skip
    top = base - height
    left: list[Point] = [(x - half, base)]
    right: list[Point] = []
    for k in (0.3, 0.58, 0.82):
        left.append((x - half * (1 - k) + rng.uniform(-0.05, 0.05) * half,
                     base - height * (k + rng.uniform(-0.05, 0.05))))  # fmt: skip
        right.append((x + half * k + rng.uniform(-0.05, 0.05) * half,
                      top + height * (k + rng.uniform(-0.05, 0.05))))  # fmt: skip
    pen.polygon(*left, (x, top), *right, (x + half, base), ink=ink)
    with pen.role("detail"):
        keel = [(x - half * 0.06, top + height * 0.34), (x + half * 0.1, top + height * 0.55),
                (x - half * 0.04, top + height * 0.78), (x + half * 0.14, base)]  # fmt: skip
        pen.polygon((x, top), *right, (x + half, base), *reversed(keel),
                    ink=mix(ink, dark(ink, 0.34), 0.55))  # fmt: skip
    if snow:
        a, b = left[3], right[0]
        t = 0.5
        pen.polygon(
            (x, top), (x + (b[0] - x) * 0.98, top + (b[1] - top) * 0.98),
            (x + half * 0.17, top + height * 0.23), (x + half * 0.08, top + height * 0.34),
            (x - half * 0.03, top + height * 0.22), (x - half * 0.1, top + height * 0.31),
            (x + (a[0] - x) * (1 + t * 0.3), top + (a[1] - top) * (1 + t * 0.3)), a, ink=snow,
        )  # fmt: skip


def mountains(pen: Pen, seed: int, w: float, base: float, height: float, air: Light) -> None:
    """
    Paint ranges of mountains, the nearer the darker.
    """
    rng = random.Random(seed)
    lean = rng.choice((0.34, 0.66))
    for layer, (share, spread, tone) in enumerate(((1.0, 1.0, 0.12), (0.66, 0.85, 0.42),
                                                   (0.36, 0.8, 0.72))):  # fmt: skip
        ink = mix(air.far, air.near, tone)
        n = max(2, round((2 + layer) * w / 1000))
        peaks: list[tuple[float, float, float]] = []
        for i in range(n):
            x = (i + 0.5 + rng.uniform(-0.22, 0.22)) * w / n
            tall = height * share * rng.uniform(0.62, 0.86)
            peaks.append((x, tall, tall * rng.uniform(0.85, 1.15) * spread + w / n * 0.22))
        if layer == 0:
            # One peak leads.
            peaks.append((w * lean, height, height * 1.05))
        for x, tall, half in sorted(peaks, key=lambda peak: peak[1] if layer else -peak[1])[::-1]:
            _peak(pen, rng, x, base, half, tall, ink, air.snow if layer == 0 else None)
        with pen.role("ground"):
            veil = air.sky[-1]
            pen.rect(0, base - height * 0.3, w, height * 0.3 + 1,
                     Linear((0, base - height * 0.3), (0, base),
                            (Stop(0, veil, 0.0), Stop(1, veil, 0.32))))  # fmt: skip


def hills(pen: Pen, rng: random.Random, w: float, h: float, top: float, inks: tuple[Colour, ...],
          *, swell: float = 70) -> None:  # fmt: skip
    """
    Paint rolling hills down to the lower edge, one layer for each colour.
    """
    n = len(inks)
    for i, ink in enumerate(inks):
        y = top + (h - top) * (i / n) ** 1.15 * 0.86
        lift = swell * (1 - 0.5 * i / n)
        step = w / 4
        offset = rng.uniform(0, 1)
        points = [(x * step - step, y + lift * (-0.5 if (x + i) % 2 else 0.5) * (0.6 + 0.4 * offset)
                   + rng.uniform(-lift, lift) * 0.25) for x in range(7)]  # fmt: skip
        curve = path.smooth(points, closed=False)
        outline = (*curve, (points[-1][0], h + 10), (points[0][0], h + 10))
        pen.shape([outline], down(y - lift, (h - y) * 0.8 + lift, light(ink, 0.12), dark(ink, 0.1)))


def pine(pen: Pen, x: float, base: float, height: float, ink: Colour) -> None:
    """
    Paint a fir.
    """
    half = height * 0.24
    tiers: list[Point] = [(x, base - height)]
    for k, out, back in ((0.34, 0.5, 0.26), (0.62, 0.78, 0.42), (0.92, 1.0, 0.2)):
        y = base - height * (1 - k)
        tiers += [(x + half * out, y), (x + half * back, y - height * 0.02)]
    mirror = [(2 * x - a, b) for a, b in reversed(tiers[1:])]
    pen.polygon(*tiers, (x + half * 0.1, base), (x - half * 0.1, base), *mirror, ink=ink)


def woods(pen: Pen, rng: random.Random, w: float, base: float, height: float, ink: Colour,
          *, gap: tuple[float, float] | None = None) -> None:  # fmt: skip
    """
    Paint a line of firs, leaving a gap if one is wanted.
    """
    x = -20.0
    while x < w + 20:
        tall = height * rng.uniform(0.55, 1.0)
        if gap is None or not gap[0] * w < x < gap[1] * w:
            pine(pen, x, base + rng.uniform(0, height * 0.05), tall, ink)
        x += height * rng.uniform(0.16, 0.3)


def skyline(pen: Pen, rng: random.Random, w: float, base: float, height: float, ink: Colour,
            window: Colour | None) -> None:  # fmt: skip
    """
    Paint a row of buildings, with lit windows if a colour is given.
    """
    x = -30.0
    towers: list[path.Contour] = []
    windows: list[path.Contour] = []
    while x < w + 30:
        wide = height * rng.uniform(0.16, 0.3)
        middle = 1 - abs((x + wide / 2) / w - 0.5) * 0.9
        tall = height * rng.uniform(0.4, 1.0) * middle
        top = base - tall
        towers.append(path.rectangle(x, top, wide - 3, tall + 2))
        kind = rng.randrange(5)
        if kind == 0:
            towers.append(path.rectangle(x + wide * 0.44, top - tall * 0.22, 5, tall * 0.24))
        elif kind == 1:
            towers.append(path.rectangle(x + wide * 0.2, top - 16, wide * 0.6, 18))
        elif kind == 2:
            towers.append(((x, top + 1), (x + wide - 3, top - wide * 0.4), (x + wide - 3, top + 1)))
        step, pane = 17.0, 7.0
        for c in range(1, int((wide - 10) / step) + 1):
            left = x + c * step - pane / 2
            windows += [path.rectangle(left, top + r * 24, pane, 10)
                        for r in range(1, int(tall / 24)) if rng.random() < 0.42]  # fmt: skip
        x += wide
    pen.shape(towers, ink)
    if window:
        with pen.role("detail"):
            pen.shape(windows, window, alpha=0.9)


def water(pen: Pen, rng: random.Random, w: float, h: float, top: float, air: Light,
          *, sun_x: float | None = None) -> None:  # fmt: skip
    """
    Paint water from a height down to the lower edge, glittering below the sun.
    """
    tall = h - top
    for alpha, count, ink in ((0.22, 16, light(air.water[0], 0.45)), (0.16, 12, air.water[-1])):
        bars: list[path.Contour] = []
        for _ in range(int(count * max(1.0, w / 1000))):
            depth = rng.random() ** 1.4
            wide = 50 + 190 * depth * rng.uniform(0.5, 1)
            bars.append(path.rectangle(rng.uniform(-60, w), top + 8 + depth * (tall - 20), wide,
                                       2.5 + 6 * depth, 5))  # fmt: skip
        pen.shape(bars, ink, alpha=alpha)
    if sun_x is not None:
        glitter: list[path.Contour] = []
        y, i = top + 4.0, 0
        while y < h - 12:
            depth = (y - top) / tall
            wide = (150 * (1 - depth) ** 0.7 + 40) * rng.uniform(0.55, 1.0)
            thick = 4 + 9 * depth
            glitter.append(
                path.rectangle(
                    sun_x - wide / 2 + rng.uniform(-26, 26) * (0.3 + depth),
                    y,
                    wide,
                    thick,
                    thick / 2,
                )
            )
            y += thick * rng.uniform(1.5, 2.2)
            i += 1
        pen.shape(glitter, air.sun, alpha=0.72)


def weather(pen: Pen, rng: random.Random, w: float, h: float, kinds: frozenset[str], *,
            phase: float = 0.0) -> None:  # fmt: skip
    """
    Paint what falls: rain, snow, or leaves; the phase, 0 to 1, moves it.
    """
    with pen.role("weather"):
        if "rain" in kinds:
            _rain(pen, rng, w, h, phase)
        if "snow" in kinds:
            _snow(pen, rng, w, h, phase)
        if "autumn" in kinds:
            _leaves(pen, rng, w, h)


def _rain(pen: Pen, rng: random.Random, w: float, h: float, phase: float) -> None:
    for alpha, length, width, count in ((0.28, 34, 1.9, 96), (0.42, 56, 2.7, 58),
                                        (0.55, 84, 3.4, 22)):  # fmt: skip
        n = int(count * w * h / 1_000_000)
        drops: list[path.Contour] = []
        for _ in range(n):
            x, y = rng.uniform(-40, w + 80), (rng.uniform(0, 1) + phase) % 1.0 * (h + 120) - 100
            drops.append(((x, y), (x - length * 0.24, y + length)))
        pen.shape(drops, None, stroke=(226, 238, 250), width=width, alpha=alpha, closed=False)


def _snow(pen: Pen, rng: random.Random, w: float, h: float, phase: float) -> None:
    for alpha, r, count in ((0.6, 3.2, 90), (0.85, 5.4, 50), (0.95, 9.0, 18)):
        n = int(count * w * h / 1_000_000)
        flakes = [path.ellipse(rng.uniform(0, w),
                               (rng.uniform(0, 1) + phase) % 1.0 * (h + 40) - 20, r, r)
                  for _ in range(n)]  # fmt: skip
        pen.shape(flakes, (255, 255, 255), alpha=alpha)


def fog(pen: Pen, rng: random.Random, w: float, h: float, top: float, veil: Colour) -> None:
    """
    Paint banks of fog.
    """
    for i in range(4):
        y = top + (h - top) * (i / 4) + rng.uniform(-30, 30)
        tall = 150 + 50 * i
        stops = (Stop(0, veil, 0.0), Stop(0.5, veil, 0.6), Stop(1, veil, 0.0))
        pen.rect(0, y, w, tall, Linear((0, y), (0, y + tall), stops))


def _leaves(pen: Pen, rng: random.Random, w: float, h: float) -> None:
    for _ in range(int(26 * w * h / 1_000_000)):
        with pen.placed(rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.6, 1.3),
                        turn=rng.uniform(0, 360)):  # fmt: skip
            pen.path("M-16 0 C-8 -12 8 -12 16 0 C8 12 -8 12 -16 0 Z",
                     rng.choice(("#d9642c", "#eba33a", "#b9442f", "#f2c14e")))  # fmt: skip


def room(pen: Pen, rng: random.Random, w: float, h: float, wall: Colour, *, floor: float,
         accent: Colour, air: Light, window: bool) -> None:  # fmt: skip
    """
    Paint a wall with something on it, and a table before it.
    """
    pen.rect(
        0, 0, w, h, Linear((0, 0), (w * 0.8, h), fade(light(wall, 0.32), wall, dark(wall, 0.08)))
    )
    x = w * 0.5 + rng.choice((-1, 1)) * w * rng.uniform(0.0, 0.1)
    if window:
        _window(pen, w * 0.5 - 300, floor - 660, 600, 560, air)
    elif rng.random() < 0.5:
        pen.shape([_arch(x - 270, floor - 640, 540, 660)],
                  down(floor - 640, 640, light(accent, 0.45), light(accent, 0.7)))  # fmt: skip
    else:
        pen.circle(
            x, floor - 330, 310, down(floor - 640, 620, light(accent, 0.4), light(accent, 0.72))
        )
    with pen.role("glow"):
        pen.polygon((0, 0), (w * 0.34, 0), (w * 0.86, floor), (w * 0.36, floor), ink="#ffffff",
                    alpha=0.1)  # fmt: skip
    top = mix(dark(wall, 0.2), rgb("#a8754c"), 0.55)
    pen.rect(0, floor, w, h - floor, down(floor, h - floor, light(top, 0.22), dark(top, 0.06)))
    pen.rect(0, floor, w, 7, light(top, 0.5), alpha=0.7)


def _arch(x: float, y: float, w: float, h: float) -> path.Contour:
    r = w / 2
    k = r * 0.4477
    return ((x, y + h), (x, y + r), (x, y + k, x + k, y, x + r, y),
            (x + w - k, y, x + w, y + k, x + w, y + r), (x + w, y + h))  # fmt: skip


def _window(pen: Pen, x: float, y: float, w: float, h: float, air: Light) -> None:
    frame = "#fbf6ec"
    pen.rect(x - 18, y - 18, w + 36, h + 36, frame, radius=6)
    pen.rect(x, y, w, h, down(y, h, *air.sky))
    if air.dusky:
        pen.circle(x + w * 0.74, y + h * 0.24, 42, air.sun)
    ridge = [(x, y + h * 0.76), (x + w * 0.2, y + h * 0.66), (x + w * 0.42, y + h * 0.74),
             (x + w * 0.68, y + h * 0.62), (x + w, y + h * 0.72)]  # fmt: skip
    pen.shape([(*path.smooth(ridge, closed=False), (x + w, y + h), (x, y + h))], air.far)
    pen.rect(x, y + h * 0.84, w, h * 0.16, air.grass[1])
    pen.rect(x + w / 2 - 7, y, 14, h, frame)
    pen.rect(x, y + h * 0.45, w, 12, frame)
    pen.rect(x - 36, y + h + 10, w + 72, 22, frame, radius=5)


def underwater(pen: Pen, rng: random.Random, w: float, h: float, tint: Colour) -> None:
    """
    Paint the water from inside: rays, bubbles, sand and weed.
    """
    pen.rect(0, 0, w, h, down(0, h, light(tint, 0.62), tint, dark(tint, 0.45)))
    with pen.role("glow"):
        for i in range(5):
            x = w * (0.1 + i * 0.2) + rng.uniform(-40, 40)
            pen.polygon((x, 0), (x + 70, 0), (x - 60, h * 0.9), (x - 220, h * 0.9),
                        ink=Linear((0, 0), (0, h * 0.9), vanish("#ffffff", 0.26)))  # fmt: skip
    hills(
        pen,
        rng,
        w,
        h,
        h * 0.86,
        (mix(tint, rgb("#e9d39b"), 0.5), mix(tint, rgb("#f0dca8"), 0.72)),
        swell=40,
    )
    for _ in range(int(7 * max(1.0, w / 1000))):
        x = rng.choice((rng.uniform(0, w * 0.3), rng.uniform(w * 0.7, w)))
        tall = rng.uniform(150, 330)
        ink = rng.choice(("#2f8f6b", "#e2725b", "#3fae7c", "#f0a04b"))
        base = h * 0.97
        pen.trace(f"M{x} {base} C{x - 40} {base - tall * 0.4} {x + 40} {base - tall * 0.6} "
                  f"{x - 8} {base - tall}", ink, rng.uniform(12, 20), alpha=0.85)  # fmt: skip
    for _ in range(int(16 * max(1.0, w / 1000))):
        pen.ring(rng.uniform(0, w), rng.uniform(h * 0.06, h * 0.8), rng.uniform(5, 17),
                 (255, 255, 255), 2.6, alpha=0.55)  # fmt: skip
