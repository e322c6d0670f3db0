"""
No image is lost because a clock is wrong: that of this program, of the one before, or of the
provider.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._store.disk.facts import DiskFacts
from imagesession.errors import OutcomeUnknownError
from imagesession.testing import FakeRequest, FakeResponse, Fault
from tests.clock import HoldingProvider, hurried
from tests.conftest import MakeStudio
from tests.test_recovery import lose_next_response

EMPTY = b'{"object": "list", "data": [], "has_more": false}'
SPANS = [dt.timedelta(minutes=20), dt.timedelta(days=1)]
WRONG = ["before", "now ahead", "now behind"]


class HidingProvider(HoldingProvider):
    """
    Shows nothing of a request while its image is being drawn: its conversation is empty, or not
    known yet, and its batch is not listed.
    """

    status: int = 200

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a request.
        """
        answer = super().handle(call)
        if self.latency and call.method == "GET" and call.path.endswith(("/items", "/batches")):
            return attrs.evolve(answer, status=self.status, parts=iter((EMPTY,)))
        return answer

    def finish(self) -> None:
        """
        Finish all images, but expire no batch.
        """
        if self.submissions:
            self.latency = 0.0
        else:
            super().finish()

    def wait(self, span: dt.timedelta) -> None:
        """
        Let time pass at the provider.
        """
        self._ahead += span.total_seconds()


@contextlib.contextmanager
def clock_ahead(span: dt.timedelta) -> Generator[None, None, None]:
    """
    Set this program's clock forward, as the library sees it.
    """
    real = DiskFacts.now

    def now(facts: DiskFacts) -> dt.datetime:
        return real(facts) + span

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiskFacts, "now", now)
        yield


def lose(studio: Any, provider: HidingProvider, *, batch: bool = False) -> None:
    """
    Lose the answer to a request whose image is still being drawn.
    """
    provider.hold()
    lose_next_response(provider, "/batches" if batch else "/responses")
    request = studio.batches.create if batch else studio.open("q").generate
    with hurried(), pytest.raises(OutcomeUnknownError) as caught:
        request(["a teapot"] if batch else "a teapot")
    assert caught.value.response_id is None


@pytest.fixture
def hiding() -> HidingProvider:
    """
    A provider that shows nothing of what it draws.
    """
    provider = HidingProvider(images_per_minute=None)
    provider.set_batch_speed(looks=1)
    return provider


@pytest.fixture
def open_studio(
    make_studio: MakeStudio, tmp_path: Path, hiding: HidingProvider
) -> Callable[[], Any]:
    """
    Open the library with a studio of its own each time.
    """

    def make() -> Any:
        return make_studio(
            tmp_path, provider=hiding, provider_state="conversation", timeout=60, quality="low"
        )

    with make() as studio:
        studio.session("kitchen", name="q").generate("first")
        hiding.wait(SPANS[1])  # so the conversation is older than any clock is wrong
    return make


@pytest.mark.parametrize("span", SPANS, ids=["minutes", "day"])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("shown", ["empty", "unknown", "batch"])
def test_wrong_clock_settles_no_running_request(
    open_studio: Callable[[], Any],
    hiding: HidingProvider,
    span: dt.timedelta,
    wrong: str,
    shown: str,
) -> None:
    """
    While an image is being drawn, a clock that was behind, or is ahead or behind, does not make its
    request count as not accepted; the image is kept when it is finished, and paid for once. So it
    is if the conversation is not known yet, and for a batch.
    """
    hiding.status = 404 if shown == "unknown" else 200
    with clock_ahead(-span if wrong == "before" else dt.timedelta(0)):
        lose(open_studio(), hiding, batch=shown == "batch")
    offset = {"before": dt.timedelta(0), "now ahead": span, "now behind": -span}[wrong]
    with clock_ahead(offset):
        for _ in range(2):
            early = open_studio().recover(timeout=0)
            assert (early.failed, len(early.still_pending)) == ((), 1)
            hiding.wait(dt.timedelta(minutes=14))
        hiding.finish()
        # A batch is found first, and collected when it is looked at again.
        kept = [open_studio().recover(timeout=0).images for _ in range(2)]
    (image,) = itertools.chain.from_iterable(kept)
    assert image.prompt == "a teapot"
    assert hiding.posts + hiding.submissions == 2


