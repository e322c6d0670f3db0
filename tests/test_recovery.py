"""
What a stopped program or a call that gave up has left is settled, once, and never sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import AsyncStudio, Budget, Studio
from imagesession._engine import recovery as recovering
from imagesession.errors import BudgetExceededError, NotFoundError, OutcomeUnknownError
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
)
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

pytestmark = pytest.mark.usefixtures("looking_often")
CHILD = """
import sys
from imagesession import Studio
library, url, session = sys.argv[1:]
studio = Studio(library, api_key="x", base_url=url)
studio.open(session).generate("bluer, with a sun")
"""


def posts(provider: FakeOpenAI) -> int:
    """
    Return how many requests were paid for.
    """
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


def wait_for(condition: Callable[[], bool]) -> None:
    """
    Wait until something is so; half a minute at most.
    """
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@contextlib.contextmanager
def program(
    library: Path, url: str, session: str
) -> Generator[subprocess.Popen[bytes], None, None]:
    """
    Run a program that refines a session's picture, and kill it at the latest when done.
    """
    arguments = [sys.executable, "-c", CHILD, str(library), url, session]
    child = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def is_noted(library: Path) -> bool:
    """
    Tell whether the provider's id of a request is in the journal.
    """
    return any(b'\n{"response_id"' in file.read_bytes() for file in unsettled(library))


def test_a_killed_programs_picture_is_not_lost(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A program is killed while its picture is made: the next one fetches it, pays nothing again,
    and the session goes on from there.
    """
    provider = FakeOpenAI(latency=0.7)
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        first = session.generate("a teapot")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_noted(tmp_path))
            os.kill(child.pid, signal.SIGKILL)
        recovery = studio.recover(timeout=10)
        (image,) = recovery.images
        assert (recovery.failed, recovery.still_pending) == ((), {})
        assert (image.prompt, image.parent) == ("bluer, with a sun", first.turn.id)
        assert session.head() == image
        assert image.cost.total > 0
        assert posts(provider) == 2
        assert studio.recover() == type(recovery)()
        assert session.generate("redder").turn.context == "continued"
        assert posts(provider) == 3
    assert unsettled(tmp_path) == []


def test_what_was_left_is_settled_before_the_next_picture(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    Nobody has to call recover: a studio looks back before it first asks for a picture.
    """
    provider = FakeOpenAI(latency=0.3)
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        session = make_studio(tmp_path, **access).session("a logo")
        session.generate("a teapot")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_noted(tmp_path))
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.4)
        later = make_studio(tmp_path, **access).open(session.id)
        third = later.generate("redder")
        assert [turn.prompt for turn in later.turns()] == [
            "a teapot",
            "bluer, with a sun",
            "redder",
        ]
        assert third.parent == later.turns()[1].id
    assert posts(provider) == 3


def test_a_running_programs_intent_is_its_own(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    What a program that lives is at is left to it, and said.
    """
    provider = FakeOpenAI(latency=1)
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_noted(tmp_path))
            recovery = studio.recover(timeout=0)
            assert (recovery.images, recovery.failed) == ((), ())
            assert list(recovery.still_pending.values()) == ["a running program is at it"]
            assert child.wait(timeout=30) == 0
        assert studio.recover() == type(recovery)()
        assert len(session.images()) == 1


def test_a_call_that_gave_up_can_be_made_good(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A picture that did not come in time is fetched later, by the same program.
    """
    provider = FakeOpenAI(latency=1.8)
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.2
        )
        with pytest.raises(OutcomeUnknownError) as caught:
            studio.generate("a teapot")
        early = studio.recover(timeout=0)
        assert list(early.still_pending) == [caught.value.turn_id]
        (image,) = studio.recover(timeout=10).images
    assert image.turn.id == caught.value.turn_id
    assert posts(provider) == 1


def test_a_cancelled_task_leaves_what_can_be_recovered(tmp_path: Path) -> None:
    """
    A task that is cancelled while its picture is made loses nothing: the picture is fetched later.
    """
    provider = FakeOpenAI(latency=0.5)

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
            task = asyncio.create_task(studio.generate("a teapot"))
            while not is_noted(tmp_path):  # noqa: ASYNC110 - a file on the disk raises no event
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            recovery = await studio.recover(timeout=10)
            assert [image.prompt for image in recovery.images] == ["a teapot"]

    asyncio.run(run())
    assert posts(provider) == 1


def lost(provider: FakeOpenAI) -> None:
    """
    Let the next answer be lost on its way.
    """
    provider.enqueue_fault(
        Fault(
            method="POST",
            path="/responses",
            bend=lambda answer: attrs.evolve(answer, parts=iter([ConnectionReset()])),
        )
    )


def test_what_cannot_be_looked_up_is_told(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request whose answer was lost before its id was known, and that was asked in no conversation,
    is settled as unknown, never sent again, and a budget goes on counting it.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=0.1), quality="high")
    lost(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", size="1024x1024")
    recovery = studio.recover()
    (turn,) = recovery.failed
    assert turn.failure.error == "OutcomeUnknownError"
    assert (turn.cost.total, turn.cost.known) == (None, 0)
    with pytest.raises(BudgetExceededError):
        studio.generate("another", size="1024x1024")
    assert posts(provider) == 1
    assert studio.costs().total.uncertain == 1


def dropped(provider: FakeOpenAI) -> None:
    """
    Let the next request that is paid for get lost on its way there.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=instead))


