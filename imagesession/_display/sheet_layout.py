"""
Contact sheets as they are drawn: pictures in a grid, on one page or on pages of paper.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from .text_layout import layout, wrap

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

# A4: its height by its width.
_PAPER = 2**0.5
# All lengths are in pixels.
_TITLE, _TEXT, _SMALL = 38, 21, 18
_TEXT_LINE, _SMALL_LINE, _PROMPT_LINES = 28, 24, 2
_MARGIN, _GAP, _ROW_GAP, _BELOW_PICTURE = 52, 30, 34, 12
_SECOND_LINE, _TOP, _RULE = 100, 162, 144
_FOOT = _SMALL_LINE + _MARGIN
_CELLS = {1: 856, 2: 520, 3: 460, 4: 352, 5: 290}
_NARROW_CELL, _MIN_WIDTH = 240, 960
_SQUATTEST, _FLAT, _TALLEST = 0.5625, 0.75, 1.25
_WHITE, _INK, _GREY, _LINE, _GROUND = "#ffffff", "#18181b", "#71717a", "#d4d4d8", "#f4f4f5"
_ACCENT, _DOT = "#2563eb", 5


Draw = Callable[[tuple[int, int]], "Image.Image | None"]


@attrs.frozen(kw_only=True)
class Card:
    """
    A picture on a sheet.

    Attributes:
        number: Its number, by which people call it.
        draw: Gives it, at most so wide and high; None where it cannot be drawn.
        shape: Its height by its width.
        prompt: The prompt.
        facts: Its size and price.
        heads: The branches whose head it is.
    """

    number: int
    draw: Draw
    shape: float
    prompt: str
    facts: str
    heads: str


@attrs.frozen(kw_only=True)
class Sheet:
    """
    What a sheet says and shows.

    Attributes:
        title: Its title.
        about: A line beneath it.
        facts: What stands to its right: when, how many, how much.
        note: What stands at the foot.
        cards: The pictures.
    """

    title: str
    about: str
    facts: tuple[str, str]
    note: str
    cards: tuple[Card, ...]


@attrs.frozen(kw_only=True)
class SheetLayout:
    """
    How a sheet is laid out, in pixels.

    Attributes:
        columns: How many pictures stand side by side.
        captions: Whether prompt, size and price stand beneath each.
        paged: Whether pages have the shape of paper, and are as many as it takes.
        shape: The height of a picture's place by its width.
    """

    columns: int
    captions: bool
    paged: bool
    shape: float

    @classmethod
    def of(
        cls, cards: Sequence[Card], columns: int, *, captions: bool = True, paged: bool = False
    ) -> SheetLayout:
        """
        Lay out a sheet for these pictures.
        """
        shapes = [card.shape for card in cards]
        # A few that are higher than the others do not make every place high.
        least = _SQUATTEST if max(shapes) <= _FLAT else _FLAT
        shape = min(max(statistics.median(shapes), least), _TALLEST)
        return cls(columns=columns, captions=captions, paged=paged, shape=shape)

    @property
    def place(self) -> tuple[int, int]:
        """
        The width and height of a picture's place.
        """
        cell = _CELLS.get(self.columns, _NARROW_CELL)
        return cell, round(cell * self.shape)

    @property
    def width(self) -> int:
        """
        The width of a page.
        """
        grid = self.columns * (self.place[0] + _GAP) - _GAP
        return max(_MIN_WIDTH, grid + 2 * _MARGIN)

    @property
    def row(self) -> int:
        """
        The height of a row, with the gap beneath it.
        """
        caption = _PROMPT_LINES * _TEXT_LINE + _SMALL_LINE if self.captions else 0
        return self.place[1] + _BELOW_PICTURE + _TEXT_LINE + caption + _ROW_GAP

    def height(self, count: int) -> int:
        """
        Return the height of a page with so many pictures.
        """
        if self.paged:
            return max(round(self.width * _PAPER), _TOP + self.row + _FOOT)
        return _TOP + math.ceil(count / self.columns) * self.row + _FOOT

    def pages(self, cards: Sequence[Card]) -> list[Sequence[Card]]:
        """
        Return the pictures of each page.
        """
        if not self.paged:
            return [cards]
        each = self.columns * ((self.height(0) - _TOP - _FOOT + _ROW_GAP // 2) // self.row)
        return [cards[at : at + each] for at in range(0, len(cards), each)]

    def corner(self, at: int) -> tuple[int, int]:
        """
        Return the upper left corner of a picture's place, by its number on the page from 0.
        """
        row, column = divmod(at, self.columns)
        return _MARGIN + column * (self.place[0] + _GAP), _TOP + row * self.row


def draw_pages(sheet: Sheet, form: SheetLayout) -> Iterator[Image.Image]:
    """
    Draw a sheet, page after page.
    """
    pages = form.pages(sheet.cards)
    for number, cards in enumerate(pages, 1):
        page = _Page.blank(form, len(cards))
        page.draw_head(sheet)
        for at, card in enumerate(cards):
            page.draw_card(card, *form.corner(at))
        page.draw_foot(sheet.note, f"{number} / {len(pages)}" if len(pages) > 1 else "")
        yield page.image


@attrs.frozen
class _Page:
    form: SheetLayout
    image: Image.Image
    pen: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, form: SheetLayout, count: int) -> _Page:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

        image = Image.new("RGB", (form.width, form.height(count)), _WHITE)
        return cls(form, image, ImageDraw.Draw(image))

    def draw_head(self, sheet: Sheet) -> None:
        left, right = _MARGIN, self.form.width - _MARGIN
        beside = right - _GAP - self._line(sheet.facts[0], left, right, 69, align_right=True)
        self._line(sheet.title, left, beside, _MARGIN, size=_TITLE, fill=_INK)
        beside = (
            right - _GAP - self._line(sheet.facts[1], left, right, _SECOND_LINE, align_right=True)
        )
        self._line(sheet.about, left, beside, _SECOND_LINE)
        self.pen.line((left, _RULE, right, _RULE), fill=_LINE)

    def draw_foot(self, note: str, number: str) -> None:
        left, right, top = _MARGIN, self.form.width - _MARGIN, self.image.height - _FOOT
        taken = self._line(number, left, right, top, size=_SMALL, align_right=True)
        self._line(note, left, right - taken, top, size=_SMALL)

    def draw_card(self, card: Card, left: int, top: int) -> None:
        width, height = self.form.place
        edge = (left, top, left + width - 1, top + height - 1)
        picture = card.draw(self.form.place)
        if picture is None:
            self.pen.rectangle(edge, fill=_WHITE, outline=_LINE)
            self._line("no picture", left + _GAP, left + width - _GAP, top + height // 2)
        else:
            self.pen.rectangle(edge, fill=_GROUND)
            at = left + (width - picture.width) // 2, top + (height - picture.height) // 2
            self.image.paste(picture, at)
        line = top + height + _BELOW_PICTURE
        taken = self._line(str(card.number), left, left + width, line)
        self._heads(card.heads, left + taken + 24, left + width, line)
        if self.form.captions:
            self._caption(card, left, line + _TEXT_LINE)

    def _caption(self, card: Card, left: int, top: int) -> None:
        text, font = layout(card.prompt, _TEXT)
        for line in wrap(text, font, self.form.place[0], _PROMPT_LINES):
            self.pen.text((left, top), line, font=font, fill=_INK)
            top += _TEXT_LINE
        self._line(card.facts, left, left + self.form.place[0], top, size=_SMALL)

    def _heads(self, names: str, left: int, right: int, top: int) -> None:
        """
        Mark a picture that is the head of branches: a dot, and their names, to the right.
        """
        if names:
            taken = self._line(
                names, left, right, top + 2, size=_SMALL, fill=_ACCENT, align_right=True
            )
            self._dot(right - taken - 15, top + 13)

    def _dot(self, x: int, y: int) -> None:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

        # Drawn four times as large and made small, so that its edge is smooth.
        large = Image.new("L", (8 * _DOT, 8 * _DOT))
        ImageDraw.Draw(large).ellipse((0, 0, 8 * _DOT - 1, 8 * _DOT - 1), fill=255)
        large.thumbnail((2 * _DOT, 2 * _DOT))
        self.image.paste(_ACCENT, (x - _DOT, y - _DOT), large)

    def _line(
        self,
        text: str,
        left: int,
        right: int,
        top: int,
        *,
        size: int = _TEXT,
        fill: str = _GREY,
        align_right: bool = False,
    ) -> int:
        """
        Write one line between two edges, and return how wide it is.
        """
        shown, font = layout(text, size)
        (line,) = wrap(shown, font, max(right - left, 1), 1) or ("",)
        width = math.ceil(font.getlength(line))
        self.pen.text((right - width if align_right else left, top), line, font=font, fill=fill)
        return width
