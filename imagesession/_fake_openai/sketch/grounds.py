"""
Grounds: sky, land, water, street, room and space, laid from SVG layers in the light of the day.
"""

import random
from collections.abc import Collection

import attrs

from imagesession._fake_openai.sketch import symbols, words
from imagesession._fake_openai.sketch.canvas import Linear, Pen, down, fade
from imagesession._fake_openai.sketch.colour import Colour, dark, light, mix, rgb
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.symbols import TABLE, Palette

LIT = rgb("#ffd98a")  # the light of windows and lamps
_WIDE = 1778  # how wide the layers for wide images are; all others are 1000
_WATERS = frozenset({"lake", "sea"})
_TIMES = words.read("light")
_VEILS = _TIMES.pop("veils")
_GRASS = _TIMES.pop("grass")


def light_of(plan: Plan) -> tuple[tuple[Colour, ...], Palette]:
    """Choose the sky's colours, from the top down, and the colours that grounds know by name."""
    time = plan.time or "day"
    row = {key: tuple(map(rgb, text.split())) for key, text in _TIMES[time].items()}
    for name in ("rain", "snow", "fog"):
        if name in plan.weather:
            _veil(row, rgb(_VEILS[name]["colour"]), _VEILS[name][time])
    for name, cover in _GRASS.items():
        if name in plan.weather:
            grass = rgb(cover[time])
            row["grass"] = tuple(mix(ink, grass, cover["share"]) for ink in row["grass"])
    n, sky = len(row["sky"]), row["sky"]
    if plan.ground:
        sky = tuple(mix(plan.ground, ink, 0.18 + 0.5 * i / n) for i, ink in enumerate(sky))
    return sky, Palette(
        {name: inks[0] for name, inks in row.items()}
        | {f"{name}{i}": ink for name in ("water", "grass") for i, ink in enumerate(row[name])}
        | {"top": sky[0], "mid": sky[1], "veil": sky[-1]}
    )


def _veil(row: dict[str, tuple[Colour, ...]], veil: Colour, share: float) -> None:
    # The air's own colour lies over everything, and less over what is near.
    for name, through in _VEILS["through"].items():
        row[name] = tuple(mix(ink, veil, share * through) for ink in row[name])
    bright = mix(veil, (255, 255, 255), 0.3)
    row["ambient"] = (mix(row["ambient"][0], bright, share),)


@attrs.frozen(kw_only=True)
class Stage:
    """The context that every part of a scene needs; its colours are from `light_of`."""

    plan: Plan
    pen: Pen
    w: float
    h: float
    sky: tuple[Colour, ...]
    inks: Palette
    phase: float  # how far an animation is, 0 to 1

    @property
    def dusky(self) -> bool:
        return self.plan.time in {"sunset", "night"}

    def rng(self, salt: int) -> random.Random:
        return random.Random(self.plan.seed * 31 + salt)

    def has(self, *names: str) -> bool:
        return any(item.name in names for item in self.plan.everything)

    def lay(
        self, name: str, y: float, tall: float = 1.0, *parts: str, salt: int = 0, **inks: Colour
    ) -> None:
        """Draw a layer over the whole width; the salt chooses among the variants of a name."""
        palette = Palette({**self.inks, **inks})
        lay(self.pen, name, self.w, y, tall, self.plan.seed + salt, palette, parts)

    def stand(
        self, name: str, x: float, y: float, k: float = 1.0, *parts: str, stretch: float = 1.0
    ) -> None:
        with self.pen.placed(x, y, k, stretch=stretch):
            symbols.draw(self.pen, f"grounds/{name}", self.inks, parts)


def lay(
    pen: Pen, name: str, w: float, y: float, tall: float, number: int, inks: Palette,
    parts: Collection[str] = (),
) -> None:  # fmt: skip
    wide = symbols.variants("grounds", f"{name}-wide") if w > 1250 else ()
    files = wide or symbols.variants("grounds", name)
    k = w / (_WIDE if wide else 1000)
    flip = number // 3 % 2 == 1
    with pen.placed(w if flip else 0, y, k, flip=flip, stretch=tall / k):
        symbols.draw(pen, files[number % len(files)], inks, parts)


def weather(pen: Pen, w: float, h: float, kinds: frozenset[str], *, phase: float = 0.0) -> None:
    """Draw rain, snow, or leaves; the phase, 0 to 1, moves them."""
    with pen.role("weather"):
        for name, kind in (("rain", "rain"), ("snow", "snow"), ("leaves", "autumn")):
            if kind in kinds:
                for y in (phase * h, phase * h - h) if phase else (0.0,):
                    lay(pen, name, w, y, h / 1000, 0, Palette())


def fog(pen: Pen, w: float, h: float, top: float, veil: Colour) -> None:
    with pen.role("weather"):
        lay(pen, "fog", w, top, (h - top) / 1000, 0, Palette(veil=veil))


