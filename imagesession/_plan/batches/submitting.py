"""
Submit a batch: write down what is asked, and ask for it once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence

import attrs

from imagesession._model.batches import MAX_BYTES, MAX_LINES, BatchNews, BatchRecord
from imagesession._model.budgets import check
from imagesession._model.turns import Turn
from imagesession._plan.checks import check_label
from imagesession._plan.failures import RequestNotProcessedError, error_of, lacks_responses
from imagesession._plan.leases import Reservation
from imagesession._plan.ordering import plan_order
from imagesession._plan.replies import is_success, read_json
from imagesession._plan.retry import retry
from imagesession._plan.steps import Begin, Flow, Now, OnDisk, Send
from imagesession._plan.store import Begun
from imagesession._plan.tolerance import as_text
from imagesession._plan.uploads import upload
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession._plan.wishes import Terms
from imagesession.errors import (
    CallError,
    ImageSessionError,
    LibraryError,
    OutcomeUnknownError,
    PictureError,
    ProviderError,
    RejectedError,
    ReplyError,
    UnavailableError,
)

from . import wire
from .looks import drop_unsent, search
from .planning import Named, Planned, line_of, plan

_NO_BATCHES = (
    "This provider does not take batches ({said}); nothing was asked for. studio.map(...) makes "
    "the same pictures one by one."
)


def submit(named: Named, name: str | None, terms: Terms) -> Flow[BatchRecord]:
    """
    Ask for many pictures at once, to be fetched later.

    Args:
        named: What is wanted, with the caller's names.
        name: The caller's name for all of it.
        terms: What holds for everything that is asked.

    Returns:
        The batch; under a name that was used before for the same, the one that was submitted then.

    Raises:
        CallError: One of the wishes has to change, or there are too many; nothing was sent.
        BudgetError: It may cost more than is left; nothing was sent.
        OutcomeUnknownError: It may have been taken up; it is not asked for again.
    """
    yield from drop_unsent()
    digest = _digest(named, terms)
    before = yield from _named_before(name, digest)
    if before is not None:
        return before
    begun = yield from Begin()
    record, planned = yield from plan(named, name, digest, begun, terms)
    reservation = _reservation(record, planned, terms)
    turns = tuple(one.turn for one in planned)
    written = yield from OnDisk(lambda store: store.begin_batch(record, turns, reservation))
    if written.lease is None:
        return written.record
    try:
        return (yield from _send(written.record, planned, terms))
    finally:
        # However it ends: what was submitted is collected by anybody, what was not is dropped.
        written.lease.release()


def check_count(named: Sequence[object]) -> None:
    """
    Refuse what is no batch: nothing, or more than a batch takes.
    """
    if not named:
        raise CallError("There is nothing to ask for: give batch() some prompts.")
    if len(named) > MAX_LINES:
        raise CallError(
            f"There are {len(named):,} pictures, and a batch takes {MAX_LINES:,}; nothing was "
            "sent. Submit them as several batches."
        )


def _digest(named: Named, terms: Terms) -> str:
    """
    Tell by a short text what is wanted, as far as it can be told without opening pictures.
    """
    wanted: list[object] = [
        [key, wish.prompt, dict(wish.choices), wish.kind, wish.label, len(wish.references)]
        for key, wish in named
    ]
    wanted.append(terms.options.changed())
    text = json.dumps(wanted, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _named_before(name: str | None, digest: str) -> Flow[BatchRecord | None]:
    """
    Find the batch that was submitted under a name before, so that its pictures need not be read.
    """
    if name is None:
        return None
    check_label("The batch's name", name, empty=False)
    found = yield from OnDisk(lambda store: store.same_batch(name, digest))
    return found


def _reservation(
    record: BatchRecord, planned: Sequence[Planned], terms: Terms
) -> Reservation | None:
    """
    Set aside what a batch may cost; what one call may cost holds for each of its pictures.
    """
    if terms.budget is None or not planned:
        return None
    alone = attrs.evolve(terms.budget, per_session=None, per_day=None)
    for one in planned:
        check(alone, one.expected, session_spent=0.0, day_spent=0.0, in_session=False)
    budget = attrs.evolve(terms.budget, per_call=None)
    return Reservation(budget=budget, estimate=record.estimate)


# --- sending --------------------------------------------------------------------------------------


def _send(record: BatchRecord, planned: Sequence[Planned], terms: Terms) -> Flow[BatchRecord]:
    """
    Submit a batch that is written down. If it is not taken up, it is forgotten.
    """
    if not record.asked:
        done = {"state": "completed", "settled": True}
        return (yield from OnDisk(lambda store: store.note_batch(record, done)))
    deadline = (yield from Now()) + terms.timeout
    asked = frozenset(record.asked)
    todo = [one for one in planned if one.turn.id in asked]
    first = todo[0].turn
    try:
        lines = yield from _write_lines(record, todo, terms)
        file_id = yield from _send_up(record, lines, first, terms, deadline)
        news = {"file_id": file_id, "posted": (yield from Begin()).at, "state": "submitting"}
        record = yield from OnDisk(lambda store: store.note_batch(record, news))
        answer = yield from _post(record, first, terms, deadline)
    except ImageSessionError:
        with contextlib.suppress(LibraryError):  # it is not asked for, and not worth another error
            yield from OnDisk(lambda store: store.forget_batch(record))
        raise
    # From here on it is, or may be, paid for: whatever happens, it is not forgotten.
    return (yield from _taken_up(record, answer, terms))


def _write_lines(record: BatchRecord, todo: Sequence[Planned], terms: Terms) -> Flow[bytes]:
    """
    Write the file of a batch; pictures that go along are sent up first, once each.
    """
    lines: list[bytes] = []
    size = 0
    for one in todo:
        line = one.line or (yield from _line_with_pictures(one, record, terms))
        lines.append(line)
        size += len(line)
        if size > MAX_BYTES:
            raise CallError(
                f"The first {len(lines):,} of {len(todo):,} pictures make a file of more than "
                f"{MAX_BYTES / 1e6:.0f} MB, which is the most that a batch takes. Submit fewer at "
                "once."
            )
    return b"".join(lines)


def _line_with_pictures(one: Planned, record: BatchRecord, terms: Terms) -> Flow[bytes]:
    at = record.created
    order = yield from plan_order(one.wish, terms, Begun(id=one.turn.id, at=at), None)
    if order.turn.references != one.turn.references:
        raise PictureError(f"A picture for {one.turn.prompt[:60]!r} changed while it was read.")
    pictures = (*order.references, *(() if order.mask is None else (order.mask,)))
    files = yield from upload(pictures, record.provider, at)
    return line_of(attrs.evolve(order, files=files), one.endpoint)


def _send_up(
    record: BatchRecord, lines: bytes, turn: Turn, terms: Terms, deadline: float
) -> Flow[str]:
    """
    Send the file of a batch up. It is free, and so may be done again.
    """
    request = wire.send_up(record, lines)

    def attempt() -> Flow[str]:
        reply = yield from _taken(request, free=True)
        file_id = as_text(read_json(reply).get("id"))
        if not file_id:
            raise ReplyError("The provider took the batch's file and gave no id of it.")
        return file_id

    return (yield from retry(attempt, turn, _at_any_pace(terms), deadline))


def _post(
    record: BatchRecord, turn: Turn, terms: Terms, deadline: float
) -> Flow[BatchNews | ImageSessionError]:
    """
    Ask for a batch, once.

    Returns:
        What the provider says of it; or why that is not known.

    Raises:
        ImageSessionError: It was not taken up.
    """
    request = wire.create(record)

    def attempt() -> Flow[Reply]:
        return (yield from _taken(request, free=False))

    try:
        reply = yield from retry(attempt, turn, _at_any_pace(terms), deadline)
        return wire.read_news(read_json(reply))
    except (OutcomeUnknownError, ReplyError) as error:
        return error


def _taken_up(
    record: BatchRecord, answer: BatchNews | ImageSessionError, terms: Terms
) -> Flow[BatchRecord]:
    """
    Write down the provider's id of a batch. Where its answer was lost, it is looked for.
    """
    if isinstance(answer, ImageSessionError):
        found = yield from search(record, terms.patience)
        if found is not None:
            return found
        raise OutcomeUnknownError(
            f"{answer.message} Its answer is not known, and it is not among the provider's batches "
            f"yet. It is not asked for again by itself; studio.batches.get({record.id!r}) finds it "
            "once it is there.",
            record.id,
        ) from answer
    with contextlib.suppress(LibraryError):  # the provider has it, and lists it under our name
        return (yield from OnDisk(lambda store: store.note_batch(record, answer)))
    return attrs.evolve(record, **answer)


def _taken(request: Request, *, free: bool) -> Flow[Reply]:
    """
    Send a request; return its answer if it was taken up.

    Args:
        request: What is sent.
        free: Whether it may be sent again whatever became of it.

    Raises:
        UnavailableError: It was not taken up, or does not matter if it was.
        OutcomeUnknownError: It may have been taken up.
        ImageSessionError: It was turned away, and the error says why.
    """
    try:
        reply = yield from Send(request, paid=not free)
    except NoReplyError as error:
        if free or not error.sent:
            raise UnavailableError(
                f"The provider cannot be reached ({error.reason}); nothing was asked for. Check "
                "the network and the base URL."
            ) from error
        raise OutcomeUnknownError(
            f"The batch was sent and its answer was lost ({error.reason})."
        ) from error
    if is_success(reply):
        return reply
    raise _turned_away(reply, free=free)


def _turned_away(reply: Reply, *, free: bool) -> ImageSessionError:
    # It says of any endpoint that it is not there.
    if lacks_responses(reply):
        return RejectedError(_NO_BATCHES.format(said=f"HTTP {reply.status}"))
    error = error_of(reply)
    if isinstance(error, RequestNotProcessedError):
        return RejectedError(f"The provider rejects the batch: {error}")
    if isinstance(error, ProviderError):
        if free:
            return UnavailableError(f"{error.message} Nothing was asked for.")
        return OutcomeUnknownError(error.message)
    return error if isinstance(error, ImageSessionError) else ReplyError(str(error))


def _at_any_pace(terms: Terms) -> Terms:
    """
    A batch has limits of its own: the images of a minute are not its concern.
    """
    return attrs.evolve(terms, interval=0.0)
