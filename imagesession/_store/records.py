"""
What the parts of a library share: the ports, and how turns and intents are kept as facts.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.marks import Marks, without_deleted
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.coerce import as_id
from imagesession._engine.http import ReceivedImage
from imagesession.errors import CorruptRecordError, StorageError, StorageIOError

from . import codec
from .ports import Facts, Key
from .strict_reader import StrictReader, parse_object

# Facts of a turn that become known while its request is under way.
_LATER = ("conversation", "request_id")


@attrs.frozen(kw_only=True)
class Intent:
    """
    The content of an intent. `absent_since` is when the provider first showed nothing of it, by its
    own clock.
    """

    turn: Turn
    response_id: str | None
    staged: tuple[ImageRecord, ...] = ()
    absent_since: dt.datetime | None = None


def turn_key(turn: Turn) -> Key:
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
    """
    key = Key("marks", owner)
    data = facts.get(key)
    return {} if data is None else codec.read_marks(data, facts.describe(key))


def without_files(turn: Turn) -> Turn:
    """
    Return a turn without what differs between libraries: the paths of its images.
    """
    return attrs.evolve(turn, images=tuple(attrs.evolve(image, file="") for image in turn.images))


def to_received(image: ImageRecord, data: bytes) -> ReceivedImage:
    header = ImageHeader(format=image.format, width=image.width, height=image.height, alpha=False)
    return ReceivedImage(data=data, facts=header)


def read_current_turn(facts: Facts, key: Key) -> Turn:
    """
    Read a settled turn as it is now: without what was deleted. Raises as `read_turn`.
    """
    return without_deleted(read_turn(facts, key), read_marks(facts, key.session or key.id))


def read_session(facts: Facts, session_id: str) -> SessionRecord | None:
    """
    Read a session, whoever's it is; None if there is none.
    """
    key = Key("session", session_id)
    data = facts.get(key)
    return None if data is None else codec.read_session(data, facts.describe(key))


def session_name(facts: Facts, turn: Turn) -> str | None:
    with contextlib.suppress(StorageError):
        record = read_session(facts, turn.session) if turn.session else None
        return None if record is None else record.name
    return None


def intent_key(turn: Turn) -> Key:
    return Key("intent", turn.id, turn.session)


def intent_fact(turn: Turn) -> tuple[Key, bytes]:
    return intent_key(turn), json.dumps({"turn": codec.turn_to_dict(turn)}).encode("ascii")


def staged_fact(images: Iterable[ImageRecord]) -> dict[str, Any]:
    return {"staged": [attrs.asdict(image) for image in images]}


def read_intent(facts: Facts, key: Key) -> Intent | None:
    try:
        return to_intent(facts.get(key) or b"{}", facts.describe(key))
    except StorageError:
        return None


def to_intent(data: bytes, where: str) -> Intent:
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
        return StrictReader(members, where).time("absent_since")
    return None


def is_open(facts: Facts, key: Key) -> bool:
    return facts.has(key) and not facts.has(Key("turn", key.id, key.session))


def open_intents(facts: Facts) -> Iterator[tuple[Key, Intent]]:
    for key, data in facts.unsettled():
        with contextlib.suppress(StorageError):
            yield key, to_intent(data, facts.describe(key))


def quarantine(facts: Facts, key: Key, data: bytes) -> str:
    """
    Keep a copy of a damaged fact in quarantine, and return where.
    """
    kept = Key("quarantine", f"{key.id}.{key.kind}")
    facts.replace(kept, data)
    return facts.describe(kept)


def set_aside(facts: Facts, key: Key, data: bytes) -> str:
    """
    Move a damaged fact into quarantine, and return where it is.
    """
    where = quarantine(facts, key, data)
    facts.drop(key)
    return where
