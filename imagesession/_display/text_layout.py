"""
Text on images: in Pillow's bundled font, or in a system font if that lacks a character.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from typing import TypeAlias

from imagesession._imaging import pillow

Font: TypeAlias = "pillow.ImageFont.FreeTypeFont | pillow.ImageFont.ImageFont"
_BUNDLED = ""
# Fonts that cover many scripts, by their names on Linux, macOS and Windows.
_SYSTEM_FONTS = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "segoeui.ttf", "arial.ttf",
    "NotoSansCJK-Regular.ttc", "Hiragino Sans GB.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf",
)  # fmt: skip
# A noncharacter, which no font has: it is drawn as the font's missing-glyph box.
_UNASSIGNED = "\uffff"
# Characters in this library's own texts that the bundled font lacks.
_REPLACEMENTS = str.maketrans({"×": "x", "\u2018": "'", "\u2019": "'"})
_ELLIPSIS = "…"
# The font size for testing whether a font has a character, in pixels.
_SAMPLE_SIZE = 16


def layout(text: str, size: int) -> tuple[str, Font]:
    """
    Return a text on one line that can be drawn, and the font for it. A character that no font has
    loses its accents, or is drawn as a box.
    """
    replaced = text.translate(_REPLACEMENTS)
    name = _best_font(replaced)
    if _count_missing(name, replaced):
        letters = unicodedata.normalize("NFKD", replaced)
        unaccented = "".join(letter for letter in letters if not unicodedata.combining(letter))
        unaccented_font = _best_font(unaccented)
        if _count_missing(unaccented_font, unaccented) < _count_missing(name, replaced):
            replaced, name = unaccented, unaccented_font
    return replaced, _font(name, size) or pillow.ImageFont.load_default(size)


def wrap(text: str, font: Font, width: float, max_lines: int) -> tuple[str, ...]:
    """
    Break a text into lines of a width in pixels; an ellipsis marks what exceeds `max_lines`.
    """
    lines = list(_wrap_words(text, font, width))
    if len(lines) <= max_lines:
        return tuple(lines)
    last = lines[max_lines - 1]
    while last and font.getlength(last + _ELLIPSIS) > width:
        last = last[:-1]
    return (*lines[: max_lines - 1], last.rstrip() + _ELLIPSIS)


def _wrap_words(text: str, font: Font, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *full, line = _split_word(word, font, width)
        yield from full
    if line:
        yield line


def _split_word(word: str, font: Font, width: float) -> Iterator[str]:
    piece = ""
    for letter in word:
        if piece and font.getlength(piece + letter) > width:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _best_font(text: str) -> str:
    names = (_BUNDLED, *_SYSTEM_FONTS)
    complete = (name for name in names if not _count_missing(name, text))
    return next(complete, None) or min(names, key=lambda name: _count_missing(name, text))


def _count_missing(name: str, text: str) -> int:
    return sum(not _has_glyph(name, letter) for letter in frozenset(text) - {" "})


@functools.cache
def _has_glyph(name: str, letter: str) -> bool:
    font = _font(name, _SAMPLE_SIZE)
    return font is not None and _rasterize(font, letter) != _rasterize(font, _UNASSIGNED)


def _rasterize(font: Font, letter: str) -> bytes:
    picture = pillow.Image.new("L", (3 * _SAMPLE_SIZE, 3 * _SAMPLE_SIZE))
    pillow.ImageDraw.Draw(picture).text(
        (_SAMPLE_SIZE, _SAMPLE_SIZE // 2), letter, fill=255, font=font
    )
    return picture.tobytes()


@functools.cache
def _font(name: str, size: int) -> Font | None:
    if name == _BUNDLED:
        return pillow.ImageFont.load_default(size)
    try:
        return pillow.ImageFont.truetype(name, size)
    except (OSError, ValueError):
        return None
