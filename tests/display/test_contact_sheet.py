"""
A contact sheet shows every image of a session in a grid, on screens and on paper.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from imagesession import Studio
from imagesession._display import formatting
from imagesession._display.contact_sheet import build_sheet, suitable_columns
from imagesession._display.sheet_layout import Card, Sheet, SheetLayout, draw_pages
from imagesession._store.disk.library import open_library
from imagesession.errors import InvalidRequestError, RefusalError, StorageIOError
from imagesession.testing import FakeOpenAI
from tests.display.payloads import RUNNING_SVG
from tests.strategies import texts

COLOURS = ((200, 30, 30), (30, 160, 60), (40, 60, 200), (230, 180, 20), (120, 40, 160))
PAPER = 255, 255, 255


def card(number: int, size: tuple[int, int] | None = (300, 300), **overrides: str) -> Card:
    """
    Return a card of one colour, or without an image if `size` is None.
    """

    def draw(slot: tuple[int, int]) -> Image.Image | None:
        if size is None:
            return None
        whole = Image.new("RGB", size, COLOURS[number % len(COLOURS)])
        return ImageOps.contain(whole, slot)

    fields = {"prompt": "a fox", "facts": "1x1 PNG", "heads": "", **overrides}
    return Card(number=number, draw=draw, aspect=size[1] / size[0] if size else 1.0, **fields)


def sheet(*cards: Card, **overrides: str) -> Sheet:
    """
    Return a sheet of cards.
    """
    fields = {"title": "Title", "about": "About", "note": "Note", **overrides}
    return Sheet(facts=("today", "much"), cards=cards, **fields)


def draw(sheet_content: Sheet, layout: SheetLayout) -> list[Image.Image]:
    """
    Return a sheet's pages.
    """
    return list(draw_pages(sheet_content, layout))


def center_of_slot(layout: SheetLayout, index: int) -> tuple[int, int]:
    """
    Return the center of an image's slot.
    """
    (left, top), (width, height) = layout.corner(index), layout.slot_size
    return left + width // 2, top + height // 2


# --- drawing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("paged", [False, True])
def test_images_are_placed_in_order(paged: bool) -> None:  # noqa: FBT001 - parametrized
    """
    Images are placed in rows, in order, on the screen and on paper, within the margins.
    """
    cards = [card(number, (300, 200)) for number in range(1, 8)]
    layout = SheetLayout.of(cards, 3, paged=paged)
    (page,) = draw(sheet(*cards), layout)
    for index, entry in enumerate(cards):
        assert page.getpixel(center_of_slot(layout, index)) == COLOURS[entry.number % len(COLOURS)]
    assert page.getpixel(center_of_slot(layout, 7)) == PAPER
    for edge in (0, page.width - 1):
        assert {page.getpixel((edge, y)) for y in range(page.height)} == {PAPER}


def test_images_of_other_aspects_are_whole() -> None:
    """
    An image with another aspect ratio than its slot is whole, at the slot's top, and its caption
    follows it.
    """
    cards = [card(1, (460, 460)), card(2, (460, 230)), card(3, (230, 460))]
    layout = SheetLayout.of(cards, 3)
    (page,) = draw(sheet(*cards), layout)
    (left, top), (width, height) = layout.corner(1), layout.slot_size
    assert page.getpixel((left + width // 2, top + width // 2 - 5)) == COLOURS[2]
    caption = page.crop((left, top + width // 2 + 4, left + width, top + height))
    assert (24, 24, 27) in {colour for _, colour in caption.getcolors(100_000) or ()}
    x, y = center_of_slot(layout, 2)
    assert page.getpixel((x, y)) == COLOURS[3]
    assert page.getpixel((x - width // 2 + 2, y)) == PAPER


def test_unreadable_image_leaves_a_labelled_frame() -> None:
    """
    The slot of an image that cannot be read has a frame with a text.
    """
    cards = [card(1, None)]
    layout = SheetLayout.of(cards, 1)
    (page,) = draw(sheet(*cards), layout)
    left, top = layout.corner(0)
    assert page.getpixel((left, top)) == (212, 212, 216)
    box = (
        left + 9,
        top + 9,
        left + layout.slot_size[0] - 9,
        top + layout.slot_size[1] - 9,
    )
    darkest, _ = page.crop(box).convert("L").getextrema()
    assert isinstance(darkest, (int, float))
    assert darkest < 150


def test_branch_heads_are_marked_in_colour() -> None:
    """
    The head of a branch has the branch's name beside its number; other images do not.
    """
    cards = [card(1), card(2, heads="main")]
    layout = SheetLayout.of(cards, 2)
    (page,) = draw(sheet(*cards), layout)

    def blue(index: int) -> bool:
        left, top = layout.corner(index)
        top += layout.slot_size[1] + 6
        colours = page.crop((left, top, left + layout.slot_size[0], top + 40)).getcolors(100_000)
        return colours is not None and any(
            entry[2] - entry[0] > 100 for _, entry in colours if isinstance(entry, tuple)
        )

    assert [blue(0), blue(1)] == [False, True]


def test_captions_are_optional() -> None:
    """
    Without captions the numbers remain, and rows are closer together.
    """
    cards = [card(number) for number in range(1, 5)]
    with_captions = SheetLayout.of(cards, 2)
    without_captions = SheetLayout.of(cards, 2, captions=False)
    assert without_captions.row < with_captions.row
    (page,) = draw(sheet(*cards), without_captions)
    left, top = without_captions.corner(0)
    caption_top = top + without_captions.slot_size[1] + 6
    darkest, _ = (
        page.crop((left, caption_top, left + 60, caption_top + 36)).convert("L").getextrema()
    )
    assert isinstance(darkest, (int, float))
    assert darkest < 200


def test_pdf_layout_has_enough_pages() -> None:
    """
    All images are placed in order on pages of A4's aspect ratio; a slot that is taller than that
    has a page of its own.
    """
    cards = [card(number) for number in range(1, 31)]
    layout = SheetLayout.of(cards, 3, paged=True)
    pages = draw(sheet(*cards), layout)
    assert len(pages) == 4
    assert {round(page.height / page.width, 2) for page in pages} == {1.41}
    for index, entry in enumerate(cards):
        page, position = divmod(index, 9)
        assert (
            pages[page].getpixel(center_of_slot(layout, position))
            == COLOURS[entry.number % len(COLOURS)]
        )
    tall = [card(number, (100, 400)) for number in range(3)]
    assert len(draw(sheet(*tall), SheetLayout.of(tall, 1, paged=True))) == 3


@settings(deadline=None, max_examples=40)
@given(texts, texts, st.lists(texts, min_size=1, max_size=4))
def test_any_text_can_be_drawn(title: str, note: str, prompts: list[str]) -> None:
    """
    Titles, prompts, branches and notes of any characters are drawn within the margins.
    """
    fields = [formatting.sanitize_text(prompt) for prompt in prompts]
    cards = [
        card(index, (30, 30), prompt=text, heads=text, facts=text)
        for index, text in enumerate(fields)
    ]
    layout = SheetLayout.of(cards, 2)
    sheet_content = sheet(
        *cards, title=formatting.sanitize_text(title), note=formatting.sanitize_text(note * 20)
    )
    (page,) = draw(sheet_content, layout)
    assert page.size == (layout.width, layout.height(len(cards)))
    for edge in (0, page.width - 1):
        assert {page.getpixel((edge, y)) for y in range(0, page.height, 3)} == {PAPER}


# --- sessions -----------------------------------------------------------------------------------


@pytest.fixture(name="session")
def session_with_images(studio: Any, provider: FakeOpenAI) -> Any:
    """
    A session of either twin with four images and a refusal.
    """
    session = studio.session("Logo of a tea shop", name="Tea logo")
    first = session.generate("a teapot", quality="low")
    session.generate("wide", size="1536x864", quality="low")
    session.generate("without ground", background="transparent", quality="low")
    first.branch("drawing").generate("as a drawing", output_format="svg")
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError):
        session.generate("something else")
    return session


def count_pages(pdf: bytes) -> int:
    """
    Count the pages of a PDF.
    """
    return int(re.findall(rb"/Count (\d+)", pdf)[-1])


@pytest.mark.detailed
def test_png_sheet(session: Any, tmp_path: Path) -> None:
    """
    A PNG shows transparency on a checkerboard, and has the library's name in its metadata.
    """
    path = session.contact_sheet(tmp_path / "new" / "sheet.png")
    assert path == tmp_path / "new" / "sheet.png"
    with Image.open(path) as page:
        assert page.format == "PNG"
        assert page.info["Software"] == "imagesession contact sheet"
        shades = {colour for _, colour in page.getcolors(1_000_000) or ()}
    assert {(255, 255, 255), (229, 229, 229)} <= shades
    assert path.stat().st_size < 500_000


def test_pdf_and_jpeg_sheets(session: Any, tmp_path: Path) -> None:
    """
    A PDF has as many A4 pages as needed; a JPEG is one page.
    """
    with Image.open(session.contact_sheet(tmp_path / "a.jpg")) as page:
        assert page.format == "JPEG"
    pdf = session.contact_sheet(tmp_path / "a.PDF").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert count_pages(pdf) == 1
    assert re.search(rb"/MediaBox \[ 0 0 595\.\d+ 84[12]\.\d+", pdf)
    assert count_pages(session.contact_sheet(tmp_path / "b.pdf", columns=1).read_bytes()) == 4


def test_default_path_is_in_the_current_folder(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a path, the name is made from the session's id, and the absolute path is returned.
    """
    monkeypatch.chdir(tmp_path)
    path = session.contact_sheet(captions=False)
    assert path.is_absolute()
    assert path == tmp_path / f"contact_sheet_{session.id[-8:].lower()}.png"


