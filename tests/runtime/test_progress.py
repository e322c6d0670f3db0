"""
Progress is reported correctly, at least every second, and never at the cost of an image.
"""

from __future__ import annotations

import itertools
import logging
import queue
import re
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
from imagesession._runtime.interpreter import run_workflow, run_workflow_async
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
from tests.clock import DAY, HoldingProvider
from tests.conftest import MakeStudio

PROMPT = "a SECRET-PROMPT teapot"
RETRY_SOON = {"retry-after": "0.1"}


def stages(events: list[ProgressEvent]) -> list[str]:
    """
    Return the reported stages without repetitions.
    """
    return [stage for stage, _ in itertools.groupby(event.stage for event in events)]


@pytest.fixture
def events() -> list[ProgressEvent]:
    """
    A list for the reported events: `on_progress=events.append`.
    """
    return []


@pytest.fixture
def fast_heartbeats(monkeypatch: pytest.MonkeyPatch, looking_often: None) -> None:  # noqa: ARG001 - is there
    """
    Send heartbeats ten times as often, so that tests are fast.
    """
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", HEARTBEAT_SECONDS / 10)


def test_image_goes_through_all_stages(studio: Any, events: list[ProgressEvent]) -> None:
    """
    Each stage of an image is reported when it begins, and "completed" is the last one.
    """
    image = studio.generate("a teapot", on_progress=events.append)
    seen = stages(events)
    assert seen[0] == "preparing"
    assert seen[-2:] == ["saving", "completed"]
    assert [text for text in seen if text in {"sending", "queued", "saving"}][-3:] == [
        "sending",
        "queued",
        "saving",
    ]
    assert events[-1].turn_id == image.turn.id
    assert set(seen) <= set(get_args(Stage))


@pytest.mark.usefixtures("fast_heartbeats")
def test_heartbeats_while_the_provider_draws(
    make_studio: MakeStudio, tmp_path: Path, events: list[ProgressEvent]
) -> None:
    """
    While an image is made, progress is reported again and again, in order of time: twice a second.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)

    def on_event(progress: ProgressEvent) -> None:
        events.append(progress)
        if [event.stage for event in events].count("generating") == 3:
            provider.finish()

    studio.generate("a teapot", on_progress=on_event)
    elapsed = [event.elapsed for event in events]
    assert elapsed == sorted(elapsed)
    assert HEARTBEAT_SECONDS == 0.5
    assert stages(events)[-4:] == ["queued", "generating", "saving", "completed"]


@pytest.mark.parametrize("responses", [True, False])
@pytest.mark.usefixtures("fast_heartbeats")
def test_heartbeats_while_waiting_for_a_single_response(
    make_studio: MakeStudio, tmp_path: Path, events: list[ProgressEvent], *, responses: bool
) -> None:
    """
    If the response is the image or the analysis itself, the stage is "generating" or "analyzing".
    """
    provider = FakeOpenAI(latency=0.2, responses=responses)
    studio = make_studio(tmp_path, provider=provider)
    if responses:
        studio.analyze(tiny_image(), on_progress=events.append)
    else:
        studio.generate("a teapot", on_progress=events.append)
    work = "analyzing" if responses else "generating"
    assert stages(events)[-4:] == ["sending", work, "saving", "completed"]


def test_partial_images_are_counted(studio: Any, events: list[ProgressEvent]) -> None:
    """
    A stream reports every partial image when it yields it.
    """
    partials = 0
    for event in studio.stream("a teapot", partial_images=2, on_progress=events.append):
        if type(event).__name__ == "PartialImage":
            partials += 1
            assert (events[-1].stage, events[-1].partials) == ("partial_image", partials)
    assert partials == events[-1].partials == 2
    assert stages(events)[-2:] == ["saving", "completed"]


@pytest.mark.usefixtures("fast_heartbeats")
def test_improvement_reports_both_requests(
    make_studio: MakeStudio, tmp_path: Path, events: list[ProgressEvent]
) -> None:
    """
    A call with two requests reports both.
    """
    studio = make_studio(tmp_path, provider=FakeOpenAI(latency=0.2))
    studio.improve("more contrast", image=tiny_image(), on_progress=events.append)
    seen = stages(events)
    assert seen.index("analyzing") < seen.index("generating")
    assert seen.count("saving") == 2
    assert seen.count("completed") == 1


@pytest.mark.usefixtures("hurried")
def test_retry_reports_its_reason(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, events: list[ProgressEvent]
) -> None:
    """
    While a request waits for its retry, the reason is reported.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=30)
    provider.fail_next(status=429, headers=RETRY_SOON, method="POST", path="/responses")
    studio.generate("a teapot", on_progress=events.append)
    waiting = [event.message for event in events if event.stage == "backing_off"]
    assert any("HTTP 429" in message for message in waiting)
    assert events[-1].stage == "completed"


