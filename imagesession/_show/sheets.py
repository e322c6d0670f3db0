"""
Contact sheets: pictures in a grid with what was asked for them, on a screen's page or on paper.

A sheet is laid out in units: one is a pixel on a screen, and more on paper, so that type has the
same share of the page.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from .lettering import Lettering, lines

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_PAPER, _INK, _GREY, _RULE, _GROUND = "#ffffff", "#18181b", "#71717a", "#d4d4d8", "#f4f4f5"
_ACCENT = "#2563eb"
_TITLE, _TEXT, _SMALL = 38, 21, 18
_LEADING = 1.34
_MARGIN, _GAP, _ROW_GAP, _BELOW_PICTURE = 52, 30, 34, 12
_PROMPT_LINES = 2
_SQUATTEST, _FLAT, _TALLEST = 0.5625, 0.75, 1.25
_ON_SCREEN = {1: 856, 2: 520, 3: 460, 4: 352, 5: 290}
_NARROW, _LEAST_WIDTH = 240, 960
DPI = 300
PAPERS = {"a4": (2480, 3508), "letter": (2550, 3300)}
"""Papers in pixels, at 300 dpi."""
_PAPER_UNIT = 1.5
Draw = Callable[[tuple[int, int]], "Image.Image | None"]


@attrs.frozen(kw_only=True)
class Card:
    """
    A picture on a sheet.

    Attributes:
        number: Its number, by which people call it.
        draw: Gives it, at most so wide and high; None where there are no pixels.
        instead: What stands in its place then, in a word or two.
        shape: Its height by its width.
        prompt: What was asked.
        facts: Its size and price.
        heads: The branches that stand on it.
    """

    number: int
    draw: Draw
    instead: str
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
class Form:
    """
    How a sheet is laid out.

    Attributes:
        columns: How many pictures stand side by side.
        captions: Whether what was asked stands beneath each.
        paper: Its width and height in pixels; None for a page that is as high as it must be.
        shape: The height of a picture's place by its width.
    """

    columns: int
    captions: bool
    paper: tuple[int, int] | None
    shape: float

    @classmethod
    def of(
        cls,
        cards: Sequence[Card],
        columns: int,
        paper: tuple[int, int] | None,
        *,
        captions: bool,
    ) -> Form:
        """
        Lay out a sheet for these pictures.
        """
        shapes = [card.shape for card in cards]
        # A few that are higher than the others do not make every place high.
        least = _SQUATTEST if max(shapes) <= _FLAT else _FLAT
        shape = min(max(statistics.median(shapes), least), _TALLEST)
        return cls(columns=columns, captions=captions, paper=paper, shape=shape)

    def px(self, units: float) -> int:
        """
        Return how many pixels so many units are.
        """
        return round(units * (1.0 if self.paper is None else _PAPER_UNIT))

    @property
    def cell(self) -> int:
        """
        The width of a picture's place.
        """
        if self.paper is None:
            return _ON_SCREEN.get(self.columns, _NARROW)
        free = self.paper[0] - 2 * self.px(_MARGIN * 1.6) - (self.columns - 1) * self.px(_GAP)
        return free // self.columns

    @property
    def place(self) -> tuple[int, int]:
        """
        The width and height of a picture's place.
        """
        return self.cell, round(self.cell * self.shape)

    @property
    def width(self) -> int:
        """
        Of a page.
        """
        if self.paper is not None:
            return self.paper[0]
        grid = self.columns * self.cell + (self.columns - 1) * self.px(_GAP)
        return max(_LEAST_WIDTH, grid + 2 * self.margin)

    @property
    def margin(self) -> int:
        """
        Around a page.
        """
        return self.px(_MARGIN if self.paper is None else _MARGIN * 1.6)

    @property
    def row(self) -> int:
        """
        The height of a row, with the gap beneath it.
        """
        rows = 1 + (_PROMPT_LINES if self.captions else 0)
        words = rows * self.px(_TEXT * _LEADING) + self.captions * self.px(_SMALL * _LEADING)
        return self.place[1] + self.px(_BELOW_PICTURE) + words + self.px(_ROW_GAP)

    @property
    def top(self) -> int:
        """
        Where the grid begins.
        """
        return self.margin + self.px(_TITLE * 1.25 + _TEXT * _LEADING + 34)

    @property
    def foot(self) -> int:
        """
        The height of what stands beneath the grid, with the margin.
        """
        return self.px(_SMALL * _LEADING) + self.margin

    @property
    def rows(self) -> int | None:
        """
        How many rows a page of paper holds, none if not even one; None where there is no end.
        """
        if self.paper is None:
            return None
        room = self.paper[1] - self.top - self.foot + self.px(_ROW_GAP * 0.5)
        return room // self.row

    def pages(self, count: int) -> int:
        """
        Return how many pages so many pictures take; 0 if not even one fits.
        """
        if self.rows is None:
            return 1
        return math.ceil(count / (self.rows * self.columns)) if self.rows else 0

    def height(self, count: int) -> int:
        """
        Return the height of a page with so many pictures.
        """
        if self.paper is not None:
            return self.paper[1]
        return self.top + math.ceil(count / self.columns) * self.row + self.foot


def pages(sheet: Sheet, form: Form, letters: Lettering) -> Iterator[Image.Image]:
    """
    Draw a sheet, page after page.
    """
    each = len(sheet.cards) if form.rows is None else form.rows * form.columns
    total = form.pages(len(sheet.cards))
    for page in range(total):
        cards = sheet.cards[page * each : (page + 1) * each]
        number = f"{page + 1} / {total}" if total > 1 else ""
        yield _Page.blank(form, letters, len(cards)).filled(sheet, cards, number)


@attrs.frozen
class _Page:
    form: Form
    letters: Lettering
    image: Image.Image
    pen: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, form: Form, letters: Lettering, count: int) -> _Page:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

        image = Image.new("RGB", (form.width, form.height(count)), _PAPER)
        return cls(form, letters, image, ImageDraw.Draw(image))

    def filled(self, sheet: Sheet, cards: Sequence[Card], number: str) -> Image.Image:
        self._head(sheet)
        for at, card in enumerate(cards):
            column, row = at % self.form.columns, at // self.form.columns
            left = self.form.margin + column * (self.form.cell + self.form.px(_GAP))
            self._card(card, left, self.form.top + row * self.form.row)
        foot = self.image.height - self.form.foot
        side = self._right(number, foot, _SMALL)
        self._words(sheet.note, self.form.margin, foot, _SMALL, _GREY, self._inner - side)
        return self.image

    @property
    def _inner(self) -> int:
        return self.form.width - 2 * self.form.margin

    def _head(self, sheet: Sheet) -> None:
        form = self.form
        second = form.margin + form.px(_TITLE * 1.25)
        sides = (
            self._right(sheet.facts[0], form.margin + form.px(_TITLE * 0.45), _TEXT),
            self._right(sheet.facts[1], second, _TEXT),
        )
        gap = form.px(_GAP)
        self._words(
            sheet.title, form.margin, form.margin, _TITLE, _INK, self._inner - sides[0] - gap
        )
        self._words(sheet.about, form.margin, second, _TEXT, _GREY, self._inner - sides[1] - gap)
        rule = form.top - form.px(18)
        ends = (form.margin, rule, form.width - form.margin, rule)
        self.pen.line(ends, fill=_RULE, width=form.px(1.4))

    def _card(self, card: Card, left: int, top: int) -> None:
        form = self.form
        width, height = form.place
        self.pen.rectangle((left, top, left + width - 1, top + height - 1), fill=_GROUND)
        picture = card.draw(form.place)
        if picture is None:
            self._instead(card, left, top)
        else:
            at = left + (width - picture.width) // 2, top + (height - picture.height) // 2
            self.image.paste(picture, at)
        line = top + height + form.px(_BELOW_PICTURE)
        taken = self._words(str(card.number), left, line, _TEXT, _GREY, width)
        self._heads(card.heads, left + width, line, width - taken - form.px(24))
        if form.captions:
            self._caption(card, left, line + form.px(_TEXT * _LEADING))

    def _caption(self, card: Card, left: int, top: int) -> None:
        form, step = self.form, self.form.px(_TEXT * _LEADING)
        text, font = self.letters.set(card.prompt, form.px(_TEXT))
        told = lines(text, font, form.cell, _PROMPT_LINES)
        for at, line in enumerate(told):
            self.pen.text((left, top + at * step), line, font=font, fill=_INK)
        self._words(card.facts, left, top + len(told) * step, _SMALL, _GREY, form.cell)

    def _instead(self, card: Card, left: int, top: int) -> None:
        width, height = self.form.place
        size = max(self.form.px(_TEXT), width // 9)
        text, font = self.letters.set(card.instead, size)
        (line,) = lines(text, font, width * 0.9, 1) or ("",)
        middle = left + width / 2, top + height / 2
        edge = (left, top, left + width - 1, top + height - 1)
        self.pen.rectangle(edge, fill=_PAPER, outline=_RULE, width=self.form.px(1.4))
        at = middle[0] - font.getlength(line) / 2, middle[1] - size * 0.62
        self.pen.text(at, line, font=font, fill=_GREY)

    def _heads(self, names: str, right: int, top: int, room: int) -> None:
        """
        Mark a picture on which branches stand: a dot, and their names, to the right.
        """
        if not names:
            return
        size = self.form.px(_SMALL)
        text, font = self.letters.set(names, size)
        (line,) = lines(text, font, room, 1) or ("",)
        left = right - font.getlength(line)
        self.pen.text((left, top + self.form.px(2)), line, font=font, fill=_ACCENT)
        radius = self.form.px(5)
        self._dot(round(left) - 3 * radius, top + self.form.px(_TEXT * 0.64), radius)

    def _dot(self, x: int, y: int, radius: int) -> None:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - slow to import, and hardly ever needed

        # Drawn four times as large and made small, so that its edge is smooth.
        large = Image.new("L", (8 * radius, 8 * radius))
        ImageDraw.Draw(large).ellipse((0, 0, 8 * radius - 1, 8 * radius - 1), fill=255)
        large.thumbnail((2 * radius, 2 * radius))
        self.image.paste(_ACCENT, (x - radius, y - radius), large)

    def _words(self, text: str, left: int, top: int, size: int, fill: str, room: float) -> int:  # noqa: PLR0917 - text, place and look of one line
        """
        Write one line, and return how wide it is.
        """
        worded, font = self.letters.set(text, self.form.px(size))
        (line,) = lines(worded, font, max(room, 1), 1) or ("",)
        self.pen.text((left, top), line, font=font, fill=fill)
        return math.ceil(font.getlength(line))

    def _right(self, text: str, top: int, size: int) -> int:
        """
        Write one line that ends at the right margin, and return how wide it is.
        """
        worded, font = self.letters.set(text, self.form.px(size))
        width = math.ceil(font.getlength(worded))
        self.pen.text(
            (self.form.width - self.form.margin - width, top), worded, font=font, fill=_GREY
        )
        return width
