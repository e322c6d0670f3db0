"""
Colours: their names, their mixing, and the ways a picture's colours are changed.

A change is one function from colour to colour. A drawing applies it to the colours of its shapes
and a raster picture applies it to its pixels, so "bluer" means the same in both.
"""

import colorsys
import functools
import math
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import attrs

from imagesession._fake_openai.sketch import words

Colour: TypeAlias = tuple[int, int, int]

NAMES: dict[str, str] = words.SECTIONS["colours"]
FOREIGN = {word: name for name, said in words.SECTIONS["foreign"].items() for word in said.split()}
_HEX = re.compile(r"#?(?:[0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)


@functools.lru_cache(maxsize=2048)
def rgb(text: str) -> Colour:
    """Read a colour written `#12ab34` or `#1a3`."""
    if not _HEX.fullmatch(text):
        raise ValueError(f"not a colour: {text!r}")
    digits = text.removeprefix("#")
    if len(digits) < 6:
        digits = "".join(digit * 2 for digit in digits)
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16))


def named(word: str) -> Colour | None:
    """Give the colour that a word of a prompt names, if it names one."""
    if word.startswith("#") and _HEX.fullmatch(word):
        return rgb(word)
    name = FOREIGN.get(word, word)
    return rgb(NAMES[name]) if name in NAMES else None


def hexed(colour: Colour) -> str:
    """Write a colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def mix(item: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours: share 0 gives the one, 1 the other."""
    return _clamped([a + (b - a) * share for a, b in zip(item, other, strict=True)])


def light(colour: Colour, share: float = 0.35) -> Colour:
    """Lighten a colour, a little towards warm white."""
    return mix(colour, (255, 250, 240), share)


def dark(colour: Colour, share: float = 0.3) -> Colour:
    """Darken a colour, a little towards blue, as shade does."""
    return mix(colour, (22, 20, 52), share)


def luminance(colour: Colour) -> float:
    """Tell how light a colour looks, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def distance(item: Colour, other: Colour) -> float:
    """Tell how far two colours lie apart, 0 to about 440."""
    return math.dist(item, other)


def vivid(colour: Colour, *, lightness: float = 0.62, saturation: float = 0.95) -> Colour:
    """Keep a colour's hue at a given lightness; greys become a cool white."""
    hue, _, grey = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    if grey < 0.12:
        return (196, 214, 255)
    return _clamped([255 * x for x in colorsys.hls_to_rgb(hue, lightness, saturation)])


ChangeKind = Literal["tint", "warm", "contrast", "bright", "saturate", "sepia", "ambient"]


@attrs.frozen(kw_only=True)
class Change:
    """Represent one change of a picture's colours."""

    kind: ChangeKind
    amount: float = 1.0
    colour: Colour = (0, 0, 0)


def changed(colour: Colour, changes: Sequence[Change]) -> Colour:
    """Apply changes to a colour, in order."""
    for change in changes:
        colour = _apply(colour, change)
    return colour


def _apply(colour: Colour, change: Change) -> Colour:
    k = change.amount
    match change.kind:
        case "tint":
            return mix(mix(colour, _in_hue(colour, change.colour), k), change.colour, k * 0.22)
        case "warm":
            # What is nearly white becomes cream or a cool white, never yellow or sky blue.
            r, g, b = colour
            k *= 1 - 0.68 * (luminance(colour) / 255) ** 4
            return _clamped([r + k * (10 + r * 0.09), g + k * 2, b - k * (10 + b * 0.13)])
        case "contrast":
            return _clamped([(part - 128) * k + 128 for part in colour])
        case "bright":
            target = (255, 255, 255) if k > 0 else (0, 0, 10)
            return mix(colour, target, abs(k))
        case "saturate":
            grey = luminance(colour)
            return _clamped([grey + (part - grey) * k for part in colour])
        case "sepia":
            grey = luminance(colour)
            return mix(colour, _clamped([grey * 1.07 + 12, grey * 0.92 + 6, grey * 0.72]), k)
        case "ambient":
            lit = [part * (255 - k * (255 - tint)) / 255
                   for part, tint in zip(colour, change.colour, strict=True)]  # fmt: skip
            return _clamped(lit)


def _in_hue(colour: Colour, hue: Colour) -> Colour:
    # The hue's colour at the lightness of `colour`.
    want, have = luminance(colour), max(1.0, luminance(hue))
    if want <= have:
        return _clamped([part * want / have for part in hue])
    share = (want - have) / max(1.0, 255 - have)
    return mix(hue, (255, 255, 255), share)


def _clamped(parts: Sequence[float]) -> Colour:
    r, g, b = (0 if part < 0 else 255 if part > 255 else round(part) for part in parts)
    return (r, g, b)
