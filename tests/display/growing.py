"""
Trees of turns, made without a library.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from hypothesis import strategies as st

from imagesession._domain.options import GenerateOptions
from imagesession._domain.tree import Tree
from imagesession._domain.turn import Failure, ImageRecord, Turn
from tests.strategies import texts

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def turn(
    number: int,
    parent: int | None = None,
    *,
    branch: str = "main",
    drew: bool = True,
    said: str = "x",
) -> Turn:
    """
    Return a turn of that number, which grew on another.
    """
    image = ImageRecord(
        id=f"image{number:04}",
        file=f"general/{number}.png",
        format="png",
        width=64,
        height=48,
        bytes=100,
        sha256="",
    )
    return Turn(
        id=f"turn{number:04}",
        parent=None if parent is None else f"turn{parent:04}",
        branch=branch,
        status="completed" if drew else "refused",
        prompt=said,
        options=GenerateOptions(),
        images=(image,) if drew else (),
        failure=None if drew else Failure(error="RefusalError", message=said),
        started=NOW,
        finished=NOW,
    )


def tree(*turns: Turn) -> Tree:
    """
    Return the tree of these turns.
    """
    return Tree().with_turn(turns)


def _grown(members: Iterable[tuple[int, bool, str, str]]) -> Tree:
    drew: list[int] = []
    turns: list[Turn] = []
    for number, (choice, draws, branch, said) in enumerate(members):
        # Nothing grows on a turn without a picture; one in eight starts a line of its own.
        parent = drew[choice % len(drew)] if drew and choice % 8 else None
        turns.append(turn(number, parent, branch=branch, drew=draws, said=said))
        if draws:
            drew.append(number)
    return tree(*turns)


trees = st.lists(
    st.tuples(
        st.integers(0, 10_000), st.booleans(), st.sampled_from(["main", "a", "b"]) | texts, texts
    ),
    max_size=60,
).map(_grown)
