"""
What the parts of a library have in common: its ports, who looks at it, and what this process
remembers of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from weakref import WeakValueDictionary

import attrs

from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.store import IdAndTime

from .ids import UlidFactory
from .ports import Index, Lease, Ports


@attrs.frozen(eq=False)
class IntentLease:
    """
    The right to work on an intent, from its writing until it is settled or released.
    """

    turn: Turn
    right: Lease
    _before_release: Callable[[], object] = attrs.field(repr=False)

    def release(self) -> None:
        """
        Release the lease; if the intent is not settled, any library may take it over from now on.
        """
        if self.right.is_held:
            self._before_release()
            self.right.release()


@attrs.define(eq=False, kw_only=True)
class ProcessState:
    """
    What one process remembers of a library, whoever looks at it.

    Attributes:
        embeds_metadata: Whether prompt and parameters are written into the files of images.
        on_settled: Called with each turn that was settled, and whether another program began it.
        leases: The leases of intents, by turn.
        taken_over: The turns whose intents another program wrote.
        late_response_ids: The provider's ids that could not be written yet, by turn.
        received_at: When the first image of an unsettled turn was received.
        staging: The turns of which an image is being staged.
        staged: The staged images, by turn.
        turns: The turns that were read and do not change, by session and id.
        verified: The state of each file whose digest was compared, by file and digest.
    """

    embeds_metadata: bool = False
    on_settled: Callable[[Turn, bool], object] | None = None
    leases: WeakValueDictionary[str, IntentLease] = attrs.field(
        factory=WeakValueDictionary[str, IntentLease]
    )
    taken_over: set[str] = attrs.field(factory=set[str])
    late_response_ids: dict[str, str] = attrs.field(factory=dict[str, str])
    received_at: dict[str, dt.datetime] = attrs.field(factory=dict[str, dt.datetime])
    staging: set[str] = attrs.field(factory=set[str])
    staged: dict[str, tuple[ImageRecord, ...]] = attrs.field(
        factory=dict[str, tuple[ImageRecord, ...]]
    )
    turns: dict[str, dict[str, Turn]] = attrs.field(factory=dict[str, dict[str, Turn]])
    verified: dict[tuple[str, str], object] = attrs.field(factory=dict[tuple[str, str], object])


@attrs.frozen(eq=False)
class View:
    """
    A library as an owner sees it: only what belongs to that owner is there. None sees everything;
    what it makes is nobody's.
    """

    ports: Ports
    owner: str | None = None
    ids: UlidFactory = attrs.field(
        default=attrs.Factory(lambda self: UlidFactory(self.ports.facts.now), takes_self=True)
    )
    state: ProcessState = attrs.field(factory=ProcessState)
    index: Index = attrs.field(
        default=attrs.Factory(lambda self: _index_of(self.ports, self.owner), takes_self=True),
        init=False,
    )

    def seen_by(self, owner: str | None) -> View:
        return attrs.evolve(self, owner=owner)

    def sees(self, owner: str | None) -> bool:
        return self.owner is None or self.owner == owner

    def new_id(self, after: str = "") -> IdAndTime:
        return IdAndTime(id=self.ids.new(after), at=self.ports.facts.now(), owner=self.owner)


def _index_of(ports: Ports, owner: str | None) -> Index:
    return ports.index if owner is None else ports.index.of(owner)


class StorePart:
    """
    A part of a library's rules.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.ports = view.ports
        self.facts = view.ports.facts
        self.rights = view.ports.rights
        self.blobs = view.ports.blobs
        self.index = view.index
        self.owner = view.owner
        self.ids = view.ids
        self.state = view.state
        self.sees = view.sees
