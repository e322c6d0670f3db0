"""
A request whose response was lost may have been executed and billed. In whatever way it is lost, the
request is paid for once: its image is looked up, or the outcome is reported as unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imagesession._engine import transmit
from imagesession.errors import OutcomeUnknownError, ProviderUnavailableError
from imagesession.testing import FakeOpenAI
from tests.faults.tiny import picture_of, tiny_provider
from tests.faults.wire import AMBIGUOUS, IN_PROCESS, LOOPBACK, Ending, call_all, faults_met

RESPONSES, IMAGES = "/responses", "/images/generations"
WAYS = pytest.mark.parametrize(
    "where,path",
    [(IN_PROCESS, RESPONSES), (IN_PROCESS, IMAGES), (LOOPBACK, RESPONSES), (LOOPBACK, IMAGES)],
)


def losing(path: str, *kinds: str) -> FakeOpenAI:
    """
    Make a provider that loses all its responses to paid requests.
    """
    provider = tiny_provider(responses=path == RESPONSES)
    share = 0.999_999 / len(kinds)
    provider.inject_faults(dict.fromkeys(kinds, share), seed=len(kinds), method="POST", path=path)
    return provider


def check(provider: FakeOpenAI, path: str, endings: dict[str, Ending]) -> None:
    """
    Check that each request was sent once, and ended with its image or as unknown.
    """
    faults = faults_met(provider, path)
    for prompt, ending in endings.items():
        assert len(faults[prompt]) == 1, (prompt, faults[prompt])
        if ending.error is None:
            assert ending.picture == picture_of(prompt)
        elif not isinstance(ending.error, OutcomeUnknownError):
            raise ending.error


def check_losses(where: str, path: str, folder: Path, cases: int, **settings: Any) -> None:
    """
    Lose the responses to many requests, and check what becomes of them.
    """
    provider = losing(path, *AMBIGUOUS)
    prompts = [f"{path} {where} {number}" for number in range(cases)]
    endings = call_all(provider, where, folder, prompts, provider_state="conversation", **settings)
    check(provider, path, endings)
    lost = {
        faults_met(provider, path)[prompt][0] for prompt, ending in endings.items() if ending.error
    }
    assert lost <= {"529"} if path == RESPONSES else lost


@pytest.mark.parametrize("path", [RESPONSES, IMAGES])
@pytest.mark.usefixtures("hurried")
def test_ambiguous_request_is_sent_once(tmp_path: Path, path: str) -> None:
    """
    After a server error, reset, hang or slow response, a paid request is never sent again. If it
    was sent in a conversation, its image is found there.
    """
    check_losses(IN_PROCESS, path, tmp_path, 14, timeout=60, workers=1)


@pytest.mark.faults
@WAYS
def test_ambiguous_requests_are_sent_once(tmp_path: Path, where: str, path: str) -> None:
    """
    The same holds for many at once, over loopback, and if there is little time.
    """
    check_losses(where, path, tmp_path, 125, timeout=0.8)


@WAYS
def test_response_without_connection_end_is_complete(tmp_path: Path, where: str, path: str) -> None:
    """
    A response that is complete but for the end of the connection is used.
    """
    provider = losing(path, "reset-after-response")
    endings = call_all(provider, where, tmp_path, ["one", "two", "three", "four"])
    check(provider, path, endings)
    assert [ending.error for ending in endings.values()] == [None] * 4


def test_lost_responses_do_not_affect_later_requests(tmp_path: Path) -> None:
    """
    Lost responses do not affect later requests.
    """
    provider = losing(RESPONSES, "reset-before-response")
    lost = call_all(provider, IN_PROCESS, tmp_path, ["one", "two"])
    check(provider, RESPONSES, lost)
    provider.inject_faults({})
    endings = call_all(provider, IN_PROCESS, tmp_path, ["three", "four"])
    check(provider, RESPONSES, endings)
    assert all(ending.picture for ending in endings.values())


def test_twin_that_retries_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A broken twin that takes a lost response for a rejected request fails this check.
    """

    def retry(*_: object) -> Any:
        yield from ()
        raise ProviderUnavailableError("try again")

    monkeypatch.setattr(transmit, "_recover_reply", retry)
    provider = losing(RESPONSES, "reset-before-response")
    endings = call_all(provider, IN_PROCESS, tmp_path, ["one", "two"], retry_timeout=0.6)
    with pytest.raises(AssertionError):
        check(provider, RESPONSES, endings)
