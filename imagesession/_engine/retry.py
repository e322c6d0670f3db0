"""
Retry requests that the provider rejected before doing any work.

A request whose outcome is unknown is never sent again: see `deliver`.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from typing import TypeVar

from imagesession._domain.turn import Turn
from imagesession.errors import ProviderUnavailableError, RateLimitError, TransientError

from .effects import MonotonicTime, ReportProgress, Sleep, StoreCall, WaitFor, Workflow
from .http import TransportError
from .request import StudioConfig
from .store import Lease, SlotLease

T = TypeVar("T")
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
# How often "retry at once" is believed, before the growing waits begin.
_HASTY_ATTEMPTS = 3
_SLOT_POLL_INTERVAL = 0.05


def retry(
    attempt: Callable[[], Workflow[T]], turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[T]:
    """
    Retry until the provider accepts a request, or `retry_timeout` is over.

    If the provider says how long to wait, all processes that use the library wait. If that is
    longer than `retry_timeout`, its error is raised at once; so is one that waiting does not mend.
    """
    now = yield from MonotonicTime()
    # An accepted request needs some of the time too.
    end = now + min(config.retry_timeout, (deadline - now) / 2)
    for attempt_number in itertools.count(1):
        yield from _wait_for_cooldown(turn.provider, end)
        if config.interval:
            yield from _wait_for_rate_slot(turn.provider, config.interval, deadline)
        try:
            return (yield from attempt())
        except TransientError as error:
            delay = _backoff(error, attempt_number, turn.id)
            yield from _publish_cooldown(error, delay, turn.provider)
            left = end - (yield from MonotonicTime())
            if left <= 0 or (_retry_after(error) or 0.0) > left or _needs_changes(error):
                raise
            yield from _wait(turn, min(delay, left), error)
    raise AssertionError("an attempt returns or raises in the end")


def acquire_slot(provider: str, config: StudioConfig) -> Workflow[Lease | None]:
    count = config.in_flight
    if count is None:
        return None
    slot = yield from StoreCall(
        lambda store: store.providers.queue_for_slot(provider, count), blocks=False
    )
    try:
        yield from _wait_in_queue(slot, count, config.timeout)
    except BaseException:
        slot.release()
        raise
    return slot


def _wait_in_queue(slot: SlotLease, count: int, timeout: float) -> Workflow[None]:
    """
    Wait until another call of this process hands over its slot, or until this call is the first in
    the queue and gets a slot from the disk.
    """
    end = (yield from MonotonicTime()) + timeout
    while True:
        signal = slot.signal()  # before the check, so that no signal is missed
        if slot.is_held or (slot.may_try and (yield from StoreCall(lambda _: slot.try_acquire()))):
            return
        left = end - (yield from MonotonicTime())
        if left <= 0:
            raise RateLimitError(
                f"{count} requests are under way, and max_concurrency={count} are allowed; none "
                f"has ended within {timeout:.0f} seconds. Nothing was sent."
            )
        yield from WaitFor(signal, min(left, _SLOT_POLL_INTERVAL) if slot.is_first else left)


def _wait_for_rate_slot(provider: str, interval: float, deadline: float) -> Workflow[None]:
    left = deadline - (yield from MonotonicTime())
    wait = yield from StoreCall(
        lambda store: store.providers.reserve_rate_slot(provider, interval, left)
    )
    if wait > left:
        raise RateLimitError(
            f"images_per_minute allows the next request in {wait:.0f} seconds, and {left:.0f} are "
            "left of timeout. Nothing was sent.",
            wait,
        )
    yield from Sleep(wait)


def _wait_for_cooldown(provider: str, end: float) -> Workflow[None]:
    left = yield from StoreCall(lambda store: store.providers.cooldown_remaining(provider))
    if left <= 0:
        return
    yield from ReportProgress(log=f"The provider's cooldown lasts another {left:.1f} s", warns=True)
    if (yield from MonotonicTime()) + left > end:
        raise RateLimitError(
            f"Too many requests: the provider has asked to wait {left:.1f} more seconds. Nothing "
            "was sent.",
            left,
        )
    yield from ReportProgress("backing_off", f"the provider's cooldown lasts {left:.1f} s")
    yield from Sleep(left)


def _publish_cooldown(error: TransientError, delay: float, provider: str) -> Workflow[None]:
    """
    Start a cooldown for all processes after a rate limit error, or as long as the provider says.
    """
    stated = _retry_after(error)
    if stated is None and not isinstance(error, RateLimitError):
        return
    # The growing backoff of one request does not delay all others.
    seconds = min(delay, _FIRST_DELAY) if stated is None else stated
    yield from StoreCall(lambda store: store.providers.start_cooldown(provider, seconds))
    yield from ReportProgress(log=f"The provider's cooldown lasts {seconds:.1f} s", warns=True)


def _wait(turn: Turn, delay: float, error: TransientError) -> Workflow[None]:
    reason = _reason(error)
    yield from ReportProgress(
        "backing_off",
        f"{reason}; next attempt in {delay:.1f} s",
        turn.id,
        log=f"turn {turn.id}: {reason}; next attempt in {delay:.1f} s",
        warns=True,
    )
    yield from Sleep(delay)


def _backoff(error: TransientError, attempt_number: int, turn_id: str) -> float:
    """
    Return how many seconds to wait: as long as the provider says, else exponentially longer.

    A jitter by turn keeps requests apart that were rejected together.
    """
    stated = _retry_after(error)
    if stated is not None and (stated > 0 or attempt_number <= _HASTY_ATTEMPTS):
        return stated
    longest = min(_FIRST_DELAY * 2.0 ** (attempt_number - 1), _LONGEST_DELAY)
    jitter = zlib.crc32(f"{turn_id}{attempt_number}".encode("utf-8", "replace")) / 2**32
    return longest * (0.5 + jitter / 2)


def _retry_after(error: TransientError) -> float | None:
    if isinstance(error, (RateLimitError, ProviderUnavailableError)):
        return error.retry_after
    return None


def _needs_changes(error: TransientError) -> bool:
    """
    Return whether settings have to be changed first, such as the password of a proxy.
    """
    return isinstance(error.__cause__, TransportError) and bool(error.__cause__.advice)


def _reason(error: TransientError) -> str:
    """
    Return why a request was rejected, without the provider's message, which may repeat a prompt.
    """
    if isinstance(error.__cause__, TransportError):
        return f"there was no answer ({error.__cause__.reason})"
    reason = "HTTP 429" if isinstance(error, RateLimitError) else "the provider is overloaded"
    return f"{reason} (request {error.request_id})" if error.request_id else reason
