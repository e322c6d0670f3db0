"""
Submit a batch: write its intents, and send it once.
"""

from __future__ import annotations

import contextlib
import functools
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
from imagesession._engine.prepare import prepare_request
from imagesession._engine.provider_errors import (
    is_responses_unsupported,
    map_final_error,
    unreachable_error,
)
from imagesession._engine.request import StudioConfig
from imagesession._engine.responses import is_success, parse_json_object
from imagesession._engine.retry import retry
from imagesession._engine.store import BudgetReservation, IdAndTime
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
from .prepare import KeyedRequests, PreparedItem, build_line, prepare_batch

_NO_BATCHES = (
    "This provider does not take batches ({reason}); nothing was sent. Use studio.map(...) to make "
    "the same images one by one."
)


def submit(
    requests: KeyedRequests, name: str | None, config: StudioConfig
) -> Workflow[BatchRecord]:
    """
    Submit many requests at once, to be collected later; return the batch. If the same requests were
    submitted with this name before, it is that batch.
    """
    yield from discard_unsubmitted()
    digest = _digest(requests, config)
    existing = yield from _find_identical(name, digest)
    if existing is not None:
        return existing
    new = yield from NewId()
    record, prepared_items = yield from prepare_batch(requests, name, digest, new, config)
    reservation = _reserve_budget(record, prepared_items, config)
    turns = tuple(item.turn for item in prepared_items)
    intent = yield from StoreCall(lambda store: store.batches.begin(record, turns, reservation))
    if intent.lease is None:
        return intent.record
    try:
        # Batches have limits of their own.
        without_rate = attrs.evolve(config, interval=0.0)
        return (yield from _submit_recorded(intent.record, prepared_items, without_rate))
    finally:
        # Whatever happened, any program may now collect a submitted batch or discard an unsent one.
        intent.lease.release()


def validate_count(requests: Sequence[object]) -> None:
    if not requests:
        raise InvalidRequestError("There are no prompts; pass some to batches.create().")
    if len(requests) > MAX_LINES:
        raise InvalidRequestError(
            f"There are {len(requests):,} images, and a batch takes {MAX_LINES:,}; nothing was "
            "sent. Submit them as several batches."
        )


def _digest(requests: KeyedRequests, config: StudioConfig) -> str:
    """
    Return a digest of the requests, as far as it can be computed without opening images.
    """
    content: list[object] = [
        [
            key,
            request.prompt,
            dict(request.choices),
            request.kind,
            request.label,
            len(request.references),
        ]
        for key, request in requests
    ]
    content.append(config.options.changed())
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _find_identical(name: str | None, digest: str) -> Workflow[BatchRecord | None]:
    if name is None:
        return None
    validate_label("The batch's name", name, empty=False)
    return (yield from StoreCall(lambda store: store.batches.find_identical(name, digest)))


def _reserve_budget(
    record: BatchRecord, prepared_items: Sequence[PreparedItem], config: StudioConfig
) -> BudgetReservation | None:
    """
    Reserve what a batch may cost; the budget's limit per call applies to each of its images.
    """
    if config.budget is None or not prepared_items:
        return None
    per_image = attrs.evolve(config.budget, per_session=None, per_day=None)
    for item in prepared_items:
        enforce(per_image, item.expected, session_spent=0.0, day_spent=0.0, in_session=False)
    budget = attrs.evolve(config.budget, per_call=None)
    return BudgetReservation(budget=budget, estimate=record.estimate)


# --- sending --------------------------------------------------------------------------------------


def _submit_recorded(
    record: BatchRecord, prepared_items: Sequence[PreparedItem], config: StudioConfig
) -> Workflow[BatchRecord]:
    if not record.asked:
        done = {"state": "completed", "settled": True}
        return (yield from StoreCall(lambda store: store.batches.update(record, done)))
    deadline = (yield from MonotonicTime()) + config.timeout
    sent_ids = frozenset(record.asked)
    items = [item for item in prepared_items if item.turn.id in sent_ids]
    first = items[0].turn
    try:
        lines = yield from _write_lines(record, items, config)
        file_id = yield from _upload_file(record, lines, first, config, deadline)
        news = {"file_id": file_id, "submitted_at": (yield from NewId()).at, "state": "submitting"}
        record = yield from StoreCall(lambda store: store.batches.update(record, news))
        answer = yield from _create_batch(record, first, config, deadline)
    except ImageSessionError:
        with contextlib.suppress(StorageError):  # nothing was submitted; the first error matters
            yield from StoreCall(lambda store: store.batches.discard(record))
        raise
    # From here on it is, or may be, paid for, so its record is never discarded.
    return (yield from _record_provider_id(record, answer, config))


