"""
A response is polled until it is finished, with a clock that is turned by hand; how long a look may
take, and what is made of an answer of which only a part came or made sense.
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
from imagesession._runtime import openai_transport as drive
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
LOOKS = "/responses/*"
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
    Carries out steps with a clock of its own.

    Attributes:
        answer: What the provider says at a time.
        clock: Seconds since the start.
        looked: When it was asked.
        requests: What it was asked.
        events: What it streams when its events are replayed.
    """

    answer: Answers
    clock: float = 0.0
    events: list[bytes | TransportError | None] = attrs.field(
        factory=list["bytes | TransportError | None"]
    )
    looked: list[float] = attrs.field(factory=list[float])
    requests: list[HttpRequest] = attrs.field(factory=list[HttpRequest])

    def run(self, flow: Workflow[ResponseOutcome]) -> ResponseOutcome:
        """
        Carry out a flow.
        """
        answer: Any = None
        problem: Exception | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                result: ResponseOutcome = stop.value
                return result
            answer = problem = None
            match step:
                case MonotonicTime():
                    answer = self.clock
                case Sleep(seconds=seconds):
                    self.clock += seconds
                case Send(request=request):
                    self.looked.append(round(self.clock, 3))
                    self.requests.append(request)
                    answer = self.answer(self.clock)
                case _:
                    answer = self._stream(step)
            if isinstance(answer, TransportError):
                problem = answer

    def _stream(self, step: object) -> Any:
        match step:
            case OpenStream(request=request):
                self.requests.append(request)
            case NextEvent():
                return self.events.pop(0) if self.events else None
            case StoreCall():
                return "quarantine/file"
            case ReportProgress():
                pass
            case _:
                raise AssertionError(step)
        return None


def done_after(seconds: float, before: HttpResponse | TransportError = BUSY) -> Answers:
    """
    Let the picture be there after so many seconds.
    """
    return lambda clock: DONE if clock >= seconds else before


def first_look(left: float, **settings: float) -> HttpRequest:
    """
    Return the first request of somebody who looks with so many seconds left.
    """
    flow = poll_response(TURN, "resp_1", 100.0 + left, **settings)
    step: Any = next(flow)
    while not isinstance(step, Send):
        assert isinstance(step, (MonotonicTime, Sleep))
        step = flow.send(100.0 if isinstance(step, MonotonicTime) else None)
    flow.close()
    return step.request


@pytest.mark.parametrize(
    "left,seconds,silence", [(600, 300, 30), (40, 20, 10), (8, 4, 2), (1, 1, 1), (-5, 1, 1)]
)
def test_a_look_leaves_time_for_another(left: float, seconds: float, silence: float) -> None:
    """
    A look takes half of the time that is left at most, or a quarter of it in silence, but always a
    second.
    """
    request = first_look(left)
    assert (request.timeout, request.silence) == (seconds, silence)


def test_a_single_look_may_take_its_time() -> None:
    """
    Who looks only once lets a picture come, but does not wait for one that does not.
    """
    request = first_look(0.0, least=30.0)
    assert (request.timeout, request.silence) == (30.0, 1.0)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True), st.integers(0, 400))
def test_an_id_is_found_in_what_came(name: str, left_out: int) -> None:
    """
    As soon as the whole id has come it is found, and never a part of it.
    """
    body = json.dumps({"id": name, "object": "response", "status": "queued"}).encode()
    part = body[: max(0, len(body) - left_out)]
    assert find_response_id(part) == (
        name if len(part) > len(b'{"id": "') + len(name.encode()) else None
    )


@given(st.binary(max_size=200))
def test_no_id_is_made_up(body: bytes) -> None:
    """
    Whatever came, it is an id or none.
    """
    found = find_response_id(body)
    assert found is None or found


