"""
A studio that was used before a fork goes on in parent and children at once: no call hangs, and each
image is that of its own prompt.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import PIL
import pytest

from imagesession import Studio
from imagesession._imaging.decode import decode_image
from imagesession._store import forks
from imagesession.errors import InvalidRequestError
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.clock import HoldingProvider, wait_for
from tests.faults.billing import SIZE
from tests.faults.pace import HANG
from tests.unsettled import unsettled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked")
CHILDREN = 4


@pytest.fixture
def provider() -> FakeOpenAI:
    """
    A fake provider.
    """
    return FakeOpenAI(latency=0.05, sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))


@pytest.fixture
def studio(provider: FakeOpenAI, tmp_path: Path) -> Iterator[Studio]:
    """
    A studio over real connections, which has made an image.
    """
    with (
        serve(provider) as served,
        Studio(tmp_path, api_key="x", base_url=served.base_url, timeout=HANG) as studio,
    ):
        studio.generate("first", size="1024x1024")
        yield studio


def in_child(work: Callable[[], object]) -> Callable[[], Any]:
    """
    Start work in a forked process; return the function that waits for its result.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        result: object = None
        try:
            result = work()
        except BaseException:  # noqa: BLE001 - the parent must learn of it
            result = traceback.format_exc()
        finally:
            os.write(writer, json.dumps(result).encode())
            os._exit(0)
    os.close(writer)

    def wait() -> Any:
        with os.fdopen(reader, "rb") as pipe:
            result = json.loads(pipe.read())
        os.waitpid(child, 0)
        return result

    return wait


def generate(studio: Studio, prompt: str) -> tuple[str, str]:
    """
    Make an image, and return its prompt as the library has it, with its id.
    """
    image = studio.generate(prompt)
    return image.prompt, image.id


@pytest.mark.parametrize(
    "rounds,children",
    [
        (2, CHILDREN),
        pytest.param(10, CHILDREN, marks=pytest.mark.faults),
        pytest.param(1, 199, marks=pytest.mark.faults),
    ],
)
def test_parent_and_children_generate_at_once(
    studio: Studio, provider: FakeOpenAI, rounds: int, children: int
) -> None:
    """
    Parent and children make images at the same moment: all are made, billed and stored once.
    """
    made: list[Any] = []
    for number in range(rounds):
        waits = [
            in_child(lambda name=f"{number} {child}": generate(studio, name))  # type: ignore[misc]
            for child in range(children)
        ]
        made += [list(generate(studio, f"{number} parent")), *(wait() for wait in waits)]
    expected = {f"{n} {who}" for n in range(rounds) for who in (*range(children), "parent")}
    assert {item[0] for item in made} == expected, made
    stored = {(image.prompt, image.id) for image in studio.images.list(limit=10_000)}
    assert {tuple(item) for item in made} < stored
    assert len(stored) == 1 + len(expected) == len(provider.generated)
    assert studio.requests.pending() == ()
    # No answer went to another process, and so none was looked up.
    assert {request.method for request in provider.requests} == {"POST"}


def test_child_closes_without_harm(studio: Studio) -> None:
    """
    A child that closes the studio it inherited takes nothing from its parent.
    """

    def close() -> str:
        studio.close()
        return "closed"

    assert in_child(close)() == "closed"
    assert studio.generate("after").prompt == "after"
    assert studio.requests.pending() == ()


