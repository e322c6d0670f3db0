"""
Batches in a library: what was asked of them, and what became known since.

    <library>/.imagesession/batches/<batch>.jsonl

The first line says what is asked; later ones add what became known. The turns of a batch stand in
the journal, each with its own intent, like all that is asked: so budgets count them, and whoever
collects a batch settles each of them once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

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

_SHOWN = 5
_CLAIM = "batch "


@attrs.frozen
class BatchLease:
    """
    The right to put a batch together.

    Attributes:
        library: Where it is.
        batch_id: Which one.
        token: Tells this lease from a later one.
    """

    library: BatchStore = attrs.field(repr=False)
    batch_id: str
    token: object = attrs.field(factory=object, repr=False)

    def release(self) -> None:
        """
        Let go of it; if it is not submitted, anybody may settle it from now on.
        """
        self.library.release_batch(self)

    def __del__(self) -> None:
        self.library.expire_batch(self)


class BatchStore(StoreBase):
    """
    The part of a library that keeps batches.
    """

    def begin_batch(
        self, record: BatchRecord, turns: Sequence[Turn], reservation: BudgetReservation | None
    ) -> BatchIntent:
        """
        Write down durably what a batch is about to ask, if the budget allows it.

        Args:
            record: The batch, with an item for each turn.
            turns: What it asks, in order.
            reservation: What all of it is allowed to cost.

        Returns:
            The batch, without what was made before under a turn's name, and the right to be at
            it; or the batch that was submitted under its name before.

        Raises:
            StorageIOError: The library cannot be written, or its disk is nearly full.
            BudgetExceededError: It may cost more than is left.
            InvalidRequestError: Another batch has its name.
            OutcomeUnknownError: One of its turns was asked for under the same name before, and is
                not settled.
        """
        with translate_os_errors(self.layout.batches):
            self._check_batch(turns)
            self._refresh_index()
            with self._index.locked() as connection:
                before = self._same(record.name, record.digest)
                if before is not None:
                    return BatchIntent(record=before)
                made = admission.admit_all(
                    turns, reservation, connection, self._journal, self._read_turn
                )
                items = tuple(
                    _there_before(item, made[item.turn]) if item.turn in made else item
                    for item in record.items
                )
                begun = attrs.evolve(
                    record, items=items, owner=self._owners.current_owner(), running=True
                )
                todo = [turn for turn in turns if turn.id not in made]
                return BatchIntent(record=begun, lease=self._write_batch(begun, todo))

    def _check_batch(self, turns: Sequence[Turn]) -> None:
        """
        Find out before anything is paid for whether the library would take what comes.
        """
        raise NotImplementedError

    def _write_batch(self, record: BatchRecord, turns: Sequence[Turn]) -> BatchLease:
        """
        Write the batch, then the intents. A batch that was not written whole was not submitted.
        """
        lease = BatchLease(self, record.id)
        self._at_work[_CLAIM + record.id] = lease.token
        file = self.layout.batch_file(record.id)
        try:
            append_line(file, codec.dump_batch(record), new=True)
            self._journal.intend_all(turns)
        except BaseException:
            lease.release()
            with contextlib.suppress(OSError):
                self._drop_batch(record)
            raise
        return lease

    def find_identical_batch(self, name: str, digest: str) -> BatchRecord | None:
        """
        Return the batch that was submitted under a name for the same before, unless nothing came
        of it.

        Raises:
            InvalidRequestError: It asks for something else.
        """
        with translate_os_errors(self.layout.batches):
            return self._same(name, digest)

    def _same(self, name: str | None, digest: str) -> BatchRecord | None:
        from imagesession._domain.batch import NOT_EXECUTED  # noqa: PLC0415 - hardly ever needed

        if name is None:
            return None
        named = (batch for batch in self._batches() if batch.name == name)
        before = next((item for item in named if item.state not in NOT_EXECUTED), None)
        if before is not None and before.digest != digest:
            raise InvalidRequestError(
                f"name={name!r} is the name of another batch ({before.id}), which asks for "
                "other pictures; nothing was sent. Give this one a name of its own."
            )
        return before

    def update_batch(self, record: BatchRecord, news: BatchUpdate) -> BatchRecord:
        """
        Write down durably what became known of a batch; return it with that.
        """
        line = json.dumps(dict(news), default=_as_text).encode("ascii")
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
        # The batch goes last: until then it tells whose the intents are.
        for turn_id in record.asked:
            self._journal.remove(turn_id, None)
        self.layout.batch_file(record.id).unlink(missing_ok=True)

    def find_batch(self, wanted: str) -> BatchRecord:
        """
        Return a batch by its id, its name, or the provider's id of it; of several of a name, the
        latest.

        Raises:
            NotFoundError: There is none; the error names some that exist.
        """
        with translate_os_errors(self.layout.batches):
            with contextlib.suppress(FileNotFoundError):
                if is_id(wanted):
                    return self._read_batch(wanted)
            known = tuple(self._batches())
        for item in known:
            if wanted in {item.name, item.provider_id}:
                return item
        shown = tuple(item.name or item.id for item in known[:_SHOWN])
        raise NotFoundError(
            f"No batch {wanted!r} in this library; there are: {', '.join(shown) or 'none'}.",
            wanted,
            shown,
        )

    def list_batches(self) -> tuple[BatchRecord, ...]:
        """
        Return all batches, the latest first.
        """
        with translate_os_errors(self.layout.batches):
            return tuple(self._batches())

    def batch_turns(self, record: BatchRecord) -> tuple[Turn | None, ...]:
        """
        Return what became of a batch's items, in their order; None for what is not settled.
        """
        with translate_os_errors(self.layout.turns):
            return tuple(map(self._settled_turn, record.items))

    def _settled_turn(self, item: BatchItem) -> Turn | None:
        if not self.layout.turn_file(item.session, item.turn).exists():
            return None
        return self._read_turn(item.session, item.turn)

    def _batches(self) -> Iterator[BatchRecord]:
        """
        Read all batches, the latest first; one that is damaged is left out.
        """
        for name in sorted(os.listdir(self.layout.batches), reverse=True):  # noqa: PTH208 - names will do
            with contextlib.suppress(FileNotFoundError, StorageError):
                yield self._read_batch(name.removesuffix(".jsonl"))

    def _read_batch(self, batch_id: str) -> BatchRecord:
        """
        Read a batch. A last line that was cut short by a power cut counts for nothing.
        """
        file = self.layout.batch_file(batch_id)
        known: dict[str, Any] = {}
        for line in file.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                known.update(json.loads(line))
        record = codec.read_batch(json.dumps(known).encode("ascii"), str(file))
        return attrs.evolve(record, running=self._is_put_together(record))

    def _is_put_together(self, record: BatchRecord) -> bool:
        if _CLAIM + record.id in self._at_work:
            return True
        if record.owner is None or record.owner == self._owners.name:
            return False
        return self._owners.is_alive(record.owner)

    # --- who is at it -----------------------------------------------------------------------------

    def expire_batch(self, lease: BatchLease) -> bool:
        """
        Count a lease no more; tell whether it counted until now. Nothing is written.
        """
        held = self._at_work.get(_CLAIM + lease.batch_id) is lease.token
        if held:
            del self._at_work[_CLAIM + lease.batch_id]
        return held

    def release_batch(self, lease: BatchLease) -> None:
        """
        Write down that nobody puts a batch together any more.
        """
        if not self.expire_batch(lease):
            return
        # Whoever looks later sees it at the latest when this process has ended.
        with contextlib.suppress(OSError):
            append_line(self.layout.batch_file(lease.batch_id), b'{"owner": null}', new=False)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _there_before(item: BatchItem, turn: Turn) -> BatchItem:
    return attrs.evolve(item, turn=turn.id, session=turn.session, asked=False)
