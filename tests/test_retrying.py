"""
A request that was not processed is retried as the provider asks; any other never is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import InsufficientQuotaError, ProviderUnavailableError, RateLimitError
from imagesession.testing import FakeOpenAI
from tests.clock import slept
from tests.conftest import MakeStudio

SLOW = {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
QUOTA = {"message": "no credit", "type": "insufficient_quota", "param": None, "code": None}


def reject_next(
    provider: FakeOpenAI, *, after: str | None = None, status: int = 429, times: int = 1
) -> None:
    """
    Reject the next requests.
    """
    headers = {} if after is None else {"retry-after": after}
    provider.fail_next(
        status=status, error=SLOW, headers=headers, method="POST", path="/responses", times=times
    )


def count_paid_requests(provider: FakeOpenAI) -> int:
    """
    Return the number of requests that would be paid for.
    """
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


@pytest.mark.usefixtures("hurried")
def test_retry_after_is_respected(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A rejected request is retried after the delay that the provider asks for.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=120)
    reject_next(provider, after="40")
    start = time.monotonic()
    image = studio.generate("a teapot")
    assert 40 <= time.monotonic() - start < 2 * 40
    assert image.turn.status == "completed"
    assert count_paid_requests(provider) == 2
    assert len(studio.images.list()) == 1


@pytest.mark.parametrize("status,times", [(429, 1), (503, 2)])
@pytest.mark.usefixtures("hurried")
def test_retry_without_a_hint_backs_off(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: int, times: int
) -> None:
    """
    Without a delay from the provider, the delays are short and grow.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=10)
    reject_next(provider, status=status, times=times)
    start = time.monotonic()
    studio.generate("a teapot")
    assert count_paid_requests(provider) == times + 1
    assert time.monotonic() - start >= 0.25 * (2**times - 1)


