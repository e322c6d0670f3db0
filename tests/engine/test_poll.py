"""
A response is polled until it is finished, with a simulated clock. Polls are limited in time, and
partial and unreadable replies are handled.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.effects import (
    MonotonicTime,
    NextEvent,
    OpenStream,
    ReportProgress,
    Send,
    Sleep,
    StoreCall,
    Workflow,
)
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._engine.outcomes import ResponseOutcome
from imagesession._engine.poll import poll_response
from imagesession._engine.responses import find_response_id
from imagesession._runtime import openai_transport
from imagesession.errors import ImageSessionError, InvalidResponseError, OutcomeUnknownError
from imagesession.testing import ConnectionReset, FakeOpenAI, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio
from tests.sent import posts

TURN = Turn(
    id="0" * 26,
    prompt="x",
    options=GenerateOptions(),
    started=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
)
RESPONSE = "/responses/*"
ITEM = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
DONE = HttpResponse(
    status=200, body=json.dumps({"id": "r", "status": "completed", "output": [ITEM]}).encode()
)
BUSY = HttpResponse(status=200, body=b'{"id": "r", "status": "in_progress"}')
MISSING = HttpResponse(status=404, body=b'{"error": {"message": "not here"}}')
Answers = Callable[[float], HttpResponse | TransportError]


@attrs.define
class World:
    """
    Performs effects with a simulated clock.

    Attributes:
        answer: The provider's answer at a time.
        clock: Seconds since the start.
        polled: The times of the polls.
        requests: The requests.
        events: The events of a replay.
    """

    answer: Answers
    clock: float = 0.0
    events: list[bytes | TransportError | None] = attrs.field(
        factory=list["bytes | TransportError | None"]
    )
    polled: list[float] = attrs.field(factory=list[float])
    requests: list[HttpRequest] = attrs.field(factory=list[HttpRequest])

    def run(self, workflow: Workflow[ResponseOutcome]) -> ResponseOutcome:
        """
        Run a workflow.
        """
        answer: Any = None
        problem: Exception | None = None
        while True:
            try:
                effect = workflow.send(answer) if problem is None else workflow.throw(problem)
            except StopIteration as stop:
                result: ResponseOutcome = stop.value
                return result
            answer = problem = None
            match effect:
                case MonotonicTime():
                    answer = self.clock
                case Sleep(seconds=seconds):
                    self.clock += seconds
                case Send(request=request):
                    self.polled.append(round(self.clock, 3))
                    self.requests.append(request)
                    answer = self.answer(self.clock)
                case _:
                    answer = self._stream(effect)
            if isinstance(answer, TransportError):
                problem = answer

    def _stream(self, effect: object) -> Any:
        match effect:
            case OpenStream(request=request):
                self.requests.append(request)
                return HttpResponse(status=200, opened=True)
            case NextEvent():
                return self.events.pop(0) if self.events else None
            case StoreCall():
                return "quarantine/file"
            case ReportProgress():
                pass
            case _:
                raise AssertionError(effect)
        return None


def done_after(seconds: float, before: HttpResponse | TransportError = BUSY) -> Answers:
    """
    Let the response be finished after this many seconds.
    """
    return lambda clock: DONE if clock >= seconds else before


def first_poll(left: float, **settings: float) -> HttpRequest:
    """
    Return the first request of a call that has this many seconds left.
    """
    workflow = poll_response(TURN, "resp_1", 100.0 + left, **settings)
    effect: Any = next(workflow)
    while not isinstance(effect, Send):
        assert isinstance(effect, (MonotonicTime, Sleep))
        effect = workflow.send(100.0 if isinstance(effect, MonotonicTime) else None)
    workflow.close()
    return effect.request


@pytest.mark.parametrize(
    "left,seconds,silence", [(600, 300, 30), (40, 20, 10), (8, 4, 2), (1, 1, 1), (-5, 1, 1)]
)
def test_poll_leaves_time_for_another(left: float, seconds: float, silence: float) -> None:
    """
    A poll may take half of the time left, or a quarter of it in silence, but always a second.
    """
    request = first_poll(left)
    assert (request.timeout, request.silence) == (seconds, silence)


def test_single_poll_may_receive_image_slowly() -> None:
    """
    A single poll receives a slow image, but ends early in silence.
    """
    request = first_poll(0.0, least=30.0)
    assert (request.timeout, request.silence) == (30.0, 1.0)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True), st.integers(0, 400))
def test_id_is_found_in_partial_body(name: str, left_out: int) -> None:
    """
    The id is found as soon as all of it was received, and never a part of it.
    """
    body = json.dumps({"id": name, "object": "response", "status": "queued"}).encode()
    part = body[: max(0, len(body) - left_out)]
    assert find_response_id(part) == (
        name if len(part) > len(b'{"id": "') + len(name.encode()) else None
    )


@given(st.binary(max_size=200))
def test_no_empty_id_is_found(body: bytes) -> None:
    """
    Any body gives an id or None.
    """
    response_id = find_response_id(body)
    assert response_id is None or response_id


def lose_half(provider: FakeOpenAI, *, broken: bool) -> None:
    """
    Lose the second half of the next paid reply, with a broken connection or without.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        body = b"".join(part for part in answer.parts if isinstance(part, bytes))
        first_half: bytes | ConnectionReset = body[: len(body) // 2]
        parts = [first_half, ConnectionReset()] if broken else [first_half]
        return attrs.evolve(answer, parts=iter(parts), piecemeal=True)

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=bend))


