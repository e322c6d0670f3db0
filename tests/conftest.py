"""
What all tests share: every behaviour test runs over the sync and the async twin.
"""

from __future__ import annotations

import functools
import inspect
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self

import anyio.from_thread
import pytest
from hypothesis import settings

from imagesession import AsyncStudio, Studio
from imagesession._engine.conversation_lookup import find_outcome
from imagesession._fake_openai import sketch
from imagesession.testing import FakeOpenAI
from tests import clock, team_servers

FAST = {"docs", "domain", "engine", "fake_openai", "imaging"}
"""
The folders whose test files take little time each.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Add the flags for slow tests.
    """
    parser.addoption(
        "--faults", action="store_true", help="provoke rare faults for many seconds, not for one"
    )
    parser.addoption(
        "--conformance",
        action="store_true",
        help="run MCP's own suites, which tests/mcp/conformance/install.sh fetches",
    )
    parser.addoption(
        "--team",
        action="store_true",
        help="keep the libraries of studios on PostgreSQL and S3, not in folders",
    )
    parser.addoption(
        "--figures",
        type=float,
        nargs="?",
        const=1.0,
        metavar="SLACK",
        help="measure what the library promises; fail above SLACK times what it may be (1.0)",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """
    Have one worker more than there are cores: tests wait for disks, processes and browsers.
    """
    del config
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """
    Give no property a deadline, as machines may be busy, and fewer examples unless slow tests are
    selected. Name the folder of the servers that tests may start, before there are workers.
    """
    team_servers.announce()
    if not config.getoption("--hypothesis-profile", default=None):
        there_is_time = config.getoption("--faults") or "CI" in os.environ
        examples = settings().max_examples if there_is_time else 40
        settings.register_profile("busy", max_examples=examples, deadline=None)
        settings.load_profile("busy")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Deselect slow tests, unless they are requested.
    """
    for marker in ("figures", "faults", "conformance"):
        if not config.getoption(f"--{marker}"):
            longer = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=longer)
            items[:] = [item for item in items if item not in longer]
    if not config.getoption("--faults"):
        redundant = find_redundant_twins(items)
        config.hook.pytest_deselected(items=redundant)
        items[:] = [item for item in items if item not in redundant]
    # Slow files first, so that none of them is the last to run.
    items.sort(key=lambda item: not FAST.isdisjoint(Path(item.location[0]).parts))


def find_redundant_twins(items: list[pytest.Item]) -> set[pytest.Item]:
    """
    Find what need not run if time is short: of a test with several cases, each case runs over one
    twin, and the twins take turns. So every test runs over both, and every case runs.
    """
    cases: dict[object, list[object]] = {}
    redundant: set[pytest.Item] = set()
    for item in items:
        callspec = getattr(item, "callspec", None)
        indices: dict[str, int] = dict(getattr(callspec, "indices", {}))
        twin = indices.pop("make_studio", None)
        if twin is None or not indices:
            continue
        test = item.location[0], getattr(item, "originalname", None)
        known = cases.setdefault(test, [])
        case = tuple(sorted(indices.items()))
        if case not in known:
            known.append(case)
        if known.index(case) % 2 != twin:
            redundant.add(item)
    return redundant


@pytest.fixture
def anyio_backend() -> str:
    """
    Run async tests on asyncio, the loop of the openai package.
    """
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Keep the developer's own key and library out of the tests.
    """
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "IMAGESESSION_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _patient_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let one look into a conversation take a minute, even if no time is left for more: on a busy
    machine the second that it has may not be enough.
    """
    monkeypatch.setattr(find_outcome, "__kwdefaults__", {"least": 60.0})


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Keep temporary files, also of subprocesses, in a folder that pytest deletes.
    """
    where = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", where)
        patch.setattr(tempfile, "tempdir", where)
        yield


@pytest.fixture(scope="session", autouse=True)
def drawn_once(pytestconfig: pytest.Config) -> Iterator[None]:
    """
    Cache rendered sketches: the same prompt gives the same image, as tests/fake_openai/sketch
    checks. The cache is off when performance is measured.
    """
    if pytestconfig.getoption("--figures"):
        yield
        return
    drawn: dict[object, bytes] = {}
    draw = sketch.render

    def render(state: sketch.SketchState, **how: Any) -> bytes:
        asked = (state, *sorted(how.items()))
        if asked not in drawn:
            drawn[asked] = draw(state, **how)
        return drawn[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketch, "render", render)
        yield


@pytest.fixture
def hurried() -> Iterator[None]:
    """
    Skip the waiting in a test; for tests in which one thing happens at a time.
    """
    with clock.hurried():
        yield


@pytest.fixture
def looking_often() -> Iterator[None]:
    """
    Poll often; for tests that are not about when to poll.
    """
    with clock.looking_often():
        yield


class Awaited:
    """
    An async object whose methods are awaited on call, so that one test covers both twins. Results
    are wrapped likewise; arguments are unwrapped.
    """

    def __init__(self, inner: Any, portal: anyio.from_thread.BlockingPortal) -> None:
        self.inner = inner
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        return self._wrap(getattr(self.inner, name))

    def __repr__(self) -> str:
        return repr(self.inner)

    def __eq__(self, other: object) -> bool:
        return bool(self.inner == unwrap(other))

    def __hash__(self) -> int:
        return hash(self.inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wrap(self, value: Any) -> Any:
        if inspect.isasyncgen(value):
            return self._iterate(value)
        if inspect.iscoroutine(value):
            return self._wrap(self._portal.call(_awaiting(value)))
        if isinstance(value, tuple):
            members: tuple[Any, ...] = value
            return tuple(map(self._wrap, members))
        if type(value).__module__ == "imagesession" and type(value).__name__.startswith("Async"):
            return Awaited(value, self._portal)
        if inspect.ismethod(value) or inspect.isfunction(value):
            return functools.partial(self._call, value)
        return value

    def _call(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        plain = [unwrap(arg) for arg in args]
        named = {name: unwrap(item) for name, item in kwargs.items()}
        return self._wrap(verb(*plain, **named))

    def _iterate(self, events: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._wrap(self._portal.call(anext, events))
            except StopAsyncIteration:
                return


def unwrap(value: Any) -> Any:
    """
    Return the async object inside, to pass it to an async method.
    """
    if isinstance(value, Awaited):
        return value.inner
    if isinstance(value, list):
        members: list[Any] = value
        return list(map(unwrap, members))
    return value


def _awaiting(coroutine: Coroutine[Any, Any, Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def run() -> Any:
        return await coroutine

    return run


MakeStudio = Callable[..., Any]


@pytest.fixture
def place(pytestconfig: pytest.Config) -> Iterator[Callable[[Any], Any]]:
    """
    Return where the studio of a test is, given the folder that the test names: there; with
    `--team`, a library on PostgreSQL and S3 that takes the folder's place.
    """
    if not pytestconfig.getoption("--team"):
        yield lambda library: library
        return
    with team_servers.in_place_of_folders() as place:
        yield place


@pytest.fixture(params=["sync", "async"])
def make_studio(
    request: pytest.FixtureRequest, place: Callable[[Any], Any]
) -> Iterator[MakeStudio]:
    """
    Make studios of one twin; tests that use this run over both. `make_studio(library,
    provider=...)` is offline; `make_studio(library, online=True, ...)` calls the constructor. By
    default they do not retry.
    """
    made: list[Any] = []
    clients: list[Any] = []
    if request.param == "sync":

        def make(*args: Any, online: bool = False, **kwargs: Any) -> Any:
            kwargs.setdefault("retry_timeout", 0)
            where = tuple(map(place, args))
            made.append((Studio if online else Studio.offline)(*where, **kwargs))
            clients.extend(item for item in [kwargs.get("client")] if hasattr(item, "close"))
            return made[-1]

        yield make
        for item in (*made, *clients):
            item.close()
        return
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:

        def make_async(*args: Any, online: bool = False, **kwargs: Any) -> Any:
            kwargs.setdefault("retry_timeout", 0)
            where = tuple(map(place, args))
            studio = (AsyncStudio if online else AsyncStudio.offline)(*where, **kwargs)
            made.append(Awaited(studio, portal))
            clients.extend(item for item in [kwargs.get("client")] if hasattr(item, "close"))
            return made[-1]

        yield make_async
        for studio in made:
            studio.close()
        for client in clients:
            portal.call(client.close)


@pytest.fixture
def provider(offline_provider: FakeOpenAI) -> FakeOpenAI:
    """
    An offline provider whose requests can be inspected.
    """
    return offline_provider


@pytest.fixture
def studio(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio of either twin, on an empty library, over the offline provider.
    """
    return make_studio(tmp_path / "library", provider=provider)


@pytest.fixture
def in_threads() -> Callable[[list[Callable[[], Any]]], None]:
    """
    Run functions at the same time; raise what the first of them raised.
    """

    def run(functions: list[Callable[[], Any]]) -> None:
        problems: list[BaseException] = []

        def guarded(function: Callable[[], Any]) -> None:
            try:
                function()
            except BaseException as problem:  # noqa: BLE001 - it is raised again below
                problems.append(problem)

        threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    return run
