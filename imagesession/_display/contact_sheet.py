"""
A session as a contact sheet: its images in a grid, with their prompts, sizes and costs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, short_id
from imagesession._domain.wording import quote
from imagesession._engine.store import Store
from imagesession._imaging import pillow
from imagesession._imaging.pillow import Picture
from imagesession._imaging.thumbnails import load_small
from imagesession._store.files.atomic_write import translate_os_errors, write_atomic
from imagesession._store.files.modes import library_mode
from imagesession._store.files.paths import resolve_path
from imagesession.errors import ImageSessionError, InvalidRequestError

from . import formatting
from .overwrite_guard import check_replaceable
from .sheet_layout import Card, Draw, Sheet, SheetLayout, draw_pages

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".pdf": "PDF"}
_SIGNATURE = "imagesession contact sheet"
_SIGNATURES = (_SIGNATURE.encode("ascii"), _SIGNATURE.encode("utf-16-be"))
_SCANNED_BYTES = 65_536
# Small images are enlarged a little, but icons do not become blurred.
_MAX_ENLARGEMENT = 1.5
_MAX_COLUMNS, _PDF_COLUMNS = 12, 3
# The maximum height of a JPEG, and a few hundred MB of memory while drawing.
_MAX_HEIGHT, _MAX_PIXELS = 65_000, 120_000_000
_DPI = 144
# The width of A4.
_PAPER_INCHES = 210 / 25.4


def write(
    store: Store,
    session_id: str,
    path: object,
    *,
    columns: object = None,
    captions: bool = True,
    costs: bool = True,
) -> str:
    """
    Write a session's contact sheet, and return its path. A path of None is a generated name in the
    current folder; columns of None are chosen by the count of images.
    """
    record = store.sessions.find(session_id)
    file = _resolve_file(path, record)
    sheet = build_sheet(store, record, store.sessions.tree(record), costs=costs)
    sheet_layout = _choose_layout(sheet.cards, _validate_columns(columns), file, captions=captions)
    with translate_os_errors(file):
        check_replaceable(file, "contact sheet", _is_sheet)
        file.parent.mkdir(parents=True, exist_ok=True)
        data = _encode(sheet, sheet_layout, _FORMATS[file.suffix.lower()])
        write_atomic(file, data, file.parent, mode=library_mode(store.address))
    return str(file)


# --- arguments ----------------------------------------------------------------------------------


def _resolve_file(path: object, record: SessionRecord) -> Path:
    file = resolve_path(f"contact_sheet_{short_id(record.id)}.png" if path is None else path)
    if file.suffix.lower() not in _FORMATS:
        raise InvalidRequestError(
            f"A contact sheet is a .png, .jpg or .pdf, and {quote(file.name)} does not end in one "
            f"of them. Write it to {quote(file.with_suffix('.png').name)}, for instance."
        )
    return file


def _validate_columns(columns: object) -> int | None:
    if columns is None:
        return None
    if type(columns) is not int or not 1 <= columns <= _MAX_COLUMNS:
        raise InvalidRequestError(
            f"columns={quote(columns)} is not a whole number from 1 to {_MAX_COLUMNS}."
        )
    return columns


def _choose_layout(
    cards: Sequence[Card], columns: int | None, file: Path, *, captions: bool
) -> SheetLayout:
    is_pdf = file.suffix.lower() == ".pdf"
    suitable = [_PDF_COLUMNS] if is_pdf else suitable_columns(len(cards))
    for number in [columns] if columns else suitable:
        sheet_layout = SheetLayout.of(cards, number, captions=captions, paged=is_pdf)
        height = sheet_layout.height(len(cards))
        if is_pdf or (height <= _MAX_HEIGHT and height * sheet_layout.width <= _MAX_PIXELS):
            return sheet_layout
    raise InvalidRequestError(
        f"The session's {formatting.pluralize(len(cards), 'image')} do not fit on one page"
        f"{f' with columns={columns}' if columns else ''}. Write it to "
        f"{quote(file.with_suffix('.pdf').name)}, which has as many pages as it takes."
    )


def suitable_columns(count: int) -> Iterator[int]:
    few = ((1, 1), (2, 2), (9, 3), (24, 4), (60, 5))
    yield next((columns for most, columns in few if count <= most), 6)
    yield from range(6, _MAX_COLUMNS + 1)


# --- content ------------------------------------------------------------------------------------


def build_sheet(store: Store, record: SessionRecord, tree: Tree, *, costs: bool) -> Sheet:
    turns = tuple(tree.turns.values())
    cards = tuple(_cards(store, tree, costs=costs))
    if not cards:
        raise InvalidRequestError(
            f"Session {record.id} has no images yet, so there is no contact sheet of it. "
            "session.generate makes the first one."
        )
    sketches = formatting.SKETCHES if costs else f"{formatting.SKETCHES.partition(':')[0]}."
    failed = sum(turn.status in {"failed", "refused"} for turn in turns)
    notes = (
        f"{formatting.pluralize(failed, 'turn')} brought no image." if failed else "",
        sketches if any(map(formatting.is_sketch, turns)) else "",
    )
    total = formatting.format_total_price(turns) if costs else ""
    latest = max(turn.finished or turn.started for turn in turns)
    counts = filter(None, (formatting.pluralize(len(cards), "image"), total))
    return Sheet(
        title=formatting.format_title(record, 120),
        about=formatting.shorten(record.description, 200) if record.name else "",
        facts=(formatting.format_day(latest), " · ".join(counts)),
        note="  ".join(filter(None, notes)),
        cards=cards,
    )


def _cards(store: Store, tree: Tree, *, costs: bool) -> Iterator[Card]:
    heads = formatting.branches_by_head(tree, 40)
    pairs = [(turn, image) for turn in tree.turns.values() for image in turn.images]
    for number, (turn, image) in enumerate(pairs, 1):
        yield Card(
            number=number,
            draw=_drawer(store, image),
            aspect=image.height / image.width if image.height and image.width else 1.0,
            prompt=formatting.shorten(formatting.display_prompt(turn), 400),
            facts=formatting.format_facts(image, turn.cost if costs else None),
            heads=", ".join(heads.get(turn.id, [])) if image is turn.images[-1] else "",
        )


def _drawer(store: Store, image: ImageRecord) -> Draw:
    def draw(box: tuple[int, int]) -> Picture | None:
        try:
            data, name = store.images.read(image), f"Image {image.id}"
            return load_small(data, name, box, squares=True, enlarged=_MAX_ENLARGEMENT)
        except ImageSessionError:
            return None

    return draw


# --- the file -----------------------------------------------------------------------------------


def _encode(sheet: Sheet, sheet_layout: SheetLayout, format: str) -> bytes:
    buffer = io.BytesIO()
    for number, page in enumerate(draw_pages(sheet, sheet_layout)):
        match format:
            case "PDF":
                page.save(
                    buffer, "PDF", resolution=sheet_layout.width / _PAPER_INCHES, quality=88,
                    append=number > 0, title=sheet.title, creator=_SIGNATURE,
                )  # fmt: skip
            case "PNG":
                metadata = pillow.load("PngImagePlugin").PngInfo()
                metadata.add_text("Software", _SIGNATURE)
                page.save(buffer, "PNG", pnginfo=metadata, dpi=(_DPI, _DPI))
            case _:
                page.save(
                    buffer, "JPEG", quality=90, subsampling=0, comment=_SIGNATURE, dpi=(_DPI, _DPI)
                )
    return buffer.getvalue()


def _is_sheet(file: Path) -> bool:
    with file.open("rb") as opened:
        scanned = opened.read(_SCANNED_BYTES)
        opened.seek(max(0, file.stat().st_size - _SCANNED_BYTES))
        scanned += opened.read()
    return any(sign in scanned for sign in _SIGNATURES)
