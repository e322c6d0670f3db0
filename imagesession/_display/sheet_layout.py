"""
Layout and drawing of contact sheets: images in a grid, on one page or on pages of paper.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import attrs

from imagesession._imaging import pillow
from imagesession._imaging.pillow import Picture

from .text_layout import layout, wrap

# A4: its height divided by its width.
_PAPER_RATIO = 2**0.5
# All lengths are in pixels.
_TITLE, _TEXT, _SMALL = 38, 21, 18
_TEXT_LINE, _SMALL_LINE, _PROMPT_LINES = 28, 24, 2
_MARGIN, _GAP, _ROW_GAP, _BELOW_PICTURE = 52, 30, 34, 12
_SECOND_LINE, _TOP, _RULE = 100, 162, 144
_FOOTER = _SMALL_LINE + _MARGIN
_CELLS = {1: 856, 2: 520, 3: 460, 4: 352, 5: 290}
_NARROW_CELL, _MIN_WIDTH = 240, 960
_MIN_RATIO, _FLAT_RATIO, _MAX_RATIO = 0.5625, 0.75, 1.25
_WHITE, _INK, _GREY, _LINE = "#ffffff", "#18181b", "#71717a", "#d4d4d8"
_ACCENT, _DOT = "#2563eb", 5


Draw = Callable[[tuple[int, int]], "Picture | None"]


@attrs.frozen(kw_only=True)
class Card:
    """
    An image on a sheet. `draw` returns it within a maximum width and height, or None if it cannot
    be read; its aspect is height divided by width, and its heads are the branches whose head it is.
    """

    number: int
    draw: Draw
    aspect: float
    prompt: str
    facts: str
    heads: str


@attrs.frozen(kw_only=True)
class Sheet:
    """
    The content of a sheet: `about` is a line below the title, `note` the text in the footer, and
    `facts` are the lines to the right of the title: the date; the count and the cost.
    """

    title: str
    about: str
    facts: tuple[str, str]
    note: str
    cards: tuple[Card, ...]


@attrs.frozen(kw_only=True)
class SheetLayout:
    """
    The layout of a sheet, in pixels: a page as long as it takes, or pages of A4's aspect ratio. The
    aspect of an image's slot is its height divided by its width.
    """

    columns: int
    captions: bool
    paged: bool
    aspect: float

    @classmethod
    def of(
        cls, cards: Sequence[Card], columns: int, *, captions: bool = True, paged: bool = False
    ) -> SheetLayout:
        shapes = [card.aspect for card in cards]
        # The median, so that a few tall images do not make every slot tall.
        minimum = _MIN_RATIO if max(shapes) <= _FLAT_RATIO else _FLAT_RATIO
        aspect = min(max(statistics.median(shapes), minimum), _MAX_RATIO)
        return cls(columns=columns, captions=captions, paged=paged, aspect=aspect)

    @property
    def slot_size(self) -> tuple[int, int]:
        cell = _CELLS.get(self.columns, _NARROW_CELL)
        return cell, round(cell * self.aspect)

    @property
    def width(self) -> int:
        grid = self.columns * (self.slot_size[0] + _GAP) - _GAP
        return max(_MIN_WIDTH, grid + 2 * _MARGIN)

    @property
    def row(self) -> int:
        caption = _PROMPT_LINES * _TEXT_LINE + _SMALL_LINE if self.captions else 0
        return self.slot_size[1] + _BELOW_PICTURE + _TEXT_LINE + caption + _ROW_GAP

    def height(self, count: int) -> int:
        if self.paged:
            return max(round(self.width * _PAPER_RATIO), _TOP + self.row + _FOOTER)
        return _TOP + math.ceil(count / self.columns) * self.row + _FOOTER

    def pages(self, cards: Sequence[Card]) -> list[Sequence[Card]]:
        if not self.paged:
            return [cards]
        per_page = self.columns * ((self.height(0) - _TOP - _FOOTER + _ROW_GAP // 2) // self.row)
        return [cards[index : index + per_page] for index in range(0, len(cards), per_page)]

    def corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        return _MARGIN + column * (self.slot_size[0] + _GAP), _TOP + row * self.row


def draw_pages(sheet: Sheet, form: SheetLayout) -> Iterator[Picture]:
    pages = form.pages(sheet.cards)
    for number, cards in enumerate(pages, 1):
        image = pillow.Image.new("RGB", (form.width, form.height(len(cards))), _WHITE)
        page = _Page(form, image, pillow.ImageDraw.Draw(image))
        page.draw_head(sheet)
        for index, card in enumerate(cards):
            page.draw_card(card, *form.corner(index))
        page.draw_foot(sheet.note, f"{number} / {len(pages)}" if len(pages) > 1 else "")
        yield image


@attrs.frozen
class _Page:
    form: SheetLayout
    image: Picture
    pen: pillow.ImageDraw.ImageDraw

    def draw_head(self, sheet: Sheet) -> None:
        left, right = _MARGIN, self.form.width - _MARGIN
        limit = right - _GAP - self._line(sheet.facts[0], left, right, 69, align_right=True)
        self._line(sheet.title, left, limit, _MARGIN, size=_TITLE, fill=_INK)
        limit = (
            right - _GAP - self._line(sheet.facts[1], left, right, _SECOND_LINE, align_right=True)
        )
        self._line(sheet.about, left, limit, _SECOND_LINE)
        self.pen.line((left, _RULE, right, _RULE), fill=_LINE)

    def draw_foot(self, note: str, number: str) -> None:
        left, right, top = _MARGIN, self.form.width - _MARGIN, self.image.height - _FOOTER
        width_used = self._line(number, left, right, top, size=_SMALL, align_right=True)
        self._line(note, left, right - width_used, top, size=_SMALL)

    def draw_card(self, card: Card, left: int, top: int) -> None:
        width, height = self.form.slot_size
        edge = (left, top, left + width - 1, top + height - 1)
        picture = card.draw(self.form.slot_size)
        if picture is None:
            self.pen.rectangle(edge, fill=_WHITE, outline=_LINE)
            self._line("no image", left + _GAP, left + width - _GAP, top + height // 2)
        else:
            # Its caption follows it directly, whatever its shape.
            height = picture.height
            x = left + (width - picture.width) // 2
            self.image.paste(picture, (x, top))
            self.pen.rectangle((x, top, x + picture.width - 1, top + height - 1), outline=_LINE)
        line = top + height + _BELOW_PICTURE
        width_used = self._line(str(card.number), left, left + width, line)
        self._heads(card.heads, left + width_used + 24, left + width, line)
        if self.form.captions:
            self._caption(card, left, line + _TEXT_LINE)

    def _caption(self, card: Card, left: int, top: int) -> None:
        text, font = layout(card.prompt, _TEXT)
        for line in wrap(text, font, self.form.slot_size[0], _PROMPT_LINES):
            self.pen.text((left, top), line, font=font, fill=_INK)
            top += _TEXT_LINE
        self._line(card.facts, left, left + self.form.slot_size[0], top, size=_SMALL)

    def _heads(self, names: str, left: int, right: int, top: int) -> None:
        if names:
            width_used = self._line(
                names, left, right, top + 2, size=_SMALL, fill=_ACCENT, align_right=True
            )
            self._dot(right - width_used - 15, top + 13)

    def _dot(self, x: int, y: int) -> None:
        # Drawn four times as large and scaled down, so that its edge is smooth.
        large = pillow.Image.new("L", (8 * _DOT, 8 * _DOT))
        pillow.ImageDraw.Draw(large).ellipse((0, 0, 8 * _DOT - 1, 8 * _DOT - 1), fill=255)
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
        shown, font = layout(text, size)
        (line,) = wrap(shown, font, max(right - left, 1), 1) or ("",)
        width = math.ceil(font.getlength(line))
        self.pen.text((right - width if align_right else left, top), line, font=font, fill=fill)
        return width
