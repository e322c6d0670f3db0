"""
A contact sheet shows every picture of a session in its place, on screens and on paper.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession import Studio
from imagesession._display import formatting
from imagesession._display.contact_sheet import suitable_columns
from imagesession._display.sheet_layout import Card, Sheet, SheetLayout, draw_pages
from imagesession.errors import InvalidRequestError, RefusalError, StorageIOError
from imagesession.testing import FakeOpenAI
from tests.display.payloads import RUNNING_SVG
from tests.strategies import texts

COLOURS = ((200, 30, 30), (30, 160, 60), (40, 60, 200), (230, 180, 20), (120, 40, 160))
GROUND, PAPER = (244, 244, 245), (255, 255, 255)


def card(number: int, size: tuple[int, int] | None = (300, 300), **payload: str) -> Card:
    """
    Return a card of one colour; without a size it has no pixels.
    """

    def draw(_: tuple[int, int]) -> Image.Image | None:
        return None if size is None else Image.new("RGB", size, COLOURS[number % len(COLOURS)])

    said = {"prompt": "a fox", "facts": "1x1 PNG", "heads": "", **payload}
    return Card(number=number, draw=draw, shape=size[1] / size[0] if size else 1.0, **said)


def sheet(*cards: Card, **payload: str) -> Sheet:
    """
    Return a sheet of cards.
    """
    said = {"title": "Title", "about": "About", "note": "Note", **payload}
    return Sheet(facts=("today", "much"), cards=cards, **said)


def drawn(made: Sheet, form: SheetLayout) -> list[Image.Image]:
    """
    Return a sheet's pages.
    """
    return list(draw_pages(made, form))


def middle(form: SheetLayout, at: int) -> tuple[int, int]:
    """
    Return where the middle of a page's picture is.
    """
    (left, top), (width, height) = form.corner(at), form.place
    return left + width // 2, top + height // 2


# --- drawing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("paged", [False, True])
def test_every_picture_stands_in_its_place(paged: bool) -> None:  # noqa: FBT001 - parametrized
    """
    Pictures stand in rows, in order, on the screen and on paper; nothing is beside them.
    """
    cards = [card(number, (300, 200)) for number in range(1, 8)]
    form = SheetLayout.of(cards, 3, paged=paged)
    (page,) = drawn(sheet(*cards), form)
    for at, item in enumerate(cards):
        assert page.getpixel(middle(form, at)) == COLOURS[item.number % len(COLOURS)]
    assert page.getpixel(middle(form, 7)) == PAPER
    for edge in (0, page.width - 1):
        assert {page.getpixel((edge, y)) for y in range(page.height)} == {PAPER}


def test_pictures_of_all_shapes_share_a_place() -> None:
    """
    A picture that is not of its place's shape stands in the middle of it, on a ground.
    """
    cards = [card(1, (460, 460)), card(2, (460, 230)), card(3, (230, 460))]
    form = SheetLayout.of(cards, 3)
    (page,) = drawn(sheet(*cards), form)
    (_, y), (x, _) = middle(form, 1), middle(form, 2)
    assert page.getpixel((middle(form, 1)[0], y - 130)) == GROUND
    assert page.getpixel((x - 130, middle(form, 2)[1])) == GROUND
    assert page.getpixel((middle(form, 0)[0] - 225, y - 225)) == COLOURS[1]


def test_what_has_no_pixels_is_a_card_with_its_words() -> None:
    """
    In the place of a picture that cannot be drawn stands a word, within a frame.
    """
    cards = [card(1, None)]
    form = SheetLayout.of(cards, 1)
    (page,) = drawn(sheet(*cards), form)
    left, top = form.corner(0)
    assert page.getpixel((left, top)) == (212, 212, 216)
    box = (left + 9, top + 9, left + form.place[0] - 9, top + form.place[1] - 9)
    darkest, _ = page.crop(box).convert("L").getextrema()
    assert isinstance(darkest, (int, float))
    assert darkest < 150


def test_heads_are_marked_in_colour() -> None:
    """
    A picture on which a branch stands has its name beside its number; others do not.
    """
    cards = [card(1), card(2, heads="main")]
    form = SheetLayout.of(cards, 2)
    (page,) = drawn(sheet(*cards), form)

    def blue(at: int) -> bool:
        left, top = form.corner(at)
        top += form.place[1] + 6
        colours = page.crop((left, top, left + form.place[0], top + 40)).getcolors(100_000)
        return colours is not None and any(
            item[2] - item[0] > 100 for _, item in colours if isinstance(item, tuple)
        )

    assert [blue(0), blue(1)] == [False, True]


def test_captions_can_be_left_out() -> None:
    """
    Without captions the numbers stay, and rows stand closer together.
    """
    cards = [card(number) for number in range(1, 5)]
    reported = SheetLayout.of(cards, 2)
    bare = SheetLayout.of(cards, 2, captions=False)
    assert bare.row < reported.row
    (page,) = drawn(sheet(*cards), bare)
    left, top = bare.corner(0)
    under = top + bare.place[1] + 6
    lettered, _ = page.crop((left, under, left + 60, under + 36)).convert("L").getextrema()
    assert isinstance(lettered, (int, float))
    assert lettered < 200


def test_paper_has_as_many_pages_as_it_takes() -> None:
    """
    Every picture is on one page, in order, on paper of the shape of A4; a picture that is higher
    than that has a page of its own.
    """
    cards = [card(number) for number in range(1, 31)]
    form = SheetLayout.of(cards, 3, paged=True)
    found = drawn(sheet(*cards), form)
    assert len(found) == 4
    assert {round(page.height / page.width, 2) for page in found} == {1.41}
    for at, item in enumerate(cards):
        page, position = divmod(at, 9)
        assert found[page].getpixel(middle(form, position)) == COLOURS[item.number % len(COLOURS)]
    high = [card(number, (100, 400)) for number in range(3)]
    assert len(drawn(sheet(*high), SheetLayout.of(high, 1, paged=True))) == 3


@settings(deadline=None, max_examples=40)
@given(texts, texts, st.lists(texts, min_size=1, max_size=4))
def test_words_of_any_characters_are_drawn(title: str, note: str, prompts: list[str]) -> None:
    """
    Titles, prompts, branches and notes of any characters are drawn, and do not widen the sheet.
    """
    said = [formatting.sanitize_text(prompt) for prompt in prompts]
    cards = [
        card(at, (30, 30), prompt=text, heads=text, facts=text) for at, text in enumerate(said)
    ]
    form = SheetLayout.of(cards, 2)
    made = sheet(
        *cards, title=formatting.sanitize_text(title), note=formatting.sanitize_text(note * 20)
    )
    (page,) = drawn(made, form)
    assert page.size == (form.width, form.height(len(cards)))
    for edge in (0, page.width - 1):
        assert {page.getpixel((edge, y)) for y in range(0, page.height, 3)} == {PAPER}


# --- sessions -----------------------------------------------------------------------------------


@pytest.fixture(name="session")
def some_pictures(studio: Any, provider: FakeOpenAI) -> Any:
    """
    A session of either twin with four pictures and a refusal.
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


