"""
Retry where the provider has turned a request away before doing any work, and only there.

A request whose outcome is not known is never sent again: see `deliver`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

from imagesession._domain.turn import Turn
from imagesession.errors import ProviderUnavailableError, RateLimitError, TransientError

from .effects import MemoryCall, MonotonicTime, ReportProgress, Sleep, StoreCall, WaitFor, Workflow
from .http import TransportError
from .leases import Lease, SlotLease
from .request import StudioConfig

T = TypeVar("T")
MAX_ATTEMPTS = 5
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_SLOT_SECONDS = 0.05


def retry(
    attempt: Callable[[], Workflow[T]], turn: Turn, config: StudioConfig, deadline: float
) -> Workflow[T]:
    """
    Try until the provider accepts a request.

    A provider that says how long to wait is obeyed, by all processes that use the library; where
    that is longer than `retry_timeout`, its error is raised at once.

    Args:
        attempt: Makes the workflow of one attempt.
        turn: What is requested, and of whom.
        config: How long to go on trying, and how far requests are kept apart.
        deadline: When all has to be done, by the clock of `Now`.

    Raises:
        TransientError: The provider went on turning it away.
    """
    now = yield from MonotonicTime()
    # A request that is accepted needs some of the time for itself.
    end = now + min(config.retry_timeout, (deadline - now) / 2)
    for number in range(1, MAX_ATTEMPTS + 1):
        yield from _wait_for_cooldown(turn.provider, end)
        if config.interval:
            yield from _wait_for_rate_slot(turn.provider, config.interval)
        try:
            return (yield from attempt())
        except TransientError as error:
            delay = _backoff(error, number, turn.id)
            yield from _publish_cooldown(error, delay, turn.provider)
            if number == MAX_ATTEMPTS or (yield from MonotonicTime()) + delay > end:
                raise
            yield from _wait(turn, delay, error)
    raise AssertionError("the last attempt returns or raises")


def acquire_slot(provider: str, config: StudioConfig) -> Workflow[Lease | None]:
    """
    Wait until fewer requests are under way than are allowed, and count as one of them.

    Args:
        provider: Who is asked.
        config: How many requests are allowed.

    Returns:
        What has to be released when the request has ended; None where there is no limit.

    Raises:
        RateLimitError: There was no room for as long as a picture may take.
    """
    count = config.in_flight
    if count is None:
        return None
    slot = yield from MemoryCall(lambda store: store.queue_for_slot(provider, count))
    try:
        yield from _wait_in_queue(slot, count, config.timeout)
    except BaseException:
        slot.release()
        raise
    return slot


def _wait_in_queue(slot: SlotLease, count: int, timeout: float) -> Workflow[None]:
    """
    Wait until a call is handed a slot by another of this process, or is the first and gets one from
    the disk.
    """
    end = (yield from MonotonicTime()) + timeout
    while True:
        signal = slot.signal()  # before looking, so that nothing is missed in between
        if slot.is_held or (slot.may_try and (yield from StoreCall(lambda _: slot.try_acquire()))):
            return
        left = end - (yield from MonotonicTime())
        if left <= 0:
            raise RateLimitError(
                f"{count} requests are under way, and max_concurrency={count} are allowed; none "
                f"has ended within {timeout:.0f} seconds. Nothing was sent."
            )
        yield from WaitFor(signal, min(left, _SLOT_SECONDS) if slot.is_first else left)


def _wait_for_rate_slot(provider: str, interval: float) -> Workflow[None]:
    wait = yield from StoreCall(lambda store: store.reserve_rate_slot(provider, interval))
    yield from Sleep(wait)


def _wait_for_cooldown(provider: str, end: float) -> Workflow[None]:
    """
    Wait while the provider wants to be left alone, as some process was told.
    """
    left = yield from StoreCall(lambda store: store.cooldown_remaining(provider))
    if left <= 0:
        return
    yield from ReportProgress(
        log=f"The provider wants to be left alone for another {left:.1f} s", warns=True
    )
    if (yield from MonotonicTime()) + left > end:
        raise RateLimitError(
            f"Too many requests: the provider has asked to wait {left:.1f} more seconds. Nothing "
            "was sent.",
            left,
        )
    yield from ReportProgress(
        "backing_off", f"the provider wants to be left alone for {left:.1f} s"
    )
    yield from Sleep(left)


def _publish_cooldown(error: TransientError, delay: float, provider: str) -> Workflow[None]:
    """
    Let all processes leave a provider alone that was asked too often.
    """
    if not isinstance(error, RateLimitError):
        return
    # One that was turned away several times does not hold up all others for as long.
    seconds = delay if error.retry_after is not None else min(delay, _FIRST_DELAY)
    yield from StoreCall(lambda store: store.start_cooldown(provider, seconds))
    yield from ReportProgress(
        log=f"The provider wants to be left alone for {seconds:.1f} s", warns=True
    )


def _wait(turn: Turn, delay: float, error: TransientError) -> Workflow[None]:
    reason = _reason(error)
    yield from ReportProgress(
        "backing_off",
        f"{reason}; tried again in {delay:.1f} s",
        turn.id,
        log=f"turn {turn.id}: {reason}; tried again in {delay:.1f} s",
        warns=True,
    )
    yield from Sleep(delay)


def _backoff(error: TransientError, number: int, name: str) -> float:
    """
    Return how many seconds to wait: what the provider says, else ever longer. Requests that were
    turned away together do not come back together.
    """
    if (
        isinstance(error, (RateLimitError, ProviderUnavailableError))
        and error.retry_after is not None
    ):
        return error.retry_after
    longest = min(_FIRST_DELAY * 2.0 ** (number - 1), _LONGEST_DELAY)
    share = zlib.crc32(f"{name}{number}".encode("utf-8", "replace")) / 2**32
    return longest * (0.5 + share / 2)


def _reason(error: TransientError) -> str:
    """
    Say why a request was turned away, without the provider's words, which may repeat a prompt.
    """
    if isinstance(error, RateLimitError):
        return "HTTP 429"
    if isinstance(error.__cause__, TransportError):
        return f"there was no answer ({error.__cause__.reason})"
    return "the provider is overloaded"