def test_failure_is_the_last_event(
    studio: Any, provider: FakeOpenAI, events: list[ProgressEvent]
) -> None:
    """
    A call that fails reports the message of its error.
    """
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError) as caught:
        studio.generate("a teapot", on_progress=events.append)
    assert (events[-1].stage, events[-1].message) == ("failed", str(caught.value))


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_unreadable_response_is_reported_as_failed(
    studio: Any, provider: FakeOpenAI, events: list[ProgressEvent], body: bytes
) -> None:
    """
    A response that cannot be read is reported as failed.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))

    provider.enqueue_fault(Fault(method="POST", path="/responses", response=instead))
    with pytest.raises(InvalidResponseError):
        studio.generate("a teapot", on_progress=events.append)
    assert events[-1].stage == "failed"


@pytest.mark.usefixtures("hurried")
def test_unreachable_provider_is_reported(
    make_studio: MakeStudio, tmp_path: Path, events: list[ProgressEvent]
) -> None:
    """
    While the provider cannot be reached the retries are reported, and finally the failure.
    """
    closed_port = "http://127.0.0.1:1/v1"
    studio = make_studio(tmp_path, online=True, api_key="x", base_url=closed_port, retry_timeout=1)
    with pytest.raises(ProviderUnavailableError):
        studio.generate("a teapot", on_progress=events.append)
    assert any(
        "there was no answer" in event.message for event in events if event.stage == "backing_off"
    )
    assert events[-1].stage == "failed"


def wait_in_short_steps() -> Workflow[str]:
    """
    Wait in short steps.
    """
    yield from ReportProgress("backing_off")
    for _ in range(10):
        yield from Sleep(0.02)
    return "done"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.usefixtures("fast_heartbeats")
def test_short_waits_have_heartbeats(events: list[ProgressEvent], kind: str) -> None:
    """
    A wait that consists of many short ones has heartbeats too.
    """
    nothing: Any = None
    observer = observers(events.append)[0]
    if kind == "sync":
        assert run_workflow(wait_in_short_steps(), nothing, nothing, observer) == "done"
    else:
        assert (
            anyio.run(run_workflow_async, wait_in_short_steps(), nothing, nothing, observer)
            == "done"
        )
    assert stages(events) == ["preparing", "backing_off", "completed"]
    assert len(events) >= 5


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
def test_every_verb_reports_progress(studio: Any, events: list[ProgressEvent], verb: str) -> None:
    """
    All verbs that send requests report progress, on studios and sessions.
    """
    VERBS[verb](studio, events.append)
    assert (events[0].stage, events[-1].stage) == ("preparing", "completed")
    assert {(event.position, event.total) for event in events} == {(0, 1)}


@pytest.mark.parametrize("verb", MANY)
def test_events_have_positions(studio: Any, events: list[ProgressEvent], verb: str) -> None:
    """
    If a call makes several images, each is reported with its position, by one thread at a time.
    """
    alone = threading.Lock()

    def on_event(progress: ProgressEvent) -> None:
        assert alone.acquire(blocking=False)
        time.sleep(0.001)
        events.append(progress)
        alone.release()

    MANY[verb](studio, on_event)
    for position in (0, 1):
        own = [event for event in events if event.position == position]
        assert (own[0].stage, own[-1].stage, own[0].total) == ("preparing", "completed", 2)


def test_one_failure_among_many_is_reported(
    studio: Any, provider: FakeOpenAI, events: list[ProgressEvent]
) -> None:
    """
    One failure among many is reported as failed, and the others continue.
    """
    provider.moderate_next()
    results = studio.map(["a", "b"], max_concurrency=1, on_progress=events.append)
    assert [type(error) for error in results.errors] == [ContentBlockedError]
    ends = {
        event.position: event.stage for event in events if event.stage in {"completed", "failed"}
    }
    assert ends == {0: "failed", 1: "completed"}


def test_callback_error_does_not_lose_the_image(
    studio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A callback that raises is logged and not called again; the image is made and saved.
    """
    calls: list[ProgressEvent] = []

    def failing_callback(progress: ProgressEvent) -> None:
        calls.append(progress)
        if progress.stage == "sending":
            raise ZeroDivisionError

    image = studio.generate("a teapot", on_progress=failing_callback)
    assert image.bytes
    assert calls[-1].stage == "sending"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    (record,) = errors
    assert (record.name, bool(record.exc_info)) == ("imagesession", True)