@pytest.mark.parametrize("broken", [False, True])
def test_half_a_reply_with_id_is_enough(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, *, broken: bool
) -> None:
    """
    A reply that breaks off after its id is completed by polling.
    """
    lose_half(provider, broken=broken)
    assert make_studio(tmp_path, provider=provider).generate("a teapot").bytes
    assert posts(provider) == ["/responses"]


@pytest.mark.usefixtures("hurried")
def test_unreadable_image_is_polled_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An image that was damaged on its way is requested again; if it stays unreadable, the error names
    the file with its bytes.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.inject_faults({"garbled": 1.0}, method="POST", path="/responses")
    assert studio.generate("a teapot").bytes
    provider.inject_faults({"garbled": 1.0})
    with pytest.raises(InvalidResponseError, match="quarantine"):
        studio.generate("a teapot")
    assert posts(provider) == ["/responses"] * 2


@pytest.mark.parametrize("where", ["response", "events"])
def test_image_damaged_at_the_deadline_is_asked_for_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, where: str
) -> None:
    """
    An image whose bytes are damaged when there is no time left is not given up: recovery asks for
    it again, and it is paid for once.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path=RESPONSE, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    if where == "response":
        output = [{"type": "image_generation_call", "status": "completed", "result": "!!!"}]
        body = json.dumps({"status": "completed", "output": output}).encode()
        kind = {"content-type": "application/json"}
        damaged = FakeResponse(status=200, headers=kind, parts=iter((body,)))
        provider.enqueue_fault(Fault(method="GET", path=RESPONSE, response=lambda _: damaged))
    else:
        provider.inject_faults({"garbled": 1.0})
    (reason,) = studio.recover(timeout=0).still_pending.values()
    assert ("damaged on the way" if where == "response" else "does not send its bytes") in reason
    provider.inject_faults({})
    assert studio.recover(timeout=5).images[0].bytes
    assert posts(provider) == ["/responses"]


def test_one_replay_without_an_image_proves_nothing(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A replay without an image, as where the event with it was damaged, is asked for again.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path=RESPONSE, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    page = FakeResponse(status=200, headers={"content-type": "text/event-stream"}, parts=iter(()))
    provider.enqueue_fault(
        Fault(
            method="GET",
            path=RESPONSE,
            match=lambda request: "stream" in request.query,
            response=lambda _: page,
        )
    )
    assert studio.recover(timeout=5).images[0].bytes


def test_too_large_reply_is_not_polled_again(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A reply above the size limit is not requested again, nor by recovery.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path=RESPONSE, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    monkeypatch.setattr(openai_transport, "MAX_BODY_BYTES", 1000)
    (turn,) = studio.recover(timeout=5).failed
    assert turn.failure.error == "InvalidResponseError"
    polls = [request for request in provider.requests if request.method == "GET"]
    assert [poll.path.split("/")[1] for poll in polls] == ["responses"] * 3


@pytest.mark.parametrize("seconds", [2.1, 5, 7.6, 17.3, 41.7, 300])
def test_polls_are_a_twentieth_of_the_time_apart(seconds: float) -> None:
    """
    A call waits at most a twentieth longer than the image took, and a slow image is polled at most
    150 times.
    """
    world = World(done_after(seconds))
    assert world.run(poll_response(TURN, "r", 600)).images
    assert seconds <= world.clock <= seconds * 1.051 + 0.05
    assert len(world.polled) <= 150


def test_poll_delay_counts_from_sending() -> None:
    """
    The delay depends on the time since the request was sent, not since polling started.
    """
    world = World(done_after(1000), clock=100.0)
    with pytest.raises(OutcomeUnknownError):
        world.run(poll_response(TURN, "r", 110, since=0.0))
    assert world.polled == [100, 105, 110]


WITHHELD = HttpResponse(
    status=200,
    body=json.dumps(
        {
            "id": "r",
            "status": "completed",
            "output": [{"type": "image_generation_call", "id": "ig_1", "result": None}],
            "usage": {"input_tokens": 7, "output_tokens": 1},
        }
    ).encode(),
)
EVENT = json.dumps(
    {"type": "response.output_item.done", "item": {**ITEM, "id": "ig_1"}, "sequence_number": 5}
).encode()


def test_withheld_image_is_replayed() -> None:
    """
    If a finished response does not hold its image's bytes, its events are replayed from the first
    one for the image; the usage comes from the response.
    """
    world = World(lambda _: WITHHELD, events=[EVENT])
    outcome = world.run(poll_response(TURN, "r", 600))
    assert len(outcome.images) == 1
    assert outcome.usage.mainline == {"input_tokens": 7, "output_tokens": 1}
    assert [request.path for request in world.requests] == [
        "/responses/r",
        "/responses/r?stream=true",
    ]


CREATED = json.dumps({"type": "response.created", "response": {"id": "r"}}).encode()
BROKEN = TransportError(sent=True, reason="ReadError")


@pytest.mark.parametrize("trouble", [[CREATED, None], [CREATED, BROKEN], [BROKEN], [b"{", None]])
def test_broken_replay_is_retried(
    trouble: list[bytes | TransportError | None],
) -> None:
    """
    Events that break off prove nothing about the image, and are requested again.
    """
    world = World(lambda _: WITHHELD, events=[*trouble, EVENT])
    assert len(world.run(poll_response(TURN, "r", 600)).images) == 1
    assert len(world.requests) == 3
    assert world.clock < 1


def test_replay_that_always_breaks_has_unknown_outcome() -> None:
    """
    If the events break off each time, the outcome is unknown and not final, so that recovery polls
    again; the call does not overrun its time by much.
    """
    world = World(lambda _: WITHHELD, events=[CREATED, None] * 9)
    with pytest.raises(OutcomeUnknownError) as caught:
        world.run(poll_response(TURN, "r", 600))
    assert not caught.value.finished
    assert caught.value.response_id == "r"
    assert world.clock < 10


def test_replay_is_limited_by_deadline() -> None:
    """
    A replay may take the rest of the call's time, but always a second.
    """
    world = World(lambda _: WITHHELD, events=[EVENT])
    world.run(poll_response(TURN, "r", 0))
    assert world.requests[-1].timeout == 1


def test_image_without_bytes_anywhere_has_unknown_outcome() -> None:
    """
    If neither polls nor replays hold the image, the error says that it may have been billed and
    does not suggest sending the request again.
    """
    world = World(lambda _: WITHHELD, events=[])
    with pytest.raises(OutcomeUnknownError, match="not sent again automatically") as caught:
        world.run(poll_response(TURN, "r", 600))
    assert caught.value.finished
    assert caught.value.response_id == "r"


@pytest.mark.parametrize(
    "trouble",
    [
        HttpResponse(status=500, body=b"oops"),
        HttpResponse(status=429, body=b"{}"),
        HttpResponse(status=200, body=b"<html>"),
        TransportError(sent=True, reason="gone"),
        MISSING,
    ],
)
def test_failed_poll_is_retried(trouble: HttpResponse | TransportError) -> None:
    """
    After any failed poll, the next one may find the image.
    """
    assert World(done_after(20, trouble)).run(poll_response(TURN, "r", 600)).images


def test_retry_after_is_obeyed() -> None:
    """
    The next poll waits as long as the provider asks.
    """
    slow = HttpResponse(status=429, headers={"retry-after": "7"}, body=b"{}")
    world = World(done_after(1, slow))
    world.run(poll_response(TURN, "r", 600))
    assert world.polled == [0, 7]


def test_retry_after_is_limited_by_deadline() -> None:
    """
    A `Retry-After` beyond the deadline is cut off there.
    """
    slow = HttpResponse(status=503, headers={"retry-after": "99999"}, body=b"{}")
    world = World(done_after(1000, slow))
    with pytest.raises(OutcomeUnknownError, match="kept in the library's journal"):
        world.run(poll_response(TURN, "r", 10))
    assert world.clock == 10


@pytest.mark.parametrize("answer", [BUSY, TransportError(sent=True, reason="gone")])
def test_deadline_gives_unknown_outcome(answer: HttpResponse | TransportError) -> None:
    """
    After the deadline the outcome is unknown, and the error has the id.
    """
    world = World(done_after(1000, answer))
    with pytest.raises(OutcomeUnknownError) as caught:
        world.run(poll_response(TURN, "resp_1", 10))
    assert caught.value.response_id == "resp_1"
    assert world.clock == 10
    assert all(request.timeout <= 30 for request in world.requests)


def test_unknown_id_is_given_up_after_30_seconds() -> None:
    """
    A 404 is retried for 30 seconds, as a new id may not be known everywhere at once.
    """
    world = World(done_after(1000, MISSING))
    with pytest.raises(OutcomeUnknownError, match="not here"):
        world.run(poll_response(TURN, "r", 600))
    assert 30 < world.clock < 35


def test_denied_poll_is_not_retried() -> None:
    """
    If the API key stopped working, there are no more polls.
    """
    denied = HttpResponse(status=401, body=b'{"error": {"message": "no"}}')
    world = World(done_after(1000, denied))
    with pytest.raises(ImageSessionError, match="does not return its outcome"):
        world.run(poll_response(TURN, "r", 600))
    assert len(world.polled) == 1


def test_id_is_quoted_in_path() -> None:
    """
    An id with special characters is quoted in the URL's path.
    """
    world = World(done_after(0))
    world.run(poll_response(TURN, "../models?x=1\n", 600))
    assert world.requests[0].path == "/responses/..%2Fmodels%3Fx%3D1%0A"
