"""
Light: the colours of a landscape at each time of day and in each weather.
"""

import tomllib
from importlib import resources

import attrs

from imagesession._fake_openai.sketch.colour import Change, Colour, apply_changes, dark, mix, rgb
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.symbols import Palette


@attrs.frozen(kw_only=True)
class Light:
    """The colours of the air, the land and the water; see `subjects/light.toml`."""

    sky: tuple[Colour, ...]
    sun: Colour
    glow: Colour
    far: Colour
    near: Colour
    snow: Colour
    cloud: Colour
    water: tuple[Colour, ...]
    grass: tuple[Colour, ...]
    ambient: Colour
    dusky: bool = False  # windows and lamps are lit

    @property
    def palette(self) -> Palette:
        """The colours by the names that grounds have for them."""
        water = (self.water[0], mix(self.water[0], self.water[-1], 0.5), self.water[-1])
        return Palette({
            "sun": self.sun, "glow": self.glow, "far": self.far, "near": self.near,
            "snow": self.snow, "cloud": self.cloud,
            "top": self.sky[0], "mid": self.sky[1], "veil": self.sky[-1],
            **{f"water{i}": colour for i, colour in enumerate(water)},
            **{f"grass{i}": colour for i, colour in enumerate(self.grass)},
        })  # fmt: skip


def _times() -> dict[str, Light]:
    folder = resources.files("imagesession._fake_openai.sketch") / "subjects"
    out: dict[str, Light] = {}
    for name, row in tomllib.loads((folder / "light.toml").read_text("utf-8")).items():
        inks = {key: tuple(map(rgb, text.split())) for key, text in row.items()}
        item = {
            key: value if key in {"sky", "water", "grass"} else value[0]
            for key, value in inks.items()
        }
        out[name] = Light(**item, dusky=name in {"sunset", "night"})  # type: ignore[arg-type]
    return out


_TIMES = _times()


def light_of(plan: Plan) -> Light:
    """Choose the light for a plan."""
    light = _TIMES[plan.time or "day"]
    bright = plan.time in {None, "day"}
    if "rain" in plan.weather:
        light = _veil(light, rgb("#5f7389"), 0.52 if plan.time != "sunset" else 0.34)
    if "snow" in plan.weather:
        light = _veil(light, rgb("#c9d6e4"), 0.5 if bright else 0.22)
        white = rgb("#f4f8fc") if bright or plan.time == "dawn" else rgb("#aebbdd")
        light = attrs.evolve(light, grass=tuple(mix(g, white, 0.86) for g in light.grass))
    if "fog" in plan.weather:
        light = _veil(light, rgb("#d5dade"), 0.4 if bright or plan.time == "dawn" else 0.2)
    if "autumn" in plan.weather:
        light = attrs.evolve(light, grass=tuple(mix(g, rgb("#c9812f"), 0.55) for g in light.grass))
    n = len(light.sky)
    if plan.stormy:
        sky = tuple(dark(c, 0.62 * (1 - i / n) ** 1.3) for i, c in enumerate(light.sky))
        light = attrs.evolve(light, sky=sky, cloud=dark(light.cloud, 0.45))
    if plan.ground:
        sky = tuple(mix(plan.ground, c, 0.18 + 0.5 * i / n) for i, c in enumerate(light.sky))
        light = attrs.evolve(light, sky=sky)
    return light


def _veil(light: Light, veil: Colour, share: float) -> Light:
    def through(colours: tuple[Colour, ...]) -> tuple[Colour, ...]:
        return tuple(mix(colour, veil, share) for colour in colours)

    bright_veil = apply_changes(veil, (Change(kind="bright", amount=0.3),))
    return attrs.evolve(
        light, sky=through(light.sky), water=through(light.water), grass=through(light.grass),
        far=mix(light.far, veil, share), near=mix(light.near, veil, share * 0.6),
        cloud=mix(light.cloud, veil, share * 0.8), snow=mix(light.snow, veil, share * 0.4),
        ambient=mix(light.ambient, bright_veil, share),
    )  # fmt: skip
