"""
Collect a batch: read what came of its lines, and settle each of them once.

However often and by however many programs a batch is collected, whoever takes a line over first
keeps its picture; the others find it kept. The files are heard line by line, so that no more than
one picture of them is held.
"""

from __future__ import annotations

import contextlib

import attrs

from imagesession import errors
from imagesession._domain.batch import BatchRecord, BatchStatus
from imagesession._domain.cost import Cost, sum_costs
from imagesession._domain.turn import Failure, Turn
from imagesession._engine.effects import NextEvent, OpenStream, Sleep, StoreCall, Workflow
from imagesession._engine.generation import apply_response, commit_failure, commit_turn
from imagesession._engine.http import TransportError
from imagesession._engine.outcomes import ResponseOutcome
from imagesession._engine.payloads import PreparedRequest
from imagesession._engine.provider_errors import map_error_response
from imagesession._engine.quarantine import quarantine_if_unreadable
from imagesession._engine.request import StudioConfig
from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderUnavailableError,
)

from . import payloads
from .lookup import check_provider, drop_if_unsent, refresh_batch
from .payloads import OutputLine

_TRIES = 3
_GONE = frozenset({404, 410})
# Somebody else who keeps a picture is done with it in a moment.
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
FinishedItem = tuple[Turn | None, ...]
"""What became of a batch's items, in their order; None for what is not settled."""


@attrs.define
class _Tally:
    """
    What was found in a batch's files.

    Attributes:
        output: How many lines of the file of pictures made sense.
        busy: The turns that somebody else was at.
    """

    output: int = 0
    busy: set[str] = attrs.field(factory=set[str])


def reconcile_batch(record: BatchRecord, config: StudioConfig) -> Workflow[BatchRecord]:
    """
    Look at a batch, and settle what is finished.

    Returns:
        The batch, as it stands now.

    Raises:
        StorageError: The library cannot take a picture; it stays with the provider.
        ImageSessionError: The provider does not answer.
    """
    if record.settled:
        return record
    if (yield from drop_if_unsent(record)):
        return attrs.evolve(record, state="unsent", settled=True)
    record = yield from refresh_batch(record)
    if record.ended and not record.settled:
        busy = yield from _settle(record, config)
        if not (yield from _left(record, busy)):
            done = {"settled": True}
            record = yield from StoreCall(lambda store: store.update_batch(record, done))
    return record


def _left(record: BatchRecord, busy: frozenset[str]) -> Workflow[dict[str, Turn]]:
    """
    Find what is not settled, after others are done with what they are at.
    """
    left = yield from _open_turns(record)
    for pause in _PAUSES:
        if busy.isdisjoint(left):
            break
        yield from Sleep(pause)
        left = yield from _open_turns(record)
    return left


def _open_turns(record: BatchRecord) -> Workflow[dict[str, Turn]]:
    """
    Find the turns of a batch that are not settled.
    """
    asked = frozenset(record.asked)
    turns = yield from StoreCall(lambda store: store.unsettled_turns(asked))
    return {turn.id: turn for turn in turns}


def _settle(record: BatchRecord, config: StudioConfig) -> Workflow[frozenset[str]]:
    """
    Settle the lines of a batch that has ended; return those that somebody else is at.
    """
    waiting = yield from _open_turns(record)
    tally = _Tally()
    if record.output_file_id or record.error_file_id:
        yield from check_provider(record)
    if waiting and record.output_file_id is not None:
        yield from _read(record.output_file_id, record, waiting, tally, config)
    if waiting and record.error_file_id is not None:
        aside = _Tally(busy=tally.busy)
        yield from _read(record.error_file_id, record, waiting, aside, config)
    error = _missing_lines_outcome(record, tally)
    if error is not None:
        for turn in waiting.values():
            if not (
                yield from _keep(
                    turn, OutputLine(turn_id=turn.id, error=error), b"", record, config
                )
            ):
                tally.busy.add(turn.id)
    return frozenset(tally.busy)


def _missing_lines_outcome(record: BatchRecord, tally: _Tally) -> ImageSessionError | None:
    """
    Say what became of lines that no file shows; None where that is not certain.
    """
    if record.state == "unsent":
        return ProviderUnavailableError(
            "The batch was not taken up: a quarter of an hour later, the provider does not list "
            "it. It was not billed. Submit it again."
        )
    if record.state == "failed":
        return payloads.failure(record)
    if record.state in {"expired", "cancelled"} and tally.output >= record.completed:
        return payloads.not_started_error(record)
    return None


