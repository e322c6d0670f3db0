"""
Thousands of images over a connection with faults in about a quarter of all requests: every image
that can be had is had, every error is one of ours, and nothing is paid for twice.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession.errors import ImageSessionError, OutcomeUnknownError
from imagesession.testing import FakeOpenAI
from tests.faults.pace import Pace
from tests.faults.tiny import picture_of, tiny_provider
from tests.faults.wire import AMBIGUOUS, IN_PROCESS, LOOPBACK, Ending, call_all, faults_met

# Of a hundred requests, ten are rate-limited, five get a server error, three a reset, and so on.
TROUBLE = {
    "429": 0.05,
    "429-retry-after": 0.05,
    "500": 0.02,
    "503": 0.02,
    "529": 0.01,
    "reset-before-response": 0.01,
    "reset-within-response": 0.01,
    "reset-after-response": 0.01,
    "no-response": 0.01,
    "slow": 0.005,
    "cut": 0.02,
    "truncated": 0.005,
    "garbled": 0.01,
    "html": 0.01,
    "late": 0.01,
}
# Faults after which no response id is known.
SPOILT = (*AMBIGUOUS, "cut", "truncated", "html")
OVERSHOOT = 2.0
"""Seconds that a call may take longer than its timeout."""


@attrs.frozen(kw_only=True)
class Tally:
    """
    The outcomes of some calls.

    Attributes:
        calls: The number of calls.
        requests: The number of their requests.
        recoverable: The number of calls that could have had their image.
        had: The number of those that had it.
        untyped: Errors that are not ours.
        wrong: Prompts that got the image of another.
        again: Prompts for which a request was repeated after one that may have been paid for.
        slowest: The duration of the slowest call in seconds.
        second: How long a second took meanwhile, at most; see `Pace`.
        missed: Why recoverable calls had no image, and how often.
    """

    calls: int
    requests: int
    recoverable: int
    had: int
    untyped: list[BaseException]
    wrong: list[str]
    again: list[str]
    slowest: float
    second: float
    missed: Mapping[str, int]


def soak(
    library: Path,
    where: str,
    calls: int,
    *,
    seed: int,
    timeout: float,
    workers: int,
    **settings: Any,
) -> Tally:
    """
    Generate images over a faulty connection.
    """
    provider = tiny_provider(latency=0.02)
    provider.inject_faults(TROUBLE, seed=seed)
    prompts = [f"picture {seed} {number}" for number in range(calls)]
    with Pace() as pace:
        endings = call_all(
            provider, where, library, prompts, timeout=timeout, workers=workers, **settings
        )
    return _tally(provider, endings, pace.second)


def _tally(provider: FakeOpenAI, endings: dict[str, Ending], second: float) -> Tally:
    faults = faults_met(provider)
    errors = [ending.error for ending in endings.values() if ending.error is not None]
    recoverable = [
        ending
        for prompt, ending in endings.items()
        if ending.error is None or not _is_lost(ending.error, faults.get(prompt, []))
    ]
    return Tally(
        calls=len(endings),
        requests=len(provider.requests),
        recoverable=len(recoverable),
        had=sum(ending.error is None for ending in recoverable),
        untyped=[error for error in errors if not isinstance(error, ImageSessionError)],
        wrong=[
            prompt
            for prompt, ending in endings.items()
            if ending.picture not in {None, picture_of(prompt)}
        ],
        again=[prompt for prompt, met in faults.items() if _repeats(met)],
        slowest=max(ending.seconds for ending in endings.values()),
        second=second,
        missed=Counter(str(ending.error)[:90] for ending in recoverable if ending.error),
    )


def _is_lost(error: BaseException, faults: list[str | None]) -> bool:
    """
    Tell whether the image cannot be had: the response to the last request was lost, and with it
    the id.
    """
    looked_up = isinstance(error, OutcomeUnknownError) and error.response_id is not None
    return not looked_up and bool(faults) and faults[-1] in SPOILT


def _repeats(faults: list[str | None]) -> bool:
    return any(fault in {*SPOILT, None} for fault in faults[:-1])


def check_safety(tally: Tally) -> None:
    """
    Check what holds however slow the machine is.
    """
    assert tally.untyped == []
    assert tally.wrong == []
    assert tally.again == []
    assert tally.had


def check(tally: Tally, timeout: float, share: float) -> None:
    """
    Check the promises of this module.
    """
    check_safety(tally)
    assert tally.had >= share * tally.recoverable, tally
    assert tally.slowest <= (timeout + OVERSHOOT) * tally.second, tally


def test_faulty_connection(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Each image is of its own prompt and paid for once, and each error is one of ours.
    """

    def run(where: str) -> None:
        check_safety(soak(tmp_path / where, where, 75, seed=1, timeout=5.0, workers=24))

    in_threads([functools.partial(run, where) for where in (IN_PROCESS, LOOPBACK)])


@pytest.mark.faults
def test_faulty_connection_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Of ten thousand images, 99 in 100 of those that can be had are had, in time, and each is paid
    for once. On a machine whose seconds are longer, or become longer, more of them are missed.
    """
    # Large enough to forget no request and no response.
    monkeypatch.setattr("imagesession._fake_openai.app._MAX_REQUESTS", 16_384)
    monkeypatch.setattr("imagesession._fake_openai.memory.KEPT_RESPONSES", 16_384)
    for seed in range(5):
        where = (IN_PROCESS, LOOPBACK)[seed % 2]
        # How long a second is while as many calls are under way: so few of them that none waits for
        # the processor for long, which is no matter of the network.
        timeout = 12.0 * soak(tmp_path, where, 100, seed=-1, timeout=12.0, workers=16).second
        tally = soak(tmp_path, where, 2_000, seed=seed, timeout=timeout, workers=16)
        with capsys.disabled():
            print(f"\n{where}: {tally}")  # noqa: T201 - the figures
        # Seconds may have become longer since they were measured, and the timeout has not.
        slower = max(1.0, 12.0 * tally.second / timeout)
        check(tally, timeout, 1 - 0.01 * tally.second * slower)


@pytest.mark.faults
def test_missing_retries_are_caught(tmp_path: Path) -> None:
    """
    The check works: a studio that does not retry rejected requests fails it.
    """
    tally = soak(tmp_path, IN_PROCESS, 300, seed=2, timeout=12.0, workers=25, retry_timeout=0)
    assert tally.had < 0.95 * tally.recoverable
    with pytest.raises(AssertionError):
        check(tally, 12.0, 0.95)
