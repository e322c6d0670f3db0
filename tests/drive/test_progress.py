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

from imagesession import AsyncStudio, Job, Progress, Studio
from imagesession._drive import progress
from imagesession._drive.drivers import drive, drive_async
from imagesession._drive.progress import HEARTBEAT_SECONDS, observers
from imagesession._model.progress import Stage
from imagesession._plan.steps import Flow, ReportProgress, Wait
from imagesession.errors import (
    CallError,
    ModerationError,
    RateLimitError,
    RefusedError,
    ReplyError,
    UnavailableError,
)
from imagesession.testing import Answer, Call, Fault, OfflineProvider, tiny_image
from tests.conftest import MakeStudio

PROMPT = "a SECRET-PROMPT teapot"
AT_ONCE = {"retry-after": "0.1"}


def stages(told: list[Progress]) -> list[str]:
    """
    Return the stages that were told, each once for as long as it lasted.
    """
    return [stage for stage, _ in itertools.groupby(one.stage for one in told)]


@pytest.fixture
def told() -> list[Progress]:
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


def test_a_picture_goes_through_its_stages(studio: Any, told: list[Progress]) -> None:
    """
    Each stage of a plain picture is told when it comes, and the last word is that it is done.
    """
    image = studio.generate("a teapot", on_progress=told.append)
    seen = stages(told)
    assert seen[0] == "preparing"
    assert seen[-2:] == ["saving", "done"]
    assert [one for one in seen if one in {"sending", "waiting", "saving"}][-3:] == [
        "sending",
        "waiting",
        "saving",
    ]
    assert told[-1].turn_id == image.turn.id
    assert set(seen) <= set(get_args(Stage))


@pytest.mark.usefixtures("looking_often")
def test_it_beats_while_the_provider_draws(
    make_studio: MakeStudio, tmp_path: Path, told: list[Progress]
) -> None:
    """
    While a picture is drawn somebody is told at least each second, and time never runs backwards.
    """
    studio = make_studio(tmp_path, provider=OfflineProvider(latency=1.7))
    came: list[float] = []

    def hear(progress: Progress) -> None:
        came.append(time.monotonic())
        told.append(progress)

    studio.generate("a teapot", on_progress=hear)
    elapsed = [one.elapsed for one in told]
    assert elapsed == sorted(elapsed)
    # Twice a second, on a machine that may have much else to do.
    assert max(after - before for before, after in itertools.pairwise(came)) < 2.0
    assert [one.stage for one in told].count("drawing") >= 3
    assert stages(told)[-4:] == ["waiting", "drawing", "saving", "done"]


@pytest.mark.parametrize("responses", [True, False])
@pytest.mark.usefixtures("beating_fast")
def test_it_beats_while_one_answer_is_waited_for(
    make_studio: MakeStudio, tmp_path: Path, told: list[Progress], *, responses: bool
) -> None:
    """
    Where the answer to the request is the picture itself, or the findings, it is told just so.
    """
    provider = OfflineProvider(latency=0.2, responses=responses)
    studio = make_studio(tmp_path, provider=provider)
    if responses:
        studio.analyze(tiny_image(), on_progress=told.append)
    else:
        studio.generate("a teapot", on_progress=told.append)
    work = "looking" if responses else "drawing"
    assert stages(told)[-4:] == ["sending", work, "saving", "done"]


def test_partial_images_are_counted(studio: Any, told: list[Progress]) -> None:
    """
    A stream tells of every unfinished picture, when it hands it over.
    """
    partials = 0
    for event in studio.stream("a teapot", partial_images=2, on_progress=told.append):
        if type(event).__name__ == "PartialImage":
            partials += 1
            assert (told[-1].stage, told[-1].partials) == ("partial", partials)
    assert partials == told[-1].partials == 2
    assert stages(told)[-2:] == ["saving", "done"]


@pytest.mark.usefixtures("beating_fast")
def test_an_improvement_looks_and_then_draws(
    make_studio: MakeStudio, tmp_path: Path, told: list[Progress]
) -> None:
    """
    A call with two requests tells of both.
    """
    studio = make_studio(tmp_path, provider=OfflineProvider(latency=0.2))
    studio.improve("more contrast", image=tiny_image(), on_progress=told.append)
    seen = stages(told)
    assert seen.index("looking") < seen.index("drawing")
    assert seen.count("saving") == 2
    assert seen.count("done") == 1


@pytest.mark.usefixtures("hurried")
def test_a_request_that_was_turned_away_waits(
    make_studio: MakeStudio, tmp_path: Path, provider: OfflineProvider, told: list[Progress]
) -> None:
    """
    While a request waits to be asked again, the reason is told.
    """
    studio = make_studio(tmp_path, provider=provider, patience=30)
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses")
    studio.generate("a teapot", on_progress=told.append)
    waiting = [one.message for one in told if one.stage == "waiting"]
    assert any("HTTP 429" in message for message in waiting)
    assert told[-1].stage == "done"


