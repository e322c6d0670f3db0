"""
Light: the colours of a landscape at each time of day and in each weather.
"""

import tomllib
from importlib import resources

import attrs

from imagesession._fake_openai.sketch.colour import Colour, mix, rgb
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.symbols import Palette

_FOLDER = resources.files("imagesession._fake_openai.sketch") / "subjects"
_TIMES = tomllib.loads((_FOLDER / "light.toml").read_text("utf-8"))
_VEILS = _TIMES.pop("veils")
_GRASS = _TIMES.pop("grass")


@attrs.frozen(kw_only=True)
class Light:
    """
    The colours of the air, the land and the water; see `subjects/light.toml`.

    Attributes:
        sky: From the top down.
        inks: All colours by the names that grounds have for them.
        dusky: Whether windows and lamps are lit.
    """

    sky: tuple[Colour, ...]
    inks: Palette
    dusky: bool


def light_of(plan: Plan) -> Light:
    """Choose the light for a plan."""
    time = plan.time or "day"
    row = {key: tuple(map(rgb, text.split())) for key, text in _TIMES[time].items()}
    for name in ("rain", "snow", "fog"):
        if name in plan.weather:
            _veil(row, rgb(_VEILS[name]["colour"]), _VEILS[name][time])
    for name in plan.weather & _GRASS.keys():
        cover, share = rgb(_GRASS[name][time]), _GRASS[name]["share"]
        row["grass"] = tuple(mix(ink, cover, share) for ink in row["grass"])
    n, sky = len(row["sky"]), row["sky"]
    if plan.ground:
        sky = tuple(mix(plan.ground, ink, 0.18 + 0.5 * i / n) for i, ink in enumerate(sky))
    dusky = time in {"sunset", "night"}
    return Light(sky=sky, inks=_by_name(row, sky), dusky=dusky)


def _by_name(row: dict[str, tuple[Colour, ...]], sky: tuple[Colour, ...]) -> Palette:
    return Palette(
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
