"""
Submit a batch: write down what is asked, and ask for it once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence

import attrs

from imagesession._domain.batch import MAX_BYTES, MAX_LINES, BatchRecord, BatchUpdate
from imagesession._domain.budget import enforce
from imagesession._domain.turn import Turn
from imagesession._engine.coerce import as_text
from imagesession._engine.effects import MonotonicTime, NewId, Send, StoreCall, Workflow
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._engine.leases import BudgetReservation
from imagesession._engine.prepare import prepare_request
from imagesession._engine.provider_errors import (
    RequestNotProcessedError,
    is_responses_unsupported,
    map_error_response,
)
from imagesession._engine.request import StudioConfig
from imagesession._engine.responses import is_success, parse_json_object
from imagesession._engine.retry import retry
from imagesession._engine.store import IdAndTime
from imagesession._engine.uploads import ensure_uploaded
from imagesession._engine.validate import validate_label
from imagesession.errors import (
    BadRequestError,
    ImageSessionError,
    InvalidImageError,
    InvalidRequestError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderError,
    ProviderUnavailableError,
    StorageError,
)

from . import payloads
from .lookup import discard_unsubmitted, find_submitted_batch
from .prepare import Named, PreparedItem, line_of, prepare_batch

_NO_BATCHES = (
    "This provider does not take batches ({said}); nothing was asked for. studio.map(...) makes "
    "the same pictures one by one."
)


def submit(named: Named, name: str | None, config: StudioConfig) -> Workflow[BatchRecord]:
    """
    Ask for many pictures at once, to be fetched later.

    Args:
        named: What is wanted, with the caller's names.
        name: The caller's name for all of it.
        config: What holds for everything that is asked.

    Returns:
        The batch; under a name that was used before for the same, the one that was submitted then.

    Raises:
        InvalidRequestError: One of the wishes has to change, or there are too many; nothing was
            sent.
        BudgetExceededError: It may cost more than is left; nothing was sent.
        OutcomeUnknownError: It may have been taken up; it is not asked for again.
    """
    yield from discard_unsubmitted()
    digest = _digest(named, config)
    before = yield from _named_before(name, digest)
    if before is not None:
        return before
    begun = yield from NewId()
    record, planned = yield from prepare_batch(named, name, digest, begun, config)
    reservation = _reservation(record, planned, config)
    turns = tuple(item.turn for item in planned)
    written = yield from StoreCall(lambda store: store.begin_batch(record, turns, reservation))
    if written.lease is None:
        return written.record
    try:
        return (yield from _send(written.record, planned, config))
    finally:
        # However it ends: what was submitted is collected by anybody, what was not is dropped.
        written.lease.release()


def check_count(named: Sequence[object]) -> None:
    """
    Refuse what is no batch: nothing, or more than a batch takes.
    """
    if not named:
        raise InvalidRequestError("There is nothing to ask for: give batch() some prompts.")
    if len(named) > MAX_LINES:
        raise InvalidRequestError(
            f"There are {len(named):,} pictures, and a batch takes {MAX_LINES:,}; nothing was "
            "sent. Submit them as several batches."
        )


def _digest(named: Named, config: StudioConfig) -> str:
    """
    Tell by a short text what is wanted, as far as it can be told without opening pictures.
    """
    wanted: list[object] = [
        [
            key,
            request.prompt,
            dict(request.choices),
            request.kind,
            request.label,
            len(request.references),
        ]
        for key, request in named
    ]
    wanted.append(config.options.changed())
    text = json.dumps(wanted, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _named_before(name: str | None, digest: str) -> Workflow[BatchRecord | None]:
    """
    Find the batch that was submitted under a name before, so that its pictures need not be read.
    """
    if name is None:
        return None
    validate_label("The batch's name", name, empty=False)
    found = yield from StoreCall(lambda store: store.find_identical_batch(name, digest))
    return found


def _reservation(
    record: BatchRecord, planned: Sequence[PreparedItem], config: StudioConfig
) -> BudgetReservation | None:
    """
    Set aside what a batch may cost; what one call may cost holds for each of its pictures.
    """
    if config.budget is None or not planned:
        return None
    alone = attrs.evolve(config.budget, per_session=None, per_day=None)
    for item in planned:
        enforce(alone, item.expected, session_spent=0.0, day_spent=0.0, in_session=False)
    budget = attrs.evolve(config.budget, per_call=None)
    return BudgetReservation(budget=budget, estimate=record.estimate)


# --- sending --------------------------------------------------------------------------------------


def _send(
    record: BatchRecord, planned: Sequence[PreparedItem], config: StudioConfig
) -> Workflow[BatchRecord]:
    """
    Submit a batch that is written down. If it is not taken up, it is forgotten.
    """
    if not record.asked:
        done = {"state": "completed", "settled": True}
        return (yield from StoreCall(lambda store: store.update_batch(record, done)))
    deadline = (yield from MonotonicTime()) + config.timeout
    asked = frozenset(record.asked)
    todo = [item for item in planned if item.turn.id in asked]
    first = todo[0].turn
    try:
        lines = yield from _write_lines(record, todo, config)
        file_id = yield from _send_up(record, lines, first, config, deadline)
        news = {"file_id": file_id, "submitted_at": (yield from NewId()).at, "state": "submitting"}
        record = yield from StoreCall(lambda store: store.update_batch(record, news))
        answer = yield from _post(record, first, config, deadline)
    except ImageSessionError:
        with contextlib.suppress(StorageError):  # it is not asked for, and not worth another error
            yield from StoreCall(lambda store: store.discard_batch(record))
        raise
    # From here on it is, or may be, paid for: whatever happens, it is not forgotten.
    return (yield from _record_provider_id(record, answer, config))


def _write_lines(
    record: BatchRecord, todo: Sequence[PreparedItem], config: StudioConfig
) -> Workflow[bytes]:
    """
    Write the file of a batch; pictures that go along are sent up first, once each.
    """
    lines: list[bytes] = []
    size = 0
    for item in todo:
        line = item.line or (yield from _line_with_pictures(item, record, config))
        lines.append(line)
        size += len(line)
        if size > MAX_BYTES:
            raise InvalidRequestError(
                f"The first {len(lines):,} of {len(todo):,} pictures make a file of more than "
                f"{MAX_BYTES / 1e6:.0f} MB, which is the most that a batch takes. Submit fewer at "
                "once."
            )
    return b"".join(lines)


def _line_with_pictures(
    item: PreparedItem, record: BatchRecord, config: StudioConfig
) -> Workflow[bytes]:
    at = record.created
    prepared = yield from prepare_request(
        item.request, config, IdAndTime(id=item.turn.id, at=at), None
    )
    if prepared.turn.references != item.turn.references:
        raise InvalidImageError(
            f"A picture for {item.turn.prompt[:60]!r} changed while it was read."
        )
    pictures = (*prepared.references, *(() if prepared.mask is None else (prepared.mask,)))
    files = yield from ensure_uploaded(pictures, record.provider, at)
    return line_of(attrs.evolve(prepared, files=files), item.endpoint)


def _send_up(
    record: BatchRecord, lines: bytes, turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[str]:
    """
    Send the file of a batch up. It is free, and so may be done again.
    """
    request = payloads.upload(record, lines)

    def attempt() -> Workflow[str]:
        reply = yield from _send_or_reject(request, free=True)
        file_id = as_text(parse_json_object(reply).get("id"))
        if not file_id:
            raise InvalidResponseError("The provider took the batch's file and gave no id of it.")
        return file_id

    return (yield from retry(attempt, turn, _without_rate_limit(config), deadline))


def _post(
    record: BatchRecord, turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[BatchUpdate | ImageSessionError]:
    """
    Ask for a batch, once.

    Returns:
        What the provider says of it; or why that is not known.

    Raises:
        ImageSessionError: It was not taken up.
    """
    request = payloads.create(record)

    def attempt() -> Workflow[HttpResponse]:
        return (yield from _send_or_reject(request, free=False))

    try:
        reply = yield from retry(attempt, turn, _without_rate_limit(config), deadline)
        return payloads.parse_batch(parse_json_object(reply))
    except (OutcomeUnknownError, InvalidResponseError) as error:
        return error


def _record_provider_id(
    record: BatchRecord, answer: BatchUpdate | ImageSessionError, config: StudioConfig
) -> Workflow[BatchRecord]:
    """
    Write down the provider's id of a batch. Where its answer was lost, it is looked for.
    """
    if isinstance(answer, ImageSessionError):
        found = yield from find_submitted_batch(record, config.retry_timeout)
        if found is not None:
            return found
        raise OutcomeUnknownError(
            f"{answer.message} Its answer is not known, and it is not among the provider's batches "
            f"yet. It is not asked for again by itself; studio.batches.get({record.id!r}) finds it "
            "once it is there.",
            record.id,
        ) from answer
    with contextlib.suppress(StorageError):  # the provider has it, and lists it under our name
        return (yield from StoreCall(lambda store: store.update_batch(record, answer)))
    return attrs.evolve(record, **answer)


def _send_or_reject(request: HttpRequest, *, free: bool) -> Workflow[HttpResponse]:
    """
    Send a request; return its answer if it was taken up.

    Args:
        request: What is sent.
        free: Whether it may be sent again whatever became of it.

    Raises:
        ProviderUnavailableError: It was not taken up, or does not matter if it was.
        OutcomeUnknownError: It may have been taken up.
        ImageSessionError: It was turned away, and the error says why.
    """
    try:
        reply = yield from Send(request, paid=not free)
    except TransportError as error:
        if free or not error.sent:
            raise ProviderUnavailableError(
                f"The provider cannot be reached ({error.reason}); nothing was asked for. Check "
                "the network and the base URL."
            ) from error
        raise OutcomeUnknownError(
            f"The batch was sent and its answer was lost ({error.reason})."
        ) from error
    if is_success(reply):
        return reply
    raise _rejection(reply, free=free)


def _rejection(reply: HttpResponse, *, free: bool) -> ImageSessionError:
    # It says of any endpoint that it is not there.
    if is_responses_unsupported(reply):
        return BadRequestError(_NO_BATCHES.format(said=f"HTTP {reply.status}"))
    error = map_error_response(reply)
    if isinstance(error, RequestNotProcessedError):
        return BadRequestError(f"The provider rejects the batch: {error}")
    if isinstance(error, ProviderError):
        if free:
            return ProviderUnavailableError(f"{error.message} Nothing was asked for.")
        return OutcomeUnknownError(error.message)
    return error if isinstance(error, ImageSessionError) else InvalidResponseError(str(error))


def _without_rate_limit(config: StudioConfig) -> StudioConfig:
    """
    A batch has limits of its own: the images of a minute are not its concern.
    """
    return attrs.evolve(config, interval=0.0)
