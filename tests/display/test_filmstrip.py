"""
A session's filmstrip shows every turn in a grid, and no text becomes markup.
"""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession import Studio
from imagesession._display import filmstrip
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import HeadMove, Tree
from imagesession._domain.turn import ImageRecord
from imagesession.errors import InvalidImageError, RefusalError
from imagesession.testing import FakeOpenAI
from tests.display.growing import NOW, tree, trees, turn
from tests.display.payloads import PAYLOADS, RUNNING_SVG
from tests.strategies import texts

ALLOWED = {"div", "strong", "span", "b", "img", "figure", "figcaption"}
ATTRIBUTES = {"style", "src", "alt", "title", "dir"}
RECORD = SessionRecord(id="s", description="About it", name="Its name", created=NOW)


def read(_: ImageRecord) -> bytes:
    """
    Return the same image for every record.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


class Parsed(HTMLParser):
    """
    The elements and the text of an HTML fragment.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Record an element.
        """
        self.elements.append((tag, dict(attrs)))
        self.text += " " * (tag == "div")
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """
        Check that the innermost open element ends.
        """
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """
        Record text.
        """
        self.text += data


def check_harmless(html: str) -> Parsed:
    """
    Check that an HTML fragment has only allowed elements, all closed, and fetches nothing.
    """
    html.encode()
    parsed = Parsed(html)
    assert not parsed.open
    for name, attributes in parsed.elements:
        assert name in ALLOWED
        assert set(attributes) <= ATTRIBUTES
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert "url(" not in (attributes.get("style") or "")
    return parsed


def page(turns: Tree, record: SessionRecord = RECORD, branch: str = "main") -> str:
    """
    Return a session's filmstrip.
    """
    return filmstrip.page(record, turns, branch, read)


# --- layout -------------------------------------------------------------------------------------


@settings(deadline=None)
@given(trees, st.sampled_from(["main", "a"]))
def test_every_turn_has_its_own_cell(turns: Tree, branch: str) -> None:
    """
    All of the latest turns are in the grid, no two in one cell; a child is one column after its
    parent, in the same row or below, and no line to it crosses another image.
    """
    placed = {cell.turn.id: cell for cell in filmstrip.layout_tree(turns, branch)}
    assert set(placed) == set(list(turns.turns)[-filmstrip.MAX_TURNS :])
    cells = {(cell.column, cell.row) for cell in placed.values()}
    assert len(cells) == len(placed)
    for cell in placed.values():
        parent = placed.get(cell.turn.parent or "")
        assert cell.starts == (parent is None)
        if parent is None:
            assert (cell.column, cell.fork) == (1, None)
            continue
        assert cell.column == parent.column + 1
        assert cell.fork == (None if cell.row == parent.row else parent.row)
        between = {(cell.column, row) for row in range(parent.row + 1, cell.row)}
        crossed = (other for other in placed.values() if (other.column, other.row) in between)
        assert all(other.turn.parent == cell.turn.parent for other in crossed)


@given(trees)
def test_current_branch_is_one_row(turns: Tree) -> None:
    """
    The lineage of the head is in one row.
    """
    placed = {cell.turn.id: cell for cell in filmstrip.layout_tree(turns, "main")}
    rows = {placed[turn.id].row for turn in turns.lineage(turns.head("main")) if turn.id in placed}
    assert len(rows) <= 1


def test_undone_and_failed_turns_are_below_the_branch() -> None:
    """
    Undone turns, and turns without an image, are in rows below the current branch.
    """
    turns = tree(turn(0), turn(1, 0), turn(2, 0, has_image=False), turn(3, 0), turn(4, 3))
    places = {
        other.turn.id[-1]: (other.column, other.row)
        for other in filmstrip.layout_tree(turns, "main")
    }
    assert places["0"] == (1, 1)
    assert places["3"] == (2, 1)
    assert places["4"] == (3, 1)
    assert {places["1"], places["2"]} == {(2, 2), (2, 3)}


# --- content ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(trees, texts, st.none() | texts)
def test_any_text_stays_text(turns: Tree, description: str, name: str | None) -> None:
    """
    Prompts, names, branches and failures of any characters appear as text.
    """
    record = attrs.evolve(RECORD, description=description, name=name)
    check_harmless(page(turns, record))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_scripts_stay_text(payload: str) -> None:
    """
    A text that would run a script as markup is shown as text.
    """
    turns = tree(
        turn(0, prompt=payload),
        turn(1, 0, branch=payload),
        turn(2, 0, has_image=False, prompt=payload),
    )
    record = attrs.evolve(RECORD, description=payload, name=payload)
    parsed = check_harmless(page(turns, record))
    expected = " ".join(char if char.isprintable() else " " for char in payload).split()
    assert expected[0].replace(" ", "")[:8] in parsed.text.replace(" ", "")


def test_heads_branches_and_numbers() -> None:
    """
    The head of the current branch is marked, others are named, and images have their numbers.
    """
    turns = tree(turn(0), turn(1, 0, has_image=False), turn(2, 0), turn(3, 0, branch="warm"))
    frames = {frame["cell"].turn.id[-1]: frame for frame in filmstrip.frames(turns, "warm", read)}
    assert [frames[text]["number"] for text in "0123"] == [1, None, 2, 3]
    assert [frame for frame in frames if frames[frame]["current"]] == ["3"]
    assert frames["2"]["heads"] == ["main"]
    assert frames["3"]["heads"] == ["warm"]
    assert (frames["3"]["line"], frames["2"]["line"]) == ("warm", "")
    assert frames["1"]["reason"] == "x"
    assert frames["1"]["image"] is None
    assert "● warm" in page(turns, branch="warm")


def test_earlier_turns_are_counted() -> None:
    """
    Of a long session the latest turns are shown, with the number of those that are not.
    """
    turns = tree(turn(0), *(turn(number, number - 1) for number in range(1, 50)))
    html = page(turns)
    assert "10 earlier turns are not shown" in html
    assert html.count("<img") == filmstrip.MAX_TURNS
    assert len(html) < 200_000


def test_empty_session_and_undone_branch() -> None:
    """
    A session without turns says so, and so does a branch whose head is before the first turn.
    """
    assert "No turns yet" in page(Tree())
    undone = tree(turn(0)).with_move("main", HeadMove(id="z", head=None))
    assert "starts afresh" in page(undone)
    closed = attrs.evolve(RECORD, closed=NOW, name=None)
    assert "closed" in page(Tree(), closed)
    assert "Untitled session" in page(Tree(), attrs.evolve(RECORD, name=None, description=" "))


def test_turn_with_only_text_shows_it() -> None:
    """
    A completed turn without an image shows the model's text.
    """
    without_text = attrs.evolve(turn(0, has_image=False), status="completed", failure=None)
    with_text = attrs.evolve(without_text, text="Which colour?")
    assert [frame["reason"] for frame in filmstrip.frames(tree(without_text), "main", read)] == [
        "no image"
    ]
    assert [frame["reason"] for frame in filmstrip.frames(tree(with_text), "main", read)] == [
        "Which colour?"
    ]


def test_svg_is_rendered() -> None:
    """
    An SVG is rendered; one that cannot be rendered, and a missing one, are not shown.
    """
    svg = attrs.evolve(turn(0).images[0], format="svg")
    mime_data = filmstrip.thumbnail_url(svg, lambda _: RUNNING_SVG)
    assert mime_data is not None
    assert mime_data.startswith("data:image/webp;base64,")
    assert filmstrip.thumbnail_url(svg, lambda _: b"<svg></svg>") is None

    def missing(image: ImageRecord) -> bytes:
        raise InvalidImageError(f"Image {image.id} is gone.")

    assert filmstrip.thumbnail_url(turn(0).images[0], missing) is None
    assert "no file" in filmstrip.page(RECORD, tree(turn(0)), "main", missing)


# --- both twins ---------------------------------------------------------------------------------


def session_with_branch(studio: Any, provider: FakeOpenAI) -> Any:
    """
    Return a session with a branch and a refusal.
    """
    session = studio.session("Logo of a tea shop", name="Tea <logo>")
    first = session.generate("a teapot & a cup")
    session.generate("in blue")
    first.branch("warm").generate("in red")
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError):
        session.generate("something else")
    return session


def test_sessions_have_a_rich_repr(studio: Any, provider: FakeOpenAI) -> None:
    """
    A session of either twin is shown in a notebook, without awaiting.
    """
    session = session_with_branch(studio, provider)
    mime_data, metadata = session._repr_mimebundle_()
    parsed = check_harmless(mime_data["text/html"])
    assert mime_data["text/plain"] == repr(session)
    assert metadata == {}
    text = " ".join(parsed.text.split())
    for expected in ("Tea <logo>", "a teapot & a cup", "● main", "● warm", "refused", "rather not"):
        assert expected in text
    assert re.search(r"3 images · \$0\.\d{4} · 2 branches", text)
    assert "nothing was billed" in text


def test_session_without_record_is_shown_as_text(tmp_path: Path) -> None:
    """
    An unreadable session is shown as text instead of a traceback.
    """
    with Studio.offline(tmp_path) as studio:
        session = studio.session("x")
        next(tmp_path.rglob(f"sessions/{session.id}.json")).unlink()
        mime_data, _ = session._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage] - IPython's name
    assert set(mime_data) == {"text/plain"}
    assert "has no session" in mime_data["text/plain"]