def test_costs_can_be_left_out(session: Any, tmp_path: Path) -> None:
    """
    With `costs=False` no price stands on the sheet: not below images, in the total or the footer.
    """
    store = open_library(session.images()[0].path.parents[1])
    record = store.sessions.find(session.id)
    for costs in (True, False):
        content = build_sheet(store, record, store.sessions.tree(record), costs=costs)
        words = " ".join((*content.facts, content.note, *(card.facts for card in content.cards)))
        assert ("$" in words) == costs
        assert ("price" in words) == costs
    assert (
        session.contact_sheet(tmp_path / "a.png").read_bytes()
        != session.contact_sheet(tmp_path / "b.png", costs=False).read_bytes()
    )


def test_only_an_earlier_sheet_is_overwritten(session: Any, tmp_path: Path) -> None:
    """
    An earlier sheet is replaced; an image, a folder or a link is never overwritten.
    """
    for name in ("a.png", "a.jpg", "a.pdf"):
        once = session.contact_sheet(tmp_path / name, columns=1).read_bytes()
        again = session.contact_sheet(tmp_path / name, columns=2).read_bytes()
        assert once != again
    image_path = session.images()[0].path
    before = image_path.read_bytes()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    for occupied in (image_path, tmp_path / "folder.png", tmp_path / "link.png"):
        with pytest.raises(StorageIOError, match="not overwritten"):
            session.contact_sheet(occupied)
    assert image_path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "a.jpg", "a.pdf", "a.png", "link.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path,options,message",
    [
        ("a.gif", {}, "does not end in one"),
        ("a", {}, "a.png"),
        (7, {}, "path"),
        ("a.png", {"columns": 0}, "columns=0"),
        ("a.png", {"columns": 13}, "columns=13"),
        ("a.png", {"columns": True}, "columns=True"),
    ],
)
def test_invalid_arguments_are_rejected(
    session: Any, tmp_path: Path, path: Any, options: dict[str, Any], message: str
) -> None:
    """
    An invalid argument raises an error that names it, and no file is written.
    """
    chosen = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(InvalidRequestError, match=message):
        session.contact_sheet(chosen, **options)
    assert [entry for entry in tmp_path.iterdir() if entry.is_file()] == []


