"""
Look into a conversation for what came of a turn whose response's id nobody learned. Looking is
free.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable

import attrs

from imagesession._domain.turn import Turn
from imagesession.errors import InvalidResponseError

from .coerce import Json, as_list, as_mapping, as_text
from .conversations import is_continuation
from .effects import MonotonicTime, Send, Sleep, Workflow
from .http import HttpRequest, HttpResponse, TransportError
from .outcomes import NOT_COMPLETED, ResponseOutcome, is_image_call, parse_response_object
from .poll import MIN_REQUEST_SECONDS, MIN_REQUEST_TIMEOUT, longest_silence, poll_delay
from .quarantine import quarantine_if_unreadable
from .responses import is_success, parse_json_object

# A picture, what the model thought of it, and its prompt. Each may have several megabytes.
_ITEMS = 3
_PAGES = 40


@attrs.frozen(kw_only=True)
class LookupResult:
    """
    What a look into a conversation showed.

    Attributes:
        outcome: What came of a turn; None if there is nothing of it.
        whole: Whether the conversation was seen, so that nothing means that nothing came yet.
        gone: Whether the provider does not know the conversation.
    """

    outcome: ResponseOutcome | None = None
    whole: bool = False
    gone: bool = False


def find_outcome(
    turn: Turn, past: tuple[Turn, ...], until: float, *, least: float = MIN_REQUEST_TIMEOUT
) -> Workflow[LookupResult]:
    """
    Look into a turn's conversation for what came of it, until there is something. Looking is free.

    Args:
        turn: Whose id of a reply is not known.
        past: The turns that it may continue.
        until: When to stop, by the clock of `Now`; there is one look at least.
        least: Seconds that a look may take even if it ends behind that.

    Returns:
        What the last look showed.
    """
    start = yield from MonotonicTime()
    silence = longest_silence(until - start)
    while True:
        end = max((yield from MonotonicTime()) + least, until)
        result = yield from _look(turn, past, end, silence)
        now = yield from MonotonicTime()
        if result.outcome is not None or result.gone or now >= until:
            return result
        yield from Sleep(min(poll_delay(now - start), until - now))


def _look(turn: Turn, past: tuple[Turn, ...], end: float, silence: float) -> Workflow[LookupResult]:
    """
    Look once, from the latest item back to where this turn begins.

    Args:
        turn: Whose answer is looked for.
        past: The turns that it may continue.
        end: When to stop, by the clock of `Now`.
        silence: Seconds without a byte after which an answer counts as lost.
    """
    calls = (image.call_id for earlier in past for image in earlier.images)
    view = _ConversationWindow(known=frozenset(calls))
    limit = _ITEMS
    for _ in range(_PAGES):
        reply = yield from _list(turn, view.after, limit, end, silence)
        if reply is not None and not reply.whole and limit > 1:
            limit = 1
            continue
        if reply is None or not is_success(reply):
            missing = reply is not None and reply.status == 404  # noqa: PLR2004 - HTTP's "not found"
            return LookupResult(gone=missing and not view.items)
        try:
            view = view.plus(reply)
        except InvalidResponseError:
            return LookupResult()
        if view.is_bounded(begins_here=not is_continuation(turn, past)):
            break
        if not view.more:
            break
        if not view.after:
            return LookupResult()
    return (yield from _classify_items(turn, past, view))


def _list(
    turn: Turn, after: str, limit: int, end: float, silence: float
) -> Workflow[HttpResponse | None]:
    """
    Ask for items, the latest first; None where there is no answer, or no time.

    Source: https://developers.openai.com/api/reference/resources/conversations/subresources/items
    """
    left = end - (yield from MonotonicTime())
    if left <= 0:
        return None
    whose = urllib.parse.quote(turn.conversation or "", safe="", errors="replace")
    path = f"/conversations/{whose}/items?order=desc&limit={limit}"
    if after:
        path += f"&after={urllib.parse.quote(after, safe='', errors='replace')}"
    request = HttpRequest(
        method="GET", path=path, timeout=min(left, MIN_REQUEST_SECONDS), silence=silence
    )
    try:
        return (yield from Send(request))
    except TransportError:
        return None


@attrs.frozen(kw_only=True)
class _ConversationWindow:
    """
    What was seen of a conversation so far.

    Attributes:
        known: The calls that drew the pictures of turns before.
        items: What was said, the latest first.
        more: Whether there is more, further back.
        after: The item from which to go on, where there is more and it has an id.
        bodies: The answers that showed it.
    """

    known: frozenset[str | None]
    items: tuple[Json, ...] = ()
    more: bool = True
    after: str = ""
    bodies: tuple[bytes, ...] = attrs.field(default=(), repr=False)

    def plus(self, reply: HttpResponse) -> _ConversationWindow:
        """
        Take in what stands further back.

        Raises:
            InvalidResponseError: It makes no sense.
        """
        page = parse_json_object(reply)
        if not isinstance(page.get("data"), list):
            raise InvalidResponseError("The provider's reply is no list of items.")
        items = tuple(as_mapping(item) for item in as_list(page["data"]))
        last = as_text(items[-1].get("id")) if items else ""
        return attrs.evolve(
            self,
            items=self.items + items,
            more=page.get("has_more") is True,
            # Who is shown the same again is not answered for what was asked.
            after="" if last == self.after else last,
            bodies=(*self.bodies, reply.body),
        )

    def is_bounded(self, *, begins_here: bool) -> bool:
        """
        Tell whether enough was seen to know where a turn begins.
        """
        return any(map(_is_asked, self.items)) and (begins_here or self.contains_known_image())

    def contains_known_image(self, items: Iterable[Json] | None = None) -> bool:
        """
        Tell whether a known picture is among items; among all, unless they are given.
        """
        return any(map(self._is_known, self.items if items is None else items))

    def latest_answer(self) -> tuple[Json, ...]:
        """
        Return the items, the latest first, that answer what was asked last, unless that was a turn
        before: all of an answer belongs to it, its spoilt and failed calls too.
        """
        for at, item in enumerate(self.items):
            if _is_asked(item):
                answer = self.items[:at]
                return () if self.contains_known_image(answer) else answer
        # Some list no prompts.
        known = (at for at, item in enumerate(self.items) if self._is_known(item))
        return self.items[: next(known, len(self.items))]

    def _is_known(self, item: Json) -> bool:
        return is_image_call(item) and as_text(item.get("id")) in self.known


def _classify_items(
    turn: Turn, past: tuple[Turn, ...], view: _ConversationWindow
) -> Workflow[LookupResult]:
    """
    Say what a conversation shows of a turn. What is under way, or not shown in full, proves
    nothing.
    """
    if view.items and _is_asked(view.items[0]):
        if view.more or _is_asked(view.items[-1]):
            return LookupResult()  # it is not answered yet
        # Some list the oldest first, whatever they are asked for.
        view = attrs.evolve(view, items=view.items[::-1])
    if is_continuation(turn, past) and not view.contains_known_image():
        return LookupResult()  # where it begins cannot be told
    answer = view.latest_answer()
    calls = [item for item in answer if is_image_call(item)]
    if not calls:
        return LookupResult(whole=True)
    if not any(call.get("result") for call in calls) and not all(map(_failed, calls)):
        return LookupResult()
    outcome = parse_response_object({"output": list(answer[::-1])})
    whole = yield from quarantine_if_unreadable(turn, outcome, b"\n".join(view.bodies))
    return LookupResult(outcome=whole, whole=True)


def _is_asked(item: Json) -> bool:
    return item.get("type") == "message" and item.get("role") == "user"


def _failed(call: Json) -> bool:
    return bool(as_mapping(call.get("error"))) or call.get("status") in NOT_COMPLETED
