"""
Looking for a picture, with a clock that is turned by hand.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from imagesession._model.options import Options
from imagesession._model.turns import Turn
from imagesession._plan.looking import looks, poll
from imagesession._plan.replies import Outcome
from imagesession._plan.steps import Flow, Now, OnDisk, Send, Wait
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import ImageSessionError, OutcomeUnknownError
from imagesession.testing import tiny_image

TURN = Turn(
    id="0" * 26, prompt="x", options=Options(), started=dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
)
ITEM = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
DONE = Reply(
    status=200, body=json.dumps({"id": "r", "status": "completed", "output": [ITEM]}).encode()
)
BUSY = Reply(status=200, body=b'{"id": "r", "status": "in_progress"}')
MISSING = Reply(status=404, body=b'{"error": {"message": "not here"}}')
Answers = Callable[[float], Reply | NoReplyError]


@attrs.define
class World:
    """
    Carries out steps with a clock of its own.

    Attributes:
        answer: What the provider says at a time.
        clock: Seconds since the start.
        looked: When it was asked.
        requests: What it was asked.
    """

    answer: Answers
    clock: float = 0.0
    looked: list[float] = attrs.field(factory=list[float])
    requests: list[Request] = attrs.field(factory=list[Request])

    def run(self, flow: Flow[Outcome]) -> Outcome:
        """
        Carry out a flow.
        """
        answer: Any = None
        problem: Exception | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as stop:
                result: Outcome = stop.value
                return result
            answer = problem = None
            match step:
                case Now():
                    answer = self.clock
                case Wait(seconds=seconds):
                    self.clock += seconds
                case Send(request=request):
                    self.looked.append(round(self.clock, 3))
                    self.requests.append(request)
                    answer = self.answer(self.clock)
                    if isinstance(answer, NoReplyError):
                        problem = answer
                case OnDisk():
                    answer = "spill/file"
                case _:
                    raise AssertionError(step)


def done_after(seconds: float, before: Reply | NoReplyError = BUSY) -> Answers:
    """
    Let the picture be there after so many seconds.
    """
    return lambda clock: DONE if clock >= seconds else before


def test_looks_are_ever_rarer() -> None:
    """
    It is looked at once, and then ever less often, up to every two seconds.
    """
    world = World(done_after(8))
    assert world.run(poll(TURN, "r", 600)).pictures
    assert world.looked == [0, 0.3, 1, 2, 3.5, 5.5, 7.5, 9.5]


def test_busy_networks_are_spared() -> None:
    """
    Where asking took long, the first look waits ten times as long, but not for ever.
    """
    assert _first(looks(0.001)) == 0
    assert _first(looks(0.025)) == 0.25
    assert _first(looks(60)) == 0.3


def _first(numbers: Iterator[float]) -> float:
    return next(numbers)


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500, body=b"oops"),
        Reply(status=429, body=b"{}"),
        Reply(status=200, body=b"<html>"),
        NoReplyError(sent=True, reason="gone"),
        MISSING,
    ],
)
def test_trouble_is_looked_past(trouble: Reply | NoReplyError) -> None:
    """
    Whatever goes wrong with a look, the next one may find the picture.
    """
    assert World(done_after(20, trouble)).run(poll(TURN, "r", 600)).pictures


def test_the_providers_hint_is_obeyed() -> None:
    """
    Where the provider asks for a pause, it is not looked before.
    """
    slow = Reply(status=429, headers={"retry-after": "7"}, body=b"{}")
    world = World(done_after(1, slow))
    world.run(poll(TURN, "r", 600))
    assert world.looked == [0, 7]


def test_a_hint_does_not_outlast_the_deadline() -> None:
    """
    A pause that is longer than the time left ends with it.
    """
    slow = Reply(status=503, headers={"retry-after": "99999"}, body=b"{}")
    world = World(done_after(1000, slow))
    with pytest.raises(OutcomeUnknownError, match="kept in the library's journal"):
        world.run(poll(TURN, "r", 10))
    assert world.clock == 10


@pytest.mark.parametrize("answer", [BUSY, NoReplyError(sent=True, reason="gone")])
def test_the_deadline_ends_it(answer: Reply | NoReplyError) -> None:
    """
    After the deadline the outcome is unknown, and the error names the id.
    """
    world = World(done_after(1000, answer))
    with pytest.raises(OutcomeUnknownError) as caught:
        world.run(poll(TURN, "resp_1", 10))
    assert caught.value.response_id == "resp_1"
    assert world.clock == 10
    assert all(request.timeout <= 30 for request in world.requests)


def test_an_id_that_stays_unknown_is_given_up() -> None:
    """
    A new id may not be known everywhere at once, but it is after half a minute.
    """
    world = World(done_after(1000, MISSING))
    with pytest.raises(OutcomeUnknownError, match="not here"):
        world.run(poll(TURN, "r", 600))
    assert 30 < world.clock < 35


def test_a_provider_that_will_not_say_is_believed() -> None:
    """
    Where the key stopped working, looking again is useless.
    """
    denied = Reply(status=401, body=b'{"error": {"message": "no"}}')
    world = World(done_after(1000, denied))
    with pytest.raises(ImageSessionError, match="will not show its outcome"):
        world.run(poll(TURN, "r", 600))
    assert len(world.looked) == 1


def test_an_odd_id_stays_within_its_path() -> None:
    """
    An id is the provider's word, and is quoted.
    """
    world = World(done_after(0))
    world.run(poll(TURN, "../models?x=1\n", 600))
    assert world.requests[0].path == "/responses/..%2Fmodels%3Fx%3D1%0A"
