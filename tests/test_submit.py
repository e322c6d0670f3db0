"""
Images that the provider makes within hours: submitted now, saved by whichever program comes later.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Budget
from imagesession.errors import (
    BadRequestError,
    BudgetExceededError,
    ContentBlockedError,
    InvalidOptionError,
    InvalidRequestError,
    OutcomeUnknownError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault
from tests.conftest import MakeStudio
from tests.test_money import break_connection
from tests.unsettled import unsettled

LOW: dict[str, Any] = {"size": "1024x1024", "quality": "low"}
HOUR = 3600.0


@attrs.define
class Clock:
    """
    A clock that is moved by hand, in seconds.
    """

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """
        Return the time.
        """
        return self.now


@pytest.fixture
def clock() -> Clock:
    """
    The slow provider's clock.
    """
    return Clock()


@pytest.fixture
def slow(clock: Clock) -> FakeOpenAI:
    """
    A provider that takes six hours for an image.
    """
    return FakeOpenAI(latency=6 * HOUR, clock=clock)


def paid(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests for images.
    """
    calls = (call for call in provider.requests if call.method == "POST")
    return [call.body for call in calls if call.path == "/responses"]


def test_submitted_image_is_saved_hours_later(
    make_studio: MakeStudio, tmp_path: Path, slow: FakeOpenAI, clock: Clock
) -> None:
    """
    A submitted turn returns at once and is pending; another program saves its image when it is
    finished, in the session's context, at the discounted price of the mainline model.
    """
    fast = FakeOpenAI()
    studio = make_studio(tmp_path, provider=slow, **LOW)
    session = studio.session("A tea shop")
    slow.latency = 0
    first = session.generate("a teapot")
    slow.latency = 6 * HOUR
    request = session.submit("at night")
    body = paid(slow)[-1]
    assert body["background"] is True
    assert body["background_options"] == {"completion_window": "8h"}
    assert body["previous_response_id"] == first.turn.response_id
    assert "stream" not in body
    assert (request.turn.prompt, request.running, request.staged) == ("at night", False, False)
    assert [pending.turn.id for pending in studio.requests.pending()] == [request.turn.id]
    report = studio.recover(timeout=0)
    assert "may complete it until" in report.still_pending[request.turn.id]
    assert session.head() == first
    clock.now += 7 * HOUR
    later = make_studio(tmp_path, provider=slow, **LOW)
    (image,) = later.recover(timeout=0).images
    assert (image.turn.id, image.parent) == (request.turn.id, first.turn.id)
    assert later.open(session.id).head().id == image.id
    assert len(paid(slow)) == 2
    standard = fast_cost(make_studio(tmp_path / "fast", provider=fast, **LOW))
    assert image.cost.mainline == pytest.approx(0.6 * standard.mainline)
    assert image.cost.image == pytest.approx(standard.image)
    assert unsettled(tmp_path) == []


def fast_cost(studio: Any) -> Any:
    """
    Return what the second turn of the same session costs at once.
    """
    session = studio.session("A tea shop")
    session.generate("a teapot")
    return session.generate("at night").cost


@pytest.mark.parametrize("within,rate", [("2h", 0.7), ("8h", 0.6)])
def test_window_is_estimated(studio: Any, within: Any, rate: float) -> None:
    """
    An estimate says what the window costs, and that the image model's share is not documented.
    """
    window, at_once = studio.estimate("x", within=within, **LOW), studio.estimate("x", **LOW)
    assert window.low == pytest.approx(rate * at_once.low)
    assert window.high == at_once.high
    assert f"{rate:g} times its standard price within {within}" in " ".join(window.assumptions)


def test_submission_counts_against_the_budget(
    make_studio: MakeStudio, tmp_path: Path, slow: FakeOpenAI
) -> None:
    """
    What a pending submission could cost is set aside, in the next program too.
    """
    high = make_studio(tmp_path / "other").estimate("a teapot", **LOW).high
    budget = Budget(per_day=high * 1.5)
    pending = make_studio(tmp_path, provider=slow, budget=budget, **LOW).submit("a teapot")
    assert pending.turn.reserved == pytest.approx(high)
    with pytest.raises(BudgetExceededError):
        make_studio(tmp_path, provider=slow, budget=budget, **LOW).submit("a cup")
    assert len(paid(slow)) == 1


