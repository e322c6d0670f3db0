"""
What is asked of a store about images and their costs.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import attrs

from imagesession._domain.turn import Kind


@attrs.frozen(kw_only=True)
class ImageQuery:
    """
    Which images to list, the latest first.

    Attributes:
        text: Only images whose prompt, revised prompt or label contains it, ignoring case.
        since: Only images made at this time or later.
        until: Only images made before this time.
        before: Only images older than the one with this id.
        starred: Only images with a star, or without one; None for both.
        tags: Only images that have all of these tags, ignoring case.
        deleted: Only images in the bin, in place of those that are not deleted.
    """

    session: str | None = None
    kind: Kind | None = None
    text: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    limit: int = 50
    before: str | None = None
    starred: bool | None = None
    tags: tuple[str, ...] = ()
    deleted: bool = False


@attrs.frozen(kw_only=True)
class SpendingQuery:
    """
    Which costs to add up, and how to group them.

    Attributes:
        by: The property of a turn to group by.
    """

    by: Literal["day", "session", "model", "kind", "provider", "owner"] = "day"
    since: dt.date | None = None
    until: dt.date | None = None
    session: str | None = None


@attrs.frozen
class CostTotals:
    """
    The totals of a group of turns.

    Attributes:
        group: The value that they share; empty for turns without one.
        cost: US dollars, as far as the prices are known.
        spent: US dollars that a budget counts: the reservation where a price is not known.
        context: US dollars for input that earlier turns took again.
        context_tokens: How many input tokens that were.
    """

    group: str
    cost: float
    spent: float
    uncertain: int
    images: int
    turns: int
    context: float
    context_tokens: int