def pages_of(pdf: bytes) -> int:
    """
    Count the pages of a PDF.
    """
    return int(re.findall(rb"/Count (\d+)", pdf)[-1])


def test_a_sheet_for_screens(session: Any, tmp_path: Path) -> None:
    """
    A PNG holds all pictures, transparency on squares, and says how it was made.
    """
    path = session.contact_sheet(tmp_path / "new" / "sheet.png")
    assert path == tmp_path / "new" / "sheet.png"
    with Image.open(path) as page:
        assert page.format == "PNG"
        assert page.info["Software"] == "imagesession contact sheet"
        shades = {colour for _, colour in page.getcolors(1_000_000) or ()}
    assert {(255, 255, 255), (229, 229, 229)} <= shades
    assert path.stat().st_size < 500_000


def test_sheets_for_print(session: Any, tmp_path: Path) -> None:
    """
    A PDF is on A4, on as many pages as it takes; a JPEG is one page.
    """
    with Image.open(session.contact_sheet(tmp_path / "a.jpg")) as page:
        assert page.format == "JPEG"
    pdf = session.contact_sheet(tmp_path / "a.PDF").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pages_of(pdf) == 1
    assert re.search(rb"/MediaBox \[ 0 0 595\.\d+ 84[12]\.\d+", pdf)
    assert pages_of(session.contact_sheet(tmp_path / "b.pdf", columns=1).read_bytes()) == 4