def _read(
    file_id: str, record: BatchRecord, waiting: dict[str, Turn], tally: _Tally, config: StudioConfig
) -> Workflow[None]:
    """
    Read a file of answers; one that breaks off is read again from its start.
    """
    problem: TransportError | None = None
    for _ in range(_TRIES):
        tally.output = 0
        try:
            yield from _read_once(file_id, record, waiting, tally, config)
        except TransportError as error:
            problem = error
            continue
        return
    reason = problem.reason if problem else ""
    raise ProviderUnavailableError(
        f"The pictures of the batch came only in part ({reason}); {len(waiting)} are left. Those "
        "that came are kept; call again for the others."
    )


def _read_once(
    file_id: str, record: BatchRecord, waiting: dict[str, Turn], tally: _Tally, config: StudioConfig
) -> Workflow[None]:
    reply = yield from OpenStream(payloads.file_content(file_id))
    if reply is not None:
        error = map_error_response(reply)
        if reply.status in _GONE or not isinstance(error, ImageSessionError):
            raise OutcomeUnknownError(
                f"The provider has no file {file_id} with the pictures of the batch {record.id} "
                f"any more ({error}).",
                record.id,
                record.provider_id,
            )
        raise error
    while (data := (yield from NextEvent())) is not None:
        row = payloads.parse_output_line(data)
        if row is None:
            yield from _quarantine_line(record, data)
            continue
        tally.output += 1
        turn = waiting.get(row.turn_id)
        if turn is not None:
            if not (yield from _keep(turn, row, data, record, config)):
                tally.busy.add(turn.id)
            del waiting[row.turn_id]


def _quarantine_line(record: BatchRecord, data: bytes) -> Workflow[None]:
    """
    Keep a line that makes no sense: it may hold a picture that is paid for.
    """
    with contextlib.suppress(errors.StorageError):
        yield from StoreCall(lambda store: store.quarantine(record.id, data))


def _keep(
    turn: Turn, row: OutputLine, data: bytes, record: BatchRecord, config: StudioConfig
) -> Workflow[bool]:
    """
    Keep what came of a line; False if somebody else is at it, or has kept it.
    """
    lease = yield from StoreCall(lambda store: store.acquire_lease(turn))
    if lease is None:
        return False
    try:
        if row.outcome is not None:
            yield from _keep_outcome(turn, row.outcome, data, record, config)
        elif row.error is not None:
            error = payloads.not_started_error(record) if row.not_started_error else row.error
            yield from commit_failure(turn, error)
    finally:
        lease.release()
    return True


def _keep_outcome(
    turn: Turn, outcome: ResponseOutcome, data: bytes, record: BatchRecord, config: StudioConfig
) -> Workflow[None]:
    whole = yield from quarantine_if_unreadable(turn, outcome, data)
    prepared = PreparedRequest(turn=turn, mainline="", image_model=record.model)
    reported = apply_response(prepared, whole, config)
    if whole.error is not None:
        yield from commit_failure(reported, whole.error)
        return
    settled = attrs.evolve(reported, status="completed")
    yield from commit_turn(settled, whole.pictures)


# --- what came of all of it -----------------------------------------------------------------------


def finished_items(record: BatchRecord) -> Workflow[FinishedItem]:
    """
    Return what became of a batch's items.
    """
    return (yield from StoreCall(lambda store: store.batch_turns(record)))


def status(record: BatchRecord, config: StudioConfig) -> Workflow[BatchStatus]:
    """
    Tell where a batch stands, as far as is known here.
    """
    turns = yield from finished_items(record)
    asked = frozenset(record.asked)
    costs = [turn.cost for turn in turns if turn and turn.id in asked and turn.cost]
    before = len(record.items) - len(asked)
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
        cost=_cost(costs, config),
        problem=record.problem,
    )


def _cost(costs: list[Cost], config: StudioConfig) -> Cost:
    return sum_costs(costs, config.catalogue)


def item_result(turn: Turn | None, record: BatchRecord) -> Turn | ImageSessionError:
    """
    Return what became of an item: its turn, or the error that stands in its place.
    """
    if turn is None and record.state == "unsent":
        return ProviderUnavailableError(
            "The program was stopped before it submitted the batch; nothing was billed. Submit it "
            "again."
        )
    if turn is None:
        return OutcomeUnknownError(
            f"The files of the batch {record.id} do not show this picture. It may have been made "
            "and billed; call again later.",
            record.id,
            record.provider_id,
        )
    return turn if turn.has_image else rebuild_error(turn.failure)


def rebuild_error(failure: Failure | None) -> ImageSessionError:
    """
    Make the error again of which a turn's record tells.
    """
    if failure is None:
        return InvalidResponseError("The turn brought no picture.")
    kind: object = getattr(errors, failure.error, None)
    if isinstance(kind, type) and issubclass(kind, ImageSessionError):
        return kind(failure.message)
    return ImageSessionError(failure.message)
