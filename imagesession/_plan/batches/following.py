"""
Go after a batch: wait until it has ended, stop it, and settle what others left.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._model.batches import BatchRecord, BatchStatus
from imagesession._model.reports import Pending
from imagesession._model.turns import Turn
from imagesession._plan.jobs import find_batch
from imagesession._plan.steps import Flow, Now, OnDisk, Wait
from imagesession._plan.wishes import Terms
from imagesession.errors import (
    ImageSessionError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    TryLaterError,
    UnfinishedError,
)

from . import wire
from .collecting import collect, settled, status
from .looks import check_provider, drop_unsent, hear, look

Tell = Callable[[BatchStatus], object]
Left = tuple[Turn, str]
"""A turn, and why it could not be settled; empty if it was."""


def current(record: BatchRecord) -> Flow[BatchRecord]:
    """
    Return a batch as it stands in the library now; one that was dropped there was not submitted.
    """
    try:
        return (yield from OnDisk(lambda store: store.find_batch(record.id)))
    except NotFoundError:
        return attrs.evolve(record, state="unsent", settled=True, running=False)


def stand(record: BatchRecord, terms: Terms, *, live: bool) -> Flow[BatchStatus]:
    """
    Tell where a batch stands.

    Args:
        record: Which one.
        terms: What holds for everything that is asked.
        live: Whether to ask the provider, and settle what is finished.
    """
    record = yield from current(record)
    if live:
        record = yield from collect(record, terms)
    return (yield from status(record, terms))


def gather(record: BatchRecord, terms: Terms) -> Flow[tuple[BatchRecord, tuple[Turn | None, ...]]]:
    """
    Collect a batch that has ended.

    Raises:
        UnfinishedError: It has not.
    """
    record = yield from collect((yield from current(record)), terms)
    if not record.ended:
        told = yield from status(record, terms)
        raise UnfinishedError(
            f"The batch {record.name or record.id} is not finished ({told}). Call again later, or "
            "wait() for it."
        )
    return record, (yield from settled(record))


def follow(record: BatchRecord, terms: Terms, seconds: float | None, tell: Tell) -> Flow[None]:
    """
    Look at a batch until it has ended, and settle it.

    Args:
        record: Which one.
        terms: What holds for everything that is asked.
        seconds: For how long; None for as long as it takes.
        tell: Called with where it stands after every look.

    Raises:
        UnfinishedError: It has not ended in that time.
    """
    start = now = yield from Now()
    end = None if seconds is None else start + seconds
    for due in looks():
        then = start + due if end is None else min(start + due, end)
        yield from Wait(max(0.0, then - now))
        record = yield from _look_on((yield from current(record)))
        if record.ended or record.state == "preparing":
            record = yield from collect(record, terms)
        told = yield from status(record, terms)
        tell(told)
        if record.ended:
            return
        now = yield from Now()
        if end is not None and now >= end:
            raise UnfinishedError(
                f"The batch {record.name or record.id} is not finished after {seconds:g} seconds "
                f"({told}). It goes on by itself; call again later."
            )


def _look_on(record: BatchRecord) -> Flow[BatchRecord]:
    """
    Look at a batch; what goes wrong in one look is seen to by the next.
    """
    try:
        return (yield from look(record))
    except (TryLaterError, ProviderError):
        return record


def looks() -> Iterator[float]:
    """
    Yield the seconds after which to look at a batch: ever rarer, and then every minute.
    """
    yield from (0.0, 0.2, 1.0, 3.0, 8.0, 15.0, 30.0)
    yield from itertools.count(60.0, 60.0)


def stop(record: BatchRecord, terms: Terms) -> Flow[BatchStatus]:
    """
    Have the provider stop a batch, and settle what is finished.

    Raises:
        OutcomeUnknownError: The provider's id of it is not known.
    """
    record = yield from collect((yield from current(record)), terms)
    if not record.ended and record.state != "cancelling":
        if record.provider_id is None:
            raise OutcomeUnknownError(
                f"The provider does not list the batch {record.id} yet, so it cannot be stopped. "
                "Try again in a while.",
                record.id,
            )
        yield from check_provider(record)
        # One that has ended just now is not stopped, as the next look tells.
        with contextlib.suppress(RejectedError, ProviderError):
            record = yield from hear(record, wire.cancel(record.provider_id))
        record = yield from collect(record, terms)
    return (yield from status(record, terms))


def settle_all(found: Iterable[Pending], terms: Terms) -> Flow[list[Left]]:
    """
    Settle the lines of all batches that have ended, and drop those that were not submitted.

    Args:
        found: What is not settled.
        terms: What holds for everything that is asked.
    """
    yield from drop_unsent()
    waiting: dict[str, list[Turn]] = {}
    for pending in found:
        if pending.turn.batch is not None:
            waiting.setdefault(pending.turn.batch, []).append(pending.turn)
    told: list[Left] = []
    for batch_id, turns in waiting.items():
        told += yield from _settle_one(batch_id, turns, terms)
    return told


def _settle_one(batch_id: str, turns: list[Turn], terms: Terms) -> Flow[list[Left]]:
    try:
        record = yield from find_batch(batch_id)
        record = yield from collect(record, terms)
    except NotFoundError as error:
        # One that was not submitted has just been dropped, and its intents with it.
        ids = frozenset(turn.id for turn in turns)
        left = yield from OnDisk(lambda store: store.unsettled(ids))
        return [(turn, f"the record of its batch is gone: {error.message}") for turn in left]
    except ImageSessionError as error:
        return [(turn, error.message) for turn in turns]
    now = {turn.id: turn for turn in (yield from settled(record)) if turn is not None}
    why = f"its batch is not settled ({(yield from status(record, terms))})"
    return [(now.get(turn.id, turn), "" if turn.id in now else why) for turn in turns]
