"""
A session as a filmstrip of its tree: the line that one is on runs along the top, and others leave
it downwards. HTML without scripts or style sheets, for notebooks with light and dark pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import MAIN, Tree
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._imaging.thumbnails import page_thumbnail
from imagesession.errors import ImageSessionError

from . import data_url, formatting
from .templates import render

MOST = 40
"""How many turns are shown, the latest ones."""
THUMBNAIL = 264, 216
"""The most pixels of a picture: enough for screens with two dots to a pixel of the page."""
_PROMPT, _REASON = 96, 120
Read = Callable[[ImageRecord], bytes]


@attrs.frozen(kw_only=True)
class GridCell:
    """
    Where a turn stands.

    Attributes:
        turn: The turn.
        column: From 1, to the right.
        row: From 1, downwards.
        fork: The row of the turn that it leaves downwards; None where it goes straight on.
        starts: Whether nothing that is shown stands before it.
    """

    turn: Turn
    column: int
    row: int
    fork: int | None = None
    starts: bool = False


@attrs.frozen(kw_only=True)
class Frame:
    """
    A turn as it is shown.

    Attributes:
        spot: Where it stands.
        number: Of its last picture, counted from 1; None where there is none.
        more: How many pictures it brought beside that one.
        image: The picture's address; None where there is none, or none that can be shown.
        prompt: What was said.
        told: All that was said, for those who point at it.
        facts: Size, format and price.
        line: The branch that begins with it; empty where it goes on with its parent's.
        heads: The branches that stand here.
        current: Whether the session's own branch stands here.
        reason: Why there is no picture.
    """

    spot: GridCell
    number: int | None
    more: int
    image: str | None
    prompt: str
    caption: str
    facts: str
    line: str
    heads: tuple[str, ...]
    current: bool
    reason: str


def page(record: SessionRecord, tree: Tree, branch: str, read: Read) -> str:
    """
    Show a session.

    Args:
        record: The session.
        tree: Its turns.
        branch: The line that one is on.
        read: Reads a picture's file.

    Returns:
        A piece of HTML.
    """
    turns = tuple(tree.turns.values())
    pictures = sum(len(turn.images) for turn in turns)
    return render(
        "filmstrip.html",
        title=formatting.shortened(record.name or record.description, 80) or "Untitled session",
        about=formatting.shortened(record.description, 160) if record.name else "",
        closed=record.closed is not None,
        counts=formatting.pluralize(pictures, "picture"),
        price=formatting.total_price(turns),
        branches=len(tree.branches()),
        left_out=max(0, len(turns) - MOST),
        frames=tuple(frames(tree, branch, read)),
        start=branch if turns and tree.head(branch) is None else "",
        sketches=formatting.SKETCHES if any(map(formatting.is_sketch, turns)) else "",
    )


def frames(tree: Tree, branch: str, read: Read) -> Iterator[Frame]:
    """
    Show the latest turns, each in its place.
    """
    heads = formatting.branches_by_head(tree, 32)
    numbers = _numbers(tree)
    current = tree.head(branch)
    for spot in layout_tree(tree, branch):
        turn = spot.turn
        yield Frame(
            spot=spot,
            number=numbers.get(turn.id),
            more=max(0, len(turn.images) - 1),
            image=address(turn.images[-1], read) if turn.images else None,
            prompt=formatting.shortened(formatting.display_prompt(turn), _PROMPT),
            caption=formatting.shortened(formatting.display_prompt(turn), 600),
            facts=facts(turn),
            line=formatting.shortened(_line(tree, turn), 32),
            heads=tuple(heads.get(turn.id, ())),
            current=current is not None and turn.id == current.id,
            reason=_reason(turn),
        )


def facts(turn: Turn) -> str:
    """
    Write a turn's size and price in one line.
    """
    parts = (
        formatting.size_of(turn.images[-1]) if turn.images else "",
        formatting.price(turn.cost),
    )
    return " · ".join(filter(None, parts))


def address(image: ImageRecord, read: Read, box: tuple[int, int] = THUMBNAIL) -> str | None:
    """
    Return a small picture as the address of an image; None where there is none to be shown.
    """
    try:
        small = page_thumbnail(read(image), f"Picture {image.id}", box)
    except ImageSessionError:
        return None
    return data_url.data_url(small.data, small.format)


def layout_tree(tree: Tree, branch: str) -> tuple[GridCell, ...]:
    """
    Give every turn its place. What leads to the branch's head goes straight on; of other turns on
    one parent, the first that brought a picture does.
    """
    shown = {turn.id: turn for turn in tuple(tree.turns.values())[-MOST:]}
    trunk = {turn.id for turn in tree.lineage(tree.head(branch))}
    children: defaultdict[str | None, list[Turn]] = defaultdict(list)
    for turn in sorted(shown.values(), key=lambda turn: (turn.id not in trunk, not turn.has_image)):
        children[turn.parent if turn.parent in shown else None].append(turn)
    grid = _Grid(children=children)
    for root in children[None]:
        grid.place(root)
    return tuple(grid.layout_tree)


@attrs.frozen
class _Grid:
    """
    Turns in columns and rows, and the cells that are taken by them or by a line.
    """

    children: Mapping[str | None, list[Turn]]
    layout_tree: list[GridCell] = attrs.field(factory=list[GridCell])
    taken: set[tuple[int, int]] = attrs.field(factory=set[tuple[int, int]])

    def place(self, root: Turn) -> None:
        """
        Place a turn and all that grew on it. What leaves a line late is placed before what leaves
        it early, so that lines do not cross.
        """
        waiting: list[tuple[Turn, int, int | None]] = [(root, 1, None)]
        while waiting:
            turn, column, fork = waiting.pop()
            line = self._line(turn)
            row = self._free_row(column, len(line), fork)
            for at, item in enumerate(line, column):
                first = at == column
                self.layout_tree.append(
                    GridCell(
                        turn=item,
                        column=at,
                        row=row,
                        fork=fork if first else None,
                        starts=first and fork is None,
                    )
                )
                self.taken.add((at, row))
                others = self.children.get(item.id, [])[1:]
                waiting += [(other, at + 1, row) for other in reversed(others)]

    def _line(self, turn: Turn) -> list[Turn]:
        line = [turn]
        while grown := self.children.get(line[-1].id):
            line.append(grown[0])
        return line

    def _free_row(self, column: int, length: int, fork: int | None) -> int:
        """
        Find a row for a line, and take the cells through which one comes down to it.
        """
        row = 1 + (fork if fork is not None else max((row for _, row in self.taken), default=0))
        while any((at, row) in self.taken for at in range(column, column + length)):
            row += 1
        if fork is not None:
            self.taken.update((column, above) for above in range(fork + 1, row))
        return row


def _numbers(tree: Tree) -> dict[str, int]:
    """
    Number each turn's last picture, as `images` has them.
    """
    numbers: dict[str, int] = {}
    count = 0
    for turn in tree.turns.values():
        count += len(turn.images)
        if turn.images:
            numbers[turn.id] = count
    return numbers


def _line(tree: Tree, turn: Turn) -> str:
    parent = tree.turns.get(turn.parent or "")
    before = MAIN if parent is None else parent.branch
    return "" if turn.branch == before else turn.branch


def _reason(turn: Turn) -> str:
    if turn.failure is not None:
        return formatting.shortened(turn.failure.message or turn.failure.error, _REASON)
    if turn.status == "completed" and not turn.images:
        return formatting.shortened(turn.text, _REASON) or "no picture"
    return ""
