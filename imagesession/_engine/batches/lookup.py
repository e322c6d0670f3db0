"""
Poll a batch, or find it in the provider's list. Both are free.

A batch whose provider id is not known is found in the provider's list by our metadata. It is never
submitted again: if it is not listed for 15 minutes, it was not accepted; see `acceptance`.
"""

from __future__ import annotations

import contextlib
import datetime as dt

import attrs

from imagesession._domain.batch import NOT_EXECUTED, BatchRecord, BatchUpdate
from imagesession._engine import acceptance
from imagesession._engine.coerce import Json, as_list, as_mapping, as_text, as_time
from imagesession._engine.effects import GetProviderName, MonotonicTime, Sleep, StoreCall, Workflow
from imagesession._engine.free_requests import read_object, send_free
from imagesession._engine.http import HttpRequest
from imagesession._engine.poll import poll_delay
from imagesession._engine.responses import is_success, parse_json_object
from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    OutcomeUnknownError,
    StorageError,
)

from . import payloads

_MAX_PAGES = 100


@attrs.frozen(kw_only=True)
class ListScan:
    """
    The result of searching the provider's list for a batch.

    Attributes:
        update: The batch's present state; None if it is not listed.
        is_complete: Whether every page that may list it was read.
        date: When the last page was sent, by the provider's own clock.
    """

    update: BatchUpdate | None = None
    is_complete: bool = False
    date: dt.datetime | None = None


def refresh_batch(record: BatchRecord) -> Workflow[BatchRecord]:
    has_files = record.output_file_id or record.error_file_id or record.state in NOT_EXECUTED
    if record.state == "preparing" or (record.ended and has_files):
        return record
    yield from check_provider(record)
    if record.provider_id is None:
        return (yield from _find_by_listing(record))
    return (yield from send_batch_request(record, payloads.retrieve(record.provider_id)))


def check_provider(record: BatchRecord) -> Workflow[None]:
    provider = yield from GetProviderName()
    if provider != record.provider:
        raise OutcomeUnknownError(
            f"The batch {record.id} was submitted to {record.provider}, not to {provider}. Open "
            "the library with a studio for that provider.",
            record.id,
            record.provider_id,
        )


def send_batch_request(record: BatchRecord, request: HttpRequest) -> Workflow[BatchRecord]:
    reply = yield from send_free(request)
    if reply.status == 404:  # noqa: PLR2004 - HTTP's "not found"
        raise OutcomeUnknownError(
            f"The provider does not know the batch {record.provider_id} any more, or this API key "
            "has no access to it. Its images may have been made and billed.",
            record.id,
            record.provider_id,
        )
    return (yield from _update(record, payloads.parse_batch(read_object(reply))))


def _update(record: BatchRecord, update: BatchUpdate) -> Workflow[BatchRecord]:
    changes = {name: value for name, value in update.items() if getattr(record, name) != value}
    if not changes:
        return record
    return (yield from StoreCall(lambda store: store.batches.update(record, changes)))


# --- batches without a provider id ----------------------------------------------------------------


def _find_by_listing(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Search once for a batch whose provider id is not known. If it was not listed for a while, by the
    provider's own clock, it was not accepted.
    """
    file = yield from _retrieve_file(record)
    scan = yield from _search_once(record, as_time(file.get("created_at")))
    if scan.update is not None:
        return (yield from _update(record, scan.update))
    # A key of another account can access neither the file nor the batch.
    is_foreign = record.file_id is not None and not file
    if is_foreign or not scan.is_complete or scan.date is None or record.running:
        return record
    since = min(record.absent_since or scan.date, scan.date)
    late = scan.date - since >= acceptance.ACCEPTANCE_TIMEOUT
    return (
        yield from _update(record, {"absent_since": since, **({"state": "unsent"} if late else {})})
    )


def _retrieve_file(record: BatchRecord) -> Workflow[Json]:
    """
    Return what the provider tells of a batch's input file; nothing if it has none.
    """
    if record.file_id is None:
        return {}
    reply = yield from send_free(payloads.retrieve_file(record.file_id))
    with contextlib.suppress(InvalidResponseError):
        return parse_json_object(reply) if is_success(reply) else {}
    return {}


def find_submitted_batch(record: BatchRecord, retry_timeout: float) -> Workflow[BatchRecord | None]:
    start = yield from MonotonicTime()
    until = start + retry_timeout
    while True:
        scan = ListScan()
        with contextlib.suppress(ImageSessionError):  # it may be listed all the same
            scan = yield from _search_once(record)
        if scan.update is not None:
            with contextlib.suppress(StorageError):  # it can be found again later
                return (yield from _update(record, scan.update))
            return attrs.evolve(record, **scan.update)
        now = yield from MonotonicTime()
        if now >= until:
            return None
        yield from Sleep(min(poll_delay(now - start), until - now))


def _search_once(record: BatchRecord, prepared: dt.datetime | None = None) -> Workflow[ListScan]:
    after = ""
    for _ in range(_MAX_PAGES):
        reply = yield from send_free(payloads.list_page(after))
        page = read_object(reply)
        batches = [as_mapping(item) for item in as_list(page.get("data"))]
        match = next((batch for batch in batches if payloads.matches_record(batch, record)), None)
        if match is not None:
            return ListScan(update=payloads.parse_batch(match))
        last = as_text(batches[-1].get("id")) if batches else ""
        if page.get("has_more") is not True or _rest_is_older(batches, prepared):
            return ListScan(is_complete=isinstance(page.get("data"), list), date=reply.date)
        if not last or last == after:
            return ListScan()
        after = last
    return ListScan()


def _rest_is_older(batches: list[Json], prepared: dt.datetime | None) -> bool:
    """
    Return whether all further pages are older than our batch. Some providers list the oldest first.
    """
    created = [batch.get("created_at") for batch in batches]
    times = [time for time in created if isinstance(time, int)]
    descending = len(times) == len(created) > 1 and times == sorted(times, reverse=True)
    return (
        prepared is not None
        and descending
        and times[0] > times[-1]
        and times[-1] < prepared.timestamp()
    )


# --- batches that were not submitted --------------------------------------------------------------


def discard_unsubmitted() -> Workflow[None]:
    for record in (yield from StoreCall(lambda store: store.batches.list())):
        yield from discard_if_unsent(record)


def discard_if_unsent(record: BatchRecord) -> Workflow[bool]:
    """
    Discard a batch that was not submitted and that no program holds; return whether it was one.
    """
    unsent = record.submitted_at is None and record.state == "preparing" and not record.running
    if unsent:
        yield from StoreCall(lambda store: store.batches.discard(record))
    return unsent
