"""
Whoever asks is told how far a call is: truly, every second, and never at the cost of a picture.
"""

from __future__ import annotations

import itertools
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest

from imagesession import AsyncStudio, ImageRequest, ProgressEvent, Studio
from imagesession._domain.progress import Stage
from imagesession._engine.effects import ReportProgress, Sleep, Workflow
from imagesession._runtime import progress
from imagesession._runtime.interpreter import drive_async, run_workflow
from imagesession._runtime.progress import HEARTBEAT_SECONDS, observers
from imagesession.errors import (
    ContentBlockedError,
    InvalidRequestError,
    InvalidResponseError,
    ProviderUnavailableError,
    RateLimitError,
    RefusalError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio

PROMPT = "a SECRET-PROMPT teapot"
AT_ONCE = {"retry-after": "0.1"}


def stages(reported: list[ProgressEvent]) -> list[str]:
    """
    Return the stages that were told, each once for as long as it lasted.
    """
    return [stage for stage, _ in itertools.groupby(event.stage for event in reported)]


@pytest.fixture
def reported() -> list[ProgressEvent]:
    """
    A list that takes up what is told: `on_progress=told.append`.
    """
    return []


@pytest.fixture
def beating_fast(monkeypatch: pytest.MonkeyPatch, looking_often: None) -> None:  # noqa: ARG001 - is there
    """
    Tell ten times as often that it goes on, so that nobody need wait for it to be told.
    """
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", HEARTBEAT_SECONDS / 10)


def test_a_picture_goes_through_its_stages(studio: Any, reported: list[ProgressEvent]) -> None:
    """
    Each stage of a plain picture is told when it comes, and the last word is that it is done.
    """
    image = studio.generate("a teapot", on_progress=reported.append)
    seen = stages(reported)
    assert seen[0] == "preparing"
    assert seen[-2:] == ["saving", "completed"]
    assert [text for text in seen if text in {"sending", "queued", "saving"}][-3:] == [
        "sending",
        "queued",
        "saving",
    ]
    assert reported[-1].turn_id == image.turn.id
    assert set(seen) <= set(get_args(Stage))


@pytest.mark.usefixtures("looking_often")
def test_it_beats_while_the_provider_draws(
    make_studio: MakeStudio, tmp_path: Path, reported: list[ProgressEvent]
) -> None:
    """
    While a picture is drawn somebody is told at least each second, and time never runs backwards.
    """
    studio = make_studio(tmp_path, provider=FakeOpenAI(latency=1.7))
    came: list[float] = []

    def on_event(progress: ProgressEvent) -> None:
        came.append(time.monotonic())
        reported.append(progress)

    studio.generate("a teapot", on_progress=on_event)
    elapsed = [event.elapsed for event in reported]
    assert elapsed == sorted(elapsed)
    # Twice a second, on a machine that may have much else to do.
    assert max(after - before for before, after in itertools.pairwise(came)) < 2.0
    assert [event.stage for event in reported].count("generating") >= 3
    assert stages(reported)[-4:] == ["queued", "generating", "saving", "completed"]


@pytest.mark.parametrize("responses", [True, False])
@pytest.mark.usefixtures("beating_fast")
def test_it_beats_while_one_answer_is_waited_for(
    make_studio: MakeStudio, tmp_path: Path, reported: list[ProgressEvent], *, responses: bool
) -> None:
    """
    Where the answer to the request is the picture itself, or the findings, it is told just so.
    """
    provider = FakeOpenAI(latency=0.2, responses=responses)
    studio = make_studio(tmp_path, provider=provider)
    if responses:
        studio.analyze(tiny_image(), on_progress=reported.append)
    else:
        studio.generate("a teapot", on_progress=reported.append)
    work = "analyzing" if responses else "generating"
    assert stages(reported)[-4:] == ["sending", work, "saving", "completed"]


def test_partial_images_are_counted(studio: Any, reported: list[ProgressEvent]) -> None:
    """
    A stream tells of every unfinished picture, when it hands it over.
    """
    partials = 0
    for event in studio.stream("a teapot", partial_images=2, on_progress=reported.append):
        if type(event).__name__ == "PartialImage":
            partials += 1
            assert (reported[-1].stage, reported[-1].partials) == ("partial_image", partials)
    assert partials == reported[-1].partials == 2
    assert stages(reported)[-2:] == ["saving", "completed"]


@pytest.mark.usefixtures("beating_fast")
def test_an_improvement_looks_and_then_draws(
    make_studio: MakeStudio, tmp_path: Path, reported: list[ProgressEvent]
) -> None:
    """
    A call with two requests tells of both.
    """
    studio = make_studio(tmp_path, provider=FakeOpenAI(latency=0.2))
    studio.improve("more contrast", image=tiny_image(), on_progress=reported.append)
    seen = stages(reported)
    assert seen.index("analyzing") < seen.index("generating")
    assert seen.count("saving") == 2
    assert seen.count("completed") == 1


@pytest.mark.usefixtures("hurried")
def test_a_request_that_was_turned_away_waits(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, reported: list[ProgressEvent]
) -> None:
    """
    While a request waits to be asked again, the reason is told.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=30)
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses")
    studio.generate("a teapot", on_progress=reported.append)
    waiting = [event.message for event in reported if event.stage == "backing_off"]
    assert any("HTTP 429" in message for message in waiting)
    assert reported[-1].stage == "completed"


def test_a_failure_is_the_last_word(
    studio: Any, provider: FakeOpenAI, reported: list[ProgressEvent]
) -> None:
    """
    A call that fails tells so, in the words of the error that it raises.
    """
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError) as caught:
        studio.generate("a teapot", on_progress=reported.append)
    assert (reported[-1].stage, reported[-1].message) == ("failed", str(caught.value))


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_what_makes_no_sense_is_told_as_failed(
    studio: Any, provider: FakeOpenAI, reported: list[ProgressEvent], body: bytes
) -> None:
    """
    A reply that cannot be read is not read for its status either.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))

    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=instead))
    with pytest.raises(InvalidResponseError):
        studio.generate("a teapot", on_progress=reported.append)
    assert reported[-1].stage == "failed"


