"""
Talk in a conversation that the provider keeps: a handle that there is before anything is paid for.

Making one is free. Its id is written down with the intent, so whatever the provider took on can be
found among its items, even by somebody who never learned the reply's own id.

A line of a session goes on in its conversation as long as the same program says what comes next.
Everybody else begins a new one, and names there what was said by the ids of its items: so nobody
ever finds words in a conversation that do not stand in their own library.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable

import attrs

from imagesession._model.turns import Turn
from imagesession.errors import ReplyError, TryLaterError, UnavailableError

from .failures import error_of
from .looking import LEAST_SECONDS, kept, looks
from .replies import Outcome, is_success, read_json, read_response
from .requests import Order
from .retrying import persist
from .steps import Flow, Now, OnDisk, Recall, Send, Wait
from .tolerance import Json, as_list, as_mapping, as_text
from .wire import NoReplyError, Reply, Request
from .wishes import Terms

_SECONDS = 10.0
_TRIES = 2
# A picture, what the model thought of it, and its prompt. Each may have several megabytes.
_ITEMS = 3
_PAGES = 40
_LOOK_SECONDS = 30.0
_TRANSIENT = frozenset({408, 409, 425, 429})
_NONE_HERE = frozenset({*range(400, 500), 501})
# An id is the provider's word. One that is none is not taken into paths and bodies.
_ID = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,256}")
_NO_PICTURE = frozenset({"failed", "incomplete", "cancelled"})


def join(order: Order, past: tuple[Turn, ...], terms: Terms, deadline: float) -> Flow[Order]:
    """
    Say in which conversation an order will be asked: the one that it continues, or a new one.

    Args:
        order: What is wanted.
        past: The turns that it continues, the oldest first.
        terms: How long to go on trying.
        deadline: When to stop, by the clock of `Now`.

    Raises:
        TryLaterError: The provider turned the question for one away.
    """
    if past and past[-1].provider == order.turn.provider:
        head = past[-1]
        ongoing = yield from Recall(lambda store: store.take_conversation(head))
        if ongoing is not None:
            return _within(order, ongoing)
    return _within(order, (yield from _begin(order.turn, terms, deadline)))


def leave(turn: Turn) -> Flow[None]:
    """
    Let the turn that comes after this one go on in its conversation.
    """
    if turn.conversation is not None and turn.session is not None:
        yield from Recall(lambda store: store.leave_conversation(turn))


def give_back(turn: Turn, past: tuple[Turn, ...]) -> Flow[None]:
    """
    Let others go on in a conversation in which a turn was to be said and was not.
    """
    if continues(turn, past):
        yield from leave(past[-1])


def continues(turn: Turn, past: tuple[Turn, ...]) -> bool:
    """
    Tell whether a turn is asked in the conversation of the one before.
    """
    before = past[-1].conversation if past else None
    return before is not None and before == turn.conversation


def move(order: Order, terms: Terms, deadline: float) -> Flow[Order]:
    """
    Move an order to a new conversation, where its own cannot be used. That is written down first.
    """
    return (yield from _note(order, (yield from _begin(order.turn, terms, deadline))))


def stay(order: Order) -> Flow[Order]:
    """
    Ask in an order's own conversation, wherever it was moved since. That is written down first.
    """
    return (yield from _note(order, order.turn.conversation))


def step_outside(order: Order) -> Flow[Order]:
    """
    Ask outside of any conversation. That is written down first.
    """
    return (yield from _note(order, None))


def do_without(order: Order) -> Flow[Order]:
    """
    Ask outside of any conversation from now on, as this provider does not take them.
    """
    provider = order.turn.provider
    yield from Recall(lambda store: store.note_lack(provider, "conversations"))
    return (yield from step_outside(order))


def _note(order: Order, conversation: str | None) -> Flow[Order]:
    yield from OnDisk(lambda store: store.note_conversation(order.turn, conversation))
    return _within(order, conversation)


def _within(order: Order, conversation: str | None) -> Order:
    return attrs.evolve(order, turn=attrs.evolve(order.turn, conversation=conversation))


def _begin(turn: Turn, terms: Terms, deadline: float) -> Flow[str | None]:
    """
    Begin a conversation; None where the provider has none, or none just now.

    A picture can be asked for without one; then only a kill in the moment between the provider's
    acceptance and its answer leaves nobody who could look it up.
    """
    if (yield from Recall(lambda store: store.lacks(turn.provider, "conversations"))):
        return None
    # It is free, and no picture: the images of a minute are not its concern.
    terms = attrs.evolve(terms, interval=0.0)
    for _ in range(_TRIES):
        reply = yield from persist(lambda: _ask_for_one(turn, deadline), turn, terms, deadline)
        if reply is None or reply.status in _TRANSIENT or reply.status not in _NONE_HERE:
            begun = None if reply is None else _read_id(reply)
            if begun is not None:
                return begun
            continue
        yield from Recall(lambda store: store.note_lack(turn.provider, "conversations"))
        break
    return None


def _ask_for_one(turn: Turn, deadline: float) -> Flow[Reply | None]:
    """
    Ask for a conversation once; None where the answer was lost.

    Source: https://developers.openai.com/api/reference/resources/conversations/methods/create
    """
    left = deadline - (yield from Now())
    request = Request(
        method="POST",
        path="/conversations",
        body={"metadata": {"imagesession_turn": turn.id}},
        timeout=max(LEAST_SECONDS, min(_SECONDS, left / (2 * _TRIES))),
    )
    try:
        reply = yield from Send(request)
    except NoReplyError as error:
        if error.sent:
            return None
        raise UnavailableError(
            f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
            "and the base URL."
        ) from error
    refusal = None if is_success(reply) else error_of(reply)
    if isinstance(refusal, TryLaterError):
        raise refusal
    return reply


def _read_id(reply: Reply) -> str | None:
    try:
        named = as_text(read_json(reply).get("id")) if is_success(reply) else ""
    except ReplyError:
        return None
    return named if _ID.fullmatch(named) else None


# --- finding what was answered ----------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Sighting:
    """
    What a look into a conversation showed.

    Attributes:
        outcome: What came of a turn; None if there is nothing of it.
        whole: Whether the conversation was seen, so that nothing means that nothing came yet.
        gone: Whether the provider does not know the conversation.
    """

    outcome: Outcome | None = None
    whole: bool = False
    gone: bool = False


def search(
    turn: Turn, past: tuple[Turn, ...], until: float, *, least: float = LEAST_SECONDS
) -> Flow[Sighting]:
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
    start = now = yield from Now()
    for due in looks(0.0):
        yield from Wait(max(0.0, min(start + due, until) - now))
        silence = max(LEAST_SECONDS, min(_LOOK_SECONDS, (until - start) / 4))
        end = max((yield from Now()) + least, until)
        sighting = yield from _look(turn, past, end, silence)
        now = yield from Now()
        if sighting.outcome is not None or sighting.gone or now >= until:
            return sighting
    raise AssertionError("looks never end")


def _look(turn: Turn, past: tuple[Turn, ...], end: float, silence: float) -> Flow[Sighting]:
    """
    Look once, from the latest item back to where this turn begins.

    Args:
        turn: Whose answer is looked for.
        past: The turns that it may continue.
        end: When to stop, by the clock of `Now`.
        silence: Seconds without a byte after which an answer counts as lost.
    """
    view = _View(known=frozenset(image.call_id for one in past for image in one.images))
    limit = _ITEMS
    for _ in range(_PAGES):
        reply = yield from _list(turn, view.after, limit, end, silence)
        if reply is not None and not reply.whole and limit > 1:
            limit = 1
            continue
        if reply is None or not is_success(reply):
            missing = reply is not None and reply.status == 404  # noqa: PLR2004 - HTTP's "not found"
            return Sighting(gone=missing and not view.items)
        try:
            view = view.plus(reply)
        except ReplyError:
            return Sighting()
        if view.shows_where(begins_here=not continues(turn, past)):
            break
        if not view.more:
            break
        if not view.after:
            return Sighting()
    return (yield from _judge(turn, past, view))


def _list(turn: Turn, after: str, limit: int, end: float, silence: float) -> Flow[Reply | None]:
    """
    Ask for items, the latest first; None where there is no answer, or no time.

    Source: https://developers.openai.com/api/reference/resources/conversations/subresources/items
    """
    left = end - (yield from Now())
    if left <= 0:
        return None
    whose = urllib.parse.quote(turn.conversation or "", safe="", errors="replace")
    path = f"/conversations/{whose}/items?order=desc&limit={limit}"
    if after:
        path += f"&after={urllib.parse.quote(after, safe='', errors='replace')}"
    request = Request(method="GET", path=path, timeout=min(left, _LOOK_SECONDS), silence=silence)
    try:
        return (yield from Send(request))
    except NoReplyError:
        return None


@attrs.frozen(kw_only=True)
class _View:
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

    def plus(self, reply: Reply) -> _View:
        """
        Take in what stands further back.

        Raises:
            ReplyError: It makes no sense.
        """
        page = read_json(reply)
        if not isinstance(page.get("data"), list):
            raise ReplyError("The provider's reply is no list of items.")
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

    def shows_where(self, *, begins_here: bool) -> bool:
        """
        Tell whether enough was seen to know where a turn begins.
        """
        return any(map(_is_asked, self.items)) and (begins_here or self.meets())

    def meets(self, items: Iterable[Json] | None = None) -> bool:
        """
        Tell whether a known picture is among items; among all, unless they are given.
        """
        return any(map(self._is_known, self.items if items is None else items))

    def newest(self) -> tuple[Json, ...]:
        """
        Return the items, the latest first, that answer what was asked last, unless that was a turn
        before: all of an answer belongs to it, its spoilt and failed calls too.
        """
        for at, item in enumerate(self.items):
            if _is_asked(item):
                answer = self.items[:at]
                return () if self.meets(answer) else answer
        # Some list no prompts.
        known = (at for at, item in enumerate(self.items) if self._is_known(item))
        return self.items[: next(known, len(self.items))]

    def _is_known(self, item: Json) -> bool:
        return _draws(item) and as_text(item.get("id")) in self.known


def _judge(turn: Turn, past: tuple[Turn, ...], view: _View) -> Flow[Sighting]:
    """
    Say what a conversation shows of a turn. What is under way, or not shown in full, proves
    nothing.
    """
    if view.items and _is_asked(view.items[0]):
        if view.more or _is_asked(view.items[-1]):
            return Sighting()  # it is not answered yet
        # Some list the oldest first, whatever they are asked for.
        view = attrs.evolve(view, items=view.items[::-1])
    if continues(turn, past) and not view.meets():
        return Sighting()  # where it begins cannot be told
    answer = view.newest()
    calls = [item for item in answer if _draws(item)]
    if not calls:
        return Sighting(whole=True)
    if not any(call.get("result") for call in calls) and not all(map(_failed, calls)):
        return Sighting()
    outcome = read_response({"output": list(answer[::-1])})
    return Sighting(outcome=(yield from kept(turn, outcome, b"\n".join(view.bodies))), whole=True)


def _is_asked(item: Json) -> bool:
    return item.get("type") == "message" and item.get("role") == "user"


def _draws(item: Json) -> bool:
    return item.get("type") == "image_generation_call"


def _failed(call: Json) -> bool:
    return bool(as_mapping(call.get("error"))) or call.get("status") in _NO_PICTURE
