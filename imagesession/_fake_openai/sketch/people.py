"""
People: which parts of the figure tell a sailor from a doctor, and the old from the young.
"""

import attrs

from imagesession._fake_openai.sketch import symbols, words
from imagesession._fake_openai.sketch.canvas import Pen
from imagesession._fake_openai.sketch.colour import rgb
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.symbols import Palette, shades

# The parts and traits that a word for a person implies, and those that a word adds to a person.
PERSON_WORDS, TRAITS = (
    {word: look for key, look in words.SECTIONS[section].items() for word in key.split()}
    for section in ("who", "traits")
)
_OUTFITS = words.SECTIONS["words"]["outfits"].split()  # those that hide others first
_HATS = frozenset(words.SECTIONS["words"]["hats"].split())
_PARTS = symbols.parts_of("person")
_OWN = frozenset(_PARTS) - _HATS - frozenset(_OUTFITS)
_HEAD = frozenset(_PARTS[_PARTS.index("head") :])
_WORN = words.SECTIONS["worn"]
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


def draw(pen: Pen, figure: Person) -> None:
    """Draw a person into a box of 100 by 100; children are smaller, with larger heads."""
    if "child" not in figure.look:
        symbols.draw(pen, "person", figure.tone, figure.parts)
        return
    with pen.placed(50, 92, 0.7), pen.placed(-50, -92):
        symbols.draw(pen, "person", figure.tone, figure.parts - _HEAD)
    with pen.placed(50, 51, 0.88), pen.placed(-50, -31):
        symbols.draw(pen, "person", figure.tone, figure.parts & _HEAD)