@pytest.mark.usefixtures("hurried")
def test_a_provider_that_cannot_be_reached(
    make_studio: MakeStudio, tmp_path: Path, reported: list[ProgressEvent]
) -> None:
    """
    While nobody answers it is told that it is tried again, and in the end that it failed.
    """
    closed_port = "http://127.0.0.1:1/v1"
    studio = make_studio(tmp_path, online=True, api_key="x", base_url=closed_port, retry_timeout=1)
    with pytest.raises(ProviderUnavailableError):
        studio.generate("a teapot", on_progress=reported.append)
    assert any(
        "there was no answer" in event.message for event in reported if event.stage == "backing_off"
    )
    assert reported[-1].stage == "failed"


def waits() -> Workflow[str]:
    """
    Wait for a while in short steps.
    """
    yield from ReportProgress("backing_off")
    for _ in range(10):
        yield from Sleep(0.02)
    return "done"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.usefixtures("beating_fast")
def test_short_steps_do_not_keep_it_from_beating(reported: list[ProgressEvent], kind: str) -> None:
    """
    However short the steps are that a wait is made of, it is told all the time that it goes on.
    """
    nothing: Any = None
    observer = observers(reported.append)[0]
    if kind == "sync":
        assert run_workflow(waits(), nothing, nothing, observer) == "done"
    else:
        assert anyio.run(drive_async, waits(), nothing, nothing, observer) == "done"
    assert stages(reported) == ["preparing", "backing_off", "completed"]
    assert len(reported) >= 5


