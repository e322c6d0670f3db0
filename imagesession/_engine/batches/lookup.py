"""
Find out where a batch stands. Looking is free.

A batch whose id reached nobody is found among the provider's batches by our own name for it. It is
never asked for again: one that is not there a quarter of an hour later was not taken up.
"""

from __future__ import annotations

import contextlib
import datetime as dt

import attrs

from imagesession._domain.batch import NOT_EXECUTED, BatchRecord, BatchUpdate
from imagesession._engine.coerce import Json, as_list, as_mapping, as_text
from imagesession._engine.effects import (
    GetProviderName,
    MonotonicTime,
    NewId,
    Send,
    Sleep,
    StoreCall,
    Workflow,
)
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._engine.poll import poll_delay
from imagesession._engine.provider_errors import map_error_response
from imagesession._engine.responses import is_success, parse_json_object
from imagesession.errors import (
    ImageSessionError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    StorageError,
)

from . import payloads

ACCEPTANCE_TIMEOUT = dt.timedelta(minutes=15)
# Clocks differ; batches that are older by more than this are not looked at.
_MARGIN = dt.timedelta(hours=1)
_PAGES = 100


@attrs.frozen(kw_only=True)
class ListScan:
    """
    What a look at the list of batches showed.

    Attributes:
        news: What is known of ours; None if it is not there.
        whole: Whether all that may be it was seen.
    """

    news: BatchUpdate | None = None
    whole: bool = False


def refresh_batch(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Ask the provider where a batch stands, and write down what is new.

    Raises:
        OutcomeUnknownError: The provider does not know it, or another one has it.
        ImageSessionError: The provider does not answer.
    """
    shown = record.output_file_id or record.error_file_id or record.state in NOT_EXECUTED
    if record.state == "preparing" or (record.ended and shown):
        return record
    yield from check_provider(record)
    if record.provider_id is None:
        return (yield from _find_by_listing(record))
    return (yield from send_for_batch(record, payloads.retrieve(record.provider_id)))


def check_provider(record: BatchRecord) -> Workflow[None]:
    """
    Refuse to ask somebody else than the provider that has a batch.
    """
    provider = yield from GetProviderName()
    if provider != record.provider:
        raise OutcomeUnknownError(
            f"The batch {record.id} was asked of {record.provider}, not of {provider}. Open the "
            "library with a studio of that provider.",
            record.id,
            record.provider_id,
        )


def send_for_batch(record: BatchRecord, request: HttpRequest) -> Workflow[BatchRecord]:
    """
    Send a free request that is answered by a batch, and write down what is new.
    """
    reply = yield from send_free(request)
    if reply.status == 404:  # noqa: PLR2004 - HTTP's "not found"
        raise OutcomeUnknownError(
            f"The provider does not know the batch {record.provider_id} any more, or this key may "
            "not see it. Its pictures may have been made and billed.",
            record.id,
            record.provider_id,
        )
    if not is_success(reply):
        raise _without_secrets(map_error_response(reply))
    return (yield from _update(record, payloads.parse_batch(parse_json_object(reply))))


def send_free(request: HttpRequest) -> Workflow[HttpResponse]:
    """
    Send a free request.

    Raises:
        ProviderUnavailableError: There is no answer.
    """
    try:
        return (yield from Send(request))
    except TransportError as error:
        raise ProviderUnavailableError(
            f"The provider cannot be reached ({error.reason}). Check the network and the base "
            "URL; nothing is lost."
        ) from error


def _without_secrets(error: Exception) -> ImageSessionError:
    if isinstance(error, ImageSessionError):
        return error
    return InvalidResponseError(f"The provider answers a look at a batch with an error: {error}")


def _update(record: BatchRecord, news: BatchUpdate) -> Workflow[BatchRecord]:
    fresh = {name: value for name, value in news.items() if getattr(record, name) != value}
    if not fresh:
        return record
    return (yield from StoreCall(lambda store: store.update_batch(record, fresh)))


# --- one whose id is not known --------------------------------------------------------------------


def _find_by_listing(record: BatchRecord) -> Workflow[BatchRecord]:
    """
    Look once for a batch whose id reached nobody; one that is not there for long was not taken up.
    """
    sighting = yield from _search_once(record)
    if sighting.news is not None:
        return (yield from _update(record, sighting.news))
    now = (yield from NewId()).at
    due = (record.submitted_at or record.created) + ACCEPTANCE_TIMEOUT
    late = sighting.whole and now >= due and not record.running
    if late and (yield from _is_same_account(record)):
        return (yield from _update(record, {"state": "unsent"}))
    return record


def _is_same_account(record: BatchRecord) -> Workflow[bool]:
    """
    Tell whether this key sees the batch's file: another account's sees neither that nor the batch.
    """
    if record.file_id is None:
        return False
    return is_success((yield from send_free(payloads.retrieve_file(record.file_id))))


def find_submitted_batch(record: BatchRecord, retry_timeout: float) -> Workflow[BatchRecord | None]:
    """
    Look for a batch whose id reached nobody, for a while; return it with its id, if it is there.
    """
    start = yield from MonotonicTime()
    until = start + retry_timeout
    while True:
        sighting = ListScan()
        with contextlib.suppress(ImageSessionError):  # it may be there for all that
            sighting = yield from _search_once(record)
        if sighting.news is not None:
            with contextlib.suppress(StorageError):  # it is found again, wherever it is opened
                return (yield from _update(record, sighting.news))
            return attrs.evolve(record, **sighting.news)
        now = yield from MonotonicTime()
        if now >= until:
            return None
        yield from Sleep(min(poll_delay(now - start), until - now))


def _search_once(record: BatchRecord) -> Workflow[ListScan]:
    """
    Look through the provider's batches, the latest first, back to when ours was put together.
    """
    after = ""
    for _ in range(_PAGES):
        reply = yield from send_free(payloads.page(after))
        if not is_success(reply):
            raise _without_secrets(map_error_response(reply))
        listed = parse_json_object(reply)
        batches = [as_mapping(item) for item in as_list(listed.get("data"))]
        ours = next((batch for batch in batches if payloads.matches_record(batch, record)), None)
        if ours is not None:
            return ListScan(news=payloads.parse_batch(ours))
        last = as_text(batches[-1].get("id")) if batches else ""
        if listed.get("has_more") is not True or _is_past(batches, record):
            return ListScan(whole=isinstance(listed.get("data"), list))
        if not last or last == after:
            return ListScan()
        after = last
    return ListScan()


def _is_past(batches: list[Json], record: BatchRecord) -> bool:
    """
    Tell whether a page shows that what follows is older than ours. Some list the oldest first.
    """
    made = [batch.get("created_at") for batch in batches]
    times = [moment for moment in made if isinstance(moment, int)]
    falls = len(times) == len(made) > 1 and times == sorted(times, reverse=True)
    return falls and times[0] > times[-1] and times[-1] < (record.created - _MARGIN).timestamp()


# --- one that was not submitted -------------------------------------------------------------------


def discard_unsubmitted() -> Workflow[None]:
    """
    Forget the batches of programs that were stopped before they submitted them.
    """
    for record in (yield from StoreCall(lambda store: store.list_batches())):
        yield from drop_if_unsent(record)


def drop_if_unsent(record: BatchRecord) -> Workflow[bool]:
    """
    Forget a batch that was not submitted and that nobody is at; tell whether it was one.
    """
    unsent = record.submitted_at is None and record.state == "preparing" and not record.running
    if unsent:
        yield from StoreCall(lambda store: store.discard_batch(record))
    return unsent
