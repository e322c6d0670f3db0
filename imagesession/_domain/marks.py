"""
Marks: what people say of images later: a star, tags, that they are deleted.

A turn never changes once it is recorded, so its marks are kept beside it, under its owner: the
session, or the turn itself if its image is standalone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs

from imagesession.errors import InvalidRequestError

from .options import GenerateOptions
from .turn import Failure, Turn, count_made
from .wording import fold, quote

MAX_TAGS, MAX_TAG_LENGTH = 100, 80


@attrs.frozen(kw_only=True)
class Mark:
    """
    What is said of an image, or that a session, a batch or a turn without images is deleted: when
    it was put into the bin. What is erased cannot be restored. Tags are as they were written first,
    in the order of the alphabet.
    """

    deleted: dt.datetime | None = None
    erased: bool = False
    starred: bool = False
    tags: tuple[str, ...] = ()

    def with_tags(self, tags: Iterable[str]) -> Mark:
        """
        Return the mark with more tags, at most 100; case does not distinguish them.
        """
        known = {fold(tag): tag for tag in (*tags, *self.tags)}
        if len(known) > MAX_TAGS:
            raise InvalidRequestError(f"An image has at most {MAX_TAGS} tags, not {len(known)}.")
        return attrs.evolve(self, tags=tuple(known[key] for key in sorted(known)))

    def without_tags(self, tags: Iterable[str]) -> Mark:
        gone = set(map(fold, tags))
        return attrs.evolve(self, tags=tuple(tag for tag in self.tags if fold(tag) not in gone))


Marks: TypeAlias = Mapping[str, Mark]
"""The marks of an owner's images by their ids, and its own."""
UNMARKED = Mark()


def validate_tags(tags: Iterable[object]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise InvalidRequestError(f"tags={quote(tags)} is a text; write a list: [{quote(tags)}].")
    valid: list[str] = []
    for tag in tags:
        text = tag.strip() if isinstance(tag, str) else ""
        if not (text.isprintable() and 0 < len(text) <= MAX_TAG_LENGTH):
            raise InvalidRequestError(
                f"{quote(tag)} is not a tag: a tag is a line of 1 to {MAX_TAG_LENGTH} characters."
            )
        valid.append(text)
    return tuple(valid)


def is_deleted(marks: Marks, marked_id: str) -> bool:
    return marks.get(marked_id, UNMARKED).deleted is not None


def without_deleted(turn: Turn, marks: Marks) -> Turn:
    """
    Return a turn without its deleted images; if none is left, or the session is deleted, without
    its words too.
    """
    if not marks:
        return turn
    session = marks.get(turn.session or "", UNMARKED)
    if session.deleted is not None:
        return to_tombstone(turn, session.deleted)
    kept = tuple(image for image in turn.images if not is_deleted(marks, image.id))
    if len(kept) < len(turn.images) and kept:
        return attrs.evolve(turn, images=kept)
    ids = (turn.id, *(image.id for image in turn.images))
    times = [mark.deleted for mark in map(marks.get, ids) if mark and mark.deleted]
    return turn if kept or not times else to_tombstone(turn, max(times))


def to_tombstone(turn: Turn, at: dt.datetime) -> Turn:
    """
    Return what stays of a turn that was deleted: its place in the tree and what it cost.
    """
    failure = turn.failure and Failure(error=turn.failure.error, message="")
    return attrs.evolve(
        turn,
        deleted=at,
        erased_images=turn.erased_images + count_made(turn.images),
        prompt="",
        label="",
        parameters={},
        options=GenerateOptions(),
        references=(),
        images=(),
        text="",
        conversation=None,
        response_id=None,
        request_id=None,
        item_ids=(),
        idempotency_key=None,
        origin=None,
        failure=failure,
    )
