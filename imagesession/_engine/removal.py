"""
Delete, restore and erase: in the library, then the provider's copies.

The library's part is done first, and is finished later if the program is stopped. A copy that
cannot be erased now is remembered, and tried again by `finish_removals`.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Iterable

from imagesession._domain.removal import ErasureReport, ProviderCopy, Removal, Targets, Verb
from imagesession._domain.wording import quote
from imagesession.errors import ImageSessionError, InvalidRequestError, NotFoundError

from .effects import GetProviderName, NewId, Send, StoreCall, Workflow
from .http import HttpRequest, HttpResponse, TransportError
from .provider_errors import map_error_response
from .responses import is_success
from .validate import validate_label

_TIMEOUT = 30.0
_GONE = frozenset({404, 410})
_PATHS = {"response": "/responses", "conversation": "/conversations", "file": "/files"}


def remove(
    verb: Verb,
    *,
    images: Iterable[str] = (),
    sessions: Iterable[str] = (),
    batches: Iterable[str] = (),
) -> Workflow[ErasureReport]:
    """
    Delete, restore or erase.

    Args:
        verb: Which of them.
        images: The ids of images and turns.
        sessions: The ids or names of sessions.
        batches: The ids or names of batches.

    Returns:
        What was erased, and which copies of it remain.

    Raises:
        NotFoundError: There is no such thing.
        InvalidRequestError: It is in the bin already, or not in there, or under way.
        StorageIOError: The library cannot be written; nothing was done.
    """
    wanted = [tuple(_valid(ids)) for ids in (images, sessions, batches)]
    yield from StoreCall(lambda store: store.finish_removals())
    targets = yield from StoreCall(lambda store: store.find_targets(verb, *wanted))
    return (yield from _remove(verb, targets))


def remove_from_session(session_id: str, images: Iterable[str]) -> Workflow[ErasureReport]:
    """
    Delete images and turns of a session; see `remove`.

    Raises:
        NotFoundError: The session has no such image or turn.
    """
    targets = yield from StoreCall(lambda store: store.find_targets("delete", images))
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


def empty_bin(older_than: dt.timedelta | None) -> Workflow[ErasureReport]:
    """
    Erase what is in the bin.

    Args:
        older_than: Only what was deleted longer ago than this; None for all.

    Raises:
        InvalidRequestError: `older_than` is not a duration.
        StorageIOError: The library cannot be written.
    """
    if older_than is not None and not isinstance(older_than, dt.timedelta):
        raise InvalidRequestError(
            f"older_than={quote(older_than)} is not a duration; write datetime.timedelta(days=30)."
        )
    now = (yield from NewId()).at
    before = None if older_than is None else now - older_than
    yield from StoreCall(lambda store: store.finish_removals())
    targets = yield from StoreCall(lambda store: store.bin_content(before))
    return (yield from _remove("erase", targets))


def _remove(verb: Verb, targets: Targets) -> Workflow[ErasureReport]:
    if not targets:
        return ErasureReport()
    removal = yield from StoreCall(lambda store: store.begin_removal(verb, targets))
    remaining = yield from _erase_copies(removal)
    erased = tuple(item for ids in targets.values() for item in ids)
    return ErasureReport(erased=erased, shared=removal.shared, remaining=remaining)


def finish_removals() -> Workflow[ErasureReport]:
    """
    Finish the removals of programs that were stopped, and try again to erase the provider's copies
    that remain.
    """
    removals = yield from StoreCall(lambda store: store.finish_removals())
    remaining: dict[str, str] = {}
    for removal in removals:
        remaining |= yield from _erase_copies(removal)
    return ErasureReport(remaining=remaining)


def _erase_copies(removal: Removal) -> Workflow[dict[str, str]]:
    """
    Erase the provider's copies, each of which is attempted once; return why others remain.
    """
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
    yield from StoreCall(lambda store: store.record_erased(removal, erased))
    return {str(copy): reason for copy, reason in remaining.items()}


def _erase_copy(copy: ProviderCopy, provider: str) -> Workflow[str]:
    """
    Erase a copy; return why it remains, or an empty text.

    Raises:
        TransportError: The provider cannot be reached.
    """
    if copy.provider != provider:
        return f"it is at {copy.provider}, not at {provider}"
    return _reason((yield from Send(_delete(_PATHS[copy.kind], copy.id))))


def _delete(*parts: str) -> HttpRequest:
    """
    Build the free request that deletes something.

    Source: https://developers.openai.com/api/reference/resources/responses/methods/delete, and its
    likes for files, conversations and their items
    """
    first, *ids = parts
    path = "/".join([first, *(urllib.parse.quote(part, safe="", errors="replace") for part in ids)])
    return HttpRequest(method="DELETE", path=path, timeout=_TIMEOUT)


def _reason(reply: HttpResponse) -> str:
    """
    Return why a reply means that a copy remains; an empty text if it is gone.
    """
    if is_success(reply) or reply.status in _GONE:
        return ""
    return str(map_error_response(reply))