def test_submission_is_made_once_under_a_key(
    make_studio: MakeStudio, tmp_path: Path, slow: FakeOpenAI, clock: Clock
) -> None:
    """
    A second call under the same key sends nothing: while the first is pending it says so, and when
    it is finished it returns the turn with the image.
    """
    studio = make_studio(tmp_path, provider=slow, **LOW)
    first = studio.submit("a teapot", idempotency_key="tea")
    with pytest.raises(OutcomeUnknownError):
        studio.submit("a teapot", idempotency_key="tea")
    clock.now += 9 * HOUR
    studio.recover(timeout=0)
    again = studio.submit("a teapot", idempotency_key="tea")
    assert (again.turn.id, again.staged) == (first.turn.id, True)
    assert again.turn.images
    assert len(paid(slow)) == 1


def test_submission_can_be_cancelled(
    make_studio: MakeStudio, tmp_path: Path, slow: FakeOpenAI
) -> None:
    """
    A pending submission can be cancelled at the provider.
    """
    studio = make_studio(tmp_path, provider=slow, **LOW)
    request = studio.submit("a teapot", within="2h")
    report = studio.requests.cancel(request.turn.id)
    assert [turn.id for turn in report.failed] == [request.turn.id]
    assert studio.requests.pending() == ()


def without_background(provider: FakeOpenAI) -> None:
    """
    Refuse background mode.
    """
    provider.refuse("background")


def without_store(provider: FakeOpenAI) -> None:
    """
    Refuse stored responses.
    """
    provider.refuse("store")


def blocked(provider: FakeOpenAI) -> None:
    """
    Block the next prompt.
    """
    provider.moderate_next()


def cut(provider: FakeOpenAI) -> None:
    """
    Lose the next answer.
    """
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=break_connection))


@pytest.mark.parametrize(
    "prepare,error",
    [
        (without_background, BadRequestError),
        (without_store, BadRequestError),
        (blocked, ContentBlockedError),
        (cut, OutcomeUnknownError),
    ],
)
def test_submission_that_fails_is_not_sent_in_another_form(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    prepare: Callable[[FakeOpenAI], None],
    error: type[Exception],
) -> None:
    """
    A server without background responses, a refused prompt and a lost answer are errors after one
    request: nothing is made at the full price instead.
    """
    prepare(provider)
    with pytest.raises(error):
        make_studio(tmp_path, provider=provider, **LOW).submit("a teapot")
    assert len(paid(provider)) == 1


@pytest.mark.parametrize(
    "options,error",
    [
        ({"within": "9h"}, InvalidOptionError),
        ({"within": "soonest"}, InvalidOptionError),
        ({"service_tier": "flex"}, InvalidOptionError),
        ({"partial_images": 2}, InvalidOptionError),
    ],
)
def test_invalid_submission_is_not_sent(
    studio: Any, provider: FakeOpenAI, options: dict[str, Any], error: type[Exception]
) -> None:
    """
    What a window does not go with is refused before anything is sent.
    """
    with pytest.raises(error):
        studio.submit("a teapot", **options)
    private = studio.session("A face", provider_state="none")
    with pytest.raises(InvalidRequestError, match="provider_state"):
        private.submit("a portrait")
    assert provider.requests == ()
    assert studio.requests.pending() == ()


def test_submission_that_is_finished_at_once_is_saved(studio: Any, provider: FakeOpenAI) -> None:
    """
    A server that ignores the window and answers with the image has it saved at once.
    """

    def answer_at_once(call: FakeRequest) -> FakeResponse:
        body = {key: value for key, value in call.json.items() if "background" not in key}
        return provider.handle(attrs.evolve(call, body=json.dumps(body).encode()))

    provider.enqueue_fault(Fault(method="POST", path="/responses", response=answer_at_once))
    request = studio.submit("a teapot")
    assert (request.turn.status, request.staged) == ("completed", True)
    assert studio.images.list()[0].id == request.turn.images[0].id
    assert studio.requests.pending() == ()


def test_submission_leaves_its_conversation_unlocked(studio: Any) -> None:
    """
    A session that is kept in a conversation submits outside of it, so that its next turn need not
    wait for hours.
    """
    session = studio.session("A tea shop", provider_state="conversation")
    session.generate("a teapot")
    request = session.submit("at night")
    assert request.turn.conversation is None
    assert session.generate("bluer").bytes