VERBS: dict[str, Callable[[Any, Any], object]] = {
    "generate": lambda studio, notify: studio.generate("a", on_progress=notify),
    "edit": lambda studio, notify: studio.edit("b", image=tiny_image(), on_progress=notify),
    "stream": lambda studio, notify: list(studio.stream("a", on_progress=notify)),
    "preset": lambda studio, notify: studio.preset("product", "a", on_progress=notify),
    "product": lambda studio, notify: studio.product("a", on_progress=notify),
    "ui_asset": lambda studio, notify: studio.ui_asset("icon", "a", on_progress=notify),
    "analyze": lambda studio, notify: studio.analyze(tiny_image(), on_progress=notify),
    "improve": lambda studio, notify: studio.improve("b", image=tiny_image(), on_progress=notify),
    "session": lambda studio, notify: studio.session("s").generate("a", on_progress=notify),
    "refine": lambda studio, notify: (
        studio.session("t").generate("a").refine("b", on_progress=notify)
    ),
}
MANY: dict[str, Callable[[Any, Any], object]] = {
    "variations": lambda studio, notify: studio.variations("a", n=2, on_progress=notify),
    "preset": lambda studio, notify: studio.preset("product", "a", n=2, on_progress=notify),
    "product": lambda studio, notify: studio.product("a", n=2, on_progress=notify),
    "map": lambda studio, notify: studio.map(["a", ImageRequest("b")], on_progress=notify),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_waits_tells(studio: Any, reported: list[ProgressEvent], verb: str) -> None:
    """
    Whatever asks for a picture, or has one looked at, can be watched, on studios and sessions.
    """
    VERBS[verb](studio, reported.append)
    assert (reported[0].stage, reported[-1].stage) == ("preparing", "completed")
    assert {(event.position, event.total) for event in reported} == {(0, 1)}


@pytest.mark.parametrize("verb", MANY)
def test_each_of_many_is_told_by_its_position(
    studio: Any, reported: list[ProgressEvent], verb: str
) -> None:
    """
    Where a call makes several pictures each is told of, by one thread at a time.
    """
    alone = threading.Lock()

    def on_event(progress: ProgressEvent) -> None:
        assert alone.acquire(blocking=False)
        time.sleep(0.001)
        reported.append(progress)
        alone.release()

    MANY[verb](studio, on_event)
    for position in (0, 1):
        own = [event for event in reported if event.position == position]
        assert (own[0].stage, own[-1].stage, own[0].total) == ("preparing", "completed", 2)


def test_one_of_many_that_fails_is_told(
    studio: Any, provider: FakeOpenAI, reported: list[ProgressEvent]
) -> None:
    """
    What failed among many is told as failed, and the others go on.
    """
    provider.moderate_next()
    results = studio.map(["a", "b"], concurrency=1, on_progress=reported.append)
    assert [type(error) for error in results.errors] == [ContentBlockedError]
    ends = {
        event.position: event.stage for event in reported if event.stage in {"completed", "failed"}
    }
    assert ends == {0: "failed", 1: "completed"}


def test_an_error_in_the_callback_loses_no_picture(
    studio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A callback that raises is called no more, which the log tells; the picture is made and kept.
    """
    calls: list[ProgressEvent] = []

    def breaks(progress: ProgressEvent) -> None:
        calls.append(progress)
        if progress.stage == "sending":
            raise ZeroDivisionError

    image = studio.generate("a teapot", on_progress=breaks)
    assert image.bytes
    assert calls[-1].stage == "sending"
    (record,) = [item for item in caplog.records if item.levelno == logging.ERROR]
    assert (record.name, bool(record.exc_info)) == ("imagesession", True)


async def awaits(_: ProgressEvent) -> None:
    """
    Be what cannot be called just so.
    """


@pytest.mark.parametrize("wrong", [awaits, True, "bar"])
def test_what_cannot_be_called_is_refused(studio: Any, provider: FakeOpenAI, wrong: Any) -> None:
    """
    Something else than a plain function is refused before anything is sent.
    """
    for verb in (studio.generate, studio.variations):
        with pytest.raises(InvalidRequestError, match="on_progress="):
            verb("a teapot", on_progress=wrong)
    assert not [call for call in provider.requests if call.method == "POST"]


@pytest.mark.usefixtures("beating_fast")
def test_a_sync_callback_runs_in_the_callers_thread(tmp_path: Path) -> None:
    """
    The sync twin calls back in the thread that called it, though it waits meanwhile.
    """
    threads: set[int] = set()
    with Studio.offline(tmp_path, provider=FakeOpenAI(latency=0.2)) as studio:
        studio.generate("a", on_progress=lambda _: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.usefixtures("beating_fast")
def test_an_interrupt_leaves_what_can_be_looked_up(tmp_path: Path) -> None:
    """
    An interrupt while it is waited for, in the callback too, ends the call and nothing else: the
    picture is looked up later.
    """

    def interrupts(progress: ProgressEvent) -> None:
        if progress.stage == "generating":
            raise KeyboardInterrupt

    with Studio.offline(tmp_path, provider=FakeOpenAI(latency=0.3)) as studio:
        with pytest.raises(KeyboardInterrupt):
            studio.generate("a", on_progress=interrupts)
        assert studio.recover().images[0].prompt == "a"


@pytest.mark.anyio
@pytest.mark.usefixtures("beating_fast")
async def test_an_async_callback_runs_in_the_loop(tmp_path: Path) -> None:
    """
    The async twin calls back in the thread of its loop, whose queues can be used at once, and
    leaves no task behind.
    """
    came: queue.SimpleQueue[tuple[int, ProgressEvent]] = queue.SimpleQueue()
    async with AsyncStudio.offline(tmp_path, provider=FakeOpenAI(latency=0.4)) as studio:
        await studio.generate(
            "a", on_progress=lambda event: came.put((threading.get_ident(), event))
        )
        assert came.qsize() > 4
        threads = {came.get()[0] for _ in range(came.qsize())}
        assert threads == {threading.get_ident()}
        await anyio.sleep(0.15)
        assert came.empty()


@pytest.mark.anyio
@pytest.mark.usefixtures("beating_fast")
async def test_a_cancelled_call_is_told_of_no_more(tmp_path: Path) -> None:
    """
    A cancelled call ends at once, and nobody is told of it afterwards.
    """
    reported: list[ProgressEvent] = []
    async with AsyncStudio.offline(tmp_path, provider=FakeOpenAI(latency=30)) as studio:
        with anyio.move_on_after(1.0) as scope:
            await studio.generate("a", on_progress=reported.append)
        assert scope.cancelled_caught
        count = len(reported)
        await anyio.sleep(0.15)
        assert len(reported) == count
        assert reported[-1].stage in {"queued", "backing_off", "generating"}


def test_progress_says_it_in_words() -> None:
    """
    What is told can be printed as it is.
    """
    assert str(ProgressEvent(stage="generating", elapsed=12.34)) == "generating, 12 s"
    assert (
        str(ProgressEvent(stage="partial_image", elapsed=3, partials=2)) == "partial image 2, 3 s"
    )
    waits = ProgressEvent(stage="backing_off", elapsed=0, message="queued", position=2, total=8)
    assert str(waits) == "3 of 8: backing off, 0 s (queued)"


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[int], str]:
    """
    Return what was logged at a level and above: `logged(logging.INFO)`.
    """
    caplog.set_level(logging.DEBUG, "imagesession")

    def read(level: int) -> str:
        ours = (record for record in caplog.records if record.name == "imagesession")
        return "\n".join(item.getMessage() for item in ours if item.levelno >= level)

    return read


def test_the_log_tells_what_became_of_a_picture(studio: Any, logged: Callable[[int], str]) -> None:
    """
    A picture that is sent, accepted and kept is logged so: its ids, how long it took, its cost.
    """
    image = studio.generate(PROMPT)
    sent, accepted, kept = logged(logging.INFO).splitlines()
    assert (image.turn.id in sent, "POST /responses" in sent) == (True, True)
    assert f"accepted as {image.turn.response_id}" in accepted
    assert all(word in kept for word in ("completed after", image.id, str(image.cost)))


def test_the_log_repeats_no_prompt(
    studio: Any, provider: FakeOpenAI, logged: Callable[[int], str]
) -> None:
    """
    Nothing that was asked or answered in words stands in the log, at whatever level.
    """
    studio.session(PROMPT).generate(PROMPT)
    provider.refuse_next(PROMPT)
    with pytest.raises(RefusalError):
        studio.generate(PROMPT)
    assert "refused after" in logged(logging.INFO)
    assert "StoreCall" in logged(logging.DEBUG)
    assert PROMPT not in logged(logging.DEBUG)


@pytest.mark.usefixtures("hurried")
def test_retries_are_warned_of(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    logged: Callable[[int], str],
) -> None:
    """
    A request that is asked again is a warning that says why and when; so is a provider that wants
    to be left alone, and nothing else is.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=30)
    studio.generate("a teapot")
    assert not logged(logging.WARNING)
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses")
    studio.generate("a teapot")
    warned = logged(logging.WARNING)
    assert "HTTP 429; tried again in 0.1 s" in warned
    assert "wants to be left alone for 0.1 s" in warned


@pytest.mark.usefixtures("hurried")
def test_a_provider_that_wants_to_be_left_alone_is_warned_of(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    logged: Callable[[int], str],
) -> None:
    """
    Whoever waits because another call was told to says so.
    """
    provider.fail_next(status=429, headers={"retry-after": "1"}, method="POST", path="/responses")
    with pytest.raises(RateLimitError):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert "wants to be left alone for another" in logged(logging.WARNING)


def test_a_log_that_is_off_changes_nothing(
    studio: Any, caplog: pytest.LogCaptureFixture, logged: Callable[[int], str]
) -> None:
    """
    Who switches the log off has the same pictures, and pays nothing for it.
    """
    caplog.set_level(logging.CRITICAL + 1, "imagesession")
    *partials, last = studio.stream("a teapot", partial_images=1)
    assert len(partials) == 1
    assert last.bytes
    assert not logged(0)


def test_nothing_is_printed_unless_asked(tmp_path: Path) -> None:
    """
    A program that sets up no log sees none, though requests are asked again, and no bar in a pipe.
    """
    script = (
        "import sys\n"
        "from imagesession import Studio\n"
        "from imagesession.testing import FakeOpenAI\n"
        "provider = FakeOpenAI()\n"
        "provider.fail_next(status=429, headers={'retry-after': '0'}, path='/responses')\n"
        "with Studio.offline(sys.argv[1], provider=provider) as studio:\n"
        "    studio.map(['a', 'b']).raise_any()\n"
        "    studio.generate('c')\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    ran = subprocess.run(command, check=True, capture_output=True)
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_not_asked_for_nothing_is_loaded(tmp_path: Path) -> None:
    """
    What tells of progress is not loaded before a provider is reached.
    """
    script = (
        "import sys\n"
        "from imagesession import Studio\n"
        "with Studio.offline(sys.argv[1]) as studio:\n"
        "    studio.session('x'); studio.images.list()\n"
        "    assert 'imagesession._runtime.progress' not in sys.modules\n"
        "    assert 'imagesession._domain.progress' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