async def coroutine_callback(_: ProgressEvent) -> None:
    """
    A callback that must be awaited.
    """


@pytest.mark.parametrize("wrong", [coroutine_callback, 1, "bar"])
def test_invalid_callback_is_refused(studio: Any, provider: FakeOpenAI, wrong: Any) -> None:
    """
    Anything but a plain function is refused before anything is sent.
    """
    for verb in (studio.generate, studio.variations):
        with pytest.raises(InvalidRequestError, match="on_progress="):
            verb("a teapot", on_progress=wrong)
    assert not [call for call in provider.requests if call.method == "POST"]


@pytest.mark.usefixtures("fast_heartbeats")
def test_sync_callback_runs_in_the_callers_thread(tmp_path: Path) -> None:
    """
    A sync studio calls back in the thread of its caller, even while it waits.
    """
    threads: set[int] = set()
    with Studio.offline(tmp_path, provider=FakeOpenAI(latency=0.2)) as studio:
        studio.generate("a", on_progress=lambda _: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.usefixtures("fast_heartbeats")
def test_interrupted_image_can_be_recovered(tmp_path: Path) -> None:
    """
    An interrupt while waiting, even in the callback, ends only the call: the image is recovered
    later.
    """

    def interrupting_callback(progress: ProgressEvent) -> None:
        if progress.stage == "generating":
            raise KeyboardInterrupt

    with Studio.offline(tmp_path, provider=FakeOpenAI(latency=0.3)) as studio:
        with pytest.raises(KeyboardInterrupt):
            studio.generate("a", on_progress=interrupting_callback)
        assert studio.recover().images[0].prompt == "a"


@pytest.mark.anyio
@pytest.mark.usefixtures("fast_heartbeats")
async def test_async_callback_runs_in_the_event_loop(tmp_path: Path) -> None:
    """
    An async studio calls back in the thread of its event loop, whose queues can be used
    directly, and leaves no task behind.
    """
    calls: queue.SimpleQueue[tuple[int, ProgressEvent]] = queue.SimpleQueue()
    provider = HoldingProvider()
    provider.hold()

    def note(event: ProgressEvent) -> None:
        calls.put((threading.get_ident(), event))
        if calls.qsize() > 4:
            provider.finish()

    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        await studio.generate("a", on_progress=note)
        threads = {calls.get()[0] for _ in range(calls.qsize())}
        assert threads == {threading.get_ident()}
        await anyio.sleep(0.15)
        assert calls.empty()


@pytest.mark.anyio
@pytest.mark.usefixtures("fast_heartbeats")
async def test_cancelled_call_has_no_more_events(tmp_path: Path) -> None:
    """
    A cancelled call ends at once, without events afterwards.
    """
    events: list[ProgressEvent] = []
    async with AsyncStudio.offline(tmp_path, provider=FakeOpenAI(latency=DAY)) as studio:
        with anyio.move_on_after(60) as scope:

            def on_event(progress: ProgressEvent) -> None:
                events.append(progress)
                if progress.stage == "generating":
                    scope.cancel()

            await studio.generate("a", on_progress=on_event)
        assert scope.cancelled_caught
        count = len(events)
        await anyio.sleep(0.15)
        assert len(events) == count
        assert events[-1].stage == "generating"


def test_progress_as_text() -> None:
    """
    An event can be printed as it is.
    """
    assert str(ProgressEvent(stage="generating", elapsed=12.34)) == "generating, 12 s"
    assert (
        str(ProgressEvent(stage="partial_image", elapsed=3, partials=2)) == "partial image 2, 3 s"
    )
    waiting = ProgressEvent(stage="backing_off", elapsed=0, message="queued", position=2, total=8)
    assert str(waiting) == "3 of 8: backing off, 0 s (queued)"


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[int], str]:
    """
    Return the messages at a level and above: `logged(logging.INFO)`.
    """
    caplog.set_level(logging.DEBUG, "imagesession")

    def read(level: int) -> str:
        records = (record for record in caplog.records if record.name == "imagesession")
        return "\n".join(record.getMessage() for record in records if record.levelno >= level)

    return read


