"""
The checks of the real service run over the fake one, so that they are known to work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from imagesession import Budget, Studio
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, FakeTransport, Fault

from .checks import CHECKS, STUDIO_IMAGES, Live, report
from .wire import MOST_PER_IMAGE, Purse, Wire


@pytest.fixture
def live(tmp_path: Path, offline_provider: FakeOpenAI) -> Iterator[Live]:
    """
    The checks' means, over a fake provider that blocks the refused prompt.
    """
    answer_to(offline_provider, "gory", 400, {"code": "moderation_blocked", "message": "No."})
    http = httpx2.Client(transport=FakeTransport(offline_provider))
    client = openai.OpenAI(api_key="offline", http_client=http, max_retries=0)
    budget = Budget(per_day=STUDIO_IMAGES * MOST_PER_IMAGE)
    with client, Studio.offline(tmp_path, provider=offline_provider, budget=budget) as studio:
        yield Live(wire=Wire(client, Purse(1.0)), studio=studio, pause=lambda _: None)


def answer_to(provider: FakeOpenAI, word: str, status: int, error: dict[str, str]) -> None:
    """
    Answer the next request for an image whose prompt has a word with an error.
    """

    def has_word(call: FakeRequest) -> bool:
        return call.path == "/responses" and word in json.dumps(call.json["input"])

    def answer(_: FakeRequest) -> FakeResponse:
        body = json.dumps({"error": error}).encode()
        return FakeResponse(status=status, headers={"retry-after": "12"}, parts=iter((body,)))

    provider.enqueue_fault(Fault(method="POST", match=has_word, response=answer))


def test_every_check_has_findings(live: Live) -> None:
    """
    All ten checks run in order and say what they found, for less than a dollar.
    """
    lines = list(report(live))
    titles = [line for line in lines if line.startswith("## ")]
    assert [title.split()[1] for title in titles] == [f"{n}." for n in range(1, len(CHECKS) + 1)]
    assert [line for line in lines if "failed:" in line or "skipped:" in line] == []
    text = "\n".join(lines)
    assert "id alone: HTTP 400" in text
    assert "all items: HTTP 200" in text
    assert "response.output_item.done" in text
    assert "second: mainline" in text
    assert "then GET HTTP 404" in text
    assert "batch: 2 images, []" in text
    assert 0 < live.wire.purse.spent < live.wire.purse.limit


def test_checks_stop_at_their_limit(live: Live) -> None:
    """
    No image is requested that could exceed the limit, and what was skipped is said.
    """
    live.wire.purse.limit = 2.5 * MOST_PER_IMAGE
    lines = list(report(live))
    assert live.wire.purse.spent <= live.wire.purse.limit
    assert any(line.startswith("- skipped: ") for line in lines)


def test_limited_request_is_reported_with_its_words(
    live: Live, offline_provider: FakeOpenAI
) -> None:
    """
    The words and headers of a 429 are in the report.
    """
    words = {"message": "Limit 5 a minute. Try again in 12s.", "code": "rate_limit_exceeded"}
    answer_to(offline_provider, "a dot", 429, words)
    (limited,) = (line for line in report(live) if line.startswith("- limited: "))
    assert "Try again in 12s." in limited
    assert '"retry-after": "12"' in limited