def unseen(provider: FakeOpenAI, times: int = 1) -> None:
    """
    Let the next looks into a conversation fail.
    """
    provider.fail_next(status=500, method="GET", path="/conversations/*", times=times)


def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let a quarter of an hour pass.
    """
    monkeypatch.setattr(recovering, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


def test_what_nobody_knows_the_id_of_is_found_in_its_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A picture whose answer was lost is found later by what was written down before it was asked
    for, in a new line and in one that goes on, and it is that picture and no earlier one.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation")
    session = studio.session("a logo")
    for number, prompt in enumerate(("a teapot", "bluer", "with a sun"), 1):
        lost(provider)
        unseen(provider)
        with pytest.raises(OutcomeUnknownError) as caught:
            session.generate(prompt)
        assert caught.value.response_id is None
        (image,) = studio.recover(timeout=0).images
        assert (image.prompt, image.turn.id) == (prompt, caught.value.turn_id)
        assert session.head() == image
        assert image.turn.cost.total is None
        assert posts(provider) == 2 * number - 1
        session.generate(f"a sign {number}")
    assert len({image.sha256 for image in session.images()}) == 6
    assert unsettled(tmp_path) == []


def test_what_was_not_taken_up_is_told_in_time(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A request that never arrived is left alone for a quarter of an hour, and then settled as not
    taken up: a budget counts it no more, and under its name it may be asked for again.
    """
    terms = {"budget": Budget(per_day=0.3), "quality": "high", "size": "1024x1024"}
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation", **terms)
    dropped(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    early = studio.recover(timeout=0)
    assert (early.images, early.failed) == ((), ())
    assert "nothing of it yet" in next(iter(early.still_pending.values()))
    with pytest.raises(OutcomeUnknownError, match="in use and not settled"):
        studio.generate("a teapot", idempotency_key="teapot")
    settle_at_once(monkeypatch)
    (turn,) = studio.recover(timeout=0).failed
    assert (turn.failure.error, turn.cost) == ("ProviderUnavailableError", None)
    assert "not taken up" in turn.failure.message
    assert studio.costs().total.uncertain == 0
    assert studio.generate("a teapot", idempotency_key="teapot").bytes
    assert posts(provider) == 2


def test_a_conversation_that_cannot_be_seen_proves_nothing(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    While a conversation cannot be looked into, its request is left; when it is gone, the outcome
    is unknown for good, and a budget goes on counting it.
    """
    studio = make_studio(
        tmp_path, provider=provider, provider_state="conversation", budget=Budget(per_day=1.0)
    )
    lost(provider)
    unseen(provider, 2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    settle_at_once(monkeypatch)
    assert len(studio.recover(timeout=0).still_pending) == 1
    provider.reset_memory()
    (turn,) = studio.recover(timeout=0).failed
    assert turn.failure.error == "OutcomeUnknownError"
    assert studio.costs().total.uncertain == 1
    assert posts(provider) == 1


def test_another_providers_request_is_left_to_it(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Ids mean something only where they were given; a request elsewhere is left and said.
    """
    with serve(FakeOpenAI(latency=60)) as served:
        elsewhere = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.1
        )
        with pytest.raises(OutcomeUnknownError):
            elsewhere.generate("a teapot")
    recovery = make_studio(tmp_path, provider=provider).recover(timeout=0)
    assert "it was asked of 127.0.0.1" in next(iter(recovery.still_pending.values()))
    assert posts(provider) == 0


def test_only_one_of_many_settles(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    However many programs recover at once, a picture is kept once.
    """
    provider = FakeOpenAI(latency=0.3)
    with serve(provider) as served:
        url = served.base_url
        with pytest.raises(OutcomeUnknownError):
            Studio(tmp_path, api_key="x", base_url=url, timeout=0.1).generate("a teapot")
        time.sleep(0.4)
        studios = [Studio(tmp_path, api_key="x", base_url=url) for _ in range(4)]
        in_threads([studio.recover for studio in studios])
    assert len(studios[0].images.list()) == 1
    assert len(list((tmp_path / "general").glob("*.png"))) == 1


def test_a_line_that_was_cut_short_counts_for_nothing(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    A power cut in the middle of the journal's last line costs that line alone.
    """
    provider = FakeOpenAI(latency=1.6)
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        with pytest.raises(OutcomeUnknownError):
            make_studio(tmp_path, timeout=0.1, **access).generate("a teapot")
        (intent,) = unsettled(tmp_path)
        with intent.open("ab") as file:
            file.write(json.dumps({"owner": "x"}).encode()[:7])
        assert len(make_studio(tmp_path, **access).recover(timeout=5).images) == 1


def test_what_is_under_way_can_be_stopped(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A request that a call gave up on is shown, stopped at the provider, and settled as such.
    """
    provider = FakeOpenAI(latency=60)
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.2
        )
        with pytest.raises(OutcomeUnknownError) as caught:
            studio.generate("a teapot")
        (pending,) = studio.requests.pending()
        assert (pending.turn.id, pending.running) == (caught.value.turn_id, False)
        assert pending.response_id == caught.value.response_id
        (turn,) = studio.requests.cancel(pending.turn.id).failed
        assert (turn.status, turn.failure.error) == ("failed", "GenerationFailedError")
        assert "cancelled" in turn.failure.message
        assert studio.requests.pending() == ()
        with pytest.raises(NotFoundError, match="may be settled"):
            studio.requests.cancel(pending.turn.id)
        assert studio.recover() == type(studio.recover())()


def test_another_programs_request_can_be_stopped(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The program that waits for it is told, and settles it.
    """
    provider = FakeOpenAI(latency=60)
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_noted(tmp_path))
            (pending,) = studio.requests.pending()
            assert pending.running
            recovery = studio.requests.cancel(pending.turn.id)
            assert recovery.images == ()
            assert child.wait(timeout=30) != 0
        (turn,) = session.turns()
        assert (turn.status, turn.failure.error) == ("failed", "GenerationFailedError")
        assert studio.requests.pending() == ()


def test_what_is_finished_is_not_stopped(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Where the picture is there already, it is kept instead.
    """
    provider = FakeOpenAI(latency=0.3)
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.1
        )
        with pytest.raises(OutcomeUnknownError) as caught:
            studio.generate("a teapot")
        time.sleep(0.4)
        (image,) = studio.requests.cancel(caught.value.turn_id).images
        assert image.prompt == "a teapot"


def test_what_is_lost_is_not_asked_for_again_under_its_name(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A picture with a name of its own is not paid for twice, even when nobody can tell what became
    of the first request; under another name it is made.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.fail_next(status=404, path="/conversations", times=9)
    lost(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    with pytest.raises(OutcomeUnknownError, match="in use and not settled"):
        studio.generate("a teapot", idempotency_key="teapot")
    later = make_studio(tmp_path, provider=provider)
    for item in (later, studio):
        with pytest.raises(OutcomeUnknownError, match="use another key"):
            item.generate("a teapot", idempotency_key="teapot")
    assert posts(provider) == 1
    results = later.map({"a": "a", "b": "b"})
    assert results.ok
    later.generate("a teapot", idempotency_key="teapot, once more")
    assert posts(provider) == 4


def test_threads_of_one_program_settle_once(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    However many threads of one program take up what is left, one of them gets it.
    """
    provider = FakeOpenAI(latency=1.5)
    with serve(provider) as served:
        studio = Studio(tmp_path, api_key="x", base_url=served.base_url, timeout=0.1)
        for number in range(4):
            with pytest.raises(OutcomeUnknownError):
                studio.generate(f"a teapot {number}")
        time.sleep(0.6)
        in_threads([studio.recover] * 8)
        assert len(studio.images.list()) == 4
        assert studio.recover() == type(studio.recover())()
