"""
What all tests share: every behaviour test runs over the sync and the async twin.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import inspect
import itertools
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import anyio.from_thread
import attrs
import pytest
from hypothesis import settings
from PIL import Image

from imagesession import AsyncStudio, ImageRequest, Studio
from imagesession._engine.conversation_lookup import find_outcome
from imagesession._fake_openai import sketch
from imagesession._fake_openai.sketch import edit, film
from imagesession._fake_openai.sketch import sketch as sketching
from imagesession._imaging.pillow import resize
from imagesession.testing import FakeOpenAI
from tests import clock, team_servers

TWINS = ("sync", "async")
LONGEST = (
    "tests/docs/test_documented_paths.py",
    "tests/display/test_gallery_browser.py",
    "tests/test_examples.py",
    "tests/mcp/test_stdio.py",
    "tests/mcp/test_http.py",
    "tests/test_outpaint.py",
    "tests/test_money.py",
    "tests/test_recovery.py",
    "tests/display/test_notebook.py",
    "tests/test_plugin.py",
)
"""
The test files that take five seconds or more of a processor, and are started first.
"""

FAST = ("docs", "tests/domain", "tests/engine", "tests/fake_openai", "tests/imaging")
"""
The folders whose files take little time each, and are started last.
"""

FAULTS = Path(__file__).parent / "faults"

DETAILED = {"evals", "fake_openai", "imaging", "live"}
"""
The folders whose tests look at sketches, or count their bytes.
"""

Detail = Literal["full", "coarse", "plain"]
"""
How sketches are drawn: in full; in squares of four pixels; or as a few fields of colour, which
differ from sketch to sketch.
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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """
    Leave faults out of a plain `pytest`, as they take as long as all other tests together; they run
    with --faults, or when they are named.
    """
    is_plain = config.args_source is not pytest.Config.ArgsSource.ARGS
    if is_plain and not config.getoption("--faults") and collection_path == FAULTS:
        return True
    return None


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
    keep_bytecode(config.rootpath / ".pytest_cache" / "bytecode")
    gc.disable()  # until all is collected, as nothing that is imported or collected is garbage
    if not config.getoption("--hypothesis-profile", default=None):
        examples = settings().max_examples if config.getoption("--faults") else 40
        settings.register_profile("busy", max_examples=examples, deadline=None)
        settings.load_profile("busy")


def keep_bytecode(folder: Path) -> None:
    """
    Keep compiled modules in a folder of pytest's where Python is told to write none beside them:
    each worker and each of the tests' processes would compile all again, for half of their time.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(folder)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Deselect slow tests, unless they are requested.
    """
    for marker in ("figures", "faults", "conformance"):
        if not config.getoption(f"--{marker}"):
            longer = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=longer)
            items[:] = [item for item in items if item not in longer]
    faults = config.getoption("--faults")
    redundant = find_redundant_twins(
        [item for item in items if not faults or "faults" in item.path.parts]
    )
    config.hook.pytest_deselected(items=redundant)
    items[:] = [item for item in items if item not in redundant]
    items.sort(key=start_rank)


def start_rank(item: pytest.Item) -> int:
    """
    Return when a test's file is started: the slowest first, so that none of them is the last.
    """
    file = item.nodeid.partition("::")[0]
    if file in LONGEST:
        return LONGEST.index(file)
    return len(LONGEST) + file.startswith(FAST)


def find_redundant_twins(items: list[pytest.Item]) -> set[pytest.Item]:
    """
    Find what need not run if time is short: the twins take turns with the cases of a file's tests,
    so that each case runs over one of them, and about as many over either.
    """
    cases: dict[Path, dict[object, int]] = {}
    redundant: set[pytest.Item] = set()
    for item in items:
        params: dict[str, object] = dict(getattr(getattr(item, "callspec", None), "params", {}))
        twin = params.pop("make_studio", None)
        if twin is None:
            continue
        known = cases.setdefault(item.path, {})
        # Both twins have the same objects; pytest's own numbers of cases go on with the second.
        case = getattr(item, "originalname", None), *((name, id(params[name])) for name in params)
        if TWINS[known.setdefault(case, len(known)) % 2] != twin:
            redundant.add(item)
    return redundant


@pytest.fixture
def anyio_backend() -> str:
    """
    Run async tests on asyncio, the loop of the openai package.
    """
    return "asyncio"


