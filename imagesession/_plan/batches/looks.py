"""
Find out where a batch stands. Looking is free.

A batch whose id reached nobody is found among the provider's batches by our own name for it. It is
never asked for again: one that is not there a quarter of an hour later was not taken up.
"""

from __future__ import annotations

import contextlib
import datetime as dt

import attrs

from imagesession._model.batches import VOID, BatchNews, BatchRecord
from imagesession._plan.failures import error_of
from imagesession._plan.poll import poll_delay
from imagesession._plan.replies import is_success, read_json
from imagesession._plan.steps import AskProvider, Begin, Flow, Now, OnDisk, Send, Wait
from imagesession._plan.tolerance import Json, as_list, as_mapping, as_text
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import (
    ImageSessionError,
    LibraryError,
    OutcomeUnknownError,
    ReplyError,
    UnavailableError,
)

from . import wire

NOT_TAKEN_UP_AFTER = dt.timedelta(minutes=15)
# Clocks differ; batches that are older by more than this are not looked at.
_MARGIN = dt.timedelta(hours=1)
_PAGES = 100


@attrs.frozen(kw_only=True)
class Sighting:
    """
    What a look at the list of batches showed.

    Attributes:
        news: What is known of ours; None if it is not there.
        whole: Whether all that may be it was seen.
    """

    news: BatchNews | None = None
    whole: bool = False


def look(record: BatchRecord) -> Flow[BatchRecord]:
    """
    Ask the provider where a batch stands, and write down what is new.

    Raises:
        OutcomeUnknownError: The provider does not know it, or another one has it.
        ImageSessionError: The provider does not answer.
    """
    shown = record.output_file_id or record.error_file_id or record.state in VOID
    if record.state == "preparing" or (record.ended and shown):
        return record
    yield from check_provider(record)
    if record.provider_id is None:
        return (yield from _seek(record))
    return (yield from hear(record, wire.retrieve(record.provider_id)))


def check_provider(record: BatchRecord) -> Flow[None]:
    """
    Refuse to ask somebody else than the provider that has a batch.
    """
    provider = yield from AskProvider()
    if provider != record.provider:
        raise OutcomeUnknownError(
            f"The batch {record.id} was asked of {record.provider}, not of {provider}. Open the "
            "library with a studio of that provider.",
            record.id,
            record.provider_id,
        )


def hear(record: BatchRecord, request: Request) -> Flow[BatchRecord]:
    """
    Send a free request that is answered by a batch, and write down what is new.
    """
    reply = yield from ask(request)
    if reply.status == 404:  # noqa: PLR2004 - HTTP's "not found"
        raise OutcomeUnknownError(
            f"The provider does not know the batch {record.provider_id} any more, or this key may "
            "not see it. Its pictures may have been made and billed.",
            record.id,
            record.provider_id,
        )
    if not is_success(reply):
        raise _plain(error_of(reply))
    return (yield from _note(record, wire.read_news(read_json(reply))))


def ask(request: Request) -> Flow[Reply]:
    """
    Send a free request.

    Raises:
        UnavailableError: There is no answer.
    """
    try:
        return (yield from Send(request))
    except NoReplyError as error:
        raise UnavailableError(
            f"The provider cannot be reached ({error.reason}). Check the network and the base "
            "URL; nothing is lost."
        ) from error


def _plain(error: Exception) -> ImageSessionError:
    if isinstance(error, ImageSessionError):
        return error
    return ReplyError(f"The provider answers a look at a batch with an error: {error}")


def _note(record: BatchRecord, news: BatchNews) -> Flow[BatchRecord]:
    fresh = {name: value for name, value in news.items() if getattr(record, name) != value}
    if not fresh:
        return record
    return (yield from OnDisk(lambda store: store.note_batch(record, fresh)))


# --- one whose id is not known --------------------------------------------------------------------


def _seek(record: BatchRecord) -> Flow[BatchRecord]:
    """
    Look once for a batch whose id reached nobody; one that is not there for long was not taken up.
    """
    sighting = yield from _search_once(record)
    if sighting.news is not None:
        return (yield from _note(record, sighting.news))
    now = (yield from Begin()).at
    due = (record.posted or record.created) + NOT_TAKEN_UP_AFTER
    late = sighting.whole and now >= due and not record.running
    if late and (yield from _is_same_account(record)):
        return (yield from _note(record, {"state": "unsent"}))
    return record


def _is_same_account(record: BatchRecord) -> Flow[bool]:
    """
    Tell whether this key sees the batch's file: another account's sees neither that nor the batch.
    """
    if record.file_id is None:
        return False
    return is_success((yield from ask(wire.describe(record.file_id))))


def search(record: BatchRecord, patience: float) -> Flow[BatchRecord | None]:
    """
    Look for a batch whose id reached nobody, for a while; return it with its id, if it is there.
    """
    start = yield from Now()
    until = start + patience
    while True:
        sighting = Sighting()
        with contextlib.suppress(ImageSessionError):  # it may be there for all that
            sighting = yield from _search_once(record)
        if sighting.news is not None:
            with contextlib.suppress(LibraryError):  # it is found again, wherever it is opened
                return (yield from _note(record, sighting.news))
            return attrs.evolve(record, **sighting.news)
        now = yield from Now()
        if now >= until:
            return None
        yield from Wait(min(poll_delay(now - start), until - now))


def _search_once(record: BatchRecord) -> Flow[Sighting]:
    """
    Look through the provider's batches, the latest first, back to when ours was put together.
    """
    after = ""
    for _ in range(_PAGES):
        reply = yield from ask(wire.page(after))
        if not is_success(reply):
            raise _plain(error_of(reply))
        listed = read_json(reply)
        batches = [as_mapping(one) for one in as_list(listed.get("data"))]
        ours = next((one for one in batches if wire.is_ours(one, record)), None)
        if ours is not None:
            return Sighting(news=wire.read_news(ours))
        last = as_text(batches[-1].get("id")) if batches else ""
        if listed.get("has_more") is not True or _leads_past(batches, record):
            return Sighting(whole=isinstance(listed.get("data"), list))
        if not last or last == after:
            return Sighting()
        after = last
    return Sighting()


def _leads_past(batches: list[Json], record: BatchRecord) -> bool:
    """
    Tell whether a page shows that what follows is older than ours. Some list the oldest first.
    """
    made = [one.get("created_at") for one in batches]
    times = [moment for moment in made if isinstance(moment, int)]
    falls = len(times) == len(made) > 1 and times == sorted(times, reverse=True)
    return falls and times[0] > times[-1] and times[-1] < (record.created - _MARGIN).timestamp()


# --- one that was not submitted -------------------------------------------------------------------


def drop_unsent() -> Flow[None]:
    """
    Forget the batches of programs that were stopped before they submitted them.
    """
    for record in (yield from OnDisk(lambda store: store.list_batches())):
        yield from drop_if_unsent(record)


def drop_if_unsent(record: BatchRecord) -> Flow[bool]:
    """
    Forget a batch that was not submitted and that nobody is at; tell whether it was one.
    """
    unsent = record.posted is None and record.state == "preparing" and not record.running
    if unsent:
        yield from OnDisk(lambda store: store.forget_batch(record))
    return unsent