@pytest.mark.usefixtures("hurried")
def test_cooldown_applies_to_all_programs(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A cooldown of one program applies to all on the library: nothing is sent meanwhile.
    """
    hasty = make_studio(tmp_path, provider=provider)
    reject_next(provider, after="60")
    rejected_at = time.monotonic()
    with pytest.raises(RateLimitError, match="slow down"):
        hasty.generate("a teapot")
    with pytest.raises(RateLimitError, match="Nothing was sent") as caught:
        hasty.generate("another")
    assert 0 < (caught.value.retry_after or 0) <= 60
    assert count_paid_requests(provider) == 1
    make_studio(tmp_path, provider=provider, retry_timeout=120).generate("a third")
    assert time.monotonic() - rejected_at >= 60
    assert count_paid_requests(provider) == 2


@pytest.mark.usefixtures("hurried")
def test_overloaded_provider_is_left_alone_by_all_programs(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If an overloaded provider says how long to wait, no program asks it meanwhile.
    """
    provider.fail_next(status=503, headers={"retry-after": "20"})
    with pytest.raises(ProviderUnavailableError):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    with pytest.raises(RateLimitError, match="Nothing was sent"):
        make_studio(tmp_path, provider=provider).generate("another")
    assert count_paid_requests(provider) == 1


def test_cooldown_is_bounded(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> None:
    """
    However long a provider asks to wait, the library is not held up for more than ten minutes.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=2)
    reject_next(provider, after="86400")
    with pytest.raises(RateLimitError) as caught:
        studio.generate("a teapot")
    assert caught.value.retry_after == 86_400
    with pytest.raises(RateLimitError, match="Nothing was sent") as caught:
        studio.generate("another")
    assert 300 < (caught.value.retry_after or 0) <= 600
    assert count_paid_requests(provider) == 1


@pytest.mark.usefixtures("hurried")
def test_delay_beyond_the_retry_timeout_is_raised(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A delay longer than the retry timeout is an immediate error; nothing is recorded of an
    unprocessed request.
    """
    session = make_studio(tmp_path, provider=provider, retry_timeout=2).session("a logo")
    reject_next(provider, after="130")
    start = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        session.generate("a teapot")
    assert time.monotonic() - start < 130 / 2
    assert caught.value.retry_after == 130
    assert count_paid_requests(provider) == 1
    assert session.turns() == ()
    assert list((tmp_path / ".imagesession" / "journal").iterdir()) == []


@pytest.mark.parametrize("after", [None, "0"])
@pytest.mark.usefixtures("hurried")
def test_retry_timeout_is_used_up(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, after: str | None
) -> None:
    """
    A request is retried until the time is over, with the last attempt at its end, and not a fixed
    number of times; "retry at once" does not make it a busy loop.
    """
    reject_next(provider, after=after, times=99)
    start, before = time.monotonic(), slept()
    with pytest.raises(RateLimitError):
        make_studio(tmp_path, provider=provider, retry_timeout=60).generate("a teapot")
    assert time.monotonic() - start > 59
    assert slept() - before < 62
    assert 7 <= count_paid_requests(provider) <= 12


WAITS: list[tuple[str, dict[str, str]]] = [
    ("Rate limit reached: Limit 5, Used 5, Requested 1. Please try again in 12s. Visit /.", {}),
    ("Veuillez réessayer dans 12 secondes.", {}),
    ("slow down", {"retry-after-ms": "12000"}),
    ("slow down", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}),
    (
        "slow down",
        {
            "date": "Sun, 29 Nov 2026 10:00:00 GMT",
            "retry-after": "Sun, 29 Nov 2026 10:00:12 GMT",
        },
    ),
]


@pytest.mark.parametrize("message,headers", WAITS)
@pytest.mark.usefixtures("hurried")
def test_stated_wait_is_kept_for_all_programs(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    message: str,
    headers: dict[str, str],
) -> None:
    """
    In whatever form a provider states 12 seconds: it gets no request meanwhile from any program,
    and the picture takes two.
    """
    error = {**SLOW, "message": message}
    provider.fail_next(status=429, error=error, headers=headers, path="/responses", times=2)
    with pytest.raises(RateLimitError) as caught:
        make_studio(tmp_path, provider=provider, retry_timeout=5).generate("a teapot")
    assert caught.value.retry_after == 12
    start, before = time.monotonic(), slept()
    patient = make_studio(tmp_path, provider=provider, retry_timeout=60)
    assert patient.generate("a teapot").turn.status == "completed"
    assert time.monotonic() - start > 23
    assert slept() - before < 26
    assert count_paid_requests(provider) == 3


@pytest.mark.usefixtures("hurried")
def test_limit_of_tier_1_takes_two_requests(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With 5 images a minute, the sixth is made after the wait that the provider states in words: with
    at most two requests, whether one program asks or several.
    """
    provider = FakeOpenAI(images_per_minute=5, clock=lambda: time.time())  # noqa: PLW0108 - patched
    studio = make_studio(tmp_path, provider=provider, retry_timeout=60)
    start, before = time.monotonic(), slept()
    for number in range(5):
        studio.generate(f"teapot {number}")
    assert studio.generate("a sixth").turn.status == "completed"
    assert time.monotonic() - start >= 12  # since the first: one of five in a minute
    assert slept() - before < 13
    assert count_paid_requests(provider) <= 5 + 2
    make_studio(tmp_path, provider=provider, retry_timeout=60).generate("a seventh")
    assert count_paid_requests(provider) <= 5 + 4


@pytest.mark.usefixtures("hurried")
def test_limit_of_zero_is_final(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An account without any images per minute is told so after one request.
    """
    provider = FakeOpenAI(images_per_minute=0)
    studio = make_studio(tmp_path, provider=provider, retry_timeout=60)
    with pytest.raises(InsufficientQuotaError, match="waiting does not help"):
        studio.generate("a teapot")
    assert count_paid_requests(provider) == 1


FINAL = [
    (429, {"code": "billing_not_active", "message": "Your account is not active."}),
    (402, {"code": 402, "message": "More of it."}),
    (400, {"code": None, "message": "Billing hard limit has been reached"}),
    (429, {"code": "429", "message": "litellm.RateLimitError: {'type': 'insufficient_quota'}"}),
    (429, {"code": "rate_limit_exceeded", "message": "for input-images per min: Limit: 0"}),
    (403, {"code": "insufficient_user_quota", "message": "用户额度不足"}),
    (429, {"message": "账户余额不足,请充值"}),
    (400, {"message": "Saldo insuficiente."}),
]


@pytest.mark.parametrize("status,error", FINAL)
def test_money_is_not_waited_for(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    status: int,
    error: dict[str, object],
) -> None:
    """
    Money that is used up, and a limit of 0, are found in all names: one request, no wait, and
    nothing is left in the journal.
    """
    provider.fail_next(status=status, error=error, path="/responses", times=9)
    start = time.monotonic()
    with pytest.raises(InsufficientQuotaError):
        make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert time.monotonic() - start < 30 / 2
    assert count_paid_requests(provider) == 1
    assert list((tmp_path / ".imagesession" / "journal").iterdir()) == []


def test_exhausted_quota_is_not_retried(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An account without credit is an error after one request.
    """
    provider.fail_next(status=429, error=QUOTA, method="POST", path="/responses")
    with pytest.raises(InsufficientQuotaError):
        make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert count_paid_requests(provider) == 1


@pytest.mark.usefixtures("hurried")
def test_unreachable_provider_is_retried(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A refused connection is retried until the retry timeout.
    """
    studio = make_studio(
        tmp_path, online=True, api_key="x", base_url="http://127.0.0.1:9/v1", retry_timeout=80
    )
    start = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="nothing was sent"):
        studio.generate("a teapot")
    assert 0.2 < time.monotonic() - start < 2 * 80


def test_rate_limit_applies_to_all_programs(
    make_studio: MakeStudio, tmp_path: Path, in_threads: Any
) -> None:
    """
    The number of requests per minute is limited over all programs.
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
    # Six requests at intervals of 0.1 s: the last is sent 0.5 s after the first.
    assert time.monotonic() - start >= 0.5
    assert count_paid_requests(provider) == 6


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b'{"until": "soon"}',
        b'{"until": 1e300}',
        b'{"until": 1e300, "written": 1e300}',
        b'{"until": NaN, "written": NaN}',
    ],
)
@pytest.mark.usefixtures("hurried")
def test_damaged_cooldown_file_is_ignored(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, damage: bytes
) -> None:
    """
    A damaged file, or one from a clock that was far ahead, causes no delay.
    """
    studio = make_studio(tmp_path, provider=provider)
    reject_next(provider, after="5")
    with pytest.raises(RateLimitError):
        studio.generate("a teapot")
    (file,) = (tmp_path / ".imagesession" / "limits").iterdir()
    file.write_bytes(damage)
    studio.generate("a teapot")
    assert count_paid_requests(provider) == 2


@pytest.mark.parametrize("value", [-1, "long", True])
def test_retry_timeout_is_validated(make_studio: MakeStudio, tmp_path: Path, value: object) -> None:
    """
    An invalid number of seconds is refused when the studio is created.
    """
    with pytest.raises(Exception, match="retry_timeout="):
        make_studio(tmp_path, retry_timeout=value)


def test_rate_slot_after_the_timeout_is_not_waited_for(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If images_per_minute allows a request only after the timeout of the call, the call says so at
    once and nothing is sent; the next time is not used up, however many calls ask.
    """
    studio = make_studio(tmp_path, provider=provider, images_per_minute=1, timeout=5)
    studio.generate("a teapot")
    for _ in range(3):
        with pytest.raises(RateLimitError, match=r"in \d\d seconds.*Nothing was sent"):
            studio.generate("another")
    assert len(provider.generated) == 1