def test_log_of_an_image(studio: Any, logged: Callable[[int], str]) -> None:
    """
    An image is logged when it is sent, accepted and saved: with its ids, duration and cost.
    """
    image = studio.generate(PROMPT)
    sent, accepted, saved = logged(logging.INFO).splitlines()
    assert (image.turn.id in sent, "POST /responses" in sent) == (True, True)
    assert f"accepted as {image.turn.response_id}" in accepted
    assert all(word in saved for word in ("completed after", image.id, str(image.cost)))


def test_log_has_no_prompts(
    studio: Any, provider: FakeOpenAI, logged: Callable[[int], str]
) -> None:
    """
    No prompt or answer is logged, at any level.
    """
    studio.session(PROMPT).generate(PROMPT)
    provider.refuse_next(PROMPT)
    with pytest.raises(RefusalError):
        studio.generate(PROMPT)
    assert "refused after" in logged(logging.INFO)
    assert "StoreCall" in logged(logging.DEBUG)
    assert PROMPT not in logged(logging.DEBUG)


@pytest.mark.usefixtures("hurried")
def test_retries_are_logged_as_warnings(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    logged: Callable[[int], str],
) -> None:
    """
    A retry is a warning with its reason and time, and so is a cooldown; nothing else is.
    """
    studio = make_studio(tmp_path, provider=provider, retry_timeout=30)
    studio.generate("a teapot")
    assert not logged(logging.WARNING)
    provider.fail_next(status=429, headers=RETRY_SOON, method="POST", path="/responses")
    studio.generate("a teapot")
    warned = logged(logging.WARNING)
    assert re.search(r"HTTP 429 \(request req_\w+\); next attempt in 0\.1 s", warned)
    assert "cooldown lasts 0.1 s" in warned


@pytest.mark.usefixtures("hurried")
def test_shared_cooldown_is_logged_as_warning(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    logged: Callable[[int], str],
) -> None:
    """
    A call that waits for the cooldown of another call logs it.
    """
    provider.fail_next(status=429, headers={"retry-after": "1"}, method="POST", path="/responses")
    with pytest.raises(RateLimitError):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert "cooldown lasts another" in logged(logging.WARNING)


def test_disabled_log_changes_nothing(
    studio: Any, caplog: pytest.LogCaptureFixture, logged: Callable[[int], str]
) -> None:
    """
    With the log disabled the images are the same.
    """
    caplog.set_level(logging.CRITICAL + 1, "imagesession")
    *partials, last = studio.stream("a teapot", partial_images=1)
    assert len(partials) == 1
    assert last.bytes
    assert not logged(0)


def test_nothing_is_printed_by_default(tmp_path: Path) -> None:
    """
    A program without a log configuration prints nothing, even on retries, and no bar in a pipe.
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


def test_progress_modules_are_loaded_lazily(tmp_path: Path) -> None:
    """
    The progress modules are not imported before the provider is used.
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
