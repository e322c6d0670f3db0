"""
Go after a batch: wait until it has ended, stop it, and settle what others left.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._domain.batch import BatchRecord, BatchStatus
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession._engine.bulk import find_batch
from imagesession._engine.effects import MonotonicTime, Sleep, StoreCall, Workflow
from imagesession._engine.request import StudioConfig
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
from .lookup import check_provider, discard_unsubmitted, refresh_batch, send_for_batch
from .reconcile import finished_items, reconcile_batch, status

OnStatus = Callable[[BatchStatus], object]
Left = tuple[Turn, str]
"""A turn, and why it could not be settled; empty if it was."""


def current(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Return a batch as it stands in the library now; one that was dropped there was not submitted.
    """
    try:
        return (yield from StoreCall(lambda store: store.find_batch(record.id)))
    except NotFoundError:
        return attrs.evolve(record, state="unsent", settled=True, running=False)


def batch_status(record: BatchRecord, config: StudioConfig, *, live: bool) -> Workflow[BatchStatus]:
    """
    Tell where a batch stands.

    Args:
        record: Which one.
        config: What holds for everything that is asked.
        live: Whether to ask the provider, and settle what is finished.
    """
    record = yield from current(record)
    if live:
        record = yield from reconcile_batch(record, config)
    return (yield from status(record, config))


def collect_results(
    record: BatchRecord, config: StudioConfig
) -> Workflow[tuple[BatchRecord, tuple[Turn | None, ...]]]:
    """
    Collect a batch that has ended.

    Raises:
        BatchNotReadyError: It has not.
    """
    record = yield from reconcile_batch((yield from current(record)), config)
    if not record.ended:
        reported = yield from status(record, config)
        raise BatchNotReadyError(
            f"The batch {record.name or record.id} is not finished ({reported}). Call again later, "
            "or wait() for it."
        )
    return record, (yield from finished_items(record))


def poll_batch(
    record: BatchRecord, config: StudioConfig, seconds: float | None, notify: OnStatus
) -> Workflow[None]:
    """
    Look at a batch until it has ended, and settle it.

    Args:
        record: Which one.
        config: What holds for everything that is asked.
        seconds: For how long; None for as long as it takes.
        notify: Called with where it stands after every look.

    Raises:
        BatchNotReadyError: It has not ended in that time.
    """
    start = now = yield from MonotonicTime()
    end = None if seconds is None else start + seconds
    for due in poll_delays():
        then = start + due if end is None else min(start + due, end)
        yield from Sleep(max(0.0, then - now))
        record = yield from _look_on((yield from current(record)))
        if record.ended or record.state == "preparing":
            record = yield from reconcile_batch(record, config)
        reported = yield from status(record, config)
        notify(reported)
        if record.ended:
            return
        now = yield from MonotonicTime()
        if end is not None and now >= end:
            raise BatchNotReadyError(
                f"The batch {record.name or record.id} is not finished after {seconds:g} seconds "
                f"({reported}). It goes on by itself; call again later."
            )


def _look_on(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Look at a batch; what goes wrong in one look is seen to by the next.
    """
    try:
        return (yield from refresh_batch(record))
    except (TransientError, ProviderError):
        return record


def poll_delays() -> Iterator[float]:
    """
    Yield the seconds after which to look at a batch: ever rarer, and then every minute.
    """
    yield from (0.0, 0.2, 1.0, 3.0, 8.0, 15.0, 30.0)
    yield from itertools.count(60.0, 60.0)


def cancel_batch(record: BatchRecord, config: StudioConfig) -> Workflow[BatchStatus]:
    """
    Have the provider stop a batch, and settle what is finished.

    Raises:
        OutcomeUnknownError: The provider's id of it is not known.
    """
    record = yield from reconcile_batch((yield from current(record)), config)
    if not record.ended and record.state != "cancelling":
        if record.provider_id is None:
            raise OutcomeUnknownError(
                f"The provider does not list the batch {record.id} yet, so it cannot be stopped. "
                "Try again in a while.",
                record.id,
            )
        yield from check_provider(record)
        # One that has ended just now is not stopped, as the next look tells.
        with contextlib.suppress(BadRequestError, ProviderError):
            record = yield from send_for_batch(record, payloads.cancel(record.provider_id))
        record = yield from reconcile_batch(record, config)
    return (yield from status(record, config))


def reconcile_all(found: Iterable[PendingRequest], config: StudioConfig) -> Workflow[list[Left]]:
    """
    Settle the lines of all batches that have ended, and drop those that were not submitted.

    Args:
        found: What is not settled.
        config: What holds for everything that is asked.
    """
    yield from discard_unsubmitted()
    waiting: dict[str, list[Turn]] = {}
    for pending in found:
        if pending.turn.batch is not None:
            waiting.setdefault(pending.turn.batch, []).append(pending.turn)
    reported: list[Left] = []
    for batch_id, turns in waiting.items():
        reported += yield from _settle_one(batch_id, turns, config)
    return reported


def _settle_one(batch_id: str, turns: list[Turn], config: StudioConfig) -> Workflow[list[Left]]:
    try:
        record = yield from find_batch(batch_id)
        record = yield from reconcile_batch(record, config)
    except NotFoundError as error:
        # One that was not submitted has just been dropped, and its intents with it.
        ids = frozenset(turn.id for turn in turns)
        left = yield from StoreCall(lambda store: store.unsettled_turns(ids))
        return [(turn, f"the record of its batch is gone: {error.message}") for turn in left]
    except ImageSessionError as error:
        return [(turn, error.message) for turn in turns]
    now = {turn.id: turn for turn in (yield from finished_items(record)) if turn is not None}
    why = f"its batch is not settled ({(yield from status(record, config))})"
    return [(now.get(turn.id, turn), "" if turn.id in now else why) for turn in turns]
