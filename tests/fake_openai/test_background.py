"""
Background responses: queued, in progress, completed or cancelled, by the clock.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import openai
import pytest

from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


class Clock:
    """
    A clock that a test sets.
    """

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """
        Return the time.
        """
        return self.now


@pytest.fixture
def clock() -> Clock:
    """
    A clock that stands still.
    """
    return Clock()


@pytest.fixture
def slow(clock: Clock, connect: "Callable[[FakeOpenAI], Talk]") -> "Talk":
    """
    Connect to a provider with a latency of ten seconds.
    """
    return connect(FakeOpenAI(latency=10, clock=clock))


def test_background_response_changes_its_status(slow: "Talk", clock: Clock) -> None:
    """
    A background request is answered at once, and completed after the latency.
    """
    made = slow.make(background=True)
    assert (made["status"], made["output"], made["usage"]) == ("queued", [], None)

    clock.now += 9.9
    waiting = slow.get(f"/responses/{made['id']}")
    assert (waiting["status"], waiting["output"]) == ("in_progress", [])

    clock.now += 0.1
    done = slow.get(f"/responses/{made['id']}")
    assert (done["status"], done["completed_at"]) == ("completed", 1_000_010)
    (item,) = slow.pictures(done)
    assert (item["status"], item["result"]) == ("completed", None)


@pytest.mark.parametrize("streamed", [False, True])
def test_retrieved_response_has_no_bytes(
    provider: FakeOpenAI, talk: "Talk", *, streamed: bool
) -> None:
    """
    A retrieved response has everything but the image's bytes, unless the provider includes them;
    the same goes for a cancel that comes too late.
    """
    made = talk.events(background=True)[-1]["response"] if streamed else talk.make(background=True)
    path = f"/responses/{made['id']}"

    poor = talk.get(path)
    assert [item["result"] for item in talk.pictures(poor)] == [None]
    assert talk.post({}, f"{path}/cancel") == poor
    provider.retrieve_includes_image = True
    kind = talk.get(path)
    assert talk.pixels(kind) == talk.pixels(talk.make())
    (with_bytes,), (without) = talk.pictures(kind), talk.pictures(poor)
    assert [{**with_bytes, "result": None}] == without


def test_retrieve_can_include_the_image(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A provider can be created to include the image.
    """
    talk = connect(FakeOpenAI(retrieve_includes_image=True))
    made = talk.make(background=True)

    assert talk.pixels(talk.get(f"/responses/{made['id']}"))


def test_cancelled_stays_cancelled(slow: "Talk", clock: Clock) -> None:
    """
    A cancelled response never completes.
    """
    made = slow.make(background=True)
    path = f"/responses/{made['id']}"

    assert slow.post({}, f"{path}/cancel")["status"] == "cancelled"
    clock.now += 60
    assert slow.get(path)["status"] == "cancelled"
    assert slow.post({}, f"{path}/cancel")["status"] == "cancelled"


def test_cancelling_ends_the_stream(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    The stream of a cancelled response ends without a final event.
    """
    talk = connect(FakeOpenAI(latency=60))
    with talk.client.responses.create(
        model="gpt-5.4",
        input="tea",
        tools=[{"type": "image_generation"}],
        background=True,
        stream=True,
    ) as stream:
        seen: list[str] = []
        for event in stream:
            seen.append(event.type)
            if event.type == "response.created":
                talk.client.responses.cancel(event.response.id)

    assert seen == ["response.created"]


def test_completed_response_is_not_cancelled(slow: "Talk", clock: Clock) -> None:
    """
    Cancelling a completed response returns it unchanged.
    """
    made = slow.make(background=True)
    clock.now += 60

    assert slow.post({}, f"/responses/{made['id']}/cancel")["status"] == "completed"


def test_only_background_responses_can_be_cancelled(talk: "Talk") -> None:
    """
    A plain response cannot be cancelled.
    """
    made = talk.make()

    with pytest.raises(openai.BadRequestError, match="synchronous"):
        talk.client.responses.cancel(made["id"])


def test_background_needs_store(talk: "Talk") -> None:
    """
    Background mode is rejected with `store: false`.
    """
    status, error = talk.refused(background=True, store=False)

    assert (status, error["param"]) == (400, "background")


def test_background_generation_can_fail(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    A background generation can fail after it was accepted.
    """
    provider.fail_generation_next(code="server_error", message="Out of paint.")
    made = talk.make(background=True)
    failed = talk.get(f"/responses/{made['id']}")

    assert made["status"] == "queued"
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "server_error", "message": "Out of paint."}
    assert failed["output"] == []
