"""
Queued images are made by workers that may be killed, each paid for once, and found by any program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesession import ImageRequest, Studio
from imagesession.errors import (
    BatchNotReadyError,
    ContentBlockedError,
    InvalidRequestError,
    NotFoundError,
    RequestNotSentError,
)
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.clock import HoldingProvider
from tests.conftest import MakeStudio

LOW: dict[str, Any] = {"quality": "low", "size": "1024x1024"}
StartWorker = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def provider() -> HoldingProvider:
    """
    A provider that may hold its images back.
    """
    return HoldingProvider()


@pytest.fixture
def base_url(provider: FakeOpenAI) -> Iterator[str]:
    """
    Its address.
    """
    with serve(provider) as served:
        yield served.base_url


@pytest.fixture
def start_worker(url: str, base_url: str) -> Iterator[StartWorker]:
    """
    Starts workers, which are killed at the end.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": base_url}
        command = [sys.executable, "-m", "imagesession.worker", url]
        started.append(subprocess.Popen(command, env=environment))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
        worker.wait()


@pytest.fixture
def studio(make_studio: MakeStudio, url: str, base_url: str) -> Any:
    """
    A program that queues.
    """
    return make_studio(url, online=True, api_key="x", base_url=base_url)


def test_workers_make_a_queue_that_any_program_opens(
    studio: Any, provider: HoldingProvider, start_worker: StartWorker
) -> None:
    """
    Two workers make three images, one from an image of the library; another program finds the
    results by the queue's name, and queueing them again makes and pays for nothing.
    """
    logo = studio.images.import_file(tiny_image())
    requests = {
        "fox": "a fox",
        "owl": ImageRequest("an owl", options={"quality": "low"}),
        "mug": ImageRequest("on a mug", image=logo),
    }
    queue = studio.queue(requests, name="animals", **LOW)
    assert str(queue.status()) == "0 of 3 images made"
    start_worker()
    start_worker()
    made = queue.wait(timeout=300, progress=False)
    assert made.keys == ("fox", "owl", "mug")
    assert [image.prompt for image in made] == ["a fox", "an owl", "on a mug"]
    assert {image.turn.options.quality for image in made} == {"low"}
    again = studio.queue(requests, name="animals", **LOW).results()
    assert [image.id for image in again] == [image.id for image in made]
    assert [image.id for image in studio.queue(name="animals").results()] == [
        image.id for image in made
    ]
    assert provider.posts == 3


def test_a_failed_image_has_its_error_in_its_place(
    studio: Any, provider: HoldingProvider, start_worker: StartWorker
) -> None:
    """
    What the provider blocks is not tried again, and the other images are made.
    """
    provider.moderate_next()
    queue = studio.queue(["a fox", "an owl"], name="blocked", **LOW)
    start_worker()
    outcomes = queue.wait(timeout=300, progress=False)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [
        ContentBlockedError
    ]
    assert queue.status().failed == 1
    assert provider.posts == 2


def test_a_worker_ends_when_its_images_are_saved(
    studio: Any, provider: HoldingProvider, start_worker: StartWorker
) -> None:
    """
    On SIGTERM a worker takes nothing new, saves what is under way, and ends without an error; what
    is left can be cancelled, and says so in its place.
    """
    provider.hold(until=4)
    queue = studio.queue([f"fox {number}" for number in range(6)], name="drained", **LOW)
    worker = start_worker()
    while provider.posts < 4:
        assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=300) == 0
    assert (queue.status().made, queue.status().waiting) == (4, 2)
    with pytest.raises(BatchNotReadyError, match="4 of 6 images made"):
        queue.results()
    assert queue.cancel().cancelled == 2
    outcomes = queue.results()
    assert sum(isinstance(outcome, RequestNotSentError) for outcome in outcomes) == 2


def test_a_killed_worker_is_replaced(
    studio: Any, provider: HoldingProvider, start_worker: StartWorker
) -> None:
    """
    An image whose worker was killed while it was drawn is kept by another one, and paid for once.
    """
    provider.hold()
    queue = studio.queue(["a fox"], name="killed", **LOW)
    worker = start_worker()
    # Without the response's id nobody can find out what became of the request.
    while not any(request.response_id for request in studio.requests.pending()):
        assert worker.poll() is None
    worker.kill()
    worker.wait()
    provider.finish()
    start_worker()
    (image,) = queue.wait(timeout=300, progress=False)
    assert image.prompt == "a fox"
    assert provider.posts == 1


def test_wrong_queues_are_refused(studio: Any, tmp_path: Path) -> None:
    """
    Nothing is queued under a name that has other requests, on a library in a folder, with a wrong
    option, with an image that workers cannot read, or with nothing to make; each error says what
    to do.
    """
    studio.queue(["a fox"], name="one", **LOW)
    with pytest.raises(InvalidRequestError, match="has other requests"):
        studio.queue(["an owl"], name="one", **LOW)
    with pytest.raises(NotFoundError, match="no queue 'two'"):
        studio.queue(name="two")
    wrong: list[tuple[Any, str]] = [
        ([ImageRequest("a fox", image=str(tmp_path / "fox.png"))], "import_file"),
        ([ImageRequest("a fox", options={"quality": "best"})], "quality"),
        ([], "no requests"),
        ("a fox", "a list"),
    ]
    for requests, message in wrong:
        with pytest.raises(InvalidRequestError, match=message):
            studio.queue(requests, name="two", **LOW)
    with pytest.raises(NotFoundError):
        studio.queue(name="two")
    with (
        Studio.offline(tmp_path / "library") as on_disk,
        pytest.raises(InvalidRequestError, match="PostgreSQL"),
    ):
        on_disk.queue(["a fox"], name="one")


def test_worker_shows_no_password(url: str) -> None:
    """
    A worker that cannot connect says why, and its output has no password.
    """
    wrong = url.replace("postgres@", "guarded:wrong-canary-5ecret@")
    command = [sys.executable, "-m", "imagesession.worker", "--offline", wrong]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode
    assert "Check user and password" in ended.stderr
    assert "5ecret" not in ended.stderr + ended.stdout
