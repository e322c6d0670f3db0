"""
The laws of a session's tree.
"""

from __future__ import annotations

import datetime as dt

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.options import GenerateOptions
from imagesession._domain.tree import MAIN, HeadMove, Tree
from imagesession._domain.turn import ImageRecord, Status, Turn
from imagesession.errors import InvalidRequestError, NotFoundError

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
PICTURE = ImageRecord(
    id="p", file="general/p.png", format="png", width=1, height=1, bytes=1, sha256=""
)


@attrs.define
class Grower:
    """
    Grows a tree as a session does: ids count upwards.
    """

    tree: Tree = attrs.field(factory=Tree)
    count: int = 0

    def new_id(self) -> str:
        """
        Return the next id.
        """
        self.count += 1
        return f"{self.count:026}"

    def grow(self, branch: str = MAIN, status: Status = "completed") -> Turn:
        """
        Add a turn on a branch's head.
        """
        head = self.tree.head(branch)
        turn = Turn(
            id=self.new_id(),
            session="s",
            parent=head.id if head else None,
            branch=branch,
            status=status,
            prompt=f"prompt {self.count}",
            options=GenerateOptions(),
            images=(PICTURE,) if status == "completed" else (),
            started=NOW,
        )
        self.tree = self.tree.with_turn([turn])
        return turn

    def undo(self, steps: int = 1, branch: str = MAIN) -> None:
        """
        Undo on a branch.
        """
        self.tree = self.tree.with_move(branch, self.tree.undo(branch, steps, self.new_id()))

    def redo(self, steps: int = 1, branch: str = MAIN) -> None:
        """
        Redo on a branch.
        """
        self.tree = self.tree.with_move(branch, self.tree.redo(branch, steps, self.new_id()))

    def checkout(self, turn: Turn, branch: str = MAIN) -> None:
        """
        Set a branch's head.
        """
        self.tree = self.tree.with_move(branch, self.tree.checkout(turn.id, self.new_id()))


@st.composite
def grown(draw: st.DrawFn) -> Grower:
    """
    Draw a tree that came about by any sequence of verbs.
    """
    grower = Grower()
    for verb in draw(st.lists(st.sampled_from(["grow", "fail", "undo", "redo", "branch"]))):
        branches = grower.tree.branches()
        branch = draw(st.sampled_from(branches))
        depth = len(grower.tree.lineage(grower.tree.head(branch)))
        if verb == "grow":
            grower.grow(branch)
        elif verb == "fail":
            grower.grow(branch, draw(st.sampled_from(["failed", "refused"])))
        elif verb == "undo" and depth:
            grower.undo(draw(st.integers(1, depth)), branch)
        elif verb == "redo" and grower.tree.redoable(branch):
            grower.redo(draw(st.integers(1, len(grower.tree.redoable(branch)))), branch)
        elif verb == "branch":
            head = grower.tree.head(branch)
            move = HeadMove(id=grower.new_id(), head=head.id if head else None)
            grower.tree = grower.tree.with_move(grower.tree.new_branch(None), move)
    return grower


def head_id(tree: Tree, branch: str = MAIN) -> str | None:
    """
    Return the id of a branch's head.
    """
    head = tree.head(branch)
    return head.id if head else None


@given(grown())
def test_undo_takes_back_a_turn(grower: Grower) -> None:
    """
    Undo after a turn is as if the turn had not been, for the head.
    """
    before = head_id(grower.tree)
    grower.grow()
    grower.undo()
    assert head_id(grower.tree) == before


@given(grown(), st.data())
def test_redo_takes_back_undo(grower: Grower, data: st.DataObject) -> None:
    """
    As many steps of redo as of undo lead back to the same head, in whatever portions.
    """
    for _ in range(3):
        grower.grow()
    before = head_id(grower.tree)
    steps = data.draw(st.integers(1, 3))
    grower.undo(steps)
    for portion in data.draw(st.sampled_from([[steps], [1] * steps])):
        grower.redo(portion)
    assert head_id(grower.tree) == before


@given(grown())
def test_growing_forgets_what_was_undone(grower: Grower) -> None:
    """
    After a new turn there is nothing to redo.
    """
    grower.grow()
    grower.undo()
    grower.grow()
    assert grower.tree.redoable(MAIN) == ()
    with pytest.raises(InvalidRequestError, match="nothing to redo"):
        grower.redo()


