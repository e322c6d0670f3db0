"""
The invariants of a session's tree.
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
IMAGE = ImageRecord(
    id="p", file="general/p.png", format="png", width=1, height=1, bytes=1, sha256=""
)


@attrs.define
class TreeBuilder:
    """
    Builds a tree as a session does, with increasing ids.
    """

    tree: Tree = attrs.field(factory=Tree)
    count: int = 0

    def new_id(self) -> str:
        """
        Return the next id.
        """
        self.count += 1
        return f"{self.count:026}"

    def add_turn(self, branch: str = MAIN, status: Status = "completed") -> Turn:
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
            images=(IMAGE,) if status == "completed" else (),
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
def built_trees(draw: st.DrawFn) -> TreeBuilder:
    """
    Draw a tree that results from any sequence of operations.
    """
    builder = TreeBuilder()
    for verb in draw(st.lists(st.sampled_from(["add_turn", "fail", "undo", "redo", "branch"]))):
        branches = builder.tree.branches()
        branch = draw(st.sampled_from(branches))
        depth = len(builder.tree.lineage(builder.tree.head(branch)))
        if verb == "add_turn":
            builder.add_turn(branch)
        elif verb == "fail":
            builder.add_turn(branch, draw(st.sampled_from(["failed", "refused"])))
        elif verb == "undo" and depth:
            builder.undo(draw(st.integers(1, depth)), branch)
        elif verb == "redo" and builder.tree.redoable(branch):
            builder.redo(draw(st.integers(1, len(builder.tree.redoable(branch)))), branch)
        elif verb == "branch":
            head = builder.tree.head(branch)
            move = HeadMove(id=builder.new_id(), head=head.id if head else None)
            builder.tree = builder.tree.with_move(builder.tree.new_branch(None), move)
    return builder


def head_id(tree: Tree, branch: str = MAIN) -> str | None:
    """
    Return the id of a branch's head.
    """
    head = tree.head(branch)
    return head.id if head else None


@given(built_trees())
def test_undo_restores_the_head_before_a_turn(builder: TreeBuilder) -> None:
    """
    Undo after a turn restores the head from before the turn.
    """
    before = head_id(builder.tree)
    builder.add_turn()
    builder.undo()
    assert head_id(builder.tree) == before


@given(built_trees(), st.data())
def test_redo_reverses_undo(builder: TreeBuilder, data: st.DataObject) -> None:
    """
    As many steps of redo as of undo lead to the same head, in any portions.
    """
    for _ in range(3):
        builder.add_turn()
    before = head_id(builder.tree)
    steps = data.draw(st.integers(1, 3))
    builder.undo(steps)
    for portion in data.draw(st.sampled_from([[steps], [1] * steps])):
        builder.redo(portion)
    assert head_id(builder.tree) == before


@given(built_trees())
def test_new_turn_clears_redo(builder: TreeBuilder) -> None:
    """
    After a new turn there is nothing to redo.
    """
    builder.add_turn()
    builder.undo()
    builder.add_turn()
    assert builder.tree.redoable(MAIN) == ()
    with pytest.raises(InvalidRequestError, match="nothing to redo"):
        builder.redo()


@given(built_trees())
def test_lineage_is_a_path(builder: TreeBuilder) -> None:
    """
    A lineage starts at a turn without parent, each next turn's parent is the one before, and
    failed turns are never in it.
    """
    for branch in builder.tree.branches():
        head = builder.tree.head(branch)
        path = builder.tree.lineage(head)
        assert [turn.parent for turn in path] == [None, *(turn.id for turn in path)][: len(path)]
        assert all(turn.status == "completed" for turn in path)
        assert path[-1:] == ((head,) if head else ())


@given(built_trees())
def test_failed_turns_do_not_move_the_head(builder: TreeBuilder) -> None:
    """
    A failed or refused turn does not move any head.
    """
    before = {branch: head_id(builder.tree, branch) for branch in builder.tree.branches()}
    builder.add_turn(status="failed")
    builder.add_turn(status="refused")
    assert {branch: head_id(builder.tree, branch) for branch in before} == before


@given(built_trees())
def test_branches_are_independent(builder: TreeBuilder) -> None:
    """
    A new turn on one branch does not move the heads of the others.
    """
    builder.add_turn()
    other = builder.tree.new_branch(None)
    move = HeadMove(id=builder.new_id(), head=head_id(builder.tree))
    builder.tree = builder.tree.with_move(other, move)
    before = head_id(builder.tree)
    builder.add_turn(other)
    builder.add_turn(other)
    assert head_id(builder.tree) == before
    builder.undo(2, other)
    assert head_id(builder.tree, other) == before


@given(built_trees())
def test_drawing_has_a_line_per_turn(builder: TreeBuilder) -> None:
    """
    The drawing of a tree has one line for each turn.
    """
    lines = str(builder.tree).splitlines()
    assert len(lines) == max(1, len(builder.tree.turns))
    for turn in builder.tree.turns.values():
        assert sum(f"{turn.prompt}" in line.split("  <-")[0].split(" (")[0][-12:] for line in lines)


def test_too_many_undo_steps_are_refused() -> None:
    """
    Too many steps are refused, and the message says how many there are.
    """
    builder = TreeBuilder()
    with pytest.raises(InvalidRequestError, match="nothing to undo"):
        builder.undo()
    builder.add_turn()
    with pytest.raises(InvalidRequestError, match="undo\\(1\\)"):
        builder.undo(2)
    with pytest.raises(InvalidRequestError, match="whole number"):
        builder.undo(0)


def test_checkout_needs_an_image() -> None:
    """
    A turn without an image, or an unknown turn, cannot become the head.
    """
    builder = TreeBuilder()
    failed = builder.add_turn(status="failed")
    with pytest.raises(InvalidRequestError, match="has no image"):
        builder.checkout(failed)
    with pytest.raises(NotFoundError) as caught:
        builder.tree.turn("unknown")
    assert caught.value.known == (failed.id,)


def test_checkout_sets_the_head() -> None:
    """
    The next turn continues the turn that was checked out.
    """
    builder = TreeBuilder()
    first = builder.add_turn()
    builder.add_turn()
    builder.checkout(first)
    assert builder.add_turn().parent == first.id


def test_branch_names_are_unique() -> None:
    """
    A branch's name cannot be used twice; the default is the next free number.
    """
    builder = TreeBuilder()
    assert builder.tree.new_branch(None) == "branch-2"
    assert builder.tree.new_branch("warm") == "warm"
    with pytest.raises(InvalidRequestError, match="has a branch 'main' already"):
        builder.tree.new_branch(MAIN)


def test_drawing_shows_branches_and_heads() -> None:
    """
    In a drawing, chains are not indented, branches are, and heads are labelled.
    """
    builder = TreeBuilder()
    first = builder.add_turn()
    builder.add_turn()
    move = HeadMove(id=builder.new_id(), head=first.id)
    builder.tree = builder.tree.with_move("warm", move)
    builder.add_turn("warm", "refused")
    builder.add_turn("warm")
    assert str(builder.tree) == (
        "prompt 1\n├─ prompt 2  <- main\n├─ prompt 4 (refused)\n└─ prompt 5  <- warm"
    )
    assert str(Tree()) == "(no turns yet)"