def test_without_a_path_it_lies_in_the_current_folder(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Left out, the name is made from the session's id, and the path is told in full.
    """
    monkeypatch.chdir(tmp_path)
    path = session.contact_sheet(captions=False)
    assert path.is_absolute()
    assert path == tmp_path / f"contact_sheet_{session.id[-8:].lower()}.png"


def test_an_earlier_sheet_is_replaced_and_nothing_else(session: Any, tmp_path: Path) -> None:
    """
    A sheet is made anew under its name; a picture, a folder or a link is never written over.
    """
    for name in ("a.png", "a.jpg", "a.pdf"):
        once = session.contact_sheet(tmp_path / name, columns=1).read_bytes()
        again = session.contact_sheet(tmp_path / name, columns=2).read_bytes()
        assert once != again
    kept = session.images()[0].path
    before = kept.read_bytes()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    for taken in (kept, tmp_path / "folder.png", tmp_path / "link.png"):
        with pytest.raises(StorageIOError, match="not overwritten"):
            session.contact_sheet(taken)
    assert kept.read_bytes() == before
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
def test_wrong_arguments_are_named(
    session: Any, tmp_path: Path, path: Any, options: dict[str, Any], message: str
) -> None:
    """
    What cannot be is an error that names it, and nothing is written.
    """
    chosen = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(InvalidRequestError, match=message):
        session.contact_sheet(chosen, **options)
    assert [item for item in tmp_path.iterdir() if item.is_file()] == []


def test_a_session_without_pictures_has_no_sheet(studio: Any, tmp_path: Path) -> None:
    """
    It says that there is nothing to show yet.
    """
    with pytest.raises(InvalidRequestError, match="no pictures yet"):
        studio.session("x").contact_sheet(tmp_path / "a.png")


def test_lost_pictures_leave_a_word(tmp_path: Path) -> None:
    """
    A picture whose file is gone leaves its place and its caption.
    """
    with Studio.offline(tmp_path / "library") as studio:
        session = studio.session("x")
        session.generate("a fox", quality="low").path.unlink()
        with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
            assert page.convert("L").getextrema()[0] < 100  # type: ignore[operator] # pyright: ignore - of one band


def test_drawings_are_drawn_and_do_not_run(tmp_path: Path) -> None:
    """
    An SVG is shown by what it draws; one that cannot be drawn leaves a word.
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
def test_columns_suit_how_many_there_are(count: int, columns: int) -> None:
    """
    Few pictures are large, many are small, and the sheet is at most 1.7 thousand pixels wide.
    """
    assert next(suitable_columns(count)) == columns
    form = SheetLayout.of([card(1)], columns)
    assert 900 < form.width < 1750


def test_too_many_pictures_for_one_page(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What does not fit on one page takes more columns, or is an error that names the PDF.
    """
    monkeypatch.setattr("imagesession._display.contact_sheet._MAX_HEIGHT", 900)
    with Image.open(session.contact_sheet(tmp_path / "a.png")) as page:
        assert page.height <= 900
    with pytest.raises(
        InvalidRequestError, match=r"4 pictures do not fit .* with columns=1.*a\.pdf"
    ):
        session.contact_sheet(tmp_path / "a.png", columns=1)
    assert session.contact_sheet(tmp_path / "a.pdf", columns=1).exists()