@pytest.mark.parametrize("shown", ["empty", "unknown", "batch"])
@pytest.mark.parametrize("offset", [*SPANS, *(-span for span in SPANS)])
def test_absence_is_timed_by_the_provider(
    open_studio: Callable[[], Any], hiding: HidingProvider, offset: dt.timedelta, shown: str
) -> None:
    """
    What the provider shows nothing of for 15 minutes, by its own clock, is settled, however wrong
    this machine's clock is.
    """
    hiding.status = 404 if shown == "unknown" else 200
    lose(open_studio(), hiding, batch=shown == "batch")
    with clock_ahead(offset):
        assert not open_studio().recover(timeout=0).failed
        hiding.wait(dt.timedelta(minutes=15))
        (turn,) = open_studio().recover(timeout=0).failed
    unknown = shown == "unknown"
    assert turn.failure.error == ("OutcomeUnknownError" if unknown else "ProviderUnavailableError")
    assert (turn.cost is not None) == unknown


def know_nothing(call: FakeRequest) -> FakeResponse:
    """
    Answer that a response is not known.
    """
    error = {"message": f"Response with id '{call.path[11:]}' not found.", "code": None}
    body = json.dumps({"error": error}).encode()
    return FakeResponse(status=404, headers={}, parts=iter((body,)))


@pytest.mark.parametrize("span", SPANS, ids=["minutes", "day"])
def test_clock_that_was_ahead_keeps_nothing_pending(
    open_studio: Callable[[], Any], hiding: HidingProvider, span: dt.timedelta
) -> None:
    """
    A response that the provider has not known for 15 minutes, by its own clock, is settled, though
    the clock of the program that asked for it was ahead.
    """
    hiding.hold()
    with clock_ahead(span), hurried(), pytest.raises(OutcomeUnknownError) as caught:
        open_studio().open("q").generate("a teapot")
    assert caught.value.response_id is not None
    lost = Fault(method="GET", path="/responses/*", response=know_nothing)
    hiding.enqueue_fault(lost, times=99)
    assert not open_studio().recover(timeout=0).failed
    hiding.wait(dt.timedelta(minutes=15))
    (turn,) = open_studio().recover(timeout=0).failed
    assert turn.failure.error == "OutcomeUnknownError"


@pytest.mark.parametrize("by", ["recover", "generate"])
@pytest.mark.parametrize("status", [200, 404])
def test_image_that_turns_up_late_is_kept(
    open_studio: Callable[[], Any], hiding: HidingProvider, by: str, status: int
) -> None:
    """
    If the provider shows nothing of a request for so long that it is settled, and its image turns
    up within a day, the image is kept in its place: in the session, in lists and in the costs.
    """
    studio = open_studio()
    session = studio.open("q")
    hiding.status = status
    lose(studio, hiding)
    assert not studio.recover(timeout=0).failed
    hiding.wait(SPANS[0])
    with clock_ahead(SPANS[0]):
        (failed,) = studio.recover(timeout=0).failed
        assert [turn.status for turn in session.turns()] == ["completed", "failed"]
        assert studio.recover(timeout=0) == type(studio.recover(timeout=0))()
        hiding.finish()
        after = open_studio()
        if by == "recover":
            (image,) = after.recover(timeout=0).images
            assert image.turn.id == failed.id
        else:
            after.generate("another")
        _, turn = after.open("q").turns()
        assert (turn.id, turn.status, turn.failure) == (failed.id, "completed", None)
        assert session.head().turn.id == failed.id
        assert failed.id in {image.turn.id for image in studio.images.list()}
        assert after.doctor(verify=True).check("records").state == "ok"
        assert after.recover(timeout=0) == type(after.recover(timeout=0))()
    assert hiding.posts == (2 if by == "recover" else 3)
