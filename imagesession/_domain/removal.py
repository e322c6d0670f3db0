"""
Removals: what is deleted, restored or erased, and the provider's copies of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from .readable import readable

Verb: TypeAlias = Literal["delete", "restore", "erase"]
Targets: TypeAlias = Mapping[str, tuple[str, ...]]
"""
The ids of images, and of turns without images, by their owners: sessions, or the turns of
standalone images. A session or batch that is removed as a whole is its own target.
"""
CopyKind: TypeAlias = Literal["response", "conversation", "file"]


@attrs.frozen(kw_only=True)
class ProviderCopy:
    """
    What a provider keeps of something that was erased. The items are those of a conversation that
    belong to the erased turn; others may be of other turns.
    """

    provider: str
    kind: CopyKind
    id: str
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


@attrs.frozen(kw_only=True)
class Removal:
    """
    A removal that is under way. It is recorded before anything is done, so that it can be finished
    if the program is stopped.

    Attributes:
        copies: The provider's copies that are still to be erased.
        shared: The ids of erased images whose files stay, because other images have them too.
        forgets_owner: Whether what stays of the turns does not say whose they were.
    """

    id: str
    verb: Verb
    at: dt.datetime
    targets: Targets
    copies: tuple[ProviderCopy, ...] = ()
    shared: tuple[str, ...] = ()
    forgets_owner: bool = False


@readable
@attrs.frozen(kw_only=True)
class ErasureReport:
    """
    The result of an erasure.

    Attributes:
        dry_run: Whether nothing was erased, and `erased` has what would be.
        erased: The ids of the images, and of the turns, sessions and batches without any, that are
            gone from the library.
        shared: Those of them whose files are still there, because promoted sessions show them too.
        remaining: The provider's copies that could not be erased yet, each with the reason.
            `Studio.recover` tries again.
    """

    dry_run: bool = False
    erased: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    remaining: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __str__(self) -> str:
        if self.dry_run:
            return f"{len(self.erased)} would be erased; this was a dry run, and nothing was"
        text = f"{len(self.erased)} erased, {len(self.remaining)} copies remain at the provider"
        return "\n".join(
            [text, *(f"- remaining: {copy}: {why}" for copy, why in self.remaining.items())]
        )


ErasureReport.__module__ = "imagesession"
