"""
Staging: how a single subject is drawn into an image, with its colours, shadow and light; and which
parts of the figure of a person tell a sailor from a doctor, and the old from the young.
"""

import math

import attrs

from imagesession._fake_openai.sketch import path, symbols
from imagesession._fake_openai.sketch.canvas import Mark, Pen, Radial, Stop
from imagesession._fake_openai.sketch.colour import Colour, dark, light, luminance, mix, rgb
from imagesession._fake_openai.sketch.path import Warp
from imagesession._fake_openai.sketch.plan import Angle, Item, Plan
from imagesession._fake_openai.sketch.symbols import TABLE, Palette, shades
from imagesession._fake_openai.sketch.words import SECTIONS

_OUTFITS = SECTIONS["words"]["outfits"].split()  # those that hide others first
_HATS = frozenset(SECTIONS["words"]["hats"].split())
_PARTS = symbols.parts_of("person")
_OWN = frozenset(_PARTS) - _HATS - frozenset(_OUTFITS)
_HEAD = frozenset(_PARTS[_PARTS.index("head") :])
_WORN = SECTIONS["worn"]
_SKINS = ("#e0a67e", "#f0c49c", "#8d5a3c", "#c68a5e", "#6b4430")
_HAIRS = ("#4a3026", "#2b201c", "#7a4a2b", "#b5652c", "#1f1b1a")
_GREY = "#e8e6e1"


@attrs.frozen
class Person:
    look: frozenset[str]
    parts: frozenset[str]
    tone: Palette


def person_of(item: Item, plan: Plan) -> Person:
    """Choose the parts and colours of a person; the plan's seed varies what is left open."""
    number = plan.seed // 3 + 7 * sum(map(ord, item.word))
    first = bool(plan.items) and item.key == plan.items[0].key
    colour = item.colour or (plan.colours[0] if plan.colours and first else None)
    accent, look = item.accent or plan.accent, item.look
    traits = frozenset(look)
    outfit = next((name for name in _OUTFITS if name in traits), "")
    outfit = outfit or ("dress" if "woman" in traits and number % 2 else "sweater")
    hat = next((name for name in look if name in _HATS), "")
    named = next((_WORN[name] for name in (hat, outfit) if name in _WORN), "#3f7cac")
    worn = (_WORN.get(f"{name}-accent") for name in sorted(traits))
    second = next(filter(None, worn), "#e9a13b")
    given = dict(part.split("=") for part in look if "=" in part)
    old = "old" in traits
    skin = given.get("skin", _SKINS[number % (3 if old else len(_SKINS))])
    hair = given.get("hair", _GREY if old else _HAIRS[number // 5 % len(_HAIRS)])
    tone = shades(colour or rgb(named), accent or rgb(second), skin=rgb(skin), hair=rgb(hair))
    return Person(traits, _parts(traits, outfit, hat, number), tone)


def _parts(traits: frozenset[str], outfit: str, hat: str, number: int) -> frozenset[str]:
    woman = "woman" in traits
    out = {"head", "face", outfit, hat, *(traits & _OWN)}
    if outfit == "spacesuit":
        return frozenset({*out, "back-pack", "visor", "hair-long" if woman else "hair-short"})
    long = woman and not traits & {"old", "bald", "child"}
    legs = {"dress": "legs-bare", "robe": "", "overalls": ""}.get(outfit, "legs")
    hair = "" if hat == "helm" else _hair(traits, hat, number, long=long)
    return frozenset({*out, "hands", "neck", legs, hair, "back-long" if long else ""})


def _hair(traits: frozenset[str], hat: str, number: int, *, long: bool) -> str:
    old_man = "old" in traits and "woman" not in traits
    covered = hat and hat != "headband" and not long
    if "bald" in traits or covered or (old_man and not hat and number % 2):
        return "hair-bald"  # or what shows below a hat
    if "woman" in traits:
        return "hair-long" if long else "hair-pigtails" if "child" in traits else "hair-bun"
    return "hair-curly" if "curly" in traits or number % 4 == 3 else "hair-short"


def _draw_person(pen: Pen, figure: Person) -> None:
    """Draw a person into a box of 100 by 100; children are smaller, with larger heads."""
    if "child" not in figure.look:
        symbols.draw(pen, "person", figure.tone, figure.parts)
        return
    with pen.placed(50, 92, 0.7), pen.placed(-50, -92):
        symbols.draw(pen, "person", figure.tone, figure.parts - _HEAD)
    with pen.placed(50, 51, 0.88), pen.placed(-50, -31):
        symbols.draw(pen, "person", figure.tone, figure.parts & _HEAD)


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
            _draw_person(pen, person_of(item, plan))
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
