"""
Find the outcome of a turn whose response id is not known, in its conversation. This is free.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .coerce import Json, as_list, as_mapping, as_text
from .conversations import is_continuation
from .effects import MonotonicTime, Send, Sleep, Workflow
from .http import HttpRequest, HttpResponse, TransportError, to_path
from .outcomes import NOT_COMPLETED, ResponseOutcome, is_image_call, parse_response_object
from .poll import IMAGE_POLL_TIMEOUT, MIN_REQUEST_TIMEOUT, poll_delay, silence_timeout
from .quarantine import quarantine_if_unreadable
from .responses import is_success, parse_json_object

# An image, the model's reasoning and its prompt. Each may have several megabytes.
_PAGE_SIZE = 3
_MAX_PAGES = 40


@attrs.frozen(kw_only=True)
class LookupResult:
    """
    What a conversation shows of a turn.

    Attributes:
        is_complete: Whether enough was read, so that no outcome means that there is none yet.
        is_missing: Whether the provider does not know the conversation.
        date: When the provider said so, by its own clock.
    """

    outcome: ResponseOutcome | None = None
    is_complete: bool = False
    is_missing: bool = False
    date: dt.datetime | None = None


def find_outcome(
    turn: Turn, past: tuple[Turn, ...], until: float, *, least: float = MIN_REQUEST_TIMEOUT
) -> Workflow[LookupResult]:
    start = yield from MonotonicTime()
    silence = silence_timeout(until - start)
    while True:
        end = max((yield from MonotonicTime()) + least, until)
        result = yield from _read_conversation(turn, past, end, silence)
        now = yield from MonotonicTime()
        if result.outcome is not None or result.is_missing or now >= until:
            return result
        yield from Sleep(min(poll_delay(now - start), until - now))


def _read_conversation(
    turn: Turn, past: tuple[Turn, ...], end: float, silence: float
) -> Workflow[LookupResult]:
    calls = (image.call_id for earlier in past for image in earlier.images)
    window = _ConversationWindow(known=frozenset(calls))
    limit = _PAGE_SIZE
    for _ in range(_MAX_PAGES):
        reply = yield from _list_items(turn, window.after, limit, end, silence)
        if reply is not None and not reply.whole and limit > 1:
            limit = 1
            continue
        if reply is None or not is_success(reply):
            if reply is None or reply.status != 404 or window.items:  # noqa: PLR2004 - HTTP's "not found"
                return LookupResult()
            return LookupResult(is_missing=True, date=reply.date)
        try:
            window = window.with_page(reply)
        except InvalidResponseError:
            return LookupResult()
        if window.is_bounded(begins_here=not is_continuation(turn, past)):
            break
        if not window.has_more:
            break
        if not window.after:
            return LookupResult()
    return (yield from _classify_items(turn, past, window))


def _list_items(
    turn: Turn, after: str, limit: int, end: float, silence: float
) -> Workflow[HttpResponse | None]:
    # https://developers.openai.com/api/reference/resources/conversations/subresources/items
    left = end - (yield from MonotonicTime())
    if left <= 0:
        return None
    conversation = turn.conversation or ""
    request = HttpRequest(
        method="GET",
        path=to_path(
            "conversations", conversation, "items", order="desc", limit=limit, after=after
        ),
        timeout=min(left, IMAGE_POLL_TIMEOUT),
        silence=silence,
    )
    try:
        return (yield from Send(request))
    except TransportError:
        return None


@attrs.frozen(kw_only=True)
class _ConversationWindow:
    """
    The items of a conversation that were read so far.

    Attributes:
        known: The image calls of earlier turns.
        after: The item after which the next page starts; empty if it has no id.
        date: When the last page was sent, by the provider's own clock.
    """

    known: frozenset[str | None]
    items: tuple[Json, ...] = ()
    has_more: bool = True
    after: str = ""
    bodies: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    date: dt.datetime | None = None

    def with_page(self, reply: HttpResponse) -> _ConversationWindow:
        page = parse_json_object(reply)
        if not isinstance(page.get("data"), list):
            raise InvalidResponseError("The provider's reply is not a list of items.")
        items = tuple(as_mapping(item) for item in as_list(page["data"]))
        last = as_text(items[-1].get("id")) if items else ""
        return attrs.evolve(
            self,
            items=self.items + items,
            has_more=page.get("has_more") is True,
            # A server that sends the same page again ignores `after`.
            after="" if last == self.after else last,
            bodies=(*self.bodies, reply.body),
            date=reply.date,
        )

    def is_bounded(self, *, begins_here: bool) -> bool:
        return any(map(_is_prompt, self.items)) and (begins_here or self.contains_known_image())

    def contains_known_image(self, items: Iterable[Json] | None = None) -> bool:
        return any(map(self._is_known, self.items if items is None else items))

    def latest_answer(self) -> tuple[Json, ...]:
        """
        Return the items, the latest first, that answer the last prompt, including unreadable and
        failed calls; none if that prompt belongs to an earlier turn.
        """
        for index, item in enumerate(self.items):
            if _is_prompt(item):
                answer = self.items[:index]
                return () if self.contains_known_image(answer) else answer
        # Some providers list no prompts.
        known = (index for index, item in enumerate(self.items) if self._is_known(item))
        return self.items[: next(known, len(self.items))]

    def _is_known(self, item: Json) -> bool:
        return is_image_call(item) and as_text(item.get("id")) in self.known


def _classify_items(
    turn: Turn, past: tuple[Turn, ...], window: _ConversationWindow
) -> Workflow[LookupResult]:
    """
    Return what a conversation shows of a turn. A running or incomplete answer proves nothing.
    """
    if window.items and _is_prompt(window.items[0]):
        if window.has_more or _is_prompt(window.items[-1]):
            return LookupResult()  # there is no answer yet
        # Some providers list the oldest first, whatever `order` says.
        window = attrs.evolve(window, items=window.items[::-1])
    if is_continuation(turn, past) and not window.contains_known_image():
        return LookupResult()  # where it begins is unknown
    answer = window.latest_answer()
    calls = [item for item in answer if is_image_call(item)]
    if not calls:
        return LookupResult(is_complete=True, date=window.date)
    if not any(call.get("result") for call in calls) and not all(map(_failed, calls)):
        return LookupResult()
    outcome = parse_response_object({"output": list(answer[::-1])})
    readable = yield from quarantine_if_unreadable(turn, outcome, b"\n".join(window.bodies))
    return LookupResult(outcome=readable, is_complete=True)


def _is_prompt(item: Json) -> bool:
    return item.get("type") == "message" and item.get("role") == "user"


def _failed(call: Json) -> bool:
    return bool(as_mapping(call.get("error"))) or call.get("status") in NOT_COMPLETED
