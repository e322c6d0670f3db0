"""
A request that was turned away is asked again, as the provider wishes; any other never is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import InsufficientQuotaError, ProviderUnavailableError, RateLimitError
from imagesession.testing import FakeOpenAI
from tests.conftest import MakeStudio

SLOW = {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
QUOTA = {"message": "no credit", "type": "insufficient_quota", "param": None, "code": None}


def turn_away(
    provider: FakeOpenAI, *, after: str | None = None, status: int = 429, times: int = 1
) -> None:
    """
    Let the next requests be turned away.
    """
    headers = {} if after is None else {"retry-after": after}
    provider.fail_next(
        status=status, error=SLOW, headers=headers, method="POST", path="/responses", times=times
    )


def posts(provider: FakeOpenAI) -> int:
    """
    Return how many requests were sent that would be paid for.
    """
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


@pytest.mark.usefixtures("hurried")
def test_a_provider_that_says_when_is_asked_again_then(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Turned away with a time to wait, the request goes out again after that time.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=5)
    studio.generate("warm up")
    turn_away(provider, after="0.3")
    start = time.monotonic()
    image = studio.generate("a teapot")
    assert 0.3 <= time.monotonic() - start < 3
    assert image.turn.status == "completed"
    assert posts(provider) == 3
    assert len(studio.images.list()) == 2


@pytest.mark.parametrize("status,times", [(429, 1), (503, 2)])
@pytest.mark.usefixtures("hurried")
def test_a_provider_that_says_nothing_is_asked_again_soon(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: int, times: int
) -> None:
    """
    Without a time to wait, the pauses are short and grow.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=10)
    turn_away(provider, status=status, times=times)
    start = time.monotonic()
    studio.generate("a teapot")
    assert posts(provider) == times + 1
    assert time.monotonic() - start >= 0.25 * (2**times - 1)


@pytest.mark.usefixtures("hurried")
def test_all_programs_wait_when_one_was_told(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What one was told, others on the same library obey: nothing is sent meanwhile.
    """
    hasty = make_studio(tmp_path, provider=provider)
    turn_away(provider, after="0.6")
    reported = time.monotonic()
    with pytest.raises(RateLimitError, match="slow down"):
        hasty.generate("a teapot")
    with pytest.raises(RateLimitError, match="Nothing was sent") as caught:
        hasty.generate("another")
    assert 0 < (caught.value.retry_after or 0) <= 0.6
    assert posts(provider) == 1
    make_studio(tmp_path, provider=provider, retry_timeout=5).generate("a third")
    assert time.monotonic() - reported >= 0.6
    assert posts(provider) == 2


def test_a_wait_beyond_the_patience_is_told_at_once(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Nobody is made to wait for longer than was agreed; nothing is kept of what was not taken up.
    """
    session = make_studio(tmp_path, provider=provider, retry_timeout=2).session("a logo")
    turn_away(provider, after="130")
    start = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        session.generate("a teapot")
    assert time.monotonic() - start < 2
    assert caught.value.retry_after == 130
    assert posts(provider) == 1
    assert session.turns() == ()
    assert list((tmp_path / ".imagesession" / "journal").iterdir()) == []


@pytest.mark.usefixtures("hurried")
def test_it_is_given_up_in_the_end(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    After five tries the error is raised.
    """
    turn_away(provider, after="0", times=9)
    with pytest.raises(RateLimitError):
        make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert posts(provider) == 5


def test_waiting_does_not_pay_debts(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An account without credit is told at once, after one request.
    """
    provider.fail_next(status=429, error=QUOTA, method="POST", path="/responses")
    with pytest.raises(InsufficientQuotaError):
        make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert posts(provider) == 1


@pytest.mark.usefixtures("hurried")
def test_who_cannot_be_reached_is_tried_again(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Where nobody listens, it is tried for as long as was agreed.
    """
    studio = make_studio(
        tmp_path, online=True, api_key="x", base_url="http://127.0.0.1:9/v1", retry_timeout=0.8
    )
    start = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="nothing was sent"):
        studio.generate("a teapot")
    assert 0.2 < time.monotonic() - start < 4


def test_requests_of_all_programs_are_kept_apart(
    make_studio: MakeStudio, tmp_path: Path, in_threads: Any
) -> None:
    """
    So many requests a minute go out as were agreed, whoever sends them.
    """
    provider = FakeOpenAI()
    studios = [
        make_studio(tmp_path, provider=provider, images_per_minute=600, retry_timeout=30)
        for _ in range(3)
    ]

    def two(studio: Any) -> None:
        studio.generate("a")
        studio.generate("b")

    start = time.monotonic()
    in_threads([lambda studio=studio: two(studio) for studio in studios])
    # Six requests a tenth of a second apart: the last goes out half a second after the first.
    assert time.monotonic() - start >= 0.5
    assert posts(provider) == 6


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"until": "soon"}', b'{"until": 1e300}'])
@pytest.mark.usefixtures("hurried")
def test_what_is_known_of_patience_may_be_damaged(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, damage: bytes
) -> None:
    """
    A damaged file, or one from a clock that was set far ahead, makes nobody wait.
    """
    studio = make_studio(tmp_path, provider=provider)
    turn_away(provider, after="5")
    with pytest.raises(RateLimitError):
        studio.generate("a teapot")
    (file,) = (tmp_path / ".imagesession" / "limits").iterdir()
    file.write_bytes(damage)
    studio.generate("a teapot")
    assert posts(provider) == 2


@pytest.mark.parametrize("value", [-1, "long", True])
def test_patience_is_a_number_of_seconds(
    make_studio: MakeStudio, tmp_path: Path, value: object
) -> None:
    """
    What is no number of seconds is refused when the studio is made.
    """
    with pytest.raises(Exception, match="retry_timeout="):
        make_studio(tmp_path, retry_timeout=value)
