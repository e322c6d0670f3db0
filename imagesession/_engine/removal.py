"""
Delete, restore and erase: in the library, then the provider's copies.

The library's part is done first, and is finished later if the program is stopped. A copy that
cannot be erased now is remembered, and tried again by `finish_removals`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from imagesession._domain.removal import ErasureReport, ProviderCopy, Removal, Targets, Verb
from imagesession._domain.wording import quote
from imagesession.errors import ImageSessionError, InvalidRequestError, NotFoundError

from .coerce import Json, as_list, as_mapping, as_text
from .effects import GetProviderName, NewId, Send, StoreCall, Workflow
from .http import HttpRequest, HttpResponse, TransportError, to_path
from .provider_errors import map_error_response
from .responses import is_success, parse_json_object
from .validate import validate_label, validate_owner

_TIMEOUT = 30.0
# Each item may have several megabytes.
_PAGE_SIZE = 3
_GONE = frozenset({404, 410})
_OTHERS_LEFT = "others are left"


def remove(
    verb: Verb,
    *,
    images: Iterable[str] = (),
    sessions: Iterable[str] = (),
    batches: Iterable[str] = (),
) -> Workflow[ErasureReport]:
    wanted = [tuple(_valid(ids)) for ids in (images, sessions, batches)]
    yield from StoreCall(lambda store: store.removals.finish_all())
    targets = yield from StoreCall(lambda store: store.targets.find(verb, *wanted))
    return (yield from _remove(verb, targets))


def remove_from_session(session_id: str, images: Iterable[str]) -> Workflow[ErasureReport]:
    targets = yield from StoreCall(lambda store: store.targets.find("delete", images))
    others = [wanted for owner, ids in targets.items() if owner != session_id for wanted in ids]
    if others:
        raise NotFoundError(
            f"Session {session_id} has no image or turn {quote(others[0])}; "
            "studio.images.delete deletes any of the library.",
            others[0],
        )
    return (yield from _remove("delete", targets))


def _valid(ids: Iterable[str]) -> Iterable[str]:
    return (validate_label("What is to be removed", wanted, empty=False) for wanted in ids)


def empty_bin(older_than: object) -> Workflow[ErasureReport]:
    before = None if older_than is None else (yield from _ago(older_than))
    yield from StoreCall(lambda store: store.removals.finish_all())
    targets = yield from StoreCall(lambda store: store.targets.in_bin(before))
    return (yield from _remove("erase", targets))


def erase_owner(owner: str) -> Workflow[ErasureReport]:
    """
    Erase all that belongs to an owner, and whose what stays of it was.
    """
    validate_owner(owner)
    yield from StoreCall(lambda store: store.removals.finish_all())
    targets = yield from StoreCall(lambda store: store.targets.of_owner(owner))
    yield from StoreCall(lambda store: store.removals.drop_queues(owner))
    return (yield from _remove("erase", targets, forgets_owner=True))


def prune(older_than: object, *, dry_run: bool) -> Workflow[ErasureReport]:
    before = yield from _ago(older_than)
    if not dry_run:
        yield from StoreCall(lambda store: store.removals.finish_all())
    targets = yield from StoreCall(lambda store: store.targets.older_than(before))
    if dry_run:
        return ErasureReport(dry_run=True, erased=_ids(targets))
    return (yield from _remove("erase", targets))


def _ago(duration: object) -> Workflow[dt.datetime]:
    if not isinstance(duration, dt.timedelta) or duration < dt.timedelta(0):
        raise InvalidRequestError(
            f"older_than={quote(duration)} is not a duration; write datetime.timedelta(days=30)."
        )
    try:
        return (yield from NewId()).at - duration
    except OverflowError:  # longer than there are dates
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _ids(targets: Targets) -> tuple[str, ...]:
    return tuple(item for ids in targets.values() for item in ids)


def _remove(
    verb: Verb, targets: Targets, *, forgets_owner: bool = False
) -> Workflow[ErasureReport]:
    if not targets:
        return ErasureReport()
    removal = yield from StoreCall(
        lambda store: store.removals.begin(verb, targets, forgets_owner=forgets_owner)
    )
    remaining = yield from _erase_copies(removal)
    return ErasureReport(erased=_ids(targets), shared=removal.shared, remaining=remaining)


def finish_removals() -> Workflow[ErasureReport]:
    removals = yield from StoreCall(lambda store: store.removals.finish_all())
    remaining: dict[str, str] = {}
    for removal in removals:
        remaining |= yield from _erase_copies(removal)
    return ErasureReport(remaining=remaining)


def _erase_copies(removal: Removal) -> Workflow[dict[str, str]]:
    if not removal.copies:
        return {}
    remaining: dict[ProviderCopy, str] = {}
    try:
        provider = yield from GetProviderName()
        for copy in removal.copies:
            reason = yield from _erase_copy(copy, provider)
            if reason:
                remaining[copy] = reason
    except ImageSessionError as error:
        remaining = {copy: remaining.get(copy, error.message) for copy in removal.copies}
    except TransportError as error:
        unreachable = f"the provider cannot be reached ({error.reason})"
        remaining = {copy: remaining.get(copy, unreachable) for copy in removal.copies}
    erased = [copy for copy in removal.copies if copy not in remaining]
    yield from StoreCall(lambda store: store.removals.record_erased(removal, erased))
    return {str(copy): reason for copy, reason in remaining.items()}


def _erase_copy(copy: ProviderCopy, provider: str) -> Workflow[str]:
    if copy.provider != provider:
        return f"it is at {copy.provider}, not at {provider}"
    if copy.kind == "conversation" and (reason := (yield from _erase_items(copy))):
        return "" if reason == _OTHERS_LEFT else reason
    return (yield from _delete(f"{copy.kind}s", copy.id))


def _delete(*parts: str) -> Workflow[str]:
    # Free. https://developers.openai.com/api/reference/resources/responses/methods/delete, and its
    # likes for files, conversations and their items
    path = to_path(*parts)
    return _reason((yield from Send(HttpRequest(method="DELETE", path=path, timeout=_TIMEOUT))))


def _erase_items(copy: ProviderCopy) -> Workflow[str]:
    """
    Erase the items of a turn in its conversation, which the conversation's own deletion leaves.
    Return why some remain; `_OTHERS_LEFT` if there are others; an empty text if none is left.
    """
    items: list[Json] = []
    has_more = True
    while has_more:
        reply = yield from _list_items(copy.id, as_text(items[-1].get("id")) if items else "")
        if not is_success(reply):
            return _reason(reply)
        page = parse_json_object(reply)
        new = [as_mapping(item) for item in as_list(page.get("data"))]
        items += new
        has_more = page.get("has_more") is True and bool(new)
    erased = _items_of_turn(items, copy.items)
    for item in erased:
        if reason := (yield from _delete("conversations", copy.id, "items", item)):
            return reason
    return _OTHERS_LEFT if len(erased) < len(items) else ""


def _list_items(conversation: str, after: str) -> Workflow[HttpResponse]:
    # https://developers.openai.com/api/reference/resources/conversations/subresources/items
    path = to_path(
        "conversations", conversation, "items", order="asc", limit=_PAGE_SIZE, after=after
    )
    return (yield from Send(HttpRequest(method="GET", path=path, timeout=_TIMEOUT)))


def _items_of_turn(items: Sequence[Json], answer: Collection[str]) -> list[str]:
    """
    Return the ids of the items of a turn: its answer, and what was sent before that.
    """
    turns: list[list[str]] = [[]]
    was_prompt = True
    for item in items:
        is_prompt = item.get("role") in {"user", "developer", "system"}
        if is_prompt and not was_prompt:
            turns.append([])
        was_prompt = is_prompt
        turns[-1].append(as_text(item.get("id")))
    return [
        item for turn in turns if not answer or not set(turn).isdisjoint(answer) for item in turn
    ]


def _reason(reply: HttpResponse) -> str:
    if is_success(reply) or reply.status in _GONE:
        return ""
    return str(map_error_response(reply))
