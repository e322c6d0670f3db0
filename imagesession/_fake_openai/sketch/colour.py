"""
Colours: their names, mixing, and the changes to an image's colours.

A change maps a colour to a colour. It is applied to the shapes of a drawing and to the pixels of a
raster image, so "bluer" means the same in both.
"""

import colorsys
import functools
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, cast

import attrs

from imagesession._fake_openai.sketch import words

Colour: TypeAlias = tuple[int, int, int]

NAMES: dict[str, str] = words.SECTIONS["colours"]
FOREIGN = {
    word: name for name, synonyms in words.SECTIONS["foreign"].items() for word in synonyms.split()
}
_HEX = re.compile(r"#?(?:[0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)


@functools.lru_cache(maxsize=2048)
def rgb(text: str) -> Colour:
    """Read a colour written `#12ab34` or `#1a3`."""
    digits = text.removeprefix("#")
    if len(digits) < 6:
        digits = "".join(digit * 2 for digit in digits)
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16))


def named(word: str) -> Colour | None:
    if word.startswith("#") and _HEX.fullmatch(word):
        return rgb(word)
    name = FOREIGN.get(word, word)
    return rgb(NAMES[name]) if name in NAMES else None


def hexed(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours: share 0 gives the first, 1 the second."""
    return _clamp([a + (b - a) * share for a, b in zip(first, second, strict=True)])


def light(colour: Colour, share: float = 0.35) -> Colour:
    return mix(colour, (255, 250, 240), share)


def dark(colour: Colour, share: float = 0.3) -> Colour:
    return mix(colour, (22, 20, 52), share)


def luminance(colour: Colour) -> float:
    """Return the perceived lightness of a colour, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def vivid(colour: Colour, *, lightness: float = 0.62, saturation: float = 0.95) -> Colour:
    """Keep a colour's hue at a given lightness; greys become a cool white."""
    hue, _, grey = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    if grey < 0.12:
        return (196, 214, 255)
    return _clamp([255 * x for x in colorsys.hls_to_rgb(hue, lightness, saturation)])


ChangeKind = Literal["tint", "warm", "contrast", "bright", "saturate", "sepia", "ambient"]


@attrs.frozen(kw_only=True)
class Change:
    kind: ChangeKind
    amount: float = 1.0
    colour: Colour = (0, 0, 0)


def changes_of(section: str, *names: str | None) -> tuple[Change, ...]:
    written = ",".join(words.SECTIONS[section].get(name or "", "") for name in names)
    rows = [part.split() for part in written.split(",") if part.strip()]
    return tuple(
        Change(kind=cast("ChangeKind", kind), amount=float(amount), colour=rgb(*ink or ["#000"]))
        for kind, amount, *ink in rows
    )


def apply_changes(colour: Colour, changes: Sequence[Change]) -> Colour:
    for change in changes:
        colour = _apply(colour, change)
    return colour


def _apply(colour: Colour, change: Change) -> Colour:
    k = change.amount
    match change.kind:
        case "tint":
            return mix(mix(colour, _in_hue(colour, change.colour), k), change.colour, k * 0.22)
        case "warm":
            # Near white becomes cream or a cool white, never yellow or sky blue.
            r, g, b = colour
            k *= 1 - 0.68 * (luminance(colour) / 255) ** 4
            return _clamp([r + k * (10 + r * 0.09), g + k * 2, b - k * (10 + b * 0.13)])
        case "contrast":
            return _clamp([(part - 128) * k + 128 for part in colour])
        case "bright":
            target = (255, 255, 255) if k > 0 else (0, 0, 10)
            return mix(colour, target, abs(k))
        case "saturate":
            grey = luminance(colour)
            return _clamp([grey + (part - grey) * k for part in colour])
        case "sepia":
            grey = luminance(colour)
            return mix(colour, _clamp([grey * 1.07 + 12, grey * 0.92 + 6, grey * 0.72]), k)
        case "ambient":
            lit = [part * (255 - k * (255 - tint)) / 255
                   for part, tint in zip(colour, change.colour, strict=True)]  # fmt: skip
            return _clamp(lit)


def _in_hue(colour: Colour, hue: Colour) -> Colour:
    # The hue's colour at the lightness of `colour`.
    want, have = luminance(colour), max(1.0, luminance(hue))
    if want <= have:
        return _clamp([part * want / have for part in hue])
    share = (want - have) / max(1.0, 255 - have)
    return mix(hue, (255, 255, 255), share)


def _clamp(parts: Sequence[float]) -> Colour:
    r, g, b = (0 if part < 0 else 255 if part > 255 else round(part) for part in parts)
    return (r, g, b)