def test_session_without_images_has_no_sheet(studio: Any, tmp_path: Path) -> None:
    """
    The error says that the session has no images yet.
    """
    with pytest.raises(InvalidRequestError, match="no images yet"):
        studio.session("x").contact_sheet(tmp_path / "a.png")


def test_missing_image_leaves_its_slot(tmp_path: Path) -> None:
    """
    An image whose file is missing keeps its slot and its caption.
    """
    with Studio.offline(tmp_path / "library") as studio:
        session = studio.session("x")
        session.generate("a fox", quality="low").path.unlink()
        with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
            assert page.convert("L").getextrema()[0] < 100  # type: ignore[operator] # pyright: ignore - of one band


def test_svg_is_rendered_without_scripts(tmp_path: Path) -> None:
    """
    An SVG is rendered; one that cannot be rendered leaves a text.
    """
    with Studio.offline(tmp_path / "library") as studio:
        session = studio.promote(RUNNING_SVG, "a drawing")
        with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
            colours = {colour for _, colour in page.getcolors(1_000_000) or ()}
        assert (34, 170, 119) in colours
        session.images()[-1].path.write_bytes(b"<svg></svg>")
        with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
            colours = {colour for _, colour in page.getcolors(1_000_000) or ()}
        assert (34, 170, 119) not in colours


@pytest.mark.parametrize("count,columns", [(1, 1), (2, 2), (5, 3), (20, 4), (50, 5), (300, 6)])
def test_number_of_columns_depends_on_the_count(count: int, columns: int) -> None:
    """
    Few images are large, many are small, and the sheet is 900 to 1,750 pixels wide.
    """
    assert next(suitable_columns(count)) == columns
    layout = SheetLayout.of([card(1)], columns)
    assert 900 < layout.width < 1750


def test_too_many_images_for_one_page(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Images that do not fit on one page get more columns, or an error that suggests a PDF.
    """
    monkeypatch.setattr("imagesession._display.contact_sheet._MAX_HEIGHT", 900)
    with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
        assert page.height <= 900
    with pytest.raises(InvalidRequestError, match=r"4 images do not fit .* with columns=1.*a\.pdf"):
        session.contact_sheet(tmp_path / "a.png", columns=1)
    assert session.contact_sheet(tmp_path / "a.pdf", columns=1).exists()