def test_a_failure_is_the_last_word(
    studio: Any, provider: OfflineProvider, told: list[Progress]
) -> None:
    """
    A call that fails tells so, in the words of the error that it raises.
    """
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusedError) as caught:
        studio.generate("a teapot", on_progress=told.append)
    assert (told[-1].stage, told[-1].message) == ("failed", str(caught.value))


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_what_makes_no_sense_is_told_as_failed(
    studio: Any, provider: OfflineProvider, told: list[Progress], body: bytes
) -> None:
    """
    A reply that cannot be read is not read for its status either.
    """

    def instead(_: Call) -> Answer:
        return Answer(headers={"content-type": "application/json"}, parts=iter((body,)))

    provider.script(Fault(method="POST", path="/responses", instead=instead))
    with pytest.raises(ReplyError):
        studio.generate("a teapot", on_progress=told.append)
    assert told[-1].stage == "failed"


@pytest.mark.usefixtures("hurried")
def test_a_provider_that_cannot_be_reached(
    make_studio: MakeStudio, tmp_path: Path, told: list[Progress]
) -> None:
    """
    While nobody answers it is told that it is tried again, and in the end that it failed.
    """
    nobody = "http://127.0.0.1:1/v1"
    studio = make_studio(tmp_path, online=True, api_key="x", base_url=nobody, patience=1)
    with pytest.raises(UnavailableError):
        studio.generate("a teapot", on_progress=told.append)
    assert any("there was no answer" in one.message for one in told if one.stage == "waiting")
    assert told[-1].stage == "failed"


def waits() -> Flow[str]:
    """
    Wait for a while in short steps.
    """
    yield from ReportProgress("waiting")
    for _ in range(10):
        yield from Wait(0.02)
    return "done"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.usefixtures("beating_fast")
def test_short_steps_do_not_keep_it_from_beating(told: list[Progress], kind: str) -> None:
    """
    However short the steps are that a wait is made of, it is told all the time that it goes on.
    """
    nothing: Any = None
    observer = observers(told.append)[0]
    if kind == "sync":
        assert drive(waits(), nothing, nothing, observer) == "done"
    else:
        assert anyio.run(drive_async, waits(), nothing, nothing, observer) == "done"
    assert stages(told) == ["preparing", "waiting", "done"]
    assert len(told) >= 5


