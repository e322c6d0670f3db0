"""
Talk in a conversation that the provider keeps: a handle that there is before anything is paid for.

Making one is free. Its id is written down with the intent, so whatever the provider took on can be
found among its items, even by somebody who never learned the reply's own id.

A line of a session goes on in its conversation as long as the same program says what comes next.
Everybody else begins a new one, and names there what was said by the ids of its items: so nobody
ever finds words in a conversation that do not stand in their own library.
"""

from __future__ import annotations

import urllib.parse

import attrs

from imagesession._model.turns import Turn
from imagesession.errors import ReplyError, TryLaterError, UnavailableError

from .failures import error_of
from .looking import LEAST_SECONDS, kept, looks
from .replies import Outcome, is_success, read_json, read_response
from .requests import Order
from .retrying import persist
from .steps import Flow, Now, OnDisk, Send, Wait
from .tolerance import Json, as_list, as_mapping, as_text
from .wire import NoReplyError, Reply, Request
from .wishes import Terms

_SECONDS = 10.0
_TRIES = 2
# An answer's items and its prompt, and as much of what came before as shows where they begin.
# Each may be a picture of several megabytes.
_ITEMS = 6
_TRANSIENT = frozenset({408, 409, 425, 429})
_CLIENT_ERRORS = range(400, 500)


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
        ongoing = yield from OnDisk(lambda store: store.take_conversation(head))
        if ongoing is not None:
            return _within(order, ongoing)
    return _within(order, (yield from _begin(order.turn, terms, deadline)))


def leave(turn: Turn) -> Flow[None]:
    """
    Let the turn that comes after this one go on in its conversation.
    """
    if turn.conversation is not None and turn.session is not None:
        yield from OnDisk(lambda store: store.leave_conversation(turn))


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


def do_without(order: Order) -> Flow[Order]:
    """
    Ask outside of any conversation from now on, as this provider does not take them.
    """
    provider = order.turn.provider
    yield from OnDisk(lambda store: store.note_lack(provider, "conversations"))
    return (yield from _note(order, None))


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
    if (yield from OnDisk(lambda store: store.lacks(turn.provider, "conversations"))):
        return None
    # It is free, and no picture: the images of a minute are not its concern.
    terms = attrs.evolve(terms, interval=0.0)
    for _ in range(_TRIES):
        reply = yield from persist(lambda: _ask_for_one(turn, deadline), turn, terms)
        if reply is None or reply.status in _TRANSIENT or reply.status not in _CLIENT_ERRORS:
            begun = None if reply is None else _read_id(reply)
            if begun is not None:
                return begun
            continue
        yield from OnDisk(lambda store: store.note_lack(turn.provider, "conversations"))
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
        return as_text(read_json(reply).get("id")) or None if is_success(reply) else None
    except ReplyError:
        return None


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


def search(turn: Turn, past: tuple[Turn, ...], until: float) -> Flow[Sighting]:
    """
    Look into a turn's conversation for what came of it, until there is something. Looking is free.

    Args:
        turn: Whose id of a reply is not known.
        past: The turns that it may continue.
        until: When to stop, by the clock of `Now`; there is one look at least.

    Returns:
        What the last look showed.
    """
    start = now = yield from Now()
    for due in looks(0.0):
        yield from Wait(max(0.0, min(start + due, until) - now))
        sighting = yield from _look(turn, past)
        now = yield from Now()
        if sighting.outcome is not None or sighting.gone or now >= until:
            return sighting
    raise AssertionError("looks never end")


def _look(turn: Turn, past: tuple[Turn, ...]) -> Flow[Sighting]:
    """
    Look once.

    Source: https://developers.openai.com/api/reference/resources/conversations/subresources/items
    """
    whose = urllib.parse.quote(turn.conversation or "", safe="")
    path = f"/conversations/{whose}/items?order=desc&limit={_ITEMS}"
    try:
        reply = yield from Send(Request(method="GET", path=path, timeout=30.0))
    except NoReplyError:
        return Sighting()
    if not is_success(reply):
        return Sighting(gone=reply.status == 404)  # noqa: PLR2004 - HTTP's "not found"
    try:
        listed = [as_mapping(item) for item in as_list(read_json(reply).get("data"))]
    except ReplyError:
        return Sighting()
    known = {image.call_id for one in past for image in one.images}
    new, met = _newest(listed, known)
    if continues(turn, past) and not met:
        return Sighting()  # where it begins cannot be told
    if not any(item.get("type") == "image_generation_call" for item in new):
        return Sighting(whole=True)
    outcome = read_response({"output": new[::-1]})
    return Sighting(outcome=(yield from kept(turn, outcome, reply.body)), whole=True)


def _newest(listed: list[Json], known: set[str | None]) -> tuple[list[Json], bool]:
    """
    Return the items, the latest first, that came after the latest picture that is known; and
    whether there was one.
    """
    for at, item in enumerate(listed):
        if item.get("type") == "image_generation_call" and item.get("id") in known:
            return listed[:at], True
    return listed, False
