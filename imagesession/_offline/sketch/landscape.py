"""
Landscapes: mountains, woods, cities, seas and lakes under their sky.
"""

import attrs

from imagesession._offline.sketch import backdrop, path
from imagesession._offline.sketch.canvas import Mark, Shape, Text, down, faded
from imagesession._offline.sketch.colour import Colour, dark, light, mix, rgb
from imagesession._offline.sketch.staging import Stage, put, tone_of
from imagesession._offline.sketch.symbols import TABLE

LIT = rgb("#ffd98a")  # the light of windows and lamps
_WATERS = frozenset({"lake", "sea"})


def landscape(stage: Stage, lands: set[str]) -> float:
    """
    Paint the land, and return the height at which subjects stand in it.
    """
    pen, w, h, air, plan = stage.pen, stage.w, stage.h, stage.air, stage.plan
    wet = bool(lands & _WATERS)
    high = "sky" in lands or "city" in lands
    horizon = h * (0.6 if wet else 0.8 if high else 0.64)
    backdrop.sky(pen, w, h, horizon, air)
    if plan.time == "night" and not plan.weather & {"rain", "fog", "snow"}:
        backdrop.stars(pen, stage.rng(2), w, horizon, (255, 250, 235))
    sun_x = heaven(stage, horizon)
    if "sky" in lands or plan.time in {None, "day"} or "cloud" in plan.weather:
        if "cloud" not in plan.removed:
            backdrop.clouds(pen, stage.rng(4), w, horizon, air, 5 if "sky" in lands else 3)
    elif plan.time in {"sunset", "dawn"} and "cloud" not in plan.removed:
        _streaks(stage, horizon)
    if not stage.has("sun", "moon", "stars", "cloud", "rainbow"):
        # A sky that was not asked for goes as a whole with the ground of a transparent picture.
        pen.marks[:] = [mark if isinstance(mark, Text) else attrs.evolve(mark, back=True)
                        for mark in pen.marks]  # fmt: skip
    before = len(pen.marks)
    _far(stage, lands, horizon)
    risen = pen.marks[before:]
    if wet:
        _waters(stage, lands, horizon, sun_x, risen)
        return h * (0.84 if lands <= _WATERS else 0.88)
    if "city" in lands:
        pen.rect(0, horizon - 2, w, h, down(horizon, h - horizon, mix(air.near, air.far, 0.3),
                                            dark(air.near, 0.3)))  # fmt: skip
        return h * 0.9
    inks = air.grass if "sky" not in lands else (air.grass[0], air.grass[1])
    backdrop.hills(pen, stage.rng(6), w, h, horizon, inks)
    if "forest" in lands:
        backdrop.woods(pen, stage.rng(7), w, h * 0.82, 300, dark(air.grass[-1], 0.25),
                       gap=(0.28, 0.72))  # fmt: skip
    return h * 0.87


def heaven(stage: Stage, horizon: float) -> float | None:
    """
    Paint the sun or the moon, and return where it stands across the picture, if it is there.
    """
    plan, air, pen, w = stage.plan, stage.air, stage.pen, stage.w
    moon = plan.time == "night"
    if {TABLE[i.name].place for i in plan.items} == {"sky"} and plan.time is None:
        return None  # it is the subject itself
    if ("moon" if moon else "sun") in plan.removed or plan.weather & {"rain", "snow"}:
        return None
    rng = stage.rng(3)
    low = plan.time in {"sunset", "dawn"}
    x = w * rng.choice((0.38, 0.5, 0.62)) if low else w * rng.choice((0.24, 0.76))
    drift = (stage.phase - 0.5) * 60 if stage.phase else 0
    y = horizon - (150 if low else horizon * 0.68) + (drift if low else 0)
    if low or moon or any(item.name == "sun" for item in plan.items):
        radius = (92 if low else 62 if moon else 80) * min(1.8, plan.zoom)
        backdrop.disc(pen, x, y, radius, air, moon=moon)
        return x
    with pen.role("glow"):
        backdrop.disc(pen, x, y, 58, air)
    return x


def _streaks(stage: Stage, horizon: float) -> None:
    rng = stage.rng(5)
    for _ in range(int(5 * max(1.0, stage.w / 1000))):
        x, y = rng.uniform(0, stage.w), horizon * rng.uniform(0.14, 0.68)
        wide = rng.uniform(160, 420)
        ink = mix(stage.air.cloud, stage.air.sky[-1], y / horizon * 0.6)
        stage.pen.rect(x - wide / 2, y, wide, 15, ink, radius=8, alpha=0.55)
        stage.pen.rect(x - wide * 0.2, y - 15, wide * 0.62, 15, ink, radius=8, alpha=0.4)


