"""
Batches in a library.

A batch is written with its request and extended by what becomes known since. Each of its turns has
an intent of its own, so budgets count it, and collecting the batch settles it once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from imagesession._domain.marks import is_deleted
from imagesession._domain.turn import is_id
from imagesession._domain.wording import quote
from imagesession._engine.store import BatchIntent
from imagesession.errors import InvalidRequestError, NotFoundError, StorageError

from . import admission, codec
from .ports import Key
from .records import intent_fact, read_current_turn, read_marks
from .view import StorePart

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchItem, BatchRecord, BatchUpdate
    from imagesession._domain.turn import Turn
    from imagesession._engine.store import BudgetReservation

    from .ports import Lease

_MAX_LISTED = 5


class BatchStore(StorePart):
    def begin(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent:
        """
        Write a batch and its intents durably, if the budget allows it.

        Return the batch and its lease, without turns whose idempotency keys were completed before;
        or the identical batch that was submitted under the same name before.
        """
        self.blobs.check_room(turns, len(self.state.leases))
        with self.facts.transaction("admission"):
            earlier = self.find_identical(record.name, record.digest)
            if earlier is not None:
                return BatchIntent(record=earlier)
            completed = admission.admit(self.ports, turns, reservation)
            items = tuple(
                _completed_before(item, completed[item.turn]) if item.turn in completed else item
                for item in record.items
            )
            started = attrs.evolve(record, items=items, running=True)
            new = [turn for turn in turns if turn.id not in completed]
            return BatchIntent(record=started, lease=self._write_batch(started, new))

    def _write_batch(self, record: BatchRecord, turns: Sequence[Turn]) -> Lease | None:
        """
        Write the batch, then the intents. If this fails, nothing is submitted and none is there.
        """
        lease = self.rights.hold(_right(record.id))
        intents = dict(intent_fact(turn) for turn in turns)
        try:
            self.facts.put_new({Key("batch", record.id): codec.dump_batch(record), **intents})
        except BaseException:
            if lease is not None:
                lease.release()
            raise
        return lease

    def find_identical(self, name: str | None, digest: str) -> BatchRecord | None:
        """
        Return the batch that was submitted under a name with the same requests before, unless it
        was not executed. Each owner has names of its own.
        """
        from imagesession._domain.batch import NOT_EXECUTED  # noqa: PLC0415 - hardly ever needed

        if name is None:
            return None
        listed = self.list()
        named = (batch for batch in listed if (batch.name, batch.owner) == (name, self.owner))
        earlier = next((item for item in named if item.state not in NOT_EXECUTED), None)
        if earlier is not None and earlier.digest != digest:
            raise InvalidRequestError(
                f"name={quote(name)} is the name of another batch ({earlier.id}), which has other "
                "requests; nothing was sent. Choose another name for this one."
            )
        return earlier

    def update(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        members = json.loads(json.dumps(dict(news), default=_to_json))
        self.facts.extend(Key("batch", record.id), members)
        return attrs.evolve(record, **news)

    def restore(self, record: BatchRecord) -> BatchRecord | None:
        """
        Write the record of a batch whose own is gone; return it, or None if there is one.
        """
        key = Key("batch", record.id)
        if self.facts.has(key):
            return None
        self.facts.put_new({key: codec.dump_batch(record)})
        return self.read(record.id)

    def discard(self, record: BatchRecord) -> None:
        # The batch is removed last: until then it lists the intents.
        for turn_id in record.asked:
            self.facts.drop(Key("intent", turn_id))
        self.facts.drop(Key("batch", record.id))

    def find(self, wanted: str, *, deleted: bool = False) -> BatchRecord:
        batch = self.read(wanted) if is_id(wanted) else None
        if batch is not None and not deleted and self._is_deleted(batch.id):
            raise NotFoundError(
                f"The batch {batch.id} is in the bin. Bring it back with "
                f"studio.batches.restore({batch.id!r}).",
                wanted,
            )
        if batch is not None:
            return batch
        known = tuple(
            item for item in self._read_batches() if deleted or not self._is_deleted(item.id)
        )
        for item in known:
            if wanted in {item.name, item.provider_id}:
                return item
        listed = tuple(item.name or item.id for item in known[:_MAX_LISTED])
        raise NotFoundError(
            f"No batch {quote(wanted)} in this library; there are: {', '.join(listed) or 'none'}.",
            wanted,
            listed,
        )

    def list(self, *, deleted: bool = False) -> tuple[BatchRecord, ...]:
        """
        Return all batches, the latest first: those that are not deleted, or in their place those in
        the bin.
        """
        return tuple(item for item in self._read_batches() if self._is_deleted(item.id) == deleted)

    def _is_deleted(self, batch_id: str) -> bool:
        return is_deleted(read_marks(self.facts, batch_id), batch_id)

    def turns(self, record: BatchRecord) -> tuple[Turn | None, ...]:
        return tuple(map(self._settled_turn, record.items))

    def _settled_turn(self, item: BatchItem) -> Turn | None:
        key = Key("turn", item.turn, item.session)
        return read_current_turn(self.facts, key) if self.facts.has(key) else None

    def _read_batches(self) -> Iterator[BatchRecord]:
        for key in sorted(self.facts.scan("batch"), reverse=True):
            with contextlib.suppress(StorageError):
                batch = self.read(key.id)
                if batch is not None:
                    yield batch

    def read(self, batch_id: str) -> BatchRecord | None:
        key = Key("batch", batch_id)
        data = self.facts.get(key)
        if data is None:
            return None
        record = codec.read_batch(data, self.facts.describe(key))
        if not self.sees(record.owner):
            return None
        return attrs.evolve(record, running=self.rights.is_held(_right(batch_id)))


def _right(batch_id: str) -> str:
    return f"batch {batch_id}"


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _completed_before(item: BatchItem, turn: Turn) -> BatchItem:
    return attrs.evolve(item, turn=turn.id, session=turn.session, asked=False)
