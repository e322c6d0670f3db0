"""
Trees of turns for tests, built without a library.
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
    has_image: bool = True,
    prompt: str = "x",
) -> Turn:
    """
    Return a turn with a number, and the parent with another.
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
        status="completed" if has_image else "refused",
        prompt=prompt,
        options=GenerateOptions(),
        images=(image,) if has_image else (),
        failure=None if has_image else Failure(error="RefusalError", message=prompt),
        started=NOW,
        finished=NOW,
    )


def tree(*turns: Turn) -> Tree:
    """
    Return a tree of turns.
    """
    return Tree().with_turn(turns)


def _build_tree(members: Iterable[tuple[int, bool, str, str]]) -> Tree:
    has_image: list[int] = []
    turns: list[Turn] = []
    for number, (choice, with_image, branch, prompt) in enumerate(members):
        # A turn without an image has no children; one turn in eight is a root.
        parent = has_image[choice % len(has_image)] if has_image and choice % 8 else None
        turns.append(turn(number, parent, branch=branch, has_image=with_image, prompt=prompt))
        if with_image:
            has_image.append(number)
    return tree(*turns)


trees = st.lists(
    st.tuples(
        st.integers(0, 10_000), st.booleans(), st.sampled_from(["main", "a", "b"]) | texts, texts
    ),
    max_size=60,
).map(_build_tree)