def pytest_collection_finish() -> None:
    """
    Leave what was imported and collected out of garbage collections, which take half a second.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """
    Name a home for each test: a folder that is made by who needs it, as few tests do.
    """
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    """
    Keep the developer's own key and library out of the tests.
    """
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "IMAGESESSION_LIBRARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(next(homes)))


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """
    Draw no more in a test than it looks at.
    """
    sketches.detail = detail_of(item)
    try:
        return (yield)
    finally:
        sketches.detail = "full"


def detail_of(item: pytest.Item) -> Detail:
    """
    Return how sketches are drawn in a test: in full if it is about pixels or bytes, by its marker
    `detailed` or its folder; coarsely if they only have to be recognised, by its marker `drawn` or
    as a page of the documentation.
    """
    if item.get_closest_marker("detailed") or not DETAILED.isdisjoint(item.path.parts):
        return "full"
    return "coarse" if item.get_closest_marker("drawn") or item.path.suffix == ".md" else "plain"


@attrs.define
class Sketches:
    """
    The sketches of the fake provider: each is rendered once, as the same prompt gives the same
    image, which tests/fake_openai/sketch checks.
    """

    detail: Detail = "full"
    _rendered: dict[object, bytes] = attrs.field(factory=dict[object, bytes], init=False)
    _render: Callable[..., bytes] = attrs.field(default=sketch.render, init=False)
    _draw: Callable[..., Image.Image] = attrs.field(default=sketching._draw, init=False)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - it is put back
    _edit: Callable[..., Image.Image] = attrs.field(default=edit.edited, init=False)
    _blur: Callable[..., Image.Image] = attrs.field(default=film.make_partial, init=False)
    _fill: Callable[..., Image.Image] = attrs.field(default=edit._fill_hole, init=False)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - so is this

    def render(self, state: sketch.SketchState, **how: Any) -> bytes:
        """
        Render an image, unless it was rendered before.
        """
        asked = (self.detail, state, *sorted(how.items()))
        if asked not in self._rendered:
            self._rendered[asked] = self._render(state, **how)
        return self._rendered[asked]

    def draw(self, state: sketch.SketchState, phase: float, share: float) -> Image.Image:
        """
        Draw an image, if coarsely then as a partial image is drawn: in squares of four pixels.
        """
        if self.detail == "plain":
            what = (state.prompts, state.seed, phase, share)
            return colour_fields(what, state.size, clear=state.transparent)
        return self._draw(state, phase, share if self.detail == "full" else min(share, 0.99))

    def edit(self, state: sketch.SketchState, base: bytes) -> Image.Image:
        """
        Change an image, unless in full then at a quarter of its width.
        """
        if self.detail == "full" or state.mask is not None:
            return self._edit(state, base)
        width, height = state.size
        small = attrs.evolve(state, size=(max(1, width // 4), max(1, height // 4)))
        return self.enlarge(self._edit(small, base), state.size)

    def enlarge(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """
        Enlarge a drawing to its size, unless in full then in plain squares, which encode fast.
        """
        full = self.detail == "full"
        return resize(image, size, Image.Resampling.BICUBIC if full else Image.Resampling.NEAREST)

    def fill(self, image: Image.Image, opening: Image.Image, box: Any, *what: Any) -> Image.Image:
        """
        Fill what a mask opens, if plainly then with fields of colour.
        """
        if self.detail != "plain":
            return self._fill(image, opening, box, *what)
        return colour_fields(what, (box[2] - box[0], box[3] - box[1]))

    def blur(self, image: Image.Image, share: float) -> Image.Image:
        """
        Make a partial image; fields of colour differ from the whole image's already.
        """
        return image if self.detail == "plain" else self._blur(image, share)


def colour_fields(what: object, size: tuple[int, int], *, clear: bool = False) -> Image.Image:
    """
    Draw sixteen fields of colour that stand for something; if it is clear, without the outer ones.
    """
    fields = Image.frombytes("RGB", (4, 4), hashlib.sha384(ascii(what).encode()).digest())
    if clear:
        outside = Image.new("RGBA", fields.size)
        outside.paste(fields.crop((1, 1, 3, 3)), (1, 1))
        fields = outside
    return resize(fields, size, Image.Resampling.NEAREST)


sketches = Sketches()


@pytest.fixture(scope="session", autouse=True)
def _quick_sketches(pytestconfig: pytest.Config) -> Iterator[None]:
    """
    Render each sketch once, and no better than a test needs; not when performance is measured.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not pytestconfig.getoption("--figures"):
            patch.setattr(sketch, "render", sketches.render)
            patch.setattr(sketching, "_draw", sketches.draw)
            patch.setattr(sketching, "resize", sketches.enlarge)
            patch.setattr(edit, "edited", sketches.edit)
            patch.setattr(edit, "_fill_hole", sketches.fill)
            patch.setattr(film, "make_partial", sketches.blur)
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
        if isinstance(value, dict):
            named: dict[str, Any] = value
            return {name: self._wrap(member) for name, member in named.items()}
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
    if isinstance(value, dict):
        named: dict[str, Any] = value
        return {name: unwrap(member) for name, member in named.items()}
    if isinstance(value, ImageRequest):
        return attrs.evolve(value, image=unwrap(value.image))
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


@pytest.fixture(params=TWINS)
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