def _write_lines(
    record: BatchRecord, items: Sequence[PreparedItem], config: StudioConfig
) -> Workflow[bytes]:
    lines: list[bytes] = []
    size = 0
    for item in items:
        line = item.line or (yield from _line_with_images(item, record, config))
        lines.append(line)
        size += len(line)
        if size > MAX_BYTES:
            raise InvalidRequestError(
                f"The first {len(lines):,} of {len(items):,} images make a file of more than "
                f"{MAX_BYTES / 1e6:.0f} MB, the most that a batch takes. Submit fewer at once."
            )
    return b"".join(lines)


def _line_with_images(
    item: PreparedItem, record: BatchRecord, config: StudioConfig
) -> Workflow[bytes]:
    at = record.created
    prepared = yield from prepare_request(
        item.request, config, IdAndTime(id=item.turn.id, at=at, owner=item.turn.owner), None
    )
    if prepared.turn.references != item.turn.references:
        raise InvalidImageError(
            f"An input image for {item.turn.prompt[:60]!r} changed while it was read. Submit the "
            "batch again."
        )
    images = (*prepared.references, *(() if prepared.mask is None else (prepared.mask,)))
    files = yield from ensure_uploaded(images, record.provider, at, config.server)
    return build_line(attrs.evolve(prepared, files=files), item.endpoint)


def _upload_file(
    record: BatchRecord, lines: bytes, turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[str]:
    """
    Upload the file of a batch. This is free, so it may be retried.
    """
    request = payloads.upload(record, lines)

    def attempt() -> Workflow[str]:
        reply = yield from _send_or_reject(request, free=True)
        file_id = as_text(parse_json_object(reply).get("id"))
        if not file_id:
            raise InvalidResponseError("The provider took the batch's file but gave no id for it.")
        return file_id

    return (yield from retry(attempt, turn, config, deadline))


def _create_batch(
    record: BatchRecord, turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[BatchUpdate | ImageSessionError]:
    """
    Send the request for a batch, once; return the answer, or an error if the outcome is unknown.
    """
    attempt = functools.partial(_send_or_reject, payloads.create(record), free=False)
    try:
        reply = yield from retry(attempt, turn, config, deadline)
        return payloads.parse_batch(parse_json_object(reply))
    except (OutcomeUnknownError, InvalidResponseError) as error:
        return error


def _record_provider_id(
    record: BatchRecord, answer: BatchUpdate | ImageSessionError, config: StudioConfig
) -> Workflow[BatchRecord]:
    if isinstance(answer, ImageSessionError):
        found = yield from find_submitted_batch(record, config.retry_timeout)
        if found is not None:
            return found
        raise OutcomeUnknownError(
            f"{answer.message} The provider does not list the batch yet, and it is not sent again "
            f"automatically; studio.batches.get({record.id!r}) finds it once it is listed.",
            record.id,
        ) from answer
    with contextlib.suppress(StorageError):  # the provider lists it with our metadata
        return (yield from StoreCall(lambda store: store.batches.update(record, answer)))
    return attrs.evolve(record, **answer)


def _send_or_reject(request: HttpRequest, *, free: bool) -> Workflow[HttpResponse]:
    try:
        reply = yield from Send(request, paid=not free)
    except TransportError as error:
        if free or not error.sent:
            raise unreachable_error(error) from error
        raise OutcomeUnknownError(
            f"The batch was sent and its answer was lost ({error.reason})."
        ) from error
    if is_success(reply):
        return reply
    raise _rejection(reply, free=free)


def _rejection(reply: HttpResponse, *, free: bool) -> ImageSessionError:
    # The check applies to any missing endpoint.
    if is_responses_unsupported(reply):
        return BadRequestError(_NO_BATCHES.format(reason=f"HTTP {reply.status}"))
    error = map_final_error(reply)
    if not isinstance(error, ProviderError):
        return error
    if free:
        return ProviderUnavailableError(f"{error.message} Nothing was submitted.")
    return OutcomeUnknownError(error.message)
