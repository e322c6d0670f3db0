"""
The ports in memory: a second implementation, which shows that the contract needs no disk.

"Programs" on a library are objects that share its state.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_from_bytes

import attrs

from imagesession._domain.health import HealthCheck
from imagesession._domain.marks import UNMARKED, Mark
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import ImageRecord, Turn, is_id
from imagesession._domain.wording import fold
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import CostTotals, ImageQuery, SpendingQuery
from imagesession._store import codec
from imagesession._store.ids import first_id, timestamp_of
from imagesession._store.ports import (
    FactExistsError,
    ImageLocation,
    Key,
    Kind,
    Lease,
    LeaseLostError,
)

_fences = itertools.count(1)


@attrs.define(eq=False)
class State:
    """
    What all programs on a library share.
    """

    facts: dict[Key, bytes] = attrs.field(factory=dict[Key, bytes])
    images: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    annotations: dict[str, str] = attrs.field(factory=dict[str, str])
    rights: dict[tuple[str, int], int] = attrs.field(factory=dict[tuple[str, int], int])
    times: dict[str, float] = attrs.field(factory=dict[str, float])
    lock: threading.RLock = attrs.field(factory=threading.RLock)
    transactions: defaultdict[str, threading.RLock] = attrs.field(
        factory=lambda: defaultdict(threading.RLock)
    )


@attrs.frozen(eq=False)
class MemoryLease:
    """
    A right that is held until it is released.
    """

    state: State = attrs.field(repr=False)
    place: tuple[str, int]
    fence: int = attrs.field(factory=lambda: next(_fences))

    @property
    def is_held(self) -> bool:
        """
        Whether nobody else has the right now.
        """
        return self.state.rights.get(self.place) == self.fence

    def release(self) -> None:
        """
        Give it back.
        """
        with self.state.lock:
            if self.is_held:
                del self.state.rights[self.place]

    def __del__(self) -> None:
        self.release()


@attrs.frozen
class MemoryRights:
    """
    Rights in memory.
    """

    state: State

    def hold(self, name: str, places: int = 1) -> Lease | None:
        """
        Take the first free place.
        """
        with self.state.lock:
            for number in range(places):
                if (name, number) not in self.state.rights:
                    lease = MemoryLease(self.state, (name, number))
                    self.state.rights[name, number] = lease.fence
                    return lease
        return None

    def is_held(self, name: str) -> bool:
        """
        Tell whether the first place is taken.
        """
        return (name, 0) in self.state.rights

    def next_time(self, name: str, interval: float = 0.0, max_wait: float = 0.0) -> float:
        """
        Return the wait, and take the turn.
        """
        with self.state.lock:
            wait = max(0.0, self.state.times.get(name, 0.0) - time.time())
            if interval and wait <= max_wait:
                self.state.times[name] = time.time() + wait + interval
        return wait

    def postpone(self, name: str, seconds: float) -> None:
        """
        Move the next turn, but never to an earlier time.
        """
        with self.state.lock:
            self.state.times[name] = max(self.state.times.get(name, 0.0), time.time() + seconds)


@attrs.frozen
class MemoryFacts:
    """
    Facts in memory.
    """

    state: State

    def put_new(self, facts: Mapping[Key, bytes]) -> None:
        """
        Add all, or none.
        """
        with self.state.lock:
            if self.state.facts.keys() & facts.keys():
                raise FactExistsError("there is such a fact")
            self.state.facts.update(facts)

    def settle(self, turn: Turn, lease: Lease | None = None) -> None:
        """
        Replace the intent by the turn.
        """
        with self.state.lock:
            if lease is not None and not lease.is_held:
                raise LeaseLostError("another program works on it")
            self.put_new({Key("turn", turn.id, turn.session): codec.dump_turn(turn)})
            self.drop(Key("intent", turn.id, turn.session))

    def replace(self, key: Key, data: bytes) -> None:
        """
        Set a fact.
        """
        self.state.facts[key] = data

    def extend(self, key: Key, news: Mapping[str, Any]) -> None:
        """
        Merge members.
        """
        with self.state.lock:
            self.state.facts[key] = json.dumps(
                {**json.loads(self.state.facts[key]), **news}
            ).encode()

    def get(self, key: Key) -> bytes | None:
        """
        Return a fact.
        """
        return self.state.facts.get(key)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, bytes]:
        """
        Return those that are there.
        """
        return {key: self.state.facts[key] for key in keys if key in self.state.facts}

    def unsettled(self) -> Iterator[tuple[Key, bytes]]:
        """
        Yield the intents without a turn.
        """
        for key in self.scan("intent"):
            if not self.has(Key("turn", key.id, key.session)):
                yield key, self.state.facts[key]

    def has(self, key: Key) -> bool:
        """
        Tell whether it is there.
        """
        return key in self.state.facts

    def drop(self, key: Key) -> None:
        """
        Remove it.
        """
        self.state.facts.pop(key, None)

    def scan(self, kind: Kind, session: str | None = None) -> Iterator[Key]:
        """
        Yield sorted keys.
        """
        keys = [key for key in tuple(self.state.facts) if key.kind == kind]
        if kind == "turn":
            keys = [key for key in keys if key.session == session]
        return iter(sorted(keys, key=lambda key: key.id))

    @contextlib.contextmanager
    def transaction(self, name: str) -> Generator[None, None, None]:
        """
        Hold a lock of that name.
        """
        with self.state.transactions[name]:
            yield

    def now(self) -> dt.datetime:
        """
        Return the time.
        """
        return dt.datetime.now(dt.UTC)

    def describe(self, key: Key) -> str:
        """
        Return the key as a text.
        """
        return f"{key.kind} {key.id}"


@attrs.frozen
class MemoryBlobs:
    """
    Images in memory, named by their content.
    """

    state: State

    def check_room(self, turns: Collection[Turn], pending: int) -> None:
        """
        There is room.
        """

    def put_new(
        self,
        turn: Turn,
        at: dt.datetime,  # noqa: ARG002 - names are contents
        image: ReceivedImage,
        recorded: Collection[str] | None = None,  # noqa: ARG002 - as above
    ) -> str:
        """
        Store an image under its turn and digest; twice, it is the same.
        """
        key = f"{turn.id}/{hashlib.sha256(image.data).hexdigest()}.{image.facts.format}"
        self.state.images[key] = image.data
        return key

    def get(self, key: str) -> bytes:
        """
        Return an image.
        """
        if key not in self.state.images:
            raise FileNotFoundError(2, "there is no such image")
        return self.state.images[key]

    def version(self, key: str) -> object:
        """
        Return the image itself.
        """
        return self.get(key)

    def drop(self, key: str) -> None:
        """
        Remove it.
        """
        self.state.images.pop(key, None)
        self.state.annotations.pop(key, None)

    def set_aside(self, key: str) -> None:
        """
        Nobody comes upon images in memory.
        """

    def put_back(self, key: str) -> None:
        """
        It is where it was.
        """

    def find_moved(self, images: Iterable[ImageRecord]) -> dict[str, str]:
        """
        Nobody moves images in memory.
        """
        del images
        return {}

    def address(self, key: str) -> str:
        """
        Return an address that means nothing elsewhere.
        """
        return f"memory:{key}"

    def local_file(self, key: str) -> str:
        """
        Write it into a temporary file.
        """
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(self.get(key))
        return file.name

    def url(self, key: str, seconds: float) -> str:  # noqa: ARG002 - nobody waits
        """
        Return the image in its URL.
        """
        return f"data:,{quote_from_bytes(self.get(key))}"

    def annotate(self, key: str, metadata: Mapping[str, Any]) -> None:
        """
        Keep the metadata, if there is such an image.
        """
        if key in self.state.images:
            self.state.annotations[key] = json.dumps(metadata)

    def annotation(self, key: str) -> dict[str, Any] | None:
        """
        Return the metadata.
        """
        text = self.state.annotations.get(key)
        return None if text is None else json.loads(text)

    def keys(self) -> Iterator[str]:
        """
        Yield the images' keys.
        """
        yield from tuple(self.state.images)


@attrs.frozen
class MemoryIndex:
    """
    Answers that are computed from the facts each time.
    """

    state: State
    owner: str | None = None

    def of(self, owner: str) -> MemoryIndex:
        """
        Return the index of an owner.
        """
        return MemoryIndex(self.state, owner)

    def _turns(self) -> list[Turn]:
        facts = tuple(self.state.facts.items())
        found = (codec.read_turn(data, key.id) for key, data in facts if key.kind == "turn")
        return [turn for turn in found if self.owner in {None, turn.owner}]

    def _locations(self) -> list[tuple[Turn, ImageLocation]]:
        return [
            (turn, ImageLocation(image.id, turn.id, turn.session, position))
            for turn in self._turns()
            for position, image in enumerate(turn.images)
        ]

    def find(self, image_id: str) -> ImageLocation | None:
        """
        Return an image's location.
        """
        return next((row for _, row in self._locations() if row.image == image_id), None)

    def page(self, query: ImageQuery) -> list[ImageLocation]:
        """
        Return the latest images of a session or kind, by their marks.
        """
        marks = self._marks()

        def matches(row: ImageLocation) -> bool:
            mark = marks.get(row.image, UNMARKED)
            deleted = [mark, marks.get(row.session or "", UNMARKED)]
            tags = set(map(fold, mark.tags))
            return (
                any(item.deleted is not None for item in deleted) == query.deleted
                and query.starred in {None, mark.starred}
                and tags.issuperset(map(fold, query.tags))
            )

        found = [
            row
            for turn, row in self._locations()
            if query.session in {None, turn.session}
            and query.kind in {None, turn.kind}
            and (query.before is None or row.image < query.before)
            and matches(row)
        ]
        return sorted(found, key=lambda row: row.image, reverse=True)[: query.limit]

    def _marks(self) -> dict[str, Mark]:
        facts = tuple(self.state.facts.items())
        read = (codec.read_marks(data, key.id) for key, data in facts if key.kind == "marks")
        return {marked_id: mark for marks in read for marked_id, mark in marks.items()}

    def tally(self, query: SpendingQuery) -> list[CostTotals]:
        """
        Sum the costs of a session's turns, or of all, by day.
        """
        days: defaultdict[str, list[Turn]] = defaultdict(list)
        for turn in self._turns():
            if query.session in {None, turn.session}:
                days[turn.started.date().isoformat()].append(turn)
        return [
            CostTotals(
                group=day,
                cost=sum(turn.cost.known for turn in turns if turn.cost),
                spent=sum(map(_spent, turns)),
                uncertain=0,
                images=sum(len(turn.images) + turn.erased_images for turn in turns),
                turns=len(turns),
                context=0.0,
                context_tokens=0,
            )
            for day, turns in sorted(days.items())
        ]

    def spent(
        self,
        day: dt.date,
        session: str | None,
        owner: str | None,
        without: Collection[str] = (),
    ) -> tuple[float, float, float]:
        """
        Sum what budgets count.
        """
        turns = [turn for turn in self._turns() if turn.id not in without]
        today = [turn for turn in turns if timestamp_of(turn.id).date() == day]
        own = (turn for turn in turns if session is not None and turn.session == session)
        of_owner = (turn for turn in today if owner is not None and turn.owner == owner)
        return sum(map(_spent, today)), sum(map(_spent, own)), sum(map(_spent, of_owner))

    def settled_under(
        self, idempotency_keys: Collection[str], owner: str | None
    ) -> dict[str, list[Key]]:
        """
        Return turns by their keys.
        """
        turns = sorted(self._turns(), key=lambda turn: turn.id, reverse=True)
        return {
            key: [
                Key("turn", turn.id, turn.session)
                for turn in turns
                if (turn.idempotency_key, turn.owner) == (key, owner)
            ]
            for key in idempotency_keys
        }

    def turns(self, before: str | None = None) -> list[Key]:
        """
        Return the turns, or the old ones that are not erased.
        """
        return [
            Key("turn", turn.id, turn.session)
            for turn in sorted(self._turns(), key=lambda turn: turn.id)
            if before is None or (turn.id < before and turn.deleted is None)
        ]

    def sessions_of(self, ids: Iterable[str]) -> dict[str, str | None]:
        """
        Return which sessions use ids.
        """
        used = {row.image: row.session for _, row in self._locations()}
        used |= {turn.id: turn.session for turn in self._turns()}
        return {wanted: used[wanted] for wanted in ids if wanted in used}

    def sessions(
        self,
        name: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        *,
        deleted: bool = False,
    ) -> list[str]:
        """
        Return the latest sessions.
        """
        marks = self._marks()
        records = [codec.read_session(data, key.id) for key, data in self._session_facts()]
        found = [
            record.id
            for record in records
            if self.owner in {None, record.owner}
            and (name is None or fold(name) == fold(record.name or ""))
            and (before is None or record.id < before)
            and (not deleted or not marks.get(record.id, UNMARKED).erased)
            and (marks.get(record.id, UNMARKED).deleted is not None) == deleted
        ]
        return sorted(found, reverse=True)[:limit]

    def _session_facts(self) -> list[tuple[Key, bytes]]:
        return [item for item in tuple(self.state.facts.items()) if item[0].kind == "session"]

    def count_sessions(self) -> int:
        """
        Count them.
        """
        return len(self.sessions())

    def active(self, since: str) -> list[tuple[str, str]]:
        """
        Return the open sessions that were touched.
        """
        found: list[tuple[str, str]] = []
        there = set(self.sessions())
        for key, data in self._session_facts():
            record = codec.read_session(data, key.id)
            if record.id not in there:
                continue
            moves = (move.id for move in record.moves.values() if is_id(move.id))
            turns = (turn.id for turn in self._turns() if turn.session == record.id)
            last = max((first_id(record.created), *moves, *turns))
            if record.closed is None and last >= since:
                found.append((record.id, last))
        return found

    def rebuild(self) -> None:
        """
        There is nothing to rebuild.
        """


def _spent(turn: Turn) -> float:
    return turn.cost.known if turn.cost else 0.0


class MemoryLibrary:
    """
    The ports of a program on a library in memory.

    Args:
        state: What the programs share.
    """

    def __init__(self, state: State) -> None:
        self.facts = MemoryFacts(state)
        self.rights = MemoryRights(state)
        self.blobs = MemoryBlobs(state)
        self.index = MemoryIndex(state)
        self.address = f"memory:{id(state)}"

    def check_health(
        self,
        pending: Callable[[], tuple[PendingRequest, ...]],  # noqa: ARG002 - it is always well
        *,
        verify: bool,  # noqa: ARG002 - as above
    ) -> tuple[HealthCheck, ...]:
        """
        Nothing can be wrong.
        """
        return ()

    def drop_queues(self, owner: str) -> None:
        """
        There are no queues.
        """

    def close(self) -> None:
        """
        There is nothing to close.
        """
