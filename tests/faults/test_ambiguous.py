"""
An answer that was lost may have been to a request that was carried out and billed. Whatever way it
is lost, the request is paid for once: its picture is looked up, or the outcome is said to be
unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imagesession._engine import transmit
from imagesession.errors import OutcomeUnknownError, ProviderUnavailableError
from imagesession.testing import FakeOpenAI
from tests.faults.tiny import picture_of, tiny_provider
from tests.faults.wire import AMBIGUOUS, IN_PROCESS, LOOPBACK, Ending, call_all, met

RESPONSES, IMAGES = "/responses", "/images/generations"
CASES = pytest.mark.parametrize(
    "cases", [10, pytest.param(125, marks=pytest.mark.faults)]
)  # fmt: skip
WAYS = pytest.mark.parametrize(
    "where,path",
    [(IN_PROCESS, RESPONSES), (IN_PROCESS, IMAGES), (LOOPBACK, RESPONSES), (LOOPBACK, IMAGES)],
)


def losing(path: str, *kinds: str) -> FakeOpenAI:
    """
    Make a provider that loses all its answers to paid requests.
    """
    provider = tiny_provider(responses=path == RESPONSES)
    share = 0.999_999 / len(kinds)
    provider.inject_faults(dict.fromkeys(kinds, share), seed=len(kinds), method="POST", path=path)
    return provider


def check(provider: FakeOpenAI, path: str, endings: dict[str, Ending]) -> None:
    """
    Check that each was asked for once, and ended as it may.
    """
    faults = met(provider, path)
    for prompt, ending in endings.items():
        assert len(faults[prompt]) == 1, (prompt, faults[prompt])
        if ending.error is None:
            assert ending.picture == picture_of(prompt)
        elif not isinstance(ending.error, OutcomeUnknownError):
            raise ending.error


@CASES
@WAYS
def test_what_may_have_been_paid_for_is_asked_once(
    tmp_path: Path, where: str, path: str, cases: int
) -> None:
    """
    Server errors, resets, silence and trickles behind a paid request never make it go out again.
    Where it was asked in a conversation, all that was made is found there.
    """
    provider = losing(path, *AMBIGUOUS)
    prompts = [f"{path} {where} {number}" for number in range(cases)]
    endings = call_all(
        provider, where, tmp_path, prompts, timeout=0.8, provider_state="conversation"
    )
    check(provider, path, endings)
    lost = {met(provider, path)[prompt][0] for prompt, ending in endings.items() if ending.error}
    assert lost <= {"529"} if path == RESPONSES else lost


@WAYS
def test_an_answer_whose_end_was_lost_is_whole(tmp_path: Path, where: str, path: str) -> None:
    """
    An answer of which only the end of the connection is missing is as good as any.
    """
    provider = losing(path, "reset after")
    endings = call_all(provider, where, tmp_path, ["one", "two", "three", "four"])
    check(provider, path, endings)
    assert [ending.error for ending in endings.values()] == [None] * 4


def test_what_was_lost_can_be_recovered(tmp_path: Path) -> None:
    """
    Nothing that was lost is in the way of what comes after it.
    """
    provider = losing(RESPONSES, "reset before")
    lost = call_all(provider, IN_PROCESS, tmp_path, ["one", "two"])
    check(provider, RESPONSES, lost)
    provider.inject_faults({})
    endings = call_all(provider, IN_PROCESS, tmp_path, ["three", "four"])
    check(provider, RESPONSES, endings)
    assert all(ending.picture for ending in endings.values())


def test_twin_that_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A library that takes a lost answer for a request that was turned away fails this check.
    """

    def again(*_: object) -> Any:
        yield from ()
        raise ProviderUnavailableError("try again")

    monkeypatch.setattr(transmit, "_what_came", again)
    provider = losing(RESPONSES, "reset before")
    endings = call_all(provider, IN_PROCESS, tmp_path, ["one", "two"], retry_timeout=0.6)
    with pytest.raises(AssertionError):
        check(provider, RESPONSES, endings)