def _far(stage: Stage, lands: set[str], horizon: float) -> None:
    pen, w, air = stage.pen, stage.w, stage.air
    seed = stage.plan.seed * 31 + 8
    lift = horizon * 0.56 * max(0.5, min(1.6, stage.plan.zoom))
    if "mountain" in lands or "lake" in lands:
        backdrop.mountains(
            pen, seed, w, horizon + 2, lift * (1 if "mountain" in lands else 0.6), air
        )
    if "volcano" in lands:
        item = next(item for item in stage.plan.everything if item.name == "volcano")
        put(pen, item, tone_of(item, stage.plan), w * 0.5, horizon + 6, horizon * 0.95, plan=stage.plan)
    if "city" in lands:
        lamps = LIT if air.dusky or "rain" in stage.plan.weather else light(air.sky[0], 0.6)
        zoom = 1.15 * max(0.5, min(1.5, stage.plan.zoom))
        for k, (tall, tone) in enumerate(((0.62, 0.1), (0.5, 0.45), (0.34, 0.85))):
            backdrop.skyline(pen, stage.rng(20 + k), w, horizon + k * 30, horizon * tall * zoom,
                             mix(air.far, air.near, tone), lamps if k else None)  # fmt: skip
    if "forest" in lands:
        for k in range(3):
            ink = mix(mix(air.far, air.grass[-1], 0.3 + 0.25 * k), air.near, 0.12 * k)
            backdrop.woods(pen, stage.rng(30 + k), w, horizon + 24 + k * 46, 190 + k * 50, ink)


def _waters(stage: Stage, lands: set[str], horizon: float, sun_x: float | None,
            risen: list[Mark]) -> None:  # fmt: skip
    pen, w, h, air, plan = stage.pen, stage.w, stage.h, stage.air, stage.plan
    named = next((i.colour for i in plan.everything if i.name in _WATERS and i.colour), None)
    if named:
        air = attrs.evolve(air, water=(light(named, 0.4), named, dark(named, 0.3)))
    pen.rect(0, horizon, w, h - horizon, down(horizon, h - horizon, *air.water))
    if "sea" not in lands:
        # The land stands mirrored in a lake.
        mirror = (1.0, 0.0, 0.0, -0.62, 0.0, horizon * 1.62)
        with pen.role("detail"):
            for mark in faded(risen, 0.4):
                if isinstance(mark, Shape) and isinstance(mark.fill, tuple):
                    low = tuple(path.moved(mirror, c) for c in mark.contours)
                    pen.marks.append(attrs.evolve(mark, contours=low, role="detail"))
    else:
        for k in range(4):
            y = horizon + (h - horizon) * (0.1 + 0.2 * k)
            _swell(stage, y, air.water[0] if k % 2 else light(air.water[-1], 0.2), 0.3)
    backdrop.water(pen, stage.rng(9), w, h, horizon, air, sun_x=sun_x)
    if "sea" in lands and "boat" not in {i.name for i in plan.items} and not stage.has("ship"):
        sand = mix(rgb("#f1dcae"), air.near, 0.5 if air.dusky else 0.05)
        edge = [(-20, h * 0.93), (w * 0.25, h * 0.87), (w * 0.55, h * 0.91), (w * 0.8, h * 0.86),
                (w + 20, h * 0.89)]  # fmt: skip
        foam = [(x, y - 16) for x, y in edge]
        for points, ink in ((foam, light(air.water[0], 0.75)), (edge, sand)):
            pen.shape([(*path.smooth(points, closed=False), (w + 20, h + 9), (-20, h + 9))], ink)
    elif "sea" not in lands:
        _shore(stage)


def _shore(stage: Stage) -> None:
    pen, w, h, air = stage.pen, stage.w, stage.h, stage.air
    rng = stage.rng(10)
    ink = mix(air.grass[-1], air.near, 0.6)
    left = [(-20, h * 0.86), (w * 0.12, h * 0.88), (w * 0.3, h * 0.945), (w * 0.42, h * 1.01)]
    right = [(w * 0.62, h * 1.01), (w * 0.76, h * 0.95), (w * 0.9, h * 0.915), (w + 20, h * 0.9)]
    trees = [(0.03, 1.0), (0.085, 0.72), (0.145, 0.86), (0.2, 0.5), (0.93, 0.9), (0.985, 0.66),
             (0.875, 0.55)]  # fmt: skip
    for share, tall in trees if "tree" not in stage.plan.removed else ():
        base = h * (0.895 if share < 0.5 else 0.935)
        backdrop.pine(pen, w * share, base, 250 * tall * rng.uniform(0.9, 1.1), dark(ink, 0.18))
    for points in (left, right):
        pen.shape([(*path.smooth(points, closed=False), (points[-1][0], h + 9),
                    (points[0][0], h + 9))], ink)  # fmt: skip


def _swell(stage: Stage, y: float, ink: Colour, alpha: float) -> None:
    step = 125.0
    n = int(stage.w / step) + 3
    shift = stage.phase * 2 * step
    points = [(i * step - 2 * step + shift, y + (9 if i % 2 else -9)) for i in range(n + 2)]
    low = [(x, b + 46) for x, b in reversed(points)]
    stage.pen.shape([(*path.smooth(points, closed=False), *path.smooth(low, closed=False))], ink,
                    alpha=alpha)  # fmt: skip
