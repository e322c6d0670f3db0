"""
How long a look may take, and what is made of an answer of which only a part came or made sense.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._drive import openai as drive
from imagesession._model.options import Options
from imagesession._model.turns import Turn
from imagesession._plan.looking import poll
from imagesession._plan.replies import named_id
from imagesession._plan.steps import Now, Send, Wait
from imagesession._plan.wire import Request
from imagesession.errors import OutcomeUnknownError, ReplyError
from imagesession.testing import Answer, Fault, OfflineProvider, Reset
from tests.conftest import MakeStudio
from tests.sent import posts

TURN = Turn(
    id="0" * 26, prompt="x", options=Options(), started=dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
)
LOOKS = "/responses/*"


def first_look(left: float, **settings: float) -> Request:
    """
    Return the first request of somebody who looks with so many seconds left.
    """
    flow = poll(TURN, "resp_1", 100.0 + left, **settings)
    step: Any = next(flow)
    while not isinstance(step, Send):
        assert isinstance(step, (Now, Wait))
        step = flow.send(100.0 if isinstance(step, Now) else None)
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
    assert named_id(part) == (name if len(part) > len(b'{"id": "') + len(name.encode()) else None)


@given(st.binary(max_size=200))
def test_no_id_is_made_up(body: bytes) -> None:
    """
    Whatever came, it is an id or none.
    """
    found = named_id(body)
    assert found is None or found


def half(provider: OfflineProvider, *, broken: bool) -> None:
    """
    Let the second half of the next paid answer be lost, with a broken connection or without.
    """

    def bend(answer: Answer) -> Answer:
        body = b"".join(part for part in answer.parts if isinstance(part, bytes))
        came: bytes | Reset = body[: len(body) // 2]
        parts = [came, Reset()] if broken else [came]
        return attrs.evolve(answer, parts=iter(parts), piecemeal=True)

    provider.script(Fault(method="POST", path="/responses", bend=bend))


@pytest.mark.parametrize("broken", [False, True])
def test_half_an_answer_is_enough(
    make_studio: MakeStudio, tmp_path: Path, provider: OfflineProvider, *, broken: bool
) -> None:
    """
    An answer that names its id before it breaks off is as good as whole.
    """
    half(provider, broken=broken)
    assert make_studio(tmp_path, provider=provider).generate("a teapot").bytes
    assert posts(provider) == ["/responses"]


@pytest.mark.usefixtures("hurried")
def test_what_came_spoilt_is_looked_at_again(
    make_studio: MakeStudio, tmp_path: Path, provider: OfflineProvider
) -> None:
    """
    A picture that was spoilt on its way is fetched again; one that stays so is an error that names
    the file with its bytes.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.misbehave({"garbled": 0.5}, method="GET", path=LOOKS, seed=5)
    assert studio.generate("a teapot").bytes
    provider.misbehave({"garbled": 1.0}, method="GET", path=LOOKS)
    with pytest.raises(ReplyError, match="spill"):
        studio.generate("a teapot")
    assert posts(provider) == ["/responses"] * 2


def test_what_is_too_large_is_looked_at_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: OfflineProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A reply that is larger than any should be is not fetched again and again, nor by recovery.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.fail_next(status=401, method="GET", path=LOOKS)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    monkeypatch.setattr(drive, "MAX_BODY_BYTES", 1000)
    (turn,) = studio.recover(wait=5).failed
    assert turn.failure.error == "ReplyError"
    looks = [call for call in provider.calls if call.method == "GET"]
    assert [look.path.split("/")[1] for look in looks] == ["responses"] * 2
