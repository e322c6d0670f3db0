"""
Lettering: the width of a line, and its accents.

Pillow includes a font, Aileron, which is the same on every machine. It has the letters of ASCII;
accents are composed from its signs. Other scripts use the machine's fonts.
"""

import atexit
import functools
import os
import tempfile
import textwrap
import unicodedata
from pathlib import Path
from typing import Any, cast

import attrs
from PIL import ImageFont

from imagesession._fake_openai.sketch import words
from imagesession._fake_openai.sketch.canvas import Mark, Pen
from imagesession._fake_openai.sketch.colour import Colour

# Accents: the sign that represents it, how large it is beside its letter, and how high the middle
# of the sign lies over its own baseline.
_ACCENTS = {
    mark: (sign, float(size), float(middle))
    for mark, (sign, size, middle) in words.read("accents")["composed"].items()
}
_SPELLED = str.maketrans(words.read("accents")["spelled"])


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(100)


@functools.cache
def font_file() -> str:
    """Write Pillow's font to a file for the renderer; the file is deleted when Python exits."""
    data = cast("Any", _font()).path.getvalue()
    handle, name = tempfile.mkstemp(prefix="imagesession-", suffix=".otf")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    atexit.register(Path(name).unlink, missing_ok=True)
    return name


def printable(text: str, most: int = 60) -> str:
    return " ".join("".join(ch for ch in text if ch.isprintable()).split())[:most]


def spelled(text: str) -> str:
    return unicodedata.normalize("NFD", text.translate(_SPELLED))


def text_width(text: str, size: float, tracking: float = 0) -> float:
    """Measure how wide a line of lettering is, in the unit of its size."""
    plain = [ch for ch in spelled(text) if ch not in _ACCENTS]
    latin = "".join(ch for ch in plain if ch.isascii())
    other = [ch for ch in plain if not ch.isascii() and not unicodedata.combining(ch)]
    wide = sum(100 if unicodedata.east_asian_width(ch) in "WF" else 62 for ch in other)
    return (_font().getlength(latin) + wide) * size / 100 + tracking * max(0, len(plain) - 1)


def fitting(text: str, size: float, width: float) -> float:
    return min(size, width / max(0.1, text_width(text, 1.0)))


def letter(pen: Pen, text: str, x: float, y: float, size: float, ink: Colour, *,
           tracking: float = 0, bold: float = 0, alpha: float = 1) -> None:  # fmt: skip
    whole = spelled(text)
    plain = "".join(ch for ch in whole if ch not in _ACCENTS)
    width = text_width(plain, size, tracking)
    line = Mark(contours=(((x, y),),), text=plain, size=size, length=width, bold=bold, fill=ink,
                alpha=alpha, role="lettering")  # fmt: skip
    pen.stamp(line)
    before = ""
    for ch in whole:
        if ch not in _ACCENTS:
            before += ch
            continue
        sign, k, own = _ACCENTS[ch]
        high = -0.04 if sign == "," else 0.86 if before[-1:].isupper() else 0.68
        at = x - width / 2 + text_width(before, size, tracking) - text_width(before[-1:], size) / 2
        middle = y + size * (0.35 - high) + k * size * (own - 0.35)
        pen.stamp(attrs.evolve(line, text=sign, contours=(((at, middle),),), size=k * size,
                               length=text_width(sign, k * size), bold=0.04))  # fmt: skip


def lines(text: str, most: int) -> list[str]:
    """Break a text into lines of at most so many letters, evenly filled."""
    count = -(-len(text) // most)
    return textwrap.wrap(text, min(most, len(text) // max(1, count) + 5)) or [""]
