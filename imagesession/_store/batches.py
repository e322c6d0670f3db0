"""
Batches in a library.

    <library>/.imagesession/batches/<batch>.jsonl

The first line holds the request; later lines add what became known since. Each turn of a batch has
its own intent in the journal, so budgets count it, and collecting the batch settles it once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.wording import quote
from imagesession._engine.batch_store import BatchIntent
from imagesession.errors import InvalidRequestError, NotFoundError, StorageError

from . import admission, codec
from .atomic_write import append_line, translate_os_errors
from .base import StoreBase
from .ids import is_id

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchItem, BatchRecord, BatchUpdate
    from imagesession._domain.turn import Turn
    from imagesession._engine.leases import BudgetReservation

_MAX_LISTED = 5
_LEASE_PREFIX = "batch "


@attrs.frozen
class BatchLease:
    """
    The right to prepare and submit a batch.

    Attributes:
        library: The library that holds the batch.
        batch_id: The batch's id.
        token: Distinguishes this lease from a later one.
    """

    library: BatchStore = attrs.field(repr=False)
    batch_id: str
    token: object = attrs.field(factory=object, repr=False)

    def release(self) -> None:
        """
        Release the lease; if the batch was not submitted, any program may settle it from now on.
        """
        self.library.release_batch(self)

    def __del__(self) -> None:
        self.library.expire_batch(self)


class BatchStore(StoreBase):
    """
    The part of a library that stores batches.
    """

    def begin_batch(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent:
        """
        Write a batch and its intents durably, if the budget allows it.

        Args:
            record: The batch, with an item for each turn.
            turns: The batch's turns, in order.
            reservation: The budget and the estimated cost of all turns.

        Returns:
            The batch and its lease, without turns whose idempotency keys were completed before;
            or the identical batch that was submitted under the same name before.

        Raises:
            StorageIOError: The library cannot be written, or its disk is nearly full.
            BudgetExceededError: The batch may cost more than is left.
            InvalidRequestError: A different batch has the same name.
            OutcomeUnknownError: A request with the idempotency key of one of the turns is not
                settled, or its outcome is unknown.
        """
        with translate_os_errors(self.layout.batches):
            self._check_batch(turns)
            self._refresh_index()
            with self._index.locked() as connection:
                earlier = self._find_identical(record.name, record.digest)
                if earlier is not None:
                    return BatchIntent(record=earlier)
                completed = admission.admit_all(
                    turns, reservation, connection, self._journal, self._read_turn
                )
                items = tuple(
                    _completed_before(item, completed[item.turn])
                    if item.turn in completed
                    else item
                    for item in record.items
                )
                started = attrs.evolve(
                    record, items=items, owner=self._processes.current_owner(), running=True
                )
                new = [turn for turn in turns if turn.id not in completed]
                return BatchIntent(record=started, lease=self._write_batch(started, new))

    def _check_batch(self, turns: Sequence[Turn]) -> None:
        """
        Check before anything is paid for that the library can store the images.
        """
        raise NotImplementedError

    def _write_batch(self, record: BatchRecord, turns: Sequence[Turn]) -> BatchLease:
        """
        Write the batch, then the intents. If this fails, nothing is submitted and both are removed.
        """
        lease = BatchLease(self, record.id)
        self._leases[_LEASE_PREFIX + record.id] = lease.token
        file = self.layout.batch_file(record.id)
        try:
            append_line(file, codec.dump_batch(record), new=True)
            self._journal.append_intents(turns)
        except BaseException:
            lease.release()
            with contextlib.suppress(OSError):
                self._drop_batch(record)
            raise
        return lease

    def find_identical_batch(self, name: str, digest: str) -> BatchRecord | None:
        """
        Return the batch that was submitted under a name with the same requests before, unless it
        was not executed.

        Raises:
            InvalidRequestError: The batch of that name has other requests.
        """
        with translate_os_errors(self.layout.batches):
            return self._find_identical(name, digest)

    def _find_identical(self, name: str | None, digest: str) -> BatchRecord | None:
        from imagesession._domain.batch import NOT_EXECUTED  # noqa: PLC0415 - hardly ever needed

        if name is None:
            return None
        named = (batch for batch in self._read_batches() if batch.name == name)
        earlier = next((item for item in named if item.state not in NOT_EXECUTED), None)
        if earlier is not None and earlier.digest != digest:
            raise InvalidRequestError(
                f"name={quote(name)} is the name of another batch ({earlier.id}), which has other "
                "requests; nothing was sent. Choose another name for this one."
            )
        return earlier

    def update_batch(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        """
        Record new facts of a batch durably, and return the batch with them.
        """
        line = json.dumps(dict(news), default=_to_json).encode("ascii")
        with translate_os_errors(self.layout.batches):
            append_line(self.layout.batch_file(record.id), line, new=False)
        return attrs.evolve(record, **news)

    def discard_batch(self, record: BatchRecord) -> None:
        """
        Drop a batch that was not submitted, and the intents of its turns.
        """
        with translate_os_errors(self.layout.batches):
            self._drop_batch(record)

    def _drop_batch(self, record: BatchRecord) -> None:
        # The batch is removed last: until then it lists the intents.
        for turn_id in record.asked:
            self._journal.remove(turn_id, None)
        self.layout.batch_file(record.id).unlink(missing_ok=True)

    def find_batch(self, wanted: str) -> BatchRecord:
        """
        Return a batch by its id, its name or the provider's id; the latest, if several match.

        Raises:
            NotFoundError: There is none; the error lists some that exist.
        """
        with translate_os_errors(self.layout.batches):
            with contextlib.suppress(FileNotFoundError):
                if is_id(wanted):
                    return self._read_batch(wanted)
            known = tuple(self._read_batches())
        for item in known:
            if wanted in {item.name, item.provider_id}:
                return item
        listed = tuple(item.name or item.id for item in known[:_MAX_LISTED])
        raise NotFoundError(
            f"No batch {quote(wanted)} in this library; there are: {', '.join(listed) or 'none'}.",
            wanted,
            listed,
        )

    def list_batches(self) -> tuple[BatchRecord, ...]:
        """
        Return all batches, the latest first.
        """
        with translate_os_errors(self.layout.batches):
            return tuple(self._read_batches())

    def batch_turns(self, record: BatchRecord) -> tuple[Turn | None, ...]:
        """
        Return the settled turns of a batch's items, in order; None for each that is not settled.
        """
        with translate_os_errors(self.layout.turns):
            return tuple(map(self._settled_turn, record.items))

    def _settled_turn(self, item: BatchItem) -> Turn | None:
        if not self.layout.turn_file(item.session, item.turn).exists():
            return None
        return self._read_turn(item.session, item.turn)

    def _read_batches(self) -> Iterator[BatchRecord]:
        """
        Read all batches, the latest first; damaged ones are skipped.
        """
        for name in sorted(os.listdir(self.layout.batches), reverse=True):  # noqa: PTH208 - names will do
            with contextlib.suppress(FileNotFoundError, StorageError):
                yield self._read_batch(name.removesuffix(".jsonl"))

    def _read_batch(self, batch_id: str) -> BatchRecord:
        """
        Read a batch. A line that a power cut left unfinished is ignored.
        """
        file = self.layout.batch_file(batch_id)
        known: dict[str, Any] = {}
        for line in file.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                known.update(json.loads(line))
        record = codec.read_batch(json.dumps(known).encode("ascii"), str(file))
        return attrs.evolve(record, running=self._is_leased(record))

    def _is_leased(self, record: BatchRecord) -> bool:
        if _LEASE_PREFIX + record.id in self._leases:
            return True
        if record.owner is None or record.owner == self._processes.name:
            return False
        return self._processes.is_alive(record.owner)

    # --- leases -----------------------------------------------------------------------------------

    def expire_batch(self, lease: BatchLease) -> bool:
        """
        Invalidate a lease in memory; tell whether it was valid until now.
        """
        held = self._leases.get(_LEASE_PREFIX + lease.batch_id) is lease.token
        if held:
            del self._leases[_LEASE_PREFIX + lease.batch_id]
        return held

    def release_batch(self, lease: BatchLease) -> None:
        """
        Record that a batch has no owner any more.
        """
        if not self.expire_batch(lease):
            return
        # If this fails, the owner counts as dead at the latest when this process has ended.
        with contextlib.suppress(OSError):
            append_line(self.layout.batch_file(lease.batch_id), b'{"owner": null}', new=False)


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _completed_before(item: BatchItem, turn: Turn) -> BatchItem:
    return attrs.evolve(item, turn=turn.id, session=turn.session, asked=False)
