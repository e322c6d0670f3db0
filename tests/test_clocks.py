"""
No image is lost because a clock is wrong: that of this program, of the one before, or of the
provider.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._store.disk.facts import DiskFacts
from imagesession.errors import OutcomeUnknownError
from imagesession.testing import FakeRequest, FakeResponse
from tests.clock import HoldingProvider, ago, hurried
from tests.conftest import MakeStudio
from tests.test_recovery import lose_next_response

EMPTY = b'{"object": "list", "data": [], "has_more": false}'


class DrawingProvider(HoldingProvider):
    """
    Shows nothing of an image in its conversation while it is being drawn.
    """

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a request.
        """
        answer = super().handle(call)
        if self.latency and call.method == "GET" and "/items" in call.path:
            return attrs.evolve(answer, parts=iter((EMPTY,)))
        return answer

    def wait(self, span: dt.timedelta) -> None:
        """
        Let time pass.
        """
        self._ahead += span.total_seconds()


SPANS = [dt.timedelta(minutes=20), dt.timedelta(days=1)]


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


def lose(studio: Any, provider: DrawingProvider) -> str:
    """
    Lose the answer to a request whose image is still being drawn; return its turn's id.
    """
    provider.hold(until=99)
    lose_next_response(provider)
    with hurried(), pytest.raises(OutcomeUnknownError) as caught:
        studio.open("q").generate("a teapot")
    assert caught.value.response_id is None
    turn_id: str = caught.value.turn_id
    return turn_id


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("wrong", ["before", "now ahead", "now behind"])
def test_wrong_clock_does_not_settle_a_running_request(
    make_studio: MakeStudio, tmp_path: Path, span: dt.timedelta, wrong: str
) -> None:
    """
    While the image is being drawn, a clock that was behind or is ahead or behind does not make the
    request count as not accepted; the image is kept when it is finished, and paid for once.
    """
    provider = DrawingProvider()
    settings = {"provider": provider, "provider_state": "conversation", "timeout": 60}
    studio = make_studio(tmp_path, **settings)
    studio.session("kitchen", name="q")
    with ago(span, tmp_path) if wrong == "before" else contextlib.nullcontext():
        turn_id = lose(studio, provider)
    offset = {"before": dt.timedelta(0), "now ahead": span, "now behind": -span}[wrong]
    with clock_ahead(offset):
        early = make_studio(tmp_path, **settings).recover(timeout=0)
        assert (early.failed, list(early.still_pending)) == ((), [turn_id])
        provider.finish()
        (image,) = make_studio(tmp_path, **settings).recover(timeout=0).images
    assert (image.turn.id, image.prompt) == (turn_id, "a teapot")
    assert provider.posts == 1


@pytest.mark.parametrize("by", ["recover", "generate"])
def test_image_that_turns_up_late_is_kept(make_studio: MakeStudio, tmp_path: Path, by: str) -> None:
    """
    If all clocks say that a request was not accepted, and its image turns up within a day, the
    image is kept in its place: in the session, in lists and in the costs.
    """
    provider = DrawingProvider()
    settings = {"provider": provider, "provider_state": "conversation", "timeout": 60}
    studio = make_studio(tmp_path, **settings)
    session = studio.session("kitchen", name="q")
    turn_id = lose(studio, provider)
    provider.wait(SPANS[0])
    with clock_ahead(SPANS[0]):
        (failed,) = studio.recover(timeout=0).failed
        assert failed.id == turn_id
        assert [turn.status for turn in session.turns()] == ["failed"]
        assert studio.recover(timeout=0) == type(studio.recover(timeout=0))()
        provider.finish()
        after = make_studio(tmp_path, **settings)
        if by == "recover":
            (image,) = after.recover(timeout=0).images
            assert image.turn.id == turn_id
        else:
            after.generate("another")
        (turn,) = after.open("q").turns()
        assert (turn.id, turn.status, turn.failure) == (turn_id, "completed", None)
        assert session.head().turn.id == turn_id
        assert turn_id in {image.turn.id for image in studio.images.list()}
        assert after.doctor(verify=True).check("records").state == "ok"
        assert after.recover(timeout=0) == type(after.recover(timeout=0))()
    assert provider.posts == (1 if by == "recover" else 2)
