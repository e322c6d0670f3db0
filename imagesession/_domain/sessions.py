"""
A session as it is kept: its names, its choices and where its branches were set.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import attrs

from .tree import HeadMove
from .turn import ProviderState


@attrs.frozen(kw_only=True)
class SessionRecord:
    """
    All of a session but its turns.

    Attributes:
        id: Its id in the library.
        description: What the session is about; the model is told it as its brief.
        name: A label for people; never part of a path.
        choices: The options that every turn asks for unless it says otherwise, by name.
        provider_state: What the provider keeps of its turns; None where the studio says so.
        remember: How many earlier turns go along at most; None where the studio says so.
        created: When it was opened first.
        closed: When it was closed, if it was.
        moves: The last move on each branch that was ever moved.
        version: The version of imagesession that wrote it.
    """

    id: str
    description: str
    name: str | None = None
    choices: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    provider_state: ProviderState | None = None
    remember: int | None = None
    created: dt.datetime
    closed: dt.datetime | None = None
    moves: Mapping[str, HeadMove] = attrs.field(factory=dict[str, HeadMove])
    version: str = ""
