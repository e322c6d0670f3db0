"""
Light: the colours of a landscape at each time of day and in each weather.
"""

import attrs

from imagesession._offline.sketch.colour import Change, Colour, changed, dark, mix, rgb
from imagesession._offline.sketch.plan import Plan


@attrs.frozen(kw_only=True)
class Light:
    """
    Represent the colours of the air, the land and the water.
    """

    sky: tuple[Colour, ...]  # from the top down to the horizon
    sun: Colour
    glow: Colour
    far: Colour  # the farthest hills; nearer ones mix towards `near`
    near: Colour
    snow: Colour
    cloud: Colour
    water: tuple[Colour, ...]
    grass: tuple[Colour, ...]
    ambient: Colour  # what white looks like
    dusky: bool = False  # windows and lamps are lit


def _light(
    sky: str, sun: str, glow: str, far: str, near: str, snow: str, cloud: str, water: str,
    grass: str, ambient: str, *, dusky: bool = False,
) -> Light:  # fmt: skip
    return Light(
        sky=_colours(sky), sun=rgb(sun), glow=rgb(glow), far=rgb(far), near=rgb(near),
        snow=rgb(snow), cloud=rgb(cloud), water=_colours(water), grass=_colours(grass),
        ambient=rgb(ambient), dusky=dusky,
    )  # fmt: skip


def _colours(text: str) -> tuple[Colour, ...]:
    return tuple(rgb(word) for word in text.split())


_TIMES = {
    "day": _light("#5fb2e6 #a5d8f0 #e9f5ee", "#fff3c4", "#fff6d8", "#9fbfd6", "#4f7f95", "#f7fbff",
                  "#ffffff", "#7cc4dd #3f8fb5", "#9cc46a #6ea657 #4c8a4f", "#ffffff"),
    "sunset": _light("#3a2a66 #8b3f7d #e4637a #fb9a5c #ffd27f", "#fff0b5", "#ffcf7a", "#a8577f",
                     "#2c1c49", "#ffc7a1", "#f59a86", "#f7a765 #b5527a #44295f",
                     "#7a4a66 #553a5c #34264a", "#ffd9bd", dusky=True),
    "dawn": _light("#6d8fc7 #b3a9d6 #f2bcc4 #ffe0c2", "#fff4d6", "#ffdcb8", "#b0a3c8", "#54587f",
                   "#fff0ea", "#ffe7e2", "#f3c9c8 #8d93bd", "#a3a98c #7c8c7d #566a6e", "#ffeade"),
    "night": _light("#0b1030 #172452 #2d3f78 #4a5a94", "#f6f0d2", "#9fb4ea", "#3b4b82", "#10183a",
                    "#9fb1de", "#4f6199", "#2f4580 #101a42", "#2b4458 #1e3349 #13233a", "#8d9bd6",
                    dusky=True),
}  # fmt: skip


def light_of(plan: Plan) -> Light:
    """
    Choose the light for a plan.
    """
    light = _TIMES[plan.time or "day"]
    weather = plan.weather
    if "rain" in weather:
        light = _veiled(light, rgb("#5f7389"), 0.52 if plan.time != "sunset" else 0.34)
    if "snow" in weather:
        light = _veiled(light, rgb("#c9d6e4"), 0.5 if plan.time in {None, "day"} else 0.22)
        white = rgb("#f4f8fc") if plan.time in {None, "day", "dawn"} else rgb("#aebbdd")
        light = attrs.evolve(light, grass=tuple(mix(g, white, 0.86) for g in light.grass))
    if "fog" in weather:
        light = _veiled(light, rgb("#d5dade"), 0.4 if plan.time in {None, "day", "dawn"} else 0.2)
    if "autumn" in weather:
        grass = tuple(mix(g, rgb("#c9812f"), 0.55) for g in light.grass)
        light = attrs.evolve(light, grass=grass)
    if plan.stormy:
        n = len(light.sky)
        sky = tuple(dark(c, 0.62 * (1 - i / n) ** 1.3) for i, c in enumerate(light.sky))
        light = attrs.evolve(light, sky=sky, cloud=dark(light.cloud, 0.45))
    if plan.ground and plan.layout in {"scene", "hero"}:
        light = attrs.evolve(light, sky=tuple(mix(plan.ground, c, 0.18 + 0.5 * i / len(light.sky))
                                              for i, c in enumerate(light.sky)))  # fmt: skip
    return light


def _veiled(light: Light, veil: Colour, share: float) -> Light:
    def through(colours: tuple[Colour, ...]) -> tuple[Colour, ...]:
        return tuple(mix(colour, veil, share) for colour in colours)

    return attrs.evolve(
        light, sky=through(light.sky), water=through(light.water), grass=through(light.grass),
        far=mix(light.far, veil, share), near=mix(light.near, veil, share * 0.6),
        cloud=mix(light.cloud, veil, share * 0.8), snow=mix(light.snow, veil, share * 0.4),
        ambient=mix(light.ambient, changed(veil, (Change(kind="bright", amount=0.3),)), share),
    )  # fmt: skip