def _stars(stage: Stage, to: float) -> None:
    for i in range(round(to / 640 + 0.4)):
        lay(stage.pen, "stars", stage.w, i * 640, 1.0, stage.plan.seed + i * 3, Palette())


def _clouds(stage: Stage, top: float, count: int) -> None:
    rng = stage.rng(4)
    n = max(1, round(count * stage.w / 1000))
    for i in range(n):
        x, y = (i + rng.uniform(0.15, 0.85)) * stage.w / n, top * rng.uniform(0.22, 0.72)
        size = rng.uniform(0.7, 1.3)
        with stage.pen.role("ground", rng.uniform(0.5, 0.85)):
            stage.stand("cloud", x, y, size)


def landscape(stage: Stage, lands: set[str]) -> float:
    """Draw a landscape, and return the height at which subjects stand in it."""
    h, inks, plan = stage.h, stage.inks, stage.plan
    wet, high = bool(lands & _WATERS), bool(lands & {"sky", "city"})
    horizon = h * (0.6 if wet else 0.8 if high else 0.64)
    sun_x = _heavens(stage, lands, horizon)
    before = len(stage.pen.marks)
    _far(stage, lands, horizon)
    if wet:
        _waters(stage, lands, horizon, sun_x, before)
        return h * (0.84 if lands <= _WATERS else 0.88)
    if "city" in lands:
        near, far = inks["near_far_30"], inks["near_D30"]
        stage.pen.rect(0, horizon - 2, stage.w, h, down(horizon, h - horizon, near, far))
        return h * 0.9
    stage.lay("hills", horizon, (h - horizon) / 360, salt=plan.seed // 7)
    if "forest" in lands:
        stage.lay("woods-gap", h * 0.82, ink=inks["grass2_D25"])
    return h * 0.87


def _heavens(stage: Stage, lands: set[str], horizon: float) -> float | None:
    # Draws the sky; returns the sun's position across the image, if there is a sun.
    plan, pen = stage.plan, stage.pen
    pen.rect(0, 0, stage.w, stage.h, Linear((0, 0), (0, horizon), fade(*stage.sky)))
    sun_x = _sun(stage, horizon)
    if plan.time == "night" and not plan.weather & {"rain", "fog", "snow"}:
        _stars(stage, horizon)
    if "cloud" not in plan.removed:
        if "sky" in lands or plan.time in {None, "day"} or "cloud" in plan.weather:
            _clouds(stage, horizon, 5 if "sky" in lands else 3)
        elif plan.time in {"sunset", "dawn"}:
            stage.lay("streaks", 0, horizon / 600)
    if not stage.has("sun", "moon", "stars", "cloud", "rainbow"):
        # A sky that was not asked for is background, which a transparent image leaves out.
        pen.marks[:] = [attrs.evolve(mark, back=True) for mark in pen.marks]
    return sun_x


def _sun(stage: Stage, horizon: float) -> float | None:
    plan, w = stage.plan, stage.w
    moon = plan.time == "night"
    if {TABLE[i.name].place for i in plan.items} == {"sky"} and plan.time is None:
        return None  # the sun itself is the subject
    if ("moon" if moon else "sun") in plan.removed or plan.weather & {"rain", "snow"}:
        return None
    low = plan.time in {"sunset", "dawn"}
    x = w * stage.rng(3).choice((0.38, 0.5, 0.62) if low else (0.24, 0.76))
    y = horizon - (150 if low else horizon * 0.68)
    named = low or moon or any(item.name == "sun" for item in plan.items)
    radius = (92 if low else 62 if moon else 80) * min(1.8, plan.zoom) if named else 58
    # A sun that was not asked for is only light: styles that draw outlines leave it out.
    with stage.pen.role("ground" if named else "glow"):
        stage.stand("moon" if moon else "sun", x, y, radius / 100)
    return x


def _far(stage: Stage, lands: set[str], horizon: float) -> None:
    plan = stage.plan
    zoom = max(0.5, min(1.6, plan.zoom))
    if lands & {"mountain", "lake"}:
        share = 1 if "mountain" in lands else 0.6
        stage.lay("mountains", horizon, horizon * 0.56 * zoom / 350 * share)
    if "volcano" in lands:
        inks = symbols.shades(TABLE["volcano"].colour, TABLE["volcano"].accent)
        size = horizon * 0.0095
        with stage.pen.placed(stage.w / 2 - 50 * size, horizon + 6 - 92 * size, size):
            symbols.draw(stage.pen, "volcano", inks)
    if "city" in lands:
        lamps = LIT if stage.dusky or "rain" in plan.weather else stage.inks["top_L60"]
        for k, (tall, tone) in enumerate(((0.62, 10), (0.5, 45), (0.34, 85))):
            ink = stage.inks[f"far_near_{tone}"]
            stage.lay("city", horizon + k * 30, horizon * tall * 1.15 * zoom / 400, salt=k * 4,
                      ink=ink, window=lamps if k else ink)  # fmt: skip
    if "forest" in lands:
        for k in range(3):
            ink = stage.inks[f"far_grass2_{30 + 25 * k}_near_{12 * k}"]
            stage.lay("woods", horizon + 24 + k * 46, (190 + k * 50) / 200, salt=k * 3, ink=ink)


def _waters(
    stage: Stage, lands: set[str], horizon: float, sun_x: float | None, before: int
) -> None:
    pen, w, h, plan = stage.pen, stage.w, stage.h, stage.plan
    named = next((i.colour for i in plan.everything if i.name in _WATERS and i.colour), None)
    if named:
        stage.inks.update(water0=light(named, 0.4), water1=named, water2=dark(named, 0.3))
    tall, inks = (h - horizon) / 400, (stage.inks[f"water{i}"] for i in range(3))
    pen.rect(0, horizon, w, h - horizon, down(horizon, h - horizon, *inks))
    if "sea" in lands:
        stage.lay("swell", horizon, tall)
    else:
        # The land stands mirrored in a lake.
        solid = [m for m in pen.marks[before:-1] if isinstance(m.fill, tuple)]
        low = [attrs.evolve(m, alpha=m.alpha * 0.4, role="detail") for m in solid]
        pen.marks += [m.warped(lambda p: (p[0], horizon * 1.62 - p[1] * 0.62)) for m in low]
    stage.lay("ripples", horizon, tall)
    if sun_x is not None:
        stage.stand("glitter", sun_x, horizon, 1.0, stretch=tall)
    if "sea" not in lands:
        stage.lay("shore", 0, h / 1000)
    elif plan.items[:1] and plan.items[0].name != "boat" and not stage.has("ship"):
        sand = stage.inks[f"xf1dcae_near_{50 if stage.dusky else 5}"]
        stage.lay("sand", 0, h / 1000, ink=sand)


def street(stage: Stage) -> float:
    """Draw a street before a city, and return the height at which subjects stand on it."""
    pen, w, h, plan = stage.pen, stage.w, stage.h, stage.plan
    kerb, rain = h * 0.7, "rain" in plan.weather
    pen.rect(0, 0, w, h, Linear((0, 0), (0, kerb), fade(*stage.sky)))
    post = w * 0.8
    if stage.dusky or rain:
        with pen.role("glow"):
            pen.glow(post - 74, kerb - 436, 270, LIT, 0.95)
    if not plan.weather & {"rain", "snow"}:
        _sun(stage, kerb)
    if plan.time == "night":
        _stars(stage, kerb * 0.7)
    if plan.time in {None, "day"} and not rain:
        _clouds(stage, kerb * 0.8, 2)
    haze, near = stage.inks["far_veil_45"], stage.inks["far_near_35"]
    stage.lay("city", kerb, kerb * 0.0018, salt=7, ink=haze, window=haze)
    lamps = LIT if stage.dusky or rain else near
    stage.lay("city", kerb, kerb * 0.00125, salt=5, ink=near, window=lamps)
    stage.lay("trees", kerb)
    stage.lay("road", kerb, (h - kerb) / 300, *("puddles",) * rain)
    if stage.dusky or rain:
        stage.stand("lamp", post, kerb)
    return kerb + (h - kerb) * 0.52


def space(stage: Stage) -> float:
    """Draw the depth of space, and return the height at which subjects fly in it."""
    stage.lay("space", 0, stage.h / 1000, hue=stage.plan.ground or rgb("#1b2358"))
    _stars(stage, stage.h)
    if not stage.has("planet"):
        stage.stand("ringed", stage.w * 0.85, stage.h * 0.2)
    return stage.h * 0.5 + 360


def deep(stage: Stage) -> float:
    """Draw the view under water, and return the height of its floor."""
    tint = stage.plan.ground or rgb("#2487b5")
    stage.lay("deep", 0, stage.h / 1000, tint=tint, sand=rgb("#edd8a2"))
    return stage.h * 0.72


def room(stage: Stage, wall: Colour, *, window: bool) -> float:
    """Draw a wall with something on it and a table before it, and return the table's edge."""
    w, h, rng = stage.w, stage.h, stage.rng(11)
    floor = h * 0.74
    stage.lay("wall", 0, h / 1000, wall=wall)
    x = w * 0.5 + rng.choice((-1, 1)) * w * rng.uniform(0.0, 0.1)
    if window:
        stage.stand("window", w * 0.5, floor, 1.0, *("sun",) * stage.dusky)
    else:
        # A round or an arched piece of colour on the wall.
        accent = stage.plan.accent or stage.plan.scheme.accent
        with stage.pen.placed(x, floor):
            name = "grounds/arch-1" if rng.random() < 0.5 else "grounds/arch-2"
            symbols.draw(stage.pen, name, Palette(accent=accent))
    stage.lay("table", floor, (h - floor) / 260, wall=wall)
    return floor
