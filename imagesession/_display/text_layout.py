"""
Text on pictures: in Pillow's own typeface, and in one of the system's where that lacks a letter.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from PIL import ImageFont

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OWN = ""
# Typefaces that know many scripts, as they are called on Linux, macOS and Windows.
_SYSTEM = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "segoeui.ttf", "arial.ttf",
    "NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf",
)  # fmt: skip
# Never assigned, so that no typeface has a letter for it: it shows what is drawn instead of one.
_NEVER = "\uffff"
# Letters of our own words that Pillow's typeface does not have.
_PLAINER = str.maketrans({"×": "x", "\u2018": "'", "\u2019": "'"})
_ELLIPSIS = "…"
# The size at which it is tried whether a typeface has a letter, in pixels.
_SAMPLE = 16


def layout(text: str, size: int) -> tuple[str, Font]:
    """
    Return a text as it can be set, and the font to set it in. What no typeface has is set without
    its accents, or as a box.

    Args:
        text: One line, without control characters.
        size: Of the letters, in pixels.
    """
    plainer = text.translate(_PLAINER)
    name = _best_font(plainer)
    if _missing(name, plainer):
        letters = unicodedata.normalize("NFKD", plainer)
        bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
        bare_name = _best_font(bare)
        if _missing(bare_name, bare) < _missing(name, plainer):
            plainer, name = bare, bare_name
    return plainer, _font(name, size) or _default(size)


def wrap(text: str, font: Font, width: float, most: int) -> tuple[str, ...]:
    """
    Break a text into lines.

    Args:
        text: The text, with blanks between words or, as in some scripts, without.
        font: What it is set in.
        width: The most pixels of a line.
        most: How many lines there may be; an ellipsis tells that there would be more.
    """
    lines = list(_wrapped(text, font, width))
    if len(lines) <= most:
        return tuple(lines)
    last = lines[most - 1]
    while last and font.getlength(last + _ELLIPSIS) > width:
        last = last[:-1]
    return (*lines[: most - 1], last.rstrip() + _ELLIPSIS)


def _wrapped(text: str, font: Font, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *full, line = _pieces(word, font, width)
        yield from full
    if line:
        yield line


def _pieces(word: str, font: Font, width: float) -> Iterator[str]:
    """
    Break a word that is wider than a line; one that fits stays whole.
    """
    piece = ""
    for letter in word:
        if piece and font.getlength(piece + letter) > width:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _best_font(text: str) -> str:
    """
    Return the first typeface that has all letters of a text, or that lacks the fewest.
    """
    names = (_OWN, *_SYSTEM)
    whole = (name for name in names if not _missing(name, text))
    return next(whole, None) or min(names, key=lambda name: _missing(name, text))


def _missing(name: str, text: str) -> int:
    return sum(not _has(name, letter) for letter in frozenset(text) - {" "})


@functools.cache
def _has(name: str, letter: str) -> bool:
    font = _font(name, _SAMPLE)
    return font is not None and _drawn(font, letter) != _drawn(font, _NEVER)


def _drawn(font: Font, letter: str) -> bytes:
    from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

    picture = Image.new("L", (3 * _SAMPLE, 3 * _SAMPLE))
    ImageDraw.Draw(picture).text((_SAMPLE, _SAMPLE // 2), letter, fill=255, font=font)
    return picture.tobytes()


@functools.cache
def _font(name: str, size: int) -> Font | None:
    from PIL import ImageFont  # noqa: PLC0415 - slow to import, and hardly ever needed

    if name == _OWN:
        return _default(size)
    try:
        return ImageFont.truetype(name, size)
    except (OSError, ValueError):
        return None


@functools.cache
def _default(size: int) -> Font:
    from PIL import ImageFont  # noqa: PLC0415 - slow to import, and hardly ever needed

    return ImageFont.load_default(size)
