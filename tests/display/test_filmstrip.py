"""
A session's filmstrip shows every turn in its place, and nothing that was written becomes markup.
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
    Return a picture, whichever is asked for.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


class Parsed(HTMLParser):
    """
    The elements and the text of a piece of HTML.
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
        Note an element.
        """
        self.elements.append((tag, dict(attrs)))
        self.text += " " * (tag == "div")
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """
        Note its end.
        """
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """
        Note text.
        """
        self.text += data


def check_harmless(html: str) -> Parsed:
    """
    Make sure that a piece of HTML has only our own elements, each closed, and fetches nothing.
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


# --- where turns stand --------------------------------------------------------------------------


@settings(deadline=None)
@given(trees, st.sampled_from(["main", "a"]))
def test_every_turn_has_a_place_of_its_own(turns: Tree, branch: str) -> None:
    """
    The latest turns all stand in the grid, no two of them in one cell; a child stands one column
    behind its parent, in its row or beneath, and no line to it crosses a picture.
    """
    spots = {spot.turn.id: spot for spot in filmstrip.layout_tree(turns, branch)}
    assert set(spots) == set(list(turns.turns)[-filmstrip.MOST :])
    cells = {(spot.column, spot.row) for spot in spots.values()}
    assert len(cells) == len(spots)
    for spot in spots.values():
        parent = spots.get(spot.turn.parent or "")
        assert spot.starts == (parent is None)
        if parent is None:
            assert (spot.column, spot.fork) == (1, None)
            continue
        assert spot.column == parent.column + 1
        assert spot.fork == (None if spot.row == parent.row else parent.row)
        between = {(spot.column, row) for row in range(parent.row + 1, spot.row)}
        crossed = (item for item in spots.values() if (item.column, item.row) in between)
        assert all(item.turn.parent == spot.turn.parent for item in crossed)


@given(trees)
def test_the_line_that_one_is_on_goes_straight(turns: Tree) -> None:
    """
    All that led to the head stands in one row.
    """
    spots = {spot.turn.id: spot for spot in filmstrip.layout_tree(turns, "main")}
    rows = {spots[turn.id].row for turn in turns.lineage(turns.head("main")) if turn.id in spots}
    assert len(rows) <= 1


def test_undone_turns_and_failures_leave_the_line() -> None:
    """
    What was undone stands beneath what came instead, and so does what brought no picture.
    """
    turns = tree(turn(0), turn(1, 0), turn(2, 0, drew=False), turn(3, 0), turn(4, 3))
    places = {
        item.turn.id[-1]: (item.column, item.row) for item in filmstrip.layout_tree(turns, "main")
    }
    assert places["0"] == (1, 1)
    assert places["3"] == (2, 1)
    assert places["4"] == (3, 1)
    assert {places["1"], places["2"]} == {(2, 2), (2, 3)}


# --- what is shown ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(trees, texts, st.none() | texts)
def test_whatever_was_written_stays_text(turns: Tree, description: str, name: str | None) -> None:
    """
    Prompts, names, branches and failures of any characters appear as text.
    """
    record = attrs.evolve(RECORD, description=description, name=name)
    check_harmless(page(turns, record))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_would_run_is_text(payload: str) -> None:
    """
    What would run a script, were it markup, is shown as it was written.
    """
    turns = tree(
        turn(0, said=payload), turn(1, 0, branch=payload), turn(2, 0, drew=False, said=payload)
    )
    record = attrs.evolve(RECORD, description=payload, name=payload)
    parsed = check_harmless(page(turns, record))
    words = " ".join(char if char.isprintable() else " " for char in payload).split()
    assert words[0].replace(" ", "")[:8] in parsed.text.replace(" ", "")


