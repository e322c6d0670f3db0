"""
A session's turns as a tree, and the moves that can be made on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from imagesession.errors import InvalidRequestError, NotFoundError

from .readable import readable
from .turn import Turn
from .wording import quote

MAIN = "main"
_LABEL = 60


@attrs.frozen(kw_only=True)
class HeadMove:
    """
    A move of a branch's head by undo, redo, checkout or branch.

    Attributes:
        id: Ordered by time like the turns' ids, so that a later turn overrides it.
        head: The new head, which is the parent of the next turn; None is the start of the branch.
        redo: The turns to which redo returns, the nearest last.
    """

    id: str
    head: str | None
    redo: tuple[str, ...] = ()


@readable
@attrs.frozen
class Tree:
    """
    The turns of one session by id, and the head of each branch.

    A branch's head is its latest completed turn, unless it was moved since. So a new turn needs
    no second record to become the head: its own is enough, and the two cannot disagree.

    Attributes:
        turns: All turns by their ids, the oldest first.
        moves: The last move of each branch head that was ever moved.
    """

    turns: Mapping[str, Turn] = attrs.field(factory=dict[str, Turn])
    moves: Mapping[str, HeadMove] = attrs.field(factory=dict[str, HeadMove])

    def with_turn(self, turns: Iterable[Turn]) -> Tree:
        """
        Return the tree with more turns added.
        """
        known = {**self.turns, **{turn.id: turn for turn in turns}}
        return attrs.evolve(self, turns=dict(sorted(known.items())))

    def with_move(self, branch: str, move: HeadMove) -> Tree:
        """
        Return the tree with a branch's head moved.
        """
        return attrs.evolve(self, moves={**self.moves, branch: move})

    def latest_id(self) -> str:
        """
        Return the greatest id of all turns and moves. A new id must be greater, so that a wrong
        clock cannot place a new turn before the head.
        """
        return max((*self.turns, *(move.id for move in self.moves.values())), default="")

    def turn(self, turn_id: str) -> Turn:
        """
        Return a turn.

        Raises:
            NotFoundError: The session has no such turn.
        """
        try:
            return self.turns[turn_id]
        except KeyError:
            latest = tuple(sorted(self.turns, reverse=True))[:5]
            if turn_id in self.branches():
                raise NotFoundError(
                    f"{quote(turn_id)} is a branch, not a turn. studio.open(session.id, "
                    f"branch={quote(turn_id)}) goes on with it.",
                    turn_id,
                    latest,
                ) from None
            raise NotFoundError(
                f"This session has no turn {quote(turn_id)}. Its latest are: "
                f"{', '.join(latest) or 'none yet'}.",
                turn_id,
                latest,
            ) from None

    def branches(self) -> tuple[str, ...]:
        """
        Return the names of all branches, the main one first.
        """
        names = [MAIN, *self.moves, *(turn.branch for turn in self.turns.values())]
        return tuple(dict.fromkeys(names))

    def head(self, branch: str) -> Turn | None:
        """
        Return a branch's head, the parent of its next turn; None at the start. If the record of the
        turn to which it was moved is gone, it is the latest completed turn; in place of a deleted
        turn, it is the nearest before it.
        """
        latest = self._latest_completed(branch)
        move = self.moves.get(branch)
        head = latest
        if move is not None and (latest is None or move.id > latest.id):
            head = None if move.head is None else self.turns.get(move.head, latest)
        return next((turn for turn in self._ancestors(head) if turn.has_image), None)

    def _latest_completed(self, branch: str) -> Turn | None:
        for turn in reversed(tuple(self.turns.values())):
            if turn.branch == branch and (turn.has_image or _had_image(turn)):
                return turn
        return None

    def redoable(self, branch: str) -> tuple[str, ...]:
        """
        Return the turns to which redo can return, the nearest last; none after a new turn.
        """
        move = self.moves.get(branch)
        latest = self._latest_completed(branch)
        if move is None or (latest is not None and latest.id > move.id):
            return ()
        return move.redo

    def lineage(self, turn: Turn | None) -> tuple[Turn, ...]:
        """
        Return the path from the first turn to this one, which is the context of its next turn.
        """
        return tuple(reversed(list(self._ancestors(turn))))

    def _ancestors(self, turn: Turn | None) -> Iterator[Turn]:
        seen: set[str] = set()
        while turn is not None and turn.id not in seen:
            seen.add(turn.id)
            yield turn
            turn = None if turn.parent is None else self.turns.get(turn.parent)

    def context(self, turn: Turn | None) -> tuple[Turn, ...]:
        """
        Return the turns that a turn after this one continues, the oldest first, without those that
        were deleted. If the provider's state has one of these, the last turn is without its ids, so
        that the history is sent anew.
        """
        lineage = self.lineage(turn)
        left = tuple(turn for turn in lineage if turn.has_image)
        if not (left and _is_deleted_in_state(lineage)):
            return left
        last = attrs.evolve(left[-1], response_id=None, conversation=None, item_ids=())
        return (*left[:-1], last)

    def children(self, turn_id: str | None) -> tuple[Turn, ...]:
        """
        Return the children of a turn; of None, the turns without a parent.
        """
        return tuple(turn for turn in self.turns.values() if turn.parent == turn_id)

    def missing(self) -> tuple[str, ...]:
        """
        Return the ids of the turns that others continue and whose records are gone.
        """
        parents = {turn.parent for turn in self.turns.values() if turn.parent is not None}
        return tuple(sorted(parents - self.turns.keys()))

    def __str__(self) -> str:
        """
        Draw the tree, one line per turn; the heads are marked with their branches' names. A turn
        whose record is gone has a line if others continue it.
        """
        heads: dict[str | None, list[str]] = {}
        for branch in self.branches():
            head = self.head(branch)
            heads.setdefault(head.id if head else None, []).append(branch)
        lines = list(self._draw(None, "", heads))
        for turn_id in self.missing():
            lines += (f"(turn {turn_id} is missing)", *self._draw(turn_id, "", heads))
        return "\n".join(lines) or "(no turns yet)"

    def _draw(
        self, parent: str | None, margin: str, heads: Mapping[str | None, list[str]]
    ) -> Iterator[str]:
        """
        Yield the lines below a turn. An only child is not indented, so that a long conversation
        does not drift to the right.
        """
        children = self.children(parent)
        while len(children) == 1:
            yield f"{margin}{_label(children[0], heads)}"
            children = self.children(children[0].id)
        for turn in children:
            corner, side = ("└─ ", "   ") if turn is children[-1] else ("├─ ", "│  ")
            yield f"{margin}{corner}{_label(turn, heads)}"
            yield from self._draw(turn.id, f"{margin}{side}", heads)

    def undo(self, branch: str, steps: int, move_id: str) -> HeadMove:
        """
        Return the move that sets a branch's head back.

        Raises:
            InvalidRequestError: The branch has fewer turns.
        """
        _check_steps(steps, "undo")
        path = tuple(turn for turn in self.lineage(self.head(branch)) if turn.has_image)
        if steps > len(path):
            raise InvalidRequestError(
                f"There are {len(path)} turns to undo, not {steps}; undo({len(path)}) goes back "
                "to the start."
                if path
                else "There is nothing to undo: this branch is at its start."
            )
        remaining, undone = path[: len(path) - steps], path[len(path) - steps :]
        redo = self.redoable(branch) + tuple(turn.id for turn in reversed(undone))
        return HeadMove(id=move_id, head=remaining[-1].id if remaining else None, redo=redo)

    def redo(self, branch: str, steps: int, move_id: str) -> HeadMove:
        """
        Return the move that sets a branch's head forward again, along undone turns.

        Raises:
            InvalidRequestError: Fewer turns were undone since the last new turn.
        """
        _check_steps(steps, "redo")
        redo = self.redoable(branch)
        if steps > len(redo):
            raise InvalidRequestError(
                f"There are {len(redo)} undone turns to redo, not {steps}."
                if redo
                else "There is nothing to redo: no undo since the last turn."
            )
        return HeadMove(id=move_id, head=redo[-steps], redo=redo[: len(redo) - steps])

    def checkout(self, turn_id: str, move_id: str) -> HeadMove:
        """
        Return the move that sets a branch's head to a completed turn.

        Raises:
            NotFoundError: The session has no such turn.
            InvalidRequestError: The turn has no image, so it cannot be a head.
        """
        turn = self.turn(turn_id)
        if turn.deleted is not None:
            raise InvalidRequestError(
                f"Turn {turn_id} was deleted; studio.images.restore({turn_id!r}) brings it back if "
                "it is in the bin."
            )
        if not turn.has_image:
            raise InvalidRequestError(
                f"Turn {turn_id} ({turn.status}) has no image, so it cannot be continued. "
                "Check out a turn that has one."
            )
        return HeadMove(id=move_id, head=turn_id)

    def new_branch(self, name: str | None) -> str:
        """
        Return the name of a new branch: the given one, or the next free number.

        Raises:
            InvalidRequestError: The name is taken or empty.
        """
        taken = self.branches()
        if name is None:
            return next(free for n in range(2, 100_000) if (free := f"branch-{n}") not in taken)
        if name in taken:
            raise InvalidRequestError(
                f"This session has a branch {quote(name)} already; open it with "
                f"studio.open(session_id, branch={quote(name)}) or choose another name."
            )
        return name


def _is_deleted_in_state(lineage: Sequence[Turn]) -> bool:
    """
    Tell whether a turn was deleted that is in the provider's state of the last one.
    """
    for turn in reversed(lineage):
        if turn.deleted is not None or turn.context != "continued":
            return turn.deleted is not None
    return False


def _had_image(turn: Turn) -> bool:
    return turn.deleted is not None and turn.status == "completed" and turn.kind != "analysis"


def _label(turn: Turn, heads: Mapping[str | None, list[str]]) -> str:
    words = "(deleted)" if turn.deleted else " ".join(_prompt_of(turn).split())
    prompt = words if len(words) <= _LABEL else words[: _LABEL - 1] + "…"
    state = "" if turn.status == "completed" else f" ({turn.status})"
    marks = f"  <- {', '.join(heads[turn.id])}" if turn.id in heads else ""
    return f"{prompt}{state}{marks}"


def _prompt_of(turn: Turn) -> str:
    description = turn.parameters.get("description")
    if isinstance(description, str):
        return description
    if not turn.prompt and turn.origin is not None:
        return f"({turn.origin.file or 'an image'} was imported)"
    return turn.prompt or f"({turn.kind})"


def _check_steps(steps: int, verb: str) -> None:
    if type(steps) is not int or steps < 1:
        raise InvalidRequestError(
            f"{verb}({quote(steps)}) is not valid; give a whole number from 1."
        )


Tree.__module__ = "imagesession"
