"""
Collect a batch: read its output files, and settle each line once.

A batch may be collected often and by several programs. The first one to lease a line's intent
commits its image; the others find it committed. The files are read line by line, so that only one
image is in memory at a time.
"""

from __future__ import annotations

import contextlib

import attrs

from imagesession import errors
from imagesession._domain.batch import BatchRecord, BatchStatus
from imagesession._domain.cost import sum_costs
from imagesession._domain.turn import Failure, Turn
from imagesession._engine.effects import NextEvent, OpenStream, Sleep, StoreCall, Workflow
from imagesession._engine.generation import commit_answer, commit_failure
from imagesession._engine.http import TransportError
from imagesession._engine.payloads import PreparedRequest
from imagesession._engine.provider_errors import RequestNotProcessedError, map_error_response
from imagesession._engine.quarantine import quarantine_if_unreadable
from imagesession._engine.request import StudioConfig
from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderUnavailableError,
)

from . import payloads
from .lookup import check_provider, discard_if_unsent, refresh_batch
from .payloads import OutputLine

_MAX_ATTEMPTS = 3
_GONE = frozenset({404, 410})
# Another program commits an image that it has leased within moments.
_BUSY_DELAYS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def reconcile_batch(record: BatchRecord, config: StudioConfig) -> Workflow[BatchRecord]:
    if record.settled:
        return record
    if (yield from discard_if_unsent(record)):
        return attrs.evolve(record, state="unsent", settled=True)
    record = yield from refresh_batch(record)
    if record.ended and not record.settled:
        busy = yield from _settle(record, config)
        if not (yield from _wait_for_busy(record, busy)):
            done = {"settled": True}
            record = yield from StoreCall(lambda store: store.batches.update(record, done))
    return record


def _wait_for_busy(record: BatchRecord, busy: frozenset[str]) -> Workflow[dict[str, Turn]]:
    """
    Return the pending turns, after waiting for other programs to commit theirs.
    """
    pending = yield from _pending_turns(record)
    for delay in _BUSY_DELAYS:
        if busy.isdisjoint(pending):
            break
        yield from Sleep(delay)
        pending = yield from _pending_turns(record)
    return pending


def _pending_turns(record: BatchRecord) -> Workflow[dict[str, Turn]]:
    turn_ids = frozenset(record.asked)
    turns = yield from StoreCall(lambda store: store.intents.unsettled(turn_ids))
    return {turn.id: turn for turn in turns}


def _settle(record: BatchRecord, config: StudioConfig) -> Workflow[frozenset[str]]:
    waiting = yield from _pending_turns(record)
    busy: set[str] = set()
    lines_read = 0
    if record.output_file_id or record.error_file_id:
        yield from check_provider(record)
    if waiting and record.output_file_id is not None:
        lines_read = yield from _read_file(record.output_file_id, record, waiting, busy, config)
    if waiting and record.error_file_id is not None:
        yield from _read_file(record.error_file_id, record, waiting, busy, config)
    error = _missing_lines_outcome(record, lines_read)
    if error is not None:
        for turn in waiting.values():
            line = OutputLine(turn_id=turn.id, error=error)
            if not (yield from _settle_line(turn, line, b"", record, config)):
                busy.add(turn.id)
    return frozenset(busy)


def _missing_lines_outcome(record: BatchRecord, lines_read: int) -> ImageSessionError | None:
    """
    Return the error for lines that no file contains; None if their outcome is unknown.
    """
    if record.state == "unsent" and record.file_id is None:
        return OutcomeUnknownError(
            "The record of the batch was lost, and the provider has not listed it for 15 minutes. "
            "It may have been billed; look at the provider's own list before you submit it again.",
            record.id,
        )
    if record.state == "unsent":
        return ProviderUnavailableError(
            "The batch was not accepted and not billed: the provider has not listed it for 15 "
            "minutes. Submit it again."
        )
    if record.state == "failed":
        return payloads.batch_failed_error(record)
    if record.state in {"expired", "cancelled"} and lines_read >= record.completed:
        return payloads.not_started_error(record)
    return None


