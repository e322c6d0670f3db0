"""
A session as a filmstrip of its tree: the current branch runs along the top, and other branches
fork downwards. HTML without scripts or style sheets, for light and dark notebooks.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pybase64

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import MAIN, Tree
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._imaging.thumbnails import page_thumbnail
from imagesession.errors import ImageSessionError

from . import formatting
from .templates import render

MAX_TURNS = 40
"""The most turns that are shown, the latest ones."""
THUMBNAIL_SIZE = 264, 216
"""The maximum width and height of a thumbnail, enough for screens with two pixels per CSS pixel."""
_PROMPT_LENGTH, _REASON_LENGTH = 96, 120
Read = Callable[[ImageRecord], bytes]


@attrs.frozen(kw_only=True)
class GridCell:
    """
    A turn's position in the grid, from 1.

    Attributes:
        fork: The row of the parent from which it forks downwards; None if it is in the same row.
        starts: Whether no turn that is shown precedes it.
    """

    turn: Turn
    column: int
    row: int
    fork: int | None = None
    starts: bool = False


def page(record: SessionRecord, tree: Tree, branch: str, read: Read) -> str:
    turns = tuple(tree.turns.values())
    pictures = sum(len(turn.images) for turn in turns)
    return render(
        "filmstrip.html",
        title=formatting.format_title(record, 80),
        about=formatting.shorten(record.description, 160) if record.name else "",
        closed=record.closed is not None,
        counts=formatting.pluralize(pictures, "image"),
        price=formatting.format_total_price(turns),
        branches=len(tree.branches()),
        left_out=max(0, len(turns) - MAX_TURNS),
        frames=tuple(frames(tree, branch, read)),
        start=branch if turns and tree.head(branch) is None else "",
        sketches=formatting.SKETCHES if any(map(formatting.is_sketch, turns)) else "",
    )


def frames(tree: Tree, branch: str, read: Read) -> Iterator[dict[str, Any]]:
    heads = formatting.branches_by_head(tree, 32)
    numbers = _numbers(tree)
    current = tree.head(branch)
    for cell in layout_tree(tree, branch):
        turn = cell.turn
        prompt = formatting.display_prompt(turn)
        last = turn.images[-1] if turn.images else None
        yield {
            "cell": cell,
            "number": numbers.get(turn.id),
            "more": max(0, len(turn.images) - 1),
            "image": thumbnail_url(last, read) if last else None,
            "prompt": formatting.shorten(prompt, _PROMPT_LENGTH),
            "caption": formatting.shorten(prompt, 600),
            "facts": formatting.format_facts(last, turn.cost),
            # A branch that begins here; empty if it continues its parent's.
            "line": formatting.shorten(_new_branch(tree, turn), 32),
            "heads": heads.get(turn.id, []),
            "current": current is not None and turn.id == current.id,
            "reason": _reason(turn),
        }


def thumbnail_url(
    image: ImageRecord, read: Read, size: tuple[int, int] = THUMBNAIL_SIZE
) -> str | None:
    try:
        small = page_thumbnail(read(image), f"Image {image.id}", size)
    except ImageSessionError:
        return None
    # In an `img` element, even an SVG runs no script.
    return f"data:{small.mime_type};base64,{pybase64.b64encode_as_string(small.data)}"


def layout_tree(tree: Tree, branch: str) -> tuple[GridCell, ...]:
    """
    Position the latest turns. The lineage of the branch's head stays in one row; elsewhere, the
    first child with an image continues its parent's row.
    """
    shown = {turn.id: turn for turn in tuple(tree.turns.values())[-MAX_TURNS:]}
    trunk = {turn.id for turn in tree.lineage(tree.head(branch))}
    children: defaultdict[str | None, list[Turn]] = defaultdict(list)
    for turn in sorted(shown.values(), key=lambda turn: (turn.id not in trunk, not turn.has_image)):
        children[turn.parent if turn.parent in shown else None].append(turn)
    builder = _GridBuilder(children=children)
    for root in children[None]:
        builder.add(root)
    return tuple(builder.cells)


@attrs.frozen
class _GridBuilder:
    children: Mapping[str | None, list[Turn]]
    cells: list[GridCell] = attrs.field(factory=list[GridCell])
    occupied: set[tuple[int, int]] = attrs.field(factory=set[tuple[int, int]])

    def add(self, root: Turn) -> None:
        """
        Position a turn and its descendants. Later forks of a line are positioned before earlier
        ones, so that lines do not cross.
        """
        pending: list[tuple[Turn, int, int | None]] = [(root, 1, None)]
        while pending:
            turn, column, fork = pending.pop()
            line = self._straight_line(turn)
            row = self._free_row(column, len(line), fork)
            for member_column, member in enumerate(line, column):
                first = member_column == column
                self.cells.append(
                    GridCell(
                        turn=member,
                        column=member_column,
                        row=row,
                        fork=fork if first else None,
                        starts=first and fork is None,
                    )
                )
                self.occupied.add((member_column, row))
                others = self.children.get(member.id, [])[1:]
                pending += [(other, member_column + 1, row) for other in reversed(others)]

    def _straight_line(self, turn: Turn) -> list[Turn]:
        line = [turn]
        while children := self.children.get(line[-1].id):
            line.append(children[0])
        return line

    def _free_row(self, column: int, length: int, fork: int | None) -> int:
        row = 1 + (fork if fork is not None else max((row for _, row in self.occupied), default=0))
        while any((right, row) in self.occupied for right in range(column, column + length)):
            row += 1
        if fork is not None:
            self.occupied.update((column, above) for above in range(fork + 1, row))
        return row


def _numbers(tree: Tree) -> dict[str, int]:
    """
    Return the number of each turn's last image, as `session.images()` counts them.
    """
    turns = tree.turns.values()
    counts = itertools.accumulate(len(turn.images) for turn in turns)
    return {turn.id: count for turn, count in zip(turns, counts, strict=True) if turn.images}


def _new_branch(tree: Tree, turn: Turn) -> str:
    parent = tree.turns.get(turn.parent or "")
    before = MAIN if parent is None else parent.branch
    return "" if turn.branch == before else turn.branch


def _reason(turn: Turn) -> str:
    if turn.failure is not None:
        return formatting.shorten(turn.failure.message or turn.failure.error, _REASON_LENGTH)
    if turn.status == "completed" and not turn.images:
        return formatting.shorten(formatting.display_text(turn), _REASON_LENGTH) or "no image"
    return ""
