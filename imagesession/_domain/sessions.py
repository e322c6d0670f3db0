"""
The record of a session: its description, options and branch heads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import attrs

from .tree import HeadMove
from .turn import Api, ProviderState, Reference


@attrs.frozen(kw_only=True)
class SessionRecord:
    """
    A session without its turns. Settings that are None are the studio's.

    Attributes:
        owner: Whose it is, with all its turns; None if it is nobody's.
        description: What the session is about; it is part of the instructions to the model.
        name: A label for people; never part of a path.
        choices: The default options of its turns, by name.
        remember: The most earlier turns that are sent as context.
        references: Its reference board: images of the library that are sent with every turn, with
            the digests of their files.
        moves: The last move of each branch head that was ever moved.
        version: The version of imagesession that wrote it.
    """

    id: str
    owner: str | None = None
    description: str
    name: str | None = None
    choices: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    provider_state: ProviderState | None = None
    remember: int | None = None
    api: Api | None = None
    references: tuple[Reference, ...] = ()
    created: dt.datetime
    closed: dt.datetime | None = None
    moves: Mapping[str, HeadMove] = attrs.field(factory=dict[str, HeadMove])
    version: str = ""