def _read_file(
    file_id: str,
    record: BatchRecord,
    waiting: dict[str, Turn],
    busy: set[str],
    config: StudioConfig,
) -> Workflow[int]:
    """
    Read an output file; if the connection breaks, read it again from the start. Return how many of
    its lines could be read; the turns that another program holds are added to `busy`.
    """
    reason = ""
    for _ in range(_MAX_ATTEMPTS):
        try:
            return (yield from _read_once(file_id, record, waiting, busy, config))
        except TransportError as error:
            reason = error.reason
    raise ProviderUnavailableError(
        f"Only a part of the batch's images arrived and was kept ({reason}); {len(waiting)} are "
        "left. Call again for these."
    )


def _read_once(
    file_id: str,
    record: BatchRecord,
    waiting: dict[str, Turn],
    busy: set[str],
    config: StudioConfig,
) -> Workflow[int]:
    reply = yield from OpenStream(payloads.file_content(file_id))
    if not reply.opened:
        error = map_error_response(reply)
        if reply.status in _GONE or isinstance(error, RequestNotProcessedError):
            raise OutcomeUnknownError(
                f"The provider no longer has the file {file_id} with the images of the batch "
                f"{record.id} ({error}).",
                record.id,
                record.provider_id,
            )
        raise error
    lines_read = 0
    while (data := (yield from NextEvent())) is not None:
        line = payloads.parse_output_line(data)
        if line is None:
            yield from _quarantine_line(record, data)
            continue
        lines_read += 1
        turn = waiting.get(line.turn_id)
        if turn is not None:
            if not (yield from _settle_line(turn, line, data, record, config)):
                busy.add(turn.id)
            del waiting[line.turn_id]
    return lines_read


def _quarantine_line(record: BatchRecord, data: bytes) -> Workflow[None]:
    """
    Quarantine an unreadable line, as it may hold a paid image.
    """
    with contextlib.suppress(errors.StorageError):
        yield from StoreCall(lambda store: store.turns.quarantine(record.id, data))


def _settle_line(
    turn: Turn, line: OutputLine, data: bytes, record: BatchRecord, config: StudioConfig
) -> Workflow[bool]:
    """
    Commit the outcome of a line; False if another program holds or has committed it.
    """
    lease = yield from StoreCall(lambda store: store.intents.acquire(turn))
    if lease is None:
        return False
    try:
        if line.outcome is not None:
            readable = yield from quarantine_if_unreadable(turn, line.outcome, data)
            prepared = PreparedRequest(turn=turn, mainline="", image_model=record.model)
            yield from commit_answer(prepared, readable, config)
        elif line.error is not None:
            error = payloads.not_started_error(record) if line.not_started else line.error
            yield from commit_failure(turn, error)
    finally:
        lease.release()
    return True


# --- results --------------------------------------------------------------------------------------


def status(record: BatchRecord, config: StudioConfig) -> Workflow[BatchStatus]:
    turns = yield from StoreCall(lambda store: store.batches.turns(record))
    turn_ids = frozenset(record.asked)
    costs = [turn.cost for turn in turns if turn and turn.id in turn_ids and turn.cost]
    before = len(record.items) - len(turn_ids)
    return BatchStatus(
        id=record.id,
        name=record.name,
        provider_id=record.provider_id,
        state=record.state,
        total=len(record.items),
        completed=record.completed + before,
        failed=record.failed,
        saved=sum(turn is not None and turn.has_image for turn in turns),
        created=record.created,
        expires=record.expires,
        estimate=record.estimate,
        cost=sum_costs(costs, config.catalogue),
        problem=record.problem,
    )


def item_result(turn: Turn | None, record: BatchRecord) -> Turn | ImageSessionError:
    if turn is None and record.state == "unsent":
        return ProviderUnavailableError(
            "The program was stopped before it submitted the batch; nothing was billed. Submit "
            "the batch again."
        )
    if turn is None:
        return OutcomeUnknownError(
            f"The files of the batch {record.id} do not contain this image. It may have been made "
            "and billed; call again later.",
            record.id,
            record.provider_id,
        )
    if turn.has_image:
        return turn
    error = rebuild_error(turn.failure)
    error.request_id = turn.request_id
    return error


def rebuild_error(failure: Failure | None) -> ImageSessionError:
    if failure is None:
        return InvalidResponseError("The turn has no image.")
    kind: object = getattr(errors, failure.error, None)
    if isinstance(kind, type) and issubclass(kind, ImageSessionError):
        return kind(failure.message)
    return ImageSessionError(failure.message)