def test_callers_client_is_refused_in_a_child(provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A client that the caller made and the parent used cannot be used in a child, which says so.
    """
    with serve(provider) as served:
        client = openai.OpenAI(api_key="x", base_url=served.base_url, http_client=httpx2.Client())
        with client, Studio(tmp_path, client=client) as studio:
            studio.generate("first")

            def child() -> str:
                with pytest.raises(InvalidRequestError, match="after the fork"):
                    studio.generate("second")
                return "refused"

            assert in_child(child)() == "refused"
            assert len(studio.images.list()) == 1


def test_studio_that_was_not_used_before_the_fork(provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A studio that was made before a fork and not used, as servers preload it, works in each child.
    """
    with serve(provider) as served:
        studio = Studio(tmp_path, client=openai.OpenAI(api_key="x", base_url=served.base_url))
        waits = [
            in_child(lambda name=str(child): generate(studio, name))  # type: ignore[misc]
            for child in range(CHILDREN)
        ]
        results = [wait() for wait in waits]
        assert {item[0] for item in results} == {*"0123"}, results
        studio.close()


def test_child_that_closes_frees_no_right(tmp_path: Path) -> None:
    """
    While a request of the parent is under way, a child that used, closed and collected the studio
    it inherited leaves the parent's rights alone: no other program takes the request over.
    """
    provider = HoldingProvider()
    with (
        serve(provider) as served,
        Studio(tmp_path, api_key="x", base_url=served.base_url, timeout=HANG) as studio,
    ):
        provider.hold()
        made: list[object] = []
        call = threading.Thread(target=lambda: made.append(studio.generate("slow").prompt))
        call.start()
        wait_for(lambda: bool(unsettled(tmp_path)) and studio.requests.pending()[0].running)

        def close() -> str:
            studio.images.list()
            studio.close()
            gc.collect()
            return "closed"

        assert in_child(close)() == "closed"
        with Studio(tmp_path, api_key="x", base_url=served.base_url) as other:
            assert [request.running for request in other.requests.pending()] == [True]
            recovery = other.recover(timeout=0)
            assert list(recovery.still_pending.values()) == ["a running program holds it"]
        provider.finish()
        call.join(60)
        assert made == ["slow"]
        assert provider.posts == 1


def test_child_forked_amid_reads_is_not_blocked(studio: Studio) -> None:
    """
    A child that is forked while threads of its parent use the library waits for none of their
    locks, and can look at everything; Pillow's warnings are as they were.
    """
    session = studio.session("x", name="q")
    session.generate("inside", size="1024x1024")
    stop, picture = threading.Event(), tiny_image("gif")
    decode_image(picture, "it")  # imported before the fork: Python's own locks are not ours
    filters = list(warnings.filters)

    def read() -> None:
        while not stop.is_set():
            session.tree()
            studio.images.list()
            decode_image(picture, "it")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()

    def look() -> list[str]:
        signal.alarm(int(HANG))
        assert decode_image(picture, "it").size != (0, 0)
        assert warnings.filters == filters
        return [str(session.tree()), *(image.prompt for image in studio.images.list())]

    try:
        seen = [in_child(look)() for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen == [["inside  <- main", "inside", "first"]] * 10


def import_in_fork(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> object:
    """
    Fork while another thread imports a module of Pillow for the first time, and import it in the
    child, which is ended after some seconds; return what the child says.
    """
    (folder / "slow_plugin.py").write_text("import time\n\nTHREAD.set()\ntime.sleep(0.5)\n")
    begun = threading.Event()
    monkeypatch.setattr(builtins, "THREAD", begun, raising=False)
    monkeypatch.setattr(PIL, "__path__", [*PIL.__path__, str(folder)])
    thread = threading.Thread(target=importlib.import_module, args=("PIL.slow_plugin",))
    thread.start()
    assert begun.wait(60)

    def import_it() -> str:
        signal.alarm(seconds)
        return importlib.import_module("PIL.slow_plugin").__name__

    wait = in_child(import_it)
    thread.join()
    del sys.modules["PIL.slow_plugin"]
    return wait()


def test_fork_waits_for_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A fork at the moment in which another thread first imports Pillow can import it too.
    """
    assert import_in_fork(tmp_path, monkeypatch, 60) == "PIL.slow_plugin"


def test_fork_amid_an_import_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: in a fork that does not wait for an import, it never ends.
    """
    monkeypatch.setattr(forks, "_IMPORTED_LATE", ())
    with pytest.raises(json.JSONDecodeError):
        import_in_fork(tmp_path, monkeypatch, 2)
