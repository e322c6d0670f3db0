"""
What the parts of a library share: the ports, and how turns and intents are kept as facts.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.marks import Marks, without_deleted
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.coerce import as_id
from imagesession._engine.store import IdAndTime
from imagesession.errors import CorruptRecordError, StorageError, StorageIOError

from . import codec
from .ids import UlidFactory
from .ports import Facts, Index, Key, Ports
from .strict_reader import StrictReader, parse_object

if TYPE_CHECKING:
    from typing import Self

# Facts of a turn that become known while its request is under way.
_LATER = ("conversation", "request_id")


class StorePart:
    """
    A part of a library's rules.

    Args:
        ports: What the library is kept on.

    Attributes:
        owner: Who sees it: only what belongs to this owner is there. None for those who see
            everything; what they make is nobody's.
        index: The index of what is seen.
    """

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.facts = ports.facts
        self.rights = ports.rights
        self.blobs = ports.blobs
        self.index: Index = ports.index
        self.owner: str | None = None
        self.ids = UlidFactory(ports.facts.now)

    def new_id(self, after: str = "") -> IdAndTime:
        return IdAndTime(id=self.ids.new(after), at=self.facts.now(), owner=self.owner)

    def seen_by(self, owner: str | None) -> Self:
        """
        Return this store as an owner sees it; None for everything.
        """
        if owner == self.owner:
            return self
        view = copy.copy(self)
        view.owner = owner
        view.index = self.ports.index if owner is None else self.ports.index.of(owner)
        return view

    def sees(self, owner: str | None) -> bool:
        """
        Tell whether what belongs to an owner is there.
        """
        return self.owner is None or self.owner == owner


@attrs.frozen(kw_only=True)
class Intent:
    """
    The content of an intent.

    Attributes:
        turn: The pending turn.
        response_id: The provider's id, if it is known.
        staged: The staged images.
        absent_since: When the provider first showed nothing of it, by its own clock.
    """

    turn: Turn
    response_id: str | None
    staged: tuple[ImageRecord, ...] = ()
    absent_since: dt.datetime | None = None


def turn_key(turn: Turn) -> Key:
    """
    Return the key of a turn's record.
    """
    return Key("turn", turn.id, turn.session)


def read_turn(facts: Facts, key: Key) -> Turn:
    """
    Read a settled turn.

    Raises:
        StorageIOError: There is none.
        CorruptRecordError: Its record is damaged.
    """
    return next(read_turns(facts, (key,)))


def read_turns(facts: Facts, keys: Iterable[Key]) -> Iterator[Turn]:
    """
    Read settled turns, in the order of their keys; raises as `read_turn`.
    """
    wanted = tuple(keys)
    found = facts.get_many(wanted)
    for key in wanted:
        if key not in found:
            raise StorageIOError(f"The library has no record {facts.describe(key)}.")
        yield codec.read_turn(found[key], facts.describe(key))


def read_marks(facts: Facts, owner: str) -> Marks:
    """
    Read the marks of a session, of a batch, or of a standalone image by its turn's id.

    Raises:
        CorruptRecordError: They are damaged.
    """
    key = Key("marks", owner)
    data = facts.get(key)
    return {} if data is None else codec.read_marks(data, facts.describe(key))


def read_current_turn(facts: Facts, key: Key) -> Turn:
    """
    Read a settled turn as it is now: without what was deleted. Raises as `read_turn`.
    """
    return without_deleted(read_turn(facts, key), read_marks(facts, key.session or key.id))


def session_name(facts: Facts, turn: Turn) -> str | None:
    """
    Return the name of a turn's session, if it has one.
    """
    with contextlib.suppress(StorageError):
        key = Key("session", turn.session or "")
        data = facts.get(key) if turn.session else None
        if data is not None:
            return codec.read_session(data, facts.describe(key)).name
    return None


def intent_key(turn: Turn) -> Key:
    """
    Return the key of a turn's intent.
    """
    return Key("intent", turn.id, turn.session)


def intent_fact(turn: Turn) -> tuple[Key, bytes]:
    """
    Return a turn's intent, as it is written first.
    """
    return intent_key(turn), json.dumps({"turn": codec.turn_to_dict(turn)}).encode("ascii")


def staged_fact(images: Iterable[ImageRecord]) -> dict[str, Any]:
    """
    Return what an intent is extended by when images are staged.
    """
    return {"staged": [attrs.asdict(image) for image in images]}


def read_intent(facts: Facts, key: Key) -> Intent | None:
    """
    Read an intent; None if it is missing or damaged.
    """
    try:
        return to_intent(facts.get(key) or b"{}", facts.describe(key))
    except StorageError:
        return None


def to_intent(data: bytes, where: str) -> Intent:
    """
    Read an intent.

    Args:
        data: The intent, with the members that were added.
        where: Its path, for errors.

    Raises:
        CorruptRecordError: It is damaged.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """
    try:
        members = parse_object(data)
        changed = {name: members[name] for name in _LATER if name in members}
        turn = codec.to_turn({**members["turn"], **changed}, where)
    except (LookupError, TypeError, ValueError) as error:
        raise CorruptRecordError(f"{where} is damaged: {error}.") from error
    return Intent(
        turn=turn,
        response_id=as_id(members.get("response_id")),
        staged=codec.read_images(members, where),
        absent_since=_absent_since(members, where),
    )


def _absent_since(members: dict[str, Any], where: str) -> dt.datetime | None:
    with contextlib.suppress(StorageError):  # without it, only more time passes
        return StrictReader(members, where).optional_time("absent_since")
    return None


def is_open(facts: Facts, key: Key) -> bool:
    """
    Tell whether there is an intent whose turn is not settled.
    """
    return facts.has(key) and not facts.has(Key("turn", key.id, key.session))


def open_intents(facts: Facts) -> Iterator[tuple[Key, Intent]]:
    """
    Yield the intents whose turns are not settled, the oldest first.
    """
    for key, data in facts.unsettled():
        with contextlib.suppress(StorageError):
            yield key, to_intent(data, facts.describe(key))