@given(grown())
def test_lineage_is_a_path(grower: Grower) -> None:
    """
    A lineage starts at a turn without parent, each next turn's parent is the one before, and
    failed turns are never in it.
    """
    for branch in grower.tree.branches():
        head = grower.tree.head(branch)
        path = grower.tree.lineage(head)
        assert [turn.parent for turn in path] == [None, *(turn.id for turn in path)][: len(path)]
        assert all(turn.status == "completed" for turn in path)
        assert path[-1:] == ((head,) if head else ())


@given(grown())
def test_failed_turns_do_not_move_the_head(grower: Grower) -> None:
    """
    A failed or refused turn leaves every head where it was.
    """
    before = {branch: head_id(grower.tree, branch) for branch in grower.tree.branches()}
    grower.grow(status="failed")
    grower.grow(status="refused")
    assert {branch: head_id(grower.tree, branch) for branch in before} == before


@given(grown())
def test_branches_do_not_disturb_each_other(grower: Grower) -> None:
    """
    Growing on one branch leaves the heads of the others.
    """
    grower.grow()
    other = grower.tree.new_branch(None)
    move = HeadMove(id=grower.new_id(), head=head_id(grower.tree))
    grower.tree = grower.tree.with_move(other, move)
    before = head_id(grower.tree)
    grower.grow(other)
    grower.grow(other)
    assert head_id(grower.tree) == before
    grower.undo(2, other)
    assert head_id(grower.tree, other) == before


@given(grown())
def test_every_turn_stands_in_the_drawing(grower: Grower) -> None:
    """
    The drawing of a tree has a line for each turn.
    """
    lines = str(grower.tree).splitlines()
    assert len(lines) == max(1, len(grower.tree.turns))
    for turn in grower.tree.turns.values():
        assert sum(f"{turn.prompt}" in line.split("  <-")[0].split(" (")[0][-12:] for line in lines)


def test_undo_says_how_far_back_it_goes() -> None:
    """
    Too many steps back are refused, naming how many there are.
    """
    grower = Grower()
    with pytest.raises(InvalidRequestError, match="nothing to undo"):
        grower.undo()
    grower.grow()
    with pytest.raises(InvalidRequestError, match="undo\\(1\\)"):
        grower.undo(2)
    with pytest.raises(InvalidRequestError, match="whole number"):
        grower.undo(0)


def test_checkout_needs_a_picture() -> None:
    """
    A turn that brought no picture, or that there is not, cannot become the head.
    """
    grower = Grower()
    failed = grower.grow(status="failed")
    with pytest.raises(InvalidRequestError, match="brought no picture"):
        grower.checkout(failed)
    with pytest.raises(NotFoundError) as caught:
        grower.tree.turn("nobody")
    assert caught.value.known == (failed.id,)


def test_checkout_sets_the_head() -> None:
    """
    The next turn grows on the one that was checked out.
    """
    grower = Grower()
    first = grower.grow()
    grower.grow()
    grower.checkout(first)
    assert grower.grow().parent == first.id


def test_names_of_branches_are_taken_once() -> None:
    """
    A branch's name is not given twice, and a number is found where none is asked for.
    """
    grower = Grower()
    assert grower.tree.new_branch(None) == "branch-2"
    assert grower.tree.new_branch("warm") == "warm"
    with pytest.raises(InvalidRequestError, match="has a branch 'main' already"):
        grower.tree.new_branch(MAIN)


def test_the_drawing_shows_lines_and_heads() -> None:
    """
    A tree draws itself: chains straight, branches indented, heads named.
    """
    grower = Grower()
    first = grower.grow()
    grower.grow()
    move = HeadMove(id=grower.new_id(), head=first.id)
    grower.tree = grower.tree.with_move("warm", move)
    grower.grow("warm", "refused")
    grower.grow("warm")
    assert str(grower.tree) == (
        "prompt 1\n├─ prompt 2  <- main\n├─ prompt 4 (refused)\n└─ prompt 5  <- warm"
    )
    assert str(Tree()) == "(no turns yet)"
