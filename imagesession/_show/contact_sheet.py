"""
A session as a contact sheet: from its records to a file.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from imagesession._library.durable import disk_errors, write_plainly
from imagesession._library.parcels import path_of
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._model.turns import ImageRecord, Turn, short_id
from imagesession._pixels.thumbnails import load_small
from imagesession._plan.store import Store
from imagesession.errors import CallError, ImageSessionError

from . import sheets, words
from .lettering import Lettering, lettering
from .replacing import check_replaceable
from .sheets import Card, Form, Sheet

_FORMS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".pdf": "PDF"}
_SIGN = "imagesession contact sheet"
_SIGNS = (_SIGN.encode("ascii"), _SIGN.encode("utf-16-be"))
_ENDS = 65_536
# Somewhat: a picture fills its place on paper, and an icon does not become a blur.
_ENLARGED = 1.5
_MOST_COLUMNS = 12
_ON_PAPER, _MOST_CHOSEN = 3, 8
# As high as a JPEG may be, and a few hundred MB of pixels while it is drawn.
_HIGHEST, _MOST_PIXELS = 65_000, 120_000_000


@attrs.frozen(kw_only=True)
class Wanted:
    """
    How a sheet is wanted.

    Attributes:
        path: Where it is written; None for a name of our own in the current folder.
        columns: How many pictures stand side by side; None for as many as suit.
        captions: Whether what was asked stands beneath each.
        paper: "a4" or "letter", at 300 dpi; None for a page as high as it must be, and in a PDF A4.
        font: The file of a typeface; None for Pillow's own.
    """

    path: object
    columns: object
    captions: bool
    paper: object
    font: object


def write(store: Store, session_id: str, wanted: Wanted) -> str:
    """
    Draw a session's pictures on a sheet.

    Returns:
        Where it was written.

    Raises:
        CallError: An argument is not of its form, there are no pictures, or too many for one page.
        DiskError: Something other than a contact sheet is there, or it cannot be written.
    """
    record = store.find_session(session_id)
    file = _file(wanted.path, record)
    letters = lettering(wanted.font)
    sheet = _sheet(store, record, store.tree(record))
    form = _form(sheet, wanted, file)
    with disk_errors(file):
        check_replaceable(file, "contact sheet", _is_sheet)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_plainly(file, _drawn(sheet, form, letters, _FORMS[file.suffix.lower()]), file.parent)
    return str(file)


# --- what was asked for ------------------------------------------------------------------------


def _file(path: object, record: SessionRecord) -> Path:
    file = path_of(f"contact_sheet_{short_id(record.id)}.png" if path is None else path)
    if file.suffix.lower() not in _FORMS:
        raise CallError(
            f"A contact sheet is a .png, .jpg or .pdf, and {str(file)!r} does not end in one of "
            f"them. Write it to {str(file.with_suffix('.png'))!r}, for instance."
        )
    return file


def _form(sheet: Sheet, wanted: Wanted, file: Path) -> Form:
    """
    Lay the sheet out as it is wanted.

    Raises:
        CallError: It cannot be.
    """
    count = len(sheet.cards)
    paged = file.suffix.lower() == ".pdf"
    paper = _paper(wanted.paper, paged=paged)
    columns = _columns(wanted.columns)
    tries = [columns] if columns else list(_suitable(count, paged=paged, paper=paper))
    forms = [Form.of(sheet.cards, one, paper, captions=wanted.captions) for one in tries]
    fitting = (one for one in forms if _fits(one, count, paged=paged))
    form = next(fitting, None)
    if form is None:
        raise CallError(
            f"The session's {words.counted(count, 'picture')} do not fit on one page"
            f"{f' with columns={columns}' if columns else ''}. Write it to "
            f"{str(file.with_suffix('.pdf'))!r}, which has as many pages as it takes"
            + (", with fewer columns." if paged else ".")
        )
    return form


def _fits(form: Form, count: int, *, paged: bool) -> bool:
    if form.paper is not None:
        return form.pages(count) > 0 and (paged or form.pages(count) == 1)
    height = form.height(count)
    return height <= _HIGHEST and height * form.width <= _MOST_PIXELS


def _suitable(count: int, *, paged: bool, paper: tuple[int, int] | None) -> Iterator[int]:
    """
    Yield the numbers of columns that suit so many pictures, the best one first.
    """
    if paper is not None:
        yield from range(_ON_PAPER, _ON_PAPER + 1 if paged else _MOST_CHOSEN + 1)
        return
    few = ((1, 1), (2, 2), (9, 3), (24, 4), (60, 5))
    yield next((columns for most, columns in few if count <= most), 6)
    yield from range(6, _MOST_COLUMNS + 1)


def _columns(columns: object) -> int | None:
    if columns is None:
        return None
    if type(columns) is not int or not 1 <= columns <= _MOST_COLUMNS:
        raise CallError(f"columns={columns!r} is not a whole number from 1 to {_MOST_COLUMNS}.")
    return columns


def _paper(paper: object, *, paged: bool) -> tuple[int, int] | None:
    if paper is None:
        return sheets.PAPERS["a4"] if paged else None
    if not isinstance(paper, str) or paper.lower() not in sheets.PAPERS:
        known = " or ".join(map(repr, sheets.PAPERS))
        raise CallError(f"paper={paper!r} is no paper that is known here: {known}.")
    return sheets.PAPERS[paper.lower()]


# --- what it says and shows --------------------------------------------------------------------


def _sheet(store: Store, record: SessionRecord, tree: Tree) -> Sheet:
    turns = tuple(tree.turns.values())
    cards = tuple(_cards(store, tree))
    if not cards:
        raise CallError(
            f"Session {record.id} has no pictures yet, so there is no contact sheet of it. "
            "session.generate makes the first one."
        )
    failed = sum(turn.status in {"failed", "refused"} for turn in turns)
    notes = (
        f"{words.counted(failed, 'turn')} brought no picture." if failed else "",
        words.SKETCHES if any(map(words.is_sketch, turns)) else "",
    )
    counts = filter(None, (words.counted(len(cards), "picture"), words.total_price(turns)))
    return Sheet(
        title=words.shortened(record.name or record.description, 120) or "Untitled session",
        about=words.shortened(record.description, 200) if record.name else "",
        facts=(words.day(_latest(turns)), " · ".join(counts)),
        note="  ".join(filter(None, notes)),
        cards=cards,
    )


def _latest(turns: tuple[Turn, ...]) -> dt.datetime:
    return max(turn.finished or turn.started for turn in turns)


def _cards(store: Store, tree: Tree) -> Iterator[Card]:
    heads: dict[str, list[str]] = {}
    for branch in tree.branches():
        head = tree.head(branch)
        if head is not None:
            heads.setdefault(head.id, []).append(words.shortened(branch, 40))
    number = 0
    for turn in tree.turns.values():
        for image in turn.images:
            number += 1
            last = image is turn.images[-1]
            yield Card(
                number=number,
                draw=_drawing(store, image),
                instead="cannot be drawn" if image.format == "svg" else "file missing",
                shape=image.height / image.width if image.height and image.width else 1.0,
                prompt=words.shortened(words.said(turn), 400),
                facts=" · ".join(filter(None, (words.size_of(image), words.price(turn.cost)))),
                heads=", ".join(heads.get(turn.id, [])) if last else "",
            )


def _drawing(store: Store, image: ImageRecord) -> sheets.Draw:
    def draw(box: tuple[int, int]) -> Any:  # noqa: ANN401 - Pillow is not loaded for its name
        try:
            data, name = store.read(image), f"Picture {image.id}"
            return load_small(data, name, box, squares=True, enlarged=_ENLARGED)
        except ImageSessionError:
            return None

    return draw


# --- the file ----------------------------------------------------------------------------------


def _drawn(sheet: Sheet, form: Form, letters: Lettering, kind: str) -> bytes:
    """
    Draw the pages and return them as a file.
    """
    from PIL import PngImagePlugin  # noqa: PLC0415 - slow to import, and hardly ever needed

    buffer = io.BytesIO()
    for number, page in enumerate(sheets.pages(sheet, form, letters)):
        match kind:
            case "PDF":
                page.save(
                    buffer, "PDF", resolution=sheets.DPI, quality=88, append=number > 0,
                    title=sheet.title, creator=_SIGN,
                )  # fmt: skip
            case "PNG":
                marks = PngImagePlugin.PngInfo()
                marks.add_text("Software", _SIGN)
                page.save(buffer, "PNG", pnginfo=marks, dpi=_dpi(form))
            case _:
                page.save(buffer, "JPEG", quality=90, subsampling=0, comment=_SIGN, dpi=_dpi(form))
    return buffer.getvalue()


def _dpi(form: Form) -> tuple[int, int]:
    dots = sheets.DPI if form.paper is not None else 144
    return dots, dots


def _is_sheet(file: Path) -> bool:
    with file.open("rb") as opened:
        ends = opened.read(_ENDS)
        opened.seek(max(0, file.stat().st_size - _ENDS))
        ends += opened.read()
    return any(sign in ends for sign in _SIGNS)
