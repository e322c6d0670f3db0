"""
Text on pictures: in Pillow's own typeface, and in one of the system's where that lacks a letter.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from imagesession.errors import CallError

if TYPE_CHECKING:
    from PIL import ImageFont

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

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


@attrs.define
class Lettering:
    """
    Sets text. What no typeface has is set without its accents, or as a box.

    Attributes:
        own: The file of a typeface of the caller's, which is preferred; None for Pillow's.
    """

    own: str | None = None
    _fonts: dict[tuple[str, int], Font | None] = attrs.field(factory=dict[Any, Any], init=False)
    _known: dict[tuple[str, str], bool] = attrs.field(factory=dict[Any, Any], init=False)

    def set(self, text: str, size: int) -> tuple[str, Font]:
        """
        Return a text as it can be set, and the font to set it in.

        Args:
            text: One line, without control characters.
            size: Of the letters, in pixels.
        """
        plainer = text.translate(_PLAINER)
        name, missing = self._best(plainer)
        if missing:
            bare = "".join(_without_accents(plainer))
            bare_name, still_missing = self._best(bare)
            if still_missing < missing:
                name, plainer = bare_name, bare
        return plainer, self._font(name, size) or self._first(size)

    def _best(self, text: str) -> tuple[str, int]:
        """
        Return the typeface that lacks the fewest letters of a text, and how many it lacks.
        """
        letters = frozenset(text) - {" "}
        best = "", len(letters) + 1
        for name in (self.own or "", *_SYSTEM):
            if not letters or best[1] == 0:
                break
            missing = sum(not self._has(name, letter) for letter in letters)
            best = min(best, (name, missing), key=lambda one: one[1])
        return (self.own or "", 0) if not letters else best

    def _has(self, name: str, letter: str) -> bool:
        key = name, letter
        if key not in self._known:
            font = self._font(name, _SAMPLE)
            self._known[key] = font is not None and _drawn(font, letter) != _drawn(font, _NEVER)
        return self._known[key]

    def _font(self, name: str, size: int) -> Font | None:
        key = name, size
        if key not in self._fonts:
            self._fonts[key] = self._first(size) if name == (self.own or "") else _found(name, size)
        return self._fonts[key]

    def _first(self, size: int) -> Font:
        from PIL import ImageFont  # noqa: PLC0415 - slow to import, and hardly ever needed

        if self.own is None:
            return ImageFont.load_default(size)
        font = _found(self.own, size)
        if font is None:
            raise CallError(
                f"font={self.own!r} is no typeface that can be read. Give the path of a .ttf or "
                ".otf file, or leave it out."
            )
        return font


def lettering(font: object) -> Lettering:
    """
    Return what sets text in a caller's typeface, or in Pillow's own.

    Raises:
        CallError: It is no path, or no typeface lies there.
    """
    if font is None:
        return Lettering()
    if not isinstance(font, (str, os.PathLike)):
        raise CallError(f"font={font!r} is no path of a .ttf or .otf file.")
    letters = Lettering(os.fsdecode(cast("str | os.PathLike[str]", font)))
    letters.set("A", _SAMPLE)
    return letters


def lines(text: str, font: Font, width: float, most: int) -> tuple[str, ...]:
    """
    Break a text into lines.

    Args:
        text: The text, with blanks between words or, as in some scripts, without.
        font: What it is set in.
        width: The most pixels of a line.
        most: How many lines there may be; an ellipsis tells that there would be more.
    """
    broken = list(_broken(text.split(), font, width))
    if len(broken) <= most:
        return tuple(broken)
    last = broken[most - 1]
    while last and font.getlength(last + _ELLIPSIS) > width:
        last = last[:-1]
    return (*broken[: most - 1], last.rstrip() + _ELLIPSIS)


def _broken(words: Sequence[str], font: Font, width: float) -> Iterator[str]:
    line = ""
    for word in words:
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


def _pieces(word: str, font: Font, width: float) -> Iterable[str]:
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


def _without_accents(text: str) -> Iterator[str]:
    return (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _drawn(font: Font, letter: str) -> bytes:
    from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

    picture = Image.new("L", (3 * _SAMPLE, 3 * _SAMPLE))
    ImageDraw.Draw(picture).text((_SAMPLE, _SAMPLE // 2), letter, fill=255, font=font)
    return picture.tobytes()


def _found(name: str, size: int) -> Font | None:
    from PIL import ImageFont  # noqa: PLC0415 - slow to import, and hardly ever needed

    try:
        return ImageFont.truetype(name, size)
    except (OSError, ValueError):
        return None
