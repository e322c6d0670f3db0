"""
Poll, cancel and collect batches, and settle those that other programs left.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._domain.batch import BatchItem, BatchRecord, BatchStatus
from imagesession._domain.estimate import CostEstimate
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession._engine.bulk import find_batch
from imagesession._engine.effects import MonotonicTime, Sleep, StoreCall, Workflow
from imagesession._engine.request import StudioConfig, image_model
from imagesession.errors import (
    BadRequestError,
    BatchNotReadyError,
    ImageSessionError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    TransientError,
)

from . import payloads
from .lookup import check_provider, discard_unsubmitted, refresh_batch, send_batch_request
from .reconcile import reconcile_batch, status

OnStatus = Callable[[BatchStatus], object]
SettledOrReason = tuple[Turn, str]
"""A turn, and why it could not be settled; empty if it was."""


def reload_batch(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Return a batch's present record; one that was discarded was not submitted.
    """
    try:
        return (yield from StoreCall(lambda store: store.batches.find(record.id)))
    except NotFoundError:
        return attrs.evolve(record, state="unsent", settled=True, running=False)


def batch_status(record: BatchRecord, config: StudioConfig, *, live: bool) -> Workflow[BatchStatus]:
    record = yield from reload_batch(record)
    if live:
        record = yield from reconcile_batch(record, config)
    return (yield from status(record, config))


def collect_results(
    record: BatchRecord, config: StudioConfig
) -> Workflow[tuple[BatchRecord, tuple[Turn | None, ...]]]:
    record = yield from reconcile_batch((yield from reload_batch(record)), config)
    if not record.ended:
        batch_status = yield from status(record, config)
        raise BatchNotReadyError(
            f"The batch {record.name or record.id} is not finished ({batch_status}). Call again "
            "later, or wait() for it."
        )
    return record, (yield from StoreCall(lambda store: store.batches.turns(record)))


def poll_batch(
    record: BatchRecord, config: StudioConfig, seconds: float | None, notify: OnStatus
) -> Workflow[None]:
    start = now = yield from MonotonicTime()
    end = None if seconds is None else start + seconds
    for due in poll_delays():
        then = start + due if end is None else min(start + due, end)
        yield from Sleep(max(0.0, then - now))
        record = yield from _poll_once((yield from reload_batch(record)))
        if record.ended or record.state == "preparing":
            record = yield from reconcile_batch(record, config)
        batch_status = yield from status(record, config)
        notify(batch_status)
        if record.ended:
            return
        now = yield from MonotonicTime()
        if end is not None and now >= end:
            raise BatchNotReadyError(
                f"The batch {record.name or record.id} is not finished after {seconds:g} seconds "
                f"({batch_status}). It continues at the provider; call again later."
            )


def _poll_once(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Poll a batch once; temporary errors are left to the next poll.
    """
    try:
        return (yield from refresh_batch(record))
    except (TransientError, ProviderError):
        return record


def poll_delays() -> Iterator[float]:
    """
    Yield the times at which to poll a batch, in seconds from the start: at growing intervals, then
    every minute.
    """
    yield from (0.0, 0.2, 1.0, 3.0, 8.0, 15.0, 30.0)
    yield from itertools.count(60.0, 60.0)


def cancel_batch(record: BatchRecord, config: StudioConfig) -> Workflow[BatchStatus]:
    record = yield from reconcile_batch((yield from reload_batch(record)), config)
    if not record.ended and record.state != "cancelling":
        if record.provider_id is None:
            raise OutcomeUnknownError(
                f"The provider does not list the batch {record.id} yet, so it cannot be "
                "cancelled. Try again later.",
                record.id,
            )
        yield from check_provider(record)
        # A batch that has just ended cannot be cancelled; the next poll shows that.
        with contextlib.suppress(BadRequestError, ProviderError):
            record = yield from send_batch_request(record, payloads.cancel(record.provider_id))
        record = yield from reconcile_batch(record, config)
    return (yield from status(record, config))


def reconcile_all(
    intents: Iterable[PendingRequest], config: StudioConfig
) -> Workflow[list[SettledOrReason]]:
    yield from discard_unsubmitted()
    waiting: dict[str, list[Turn]] = {}
    for pending in intents:
        if pending.turn.batch is not None:
            waiting.setdefault(pending.turn.batch, []).append(pending.turn)
    results: list[SettledOrReason] = []
    for batch_id, turns in waiting.items():
        results += yield from _settle_batch(batch_id, turns, config)
    return results


def _find_or_restore(
    batch_id: str, turns: list[Turn], config: StudioConfig
) -> Workflow[BatchRecord | None]:
    """
    Return a batch, for which one with its unsettled turns is recorded if its own record is gone; so
    the provider's list is searched for it. None if it was just discarded together with its intents.
    """
    try:
        return (yield from find_batch(batch_id))
    except NotFoundError:
        ids = frozenset(turn.id for turn in turns)
        left = yield from StoreCall(lambda store: store.intents.unsettled(ids))
        if not left:
            return None
        lost = BatchRecord(
            id=batch_id,
            provider=left[0].provider,
            endpoint="",
            model=image_model(left[0].options, config),
            items=tuple(BatchItem(turn=turn.id, session=turn.session) for turn in left),
            digest="",
            estimate=CostEstimate(low=0.0, high=None),
            created=left[0].started,
            state="submitting",
        )
        restored = yield from StoreCall(lambda store: store.batches.restore(lost))
        if restored is None:
            raise
        return restored


def _settle_batch(
    batch_id: str, turns: list[Turn], config: StudioConfig
) -> Workflow[list[SettledOrReason]]:
    try:
        found = yield from _find_or_restore(batch_id, turns, config)
        if found is None:
            return []
        record = yield from reconcile_batch(found, config)
    except ImageSessionError as error:
        return [(turn, error.message) for turn in turns]
    finished = yield from StoreCall(lambda store: store.batches.turns(record))
    settled = {turn.id: turn for turn in finished if turn is not None}
    why = f"its batch is not settled ({(yield from status(record, config))})"
    return [(settled.get(turn.id, turn), "" if turn.id in settled else why) for turn in turns]