VERBS: dict[str, Callable[[Any, Any], object]] = {
    "generate": lambda studio, tell: studio.generate("a", on_progress=tell),
    "edit": lambda studio, tell: studio.edit("b", image=tiny_image(), on_progress=tell),
    "stream": lambda studio, tell: list(studio.stream("a", on_progress=tell)),
    "preset": lambda studio, tell: studio.preset("product", "a", on_progress=tell),
    "product": lambda studio, tell: studio.product("a", on_progress=tell),
    "ui_asset": lambda studio, tell: studio.ui_asset("icon", "a", on_progress=tell),
    "analyze": lambda studio, tell: studio.analyze(tiny_image(), on_progress=tell),
    "improve": lambda studio, tell: studio.improve("b", image=tiny_image(), on_progress=tell),
    "session": lambda studio, tell: studio.session("s").generate("a", on_progress=tell),
    "refine": lambda studio, tell: studio.session("t").generate("a").refine("b", on_progress=tell),
}
MANY: dict[str, Callable[[Any, Any], object]] = {
    "variations": lambda studio, tell: studio.variations("a", n=2, on_progress=tell),
    "preset": lambda studio, tell: studio.preset("product", "a", n=2, on_progress=tell),
    "product": lambda studio, tell: studio.product("a", n=2, on_progress=tell),
    "map": lambda studio, tell: studio.map(["a", Job("b")], on_progress=tell),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_waits_tells(studio: Any, told: list[Progress], verb: str) -> None:
    """
    Whatever asks for a picture, or has one looked at, can be watched, on studios and sessions.
    """
    VERBS[verb](studio, told.append)
    assert (told[0].stage, told[-1].stage) == ("preparing", "done")
    assert {(one.position, one.total) for one in told} == {(0, 1)}


@pytest.mark.parametrize("verb", MANY)
def test_each_of_many_is_told_by_its_position(studio: Any, told: list[Progress], verb: str) -> None:
    """
    Where a call makes several pictures each is told of, by one thread at a time.
    """
    alone = threading.Lock()

    def hear(progress: Progress) -> None:
        assert alone.acquire(blocking=False)
        time.sleep(0.001)
        told.append(progress)
        alone.release()

    MANY[verb](studio, hear)
    for position in (0, 1):
        own = [one for one in told if one.position == position]
        assert (own[0].stage, own[-1].stage, own[0].total) == ("preparing", "done", 2)


def test_one_of_many_that_fails_is_told(
    studio: Any, provider: OfflineProvider, told: list[Progress]
) -> None:
    """
    What failed among many is told as failed, and the others go on.
    """
    provider.block_next()
    results = studio.map(["a", "b"], concurrency=1, on_progress=told.append)
    assert [type(one) for one in results.errors] == [ModerationError]
    ends = {one.position: one.stage for one in told if one.stage in {"done", "failed"}}
    assert ends == {0: "failed", 1: "done"}


def test_an_error_in_the_callback_loses_no_picture(
    studio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A callback that raises is called no more, which the log tells; the picture is made and kept.
    """
    calls: list[Progress] = []

    def breaks(progress: Progress) -> None:
        calls.append(progress)
        if progress.stage == "sending":
            raise ZeroDivisionError

    image = studio.generate("a teapot", on_progress=breaks)
    assert image.bytes
    assert calls[-1].stage == "sending"
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (record.name, bool(record.exc_info)) == ("imagesession", True)


async def awaits(_: Progress) -> None:
    """
    Be what cannot be called just so.
    """


@pytest.mark.parametrize("wrong", [awaits, True, "bar"])
def test_what_cannot_be_called_is_refused(
    studio: Any, provider: OfflineProvider, wrong: Any
) -> None:
    """
    Something else than a plain function is refused before anything is sent.
    """
    for verb in (studio.generate, studio.variations):
        with pytest.raises(CallError, match="on_progress="):
            verb("a teapot", on_progress=wrong)
    assert not [call for call in provider.calls if call.method == "POST"]


@pytest.mark.usefixtures("beating_fast")
def test_a_sync_callback_runs_in_the_callers_thread(tmp_path: Path) -> None:
    """
    The sync twin calls back in the thread that called it, though it waits meanwhile.
    """
    threads: set[int] = set()
    with Studio.offline(tmp_path, provider=OfflineProvider(latency=0.2)) as studio:
        studio.generate("a", on_progress=lambda _: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.usefixtures("beating_fast")
def test_an_interrupt_leaves_what_can_be_looked_up(tmp_path: Path) -> None:
    """
    An interrupt while it is waited for, in the callback too, ends the call and nothing else: the
    picture is looked up later.
    """

    def interrupts(progress: Progress) -> None:
        if progress.stage == "drawing":
            raise KeyboardInterrupt

    with Studio.offline(tmp_path, provider=OfflineProvider(latency=0.3)) as studio:
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
    came: queue.SimpleQueue[tuple[int, Progress]] = queue.SimpleQueue()
    async with AsyncStudio.offline(tmp_path, provider=OfflineProvider(latency=0.4)) as studio:
        await studio.generate("a", on_progress=lambda one: came.put((threading.get_ident(), one)))
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
    told: list[Progress] = []
    async with AsyncStudio.offline(tmp_path, provider=OfflineProvider(latency=30)) as studio:
        with anyio.move_on_after(1.0) as scope:
            await studio.generate("a", on_progress=told.append)
        assert scope.cancelled_caught
        count = len(told)
        await anyio.sleep(0.15)
        assert len(told) == count
        assert told[-1].stage in {"waiting", "drawing"}


def test_progress_says_it_in_words() -> None:
    """
    What is told can be printed as it is.
    """
    assert str(Progress(stage="drawing", elapsed=12.34)) == "drawing, 12 s"
    assert str(Progress(stage="partial", elapsed=3, partials=2)) == "partial 2, 3 s"
    waits = Progress(stage="waiting", elapsed=0, message="queued", position=2, total=8)
    assert str(waits) == "3 of 8: waiting, 0 s (queued)"


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[int], str]:
    """
    Return what was logged at a level and above: `logged(logging.INFO)`.
    """
    caplog.set_level(logging.DEBUG, "imagesession")

    def read(level: int) -> str:
        ours = (one for one in caplog.records if one.name == "imagesession")
        return "\n".join(one.getMessage() for one in ours if one.levelno >= level)

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
    studio: Any, provider: OfflineProvider, logged: Callable[[int], str]
) -> None:
    """
    Nothing that was asked or answered in words stands in the log, at whatever level.
    """
    studio.session(PROMPT).generate(PROMPT)
    provider.refuse_next(PROMPT)
    with pytest.raises(RefusedError):
        studio.generate(PROMPT)
    assert "refused after" in logged(logging.INFO)
    assert "OnDisk" in logged(logging.DEBUG)
    assert PROMPT not in logged(logging.DEBUG)


@pytest.mark.usefixtures("hurried")
def test_retries_are_warned_of(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: OfflineProvider,
    logged: Callable[[int], str],
) -> None:
    """
    A request that is asked again is a warning that says why and when; so is a provider that wants
    to be left alone, and nothing else is.
    """
    studio = make_studio(tmp_path, provider=provider, patience=30)
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
    provider: OfflineProvider,
    logged: Callable[[int], str],
) -> None:
    """
    Whoever waits because another call was told to says so.
    """
    provider.fail_next(status=429, headers={"retry-after": "1"}, method="POST", path="/responses")
    with pytest.raises(RateLimitError):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    make_studio(tmp_path, provider=provider, patience=30).generate("a teapot")
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
        "from imagesession.testing import OfflineProvider\n"
        "provider = OfflineProvider()\n"
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
        "    assert 'imagesession._drive.progress' not in sys.modules\n"
        "    assert 'imagesession._model.progress' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