def half(provider: FakeOpenAI, *, broken: bool) -> None:
    """
    Let the second half of the next paid answer be lost, with a broken connection or without.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        body = b"".join(part for part in answer.parts if isinstance(part, bytes))
        came: bytes | ConnectionReset = body[: len(body) // 2]
        parts = [came, ConnectionReset()] if broken else [came]
        return attrs.evolve(answer, parts=iter(parts), piecemeal=True)

    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=bend))


@pytest.mark.parametrize("broken", [False, True])
def test_half_an_answer_is_enough(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, *, broken: bool
) -> None:
    """
    An answer that names its id before it breaks off is as good as whole.
    """
    half(provider, broken=broken)
    assert make_studio(tmp_path, provider=provider).generate("a teapot").bytes
    assert posts(provider) == ["/responses"]


@pytest.mark.usefixtures("hurried")
def test_what_came_spoilt_is_looked_at_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A picture that was spoilt on its way is fetched again; one that stays so is an error that names
    the file with its bytes.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.inject_faults({"garbled": 1.0}, method="POST", path="/responses")
    assert studio.generate("a teapot").bytes
    provider.inject_faults({"garbled": 1.0})
    with pytest.raises(InvalidResponseError, match="quarantine"):
        studio.generate("a teapot")
    assert posts(provider) == ["/responses"] * 2


def test_what_is_too_large_is_looked_at_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A reply that is larger than any should be is not fetched again and again, nor by recovery.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path=LOOKS, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    monkeypatch.setattr(drive, "MAX_BODY_BYTES", 1000)
    (turn,) = studio.recover(timeout=5).failed
    assert turn.failure.error == "InvalidResponseError"
    looks = [call for call in provider.requests if call.method == "GET"]
    assert [look.path.split("/")[1] for look in looks] == ["responses"] * 3


@pytest.mark.parametrize("seconds", [2.1, 5, 7.6, 17.3, 41.7, 300])
def test_looks_are_a_twentieth_of_the_time_apart(seconds: float) -> None:
    """
    Nobody waits for longer than a twentieth of what the picture took, and a slow picture is not
    looked at more than a hundred times.
    """
    world = World(done_after(seconds))
    assert world.run(poll_response(TURN, "r", 600)).pictures
    assert seconds <= world.clock <= seconds * 1.051 + 0.05
    assert len(world.looked) <= 150


def test_looks_go_on_from_when_it_was_sent() -> None:
    """
    What was sent a while ago is looked at as rarely as if it had been polled since.
    """
    world = World(done_after(1000), clock=100.0)
    with pytest.raises(OutcomeUnknownError):
        world.run(poll_response(TURN, "r", 110, since=0.0))
    assert world.looked == [100, 105, 110]


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


def test_a_picture_that_a_look_does_not_show_is_replayed() -> None:
    """
    A finished response without its picture's bytes is not the end: its events are replayed from
    the first one, and bring the picture; usage comes from the look.
    """
    world = World(lambda _: WITHHELD, events=[EVENT])
    outcome = world.run(poll_response(TURN, "r", 600))
    assert len(outcome.pictures) == 1
    assert outcome.usage.mainline == {"input_tokens": 7, "output_tokens": 1}
    assert [request.path for request in world.requests] == [
        "/responses/r",
        "/responses/r?stream=true",
    ]


BEGUN = json.dumps({"type": "response.created", "response": {"id": "r"}}).encode()
BROKEN = TransportError(sent=True, reason="ReadError")


@pytest.mark.parametrize("trouble", [[BEGUN, None], [BEGUN, BROKEN], [BROKEN], [b"{"]])
def test_a_replay_that_breaks_off_is_tried_again(
    trouble: list[bytes | TransportError | None],
) -> None:
    """
    That the events broke off says nothing of the picture: they are asked for again.
    """
    world = World(lambda _: WITHHELD, events=[*trouble, EVENT])
    assert len(world.run(poll_response(TURN, "r", 600)).pictures) == 1
    assert len(world.requests) == 3
    assert world.clock < 1


def test_a_replay_that_always_breaks_off_proves_nothing() -> None:
    """
    A picture whose events break off each time may be there later: its outcome is unknown and not
    final, so that recovery looks again; and the call is not over long after its time.
    """
    world = World(lambda _: WITHHELD, events=[BEGUN, None] * 9)
    with pytest.raises(OutcomeUnknownError) as caught:
        world.run(poll_response(TURN, "r", 600))
    assert not caught.value.finished
    assert caught.value.response_id == "r"
    assert world.clock < 10


def test_a_replay_ends_with_the_call() -> None:
    """
    A replay may take what is left of the call's time and no more, but always a second.
    """
    world = World(lambda _: WITHHELD, events=[EVENT])
    world.run(poll_response(TURN, "r", 0))
    assert world.requests[-1].timeout == 1


def test_a_picture_that_nothing_shows_is_an_unknown_outcome() -> None:
    """
    Where neither a look nor a replay shows it, it was made and may be billed: that is said, and
    nobody is advised to try once more.
    """
    world = World(lambda _: WITHHELD, events=[])
    with pytest.raises(OutcomeUnknownError, match="not requested again") as caught:
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
def test_trouble_is_looked_past(trouble: HttpResponse | TransportError) -> None:
    """
    Whatever goes wrong with a look, the next one may find the picture.
    """
    assert World(done_after(20, trouble)).run(poll_response(TURN, "r", 600)).pictures


def test_the_providers_hint_is_obeyed() -> None:
    """
    Where the provider asks for a pause, it is not looked before.
    """
    slow = HttpResponse(status=429, headers={"retry-after": "7"}, body=b"{}")
    world = World(done_after(1, slow))
    world.run(poll_response(TURN, "r", 600))
    assert world.looked == [0, 7]


def test_a_hint_does_not_outlast_the_deadline() -> None:
    """
    A pause that is longer than the time left ends with it.
    """
    slow = HttpResponse(status=503, headers={"retry-after": "99999"}, body=b"{}")
    world = World(done_after(1000, slow))
    with pytest.raises(OutcomeUnknownError, match="kept in the library's journal"):
        world.run(poll_response(TURN, "r", 10))
    assert world.clock == 10


@pytest.mark.parametrize("answer", [BUSY, TransportError(sent=True, reason="gone")])
def test_the_deadline_ends_it(answer: HttpResponse | TransportError) -> None:
    """
    After the deadline the outcome is unknown, and the error names the id.
    """
    world = World(done_after(1000, answer))
    with pytest.raises(OutcomeUnknownError) as caught:
        world.run(poll_response(TURN, "resp_1", 10))
    assert caught.value.response_id == "resp_1"
    assert world.clock == 10
    assert all(request.timeout <= 30 for request in world.requests)


def test_an_id_that_stays_unknown_is_given_up() -> None:
    """
    A new id may not be known everywhere at once, but it is after half a minute.
    """
    world = World(done_after(1000, MISSING))
    with pytest.raises(OutcomeUnknownError, match="not here"):
        world.run(poll_response(TURN, "r", 600))
    assert 30 < world.clock < 35


def test_a_provider_that_will_not_say_is_believed() -> None:
    """
    Where the key stopped working, looking again is useless.
    """
    denied = HttpResponse(status=401, body=b'{"error": {"message": "no"}}')
    world = World(done_after(1000, denied))
    with pytest.raises(ImageSessionError, match="will not show its outcome"):
        world.run(poll_response(TURN, "r", 600))
    assert len(world.looked) == 1


def test_an_odd_id_stays_within_its_path() -> None:
    """
    An id is the provider's word, and is quoted.
    """
    world = World(done_after(0))
    world.run(poll_response(TURN, "../models?x=1\n", 600))
    assert world.requests[0].path == "/responses/..%2Fmodels%3Fx%3D1%0A"
