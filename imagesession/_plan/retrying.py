"""
Ask again where the provider has turned a request away before doing any work, and only there.

A request whose outcome is not known is never sent again: see `delivery`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

from imagesession._model.turns import Turn
from imagesession.errors import RateLimitError, TryLaterError, UnavailableError

from .leases import Lease
from .steps import Flow, Now, OnDisk, Wait
from .wishes import Terms

T = TypeVar("T")
MAX_TRIES = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_ROOM_SECONDS = 0.05


def persist(attempt: Callable[[], Flow[T]], turn: Turn, terms: Terms, deadline: float) -> Flow[T]:
    """
    Try until the provider takes a request up.

    A provider that says how long to wait is obeyed, by all processes that use the library; where
    that is longer than the patience, its error is raised at once.

    Args:
        attempt: Makes the flow of one try.
        turn: What is asked for, and of whom.
        terms: How long to go on trying, and how far requests are kept apart.
        deadline: When all has to be done, by the clock of `Now`.

    Raises:
        TryLaterError: The provider went on turning it away.
    """
    now = yield from Now()
    # A request that is taken up needs some of the time for itself.
    end = now + min(terms.patience, (deadline - now) / 2)
    provider = turn.provider
    for number in range(1, MAX_TRIES + 1):
        yield from _heed(provider, end)
        if terms.interval:
            yield from _keep_apart(provider, terms.interval)
        try:
            return (yield from attempt())
        except TryLaterError as error:
            pause = _pause(error, number, turn.id)
            if isinstance(error, RateLimitError):
                # One that was turned away several times does not hold up all others for as long.
                hinted = error.retry_after is not None
                yield from _tell(provider, pause if hinted else min(pause, _FIRST_PAUSE))
            if number == MAX_TRIES or (yield from Now()) + pause > end:
                raise
            yield from Wait(pause)
    raise AssertionError("the last try returns or raises")


def in_turn(work: Flow[T], provider: str, terms: Terms) -> Flow[T]:
    """
    Do something once fewer requests are under way than are allowed, as one of them.

    Args:
        work: What to do.
        provider: Who is asked.
        terms: How many requests are allowed.

    Raises:
        RateLimitError: There was no room for as long as a picture may take.
    """
    if terms.in_flight is None:
        return (yield from work)
    room = yield from _wait_for_room(provider, terms.in_flight, terms)
    try:
        return (yield from work)
    finally:
        room.release()


def _wait_for_room(provider: str, count: int, terms: Terms) -> Flow[Lease]:
    end = (yield from Now()) + terms.timeout
    while (slot := (yield from OnDisk(lambda store: store.take_slot(provider, count)))) is None:
        if (yield from Now()) >= end:
            raise RateLimitError(
                f"{count} requests are under way, and max_in_flight={count} are allowed; none has "
                f"ended within {terms.timeout:.0f} seconds. Nothing was sent."
            )
        yield from Wait(_ROOM_SECONDS)
    return slot


def _keep_apart(provider: str, interval: float) -> Flow[None]:
    wait = yield from OnDisk(lambda store: store.take_turn(provider, interval))
    yield from Wait(wait)


def _heed(provider: str, end: float) -> Flow[None]:
    """
    Wait while the provider wants to be left alone, as some process was told.
    """
    left = yield from OnDisk(lambda store: store.cooldown(provider))
    if left <= 0:
        return
    if (yield from Now()) + left > end:
        raise RateLimitError(
            f"Too many requests: the provider has asked to wait {left:.1f} more seconds. Nothing "
            "was sent.",
            left,
        )
    yield from Wait(left)


def _tell(provider: str, seconds: float) -> Flow[None]:
    yield from OnDisk(lambda store: store.cool_down(provider, seconds))


def _pause(error: TryLaterError, number: int, name: str) -> float:
    """
    Return how many seconds to wait: what the provider says, else ever longer. Requests that were
    turned away together do not come back together.
    """
    if isinstance(error, (RateLimitError, UnavailableError)) and error.retry_after is not None:
        return error.retry_after
    longest = min(_FIRST_PAUSE * 2.0 ** (number - 1), _LONGEST_PAUSE)
    share = zlib.crc32(f"{name}{number}".encode("utf-8", "replace")) / 2**32
    return longest * (0.5 + share / 2)
