"""
How long to wait is read from headers and from sentences.
"""

from __future__ import annotations

import pytest

from imagesession._engine.http import HttpResponse
from imagesession._engine.retry_after import read_retry_after, wait_in_words

TIER_1 = (
    "Rate limit reached for gpt-image-2.6-sunburst in organization org-a1 on input-images per min: "
    "Limit 5, Used 5, Requested 1. Please try again in 12s. Visit https://platform.openai.com/ to "
    "learn more. You can increase your rate limit by adding a payment method to your account."
)


@pytest.mark.parametrize(
    "message,seconds",
    [
        (TIER_1, 12.0),
        ("Please try again in 850ms.", 0.85),
        ("Please try again in 1m30s.", 90.0),
        ("try again in 6m0s", 360.0),
        ("Please retry after 6 seconds.", 6.0),
        ("Quota exceeded. Please retry in 34.5s.", 34.5),
        ("Try again in 1 minute and 5 seconds", 65.0),
        ("You sent 6 requests in the last 10 seconds; wait 3 sec.", 3.0),
        ("5 requests per 60 seconds are allowed. Retry in 7s.", 7.0),
        ("Bitte in 12 Sekunden erneut versuchen.", 12.0),
        ("Veuillez réessayer dans 12 secondes.", 12.0),
        ("Inténtelo de nuevo en 12 segundos.", 12.0),
        ("请等待12秒后再试", 12.0),
        ("12秒後にもう一度お試しください", 12.0),
        ("12초 후에 다시 시도하세요", 12.0),
        ("Повторите через 12 секунд.", 12.0),
        ("5 images per 60 seconds are allowed.", None),
        ("Limit 40000, Requested 5000 tokens by gpt-4s.", None),
        ("Slow down.", None),
    ],
)
def test_wait_is_read_from_words(message: str, seconds: float | None) -> None:
    """
    A sentence states the wait in any unit and several languages; a limit per time is none.
    """
    assert wait_in_words(message) == seconds


@pytest.mark.parametrize(
    "headers,message,seconds",
    [
        ({"retry-after": "3"}, "Try again in 12s.", 3.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"retry-after": "Sun, 29 Nov 2026 10:02:00 GMT"}, "", 120.0),
        ({"retry-after": "Sun, 29 Nov 2026 09:00:00 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "Try again in 12s.", 12.0),
        ({"x-ratelimit-reset-requests": "12s"}, "", 12.0),
        ({"x-ratelimit-reset-requests": "1m3s"}, "Try again in 12s.", 12.0),
        (
            {
                "x-ratelimit-reset-requests": "12s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "40000",
            },
            "",
            12.0,
        ),
        ({"retry-after": "nan"}, "", None),
        ({}, "", None),
    ],
)
def test_wait_is_read_from_headers(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    """
    `retry-after` counts first, then the sentence, then when an exhausted limit is reset. A date is
    read against the reply's own, so that a wrong clock here does not matter.
    """
    date = {"date": "Sun, 29 Nov 2026 10:00:00 GMT"}
    assert read_retry_after(HttpResponse(status=429, headers=date | headers), message) == seconds