def test_heads_branches_and_numbers_are_marked() -> None:
    """
    The head of one's own branch stands out, others are named, and pictures have their numbers.
    """
    turns = tree(turn(0), turn(1, 0, drew=False), turn(2, 0), turn(3, 0, branch="warm"))
    frames = {frame.spot.turn.id[-1]: frame for frame in filmstrip.frames(turns, "warm", read)}
    assert [frames[text].number for text in "0123"] == [1, None, 2, 3]
    assert [frame for frame in frames if frames[frame].current] == ["3"]
    assert frames["2"].heads == ("main",)
    assert frames["3"].heads == ("warm",)
    assert (frames["3"].line, frames["2"].line) == ("warm", "")
    assert frames["1"].reason == "x"
    assert frames["1"].image is None
    assert "● warm" in page(turns, branch="warm")


def test_what_is_not_shown_is_counted() -> None:
    """
    Of a long session the latest turns are shown, and it says how many are not.
    """
    turns = tree(turn(0), *(turn(number, number - 1) for number in range(1, 50)))
    html = page(turns)
    assert "10 earlier turns are not shown" in html
    assert html.count("<img") == filmstrip.MOST
    assert len(html) < 200_000


def test_beginnings_are_told() -> None:
    """
    A session without turns says so, and so does a branch whose next prompt starts afresh.
    """
    assert "No turns yet" in page(Tree())
    undone = tree(turn(0)).with_move("main", HeadMove(id="z", head=None))
    assert "starts afresh" in page(undone)
    closed = attrs.evolve(RECORD, closed=NOW, name=None)
    assert "closed" in page(Tree(), closed)
    assert "Untitled session" in page(Tree(), attrs.evolve(RECORD, name=None, description=" "))


def test_a_turn_that_only_spoke_says_what() -> None:
    """
    A turn that ended without picture and without failure shows what the model said.
    """
    silent = attrs.evolve(turn(0, drew=False), status="completed", failure=None)
    spoke = attrs.evolve(silent, text="Which colour?")
    assert [frame.reason for frame in filmstrip.frames(tree(silent), "main", read)] == [
        "no picture"
    ]
    assert [frame.reason for frame in filmstrip.frames(tree(spoke), "main", read)] == [
        "Which colour?"
    ]


def test_drawings_are_shown_as_pixels() -> None:
    """
    An SVG is shown by what it draws; one that cannot be drawn and a lost one are not shown.
    """
    svg = attrs.evolve(turn(0).images[0], format="svg")
    shown = filmstrip.address(svg, lambda _: RUNNING_SVG)
    assert shown is not None
    assert shown.startswith("data:image/webp;base64,")
    assert filmstrip.address(svg, lambda _: b"<svg></svg>") is None

    def gone(image: ImageRecord) -> bytes:
        raise InvalidImageError(f"Picture {image.id} is gone.")

    assert filmstrip.address(turn(0).images[0], gone) is None
    assert "no file" in filmstrip.page(RECORD, tree(turn(0)), "main", gone)


# --- both twins ---------------------------------------------------------------------------------


def grown(studio: Any, provider: FakeOpenAI) -> Any:
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


def test_sessions_show_themselves(studio: Any, provider: FakeOpenAI) -> None:
    """
    A session of either twin shows itself in a notebook, without awaiting.
    """
    session = grown(studio, provider)
    shown, reported = session._repr_mimebundle_()
    parsed = check_harmless(shown["text/html"])
    assert shown["text/plain"] == repr(session)
    assert reported == {}
    text = " ".join(parsed.text.split())
    for words in ("Tea <logo>", "a teapot & a cup", "● main", "● warm", "refused", "rather not"):
        assert words in text
    assert re.search(r"3 pictures · \$0\.\d{4} · 2 branches", text)
    assert "nothing was billed" in text


def test_a_session_whose_record_is_gone_says_so(tmp_path: Path) -> None:
    """
    What cannot be read is told in words instead of a traceback.
    """
    with Studio.offline(tmp_path) as studio:
        session = studio.session("x")
        next(tmp_path.rglob(f"sessions/{session.id}.json")).unlink()
        shown, _ = session._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage] - IPython's name
    assert set(shown) == {"text/plain"}
    assert "has no session" in shown["text/plain"]
