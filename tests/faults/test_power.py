"""
After a power cut at any moment, whatever the disk has lost, every returned image is there
unchanged, and nothing is incomplete.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from imagesession import Studio
from imagesession._domain.tree import HeadMove
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.image_queries import ImageQuery
from imagesession._fake_openai.sketch import SketchState
from imagesession._store import codec
from imagesession._store.disk import blobs
from imagesession._store.disk.facts import DiskFacts
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.files import atomic_write, safe_open
from imagesession._store.intents import IntentStore
from imagesession._store.library import LibraryStore
from imagesession._store.ports import Lease
from imagesession.errors import ImageSessionError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.crashes import Disk, digest, materialise
from tests.faults.steps import Step, Watcher

STATES = pytest.mark.parametrize(
    "most", [200, pytest.param(1_000_000, marks=pytest.mark.faults)], ids=["some", "all"]
)


@attrs.frozen
class Started:
    """A session was started."""

    session: str


@attrs.frozen
class Sent:
    """An image was requested."""

    turn: str


@attrs.frozen
class Noted:
    """The provider's response id was recorded."""

    turn: str
    response_id: str


@attrs.frozen
class Kept:
    """An image was returned."""

    image: str
    path: str
    data: bytes = attrs.field(repr=False)


@attrs.frozen
class Moved:
    """A session's head was moved to an earlier turn."""

    session: str
    moves: dict[str, HeadMove]


Mark: TypeAlias = Started | Sent | Noted | Kept | Moved


class Colours(FixedSketcher):
    """
    Draws another image for each prompt, in no time.
    """

    def render(self, state: SketchState, **_: Any) -> bytes:
        """
        Draw one colour.
        """
        number = zlib.crc32(repr(state.prompts).encode())
        return tiny_image(colour=(number & 255, number >> 8 & 255, number >> 16 & 255))


class Listener(FakeOpenAI):
    """
    A provider that reports each requested image.
    """

    def __init__(self, mark: Callable[[Mark], None]) -> None:
        super().__init__(sketcher=Colours(b"", (1024, 1024)))
        self._mark = mark

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call.
        """
        if (call.method, call.path) == ("POST", "/responses"):
            self._mark(Sent(call.json["metadata"]["imagesession_turn"]))
        return super().handle(call)


Trace: TypeAlias = "list[Step | Mark]"


@attrs.frozen
class Life:
    """
    The steps of a library, the promises in between, and its provider.
    """

    trace: Trace
    provider: FakeOpenAI


def live(root: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """
    Use a library, and return its steps and the promises in between.
    """
    trace: Trace = []
    provider = Listener(trace.append)
    note = IntentStore.record_response_id

    def noting(self: IntentStore, turn: Turn, response_id: str) -> None:
        note(self, turn, response_id)
        trace.append(Noted(turn.id, response_id))

    monkeypatch.setattr(IntentStore, "record_response_id", noting)
    with Watcher(root, after=trace.append).watching():
        studio = Studio.offline(root, provider=provider)
        session = studio.session("a tea shop", name="tea")
        trace.append(Started(session.id))

        def keep(image: Any) -> None:
            path = str(image.path.relative_to(root))
            trace.append(Kept(image.id, path, image.bytes))

        keep(session.generate("a teapot"))
        keep(session.generate("bluer"))
        keep(studio.product("a mug"))
        session.undo()
        trace.append(Moved(session.id, dict(open_library(root).sessions.find(session.id).moves)))
        keep(session.generate("redder"))
    return Life(trace, provider)


def crashes(trace: Trace) -> Iterator[tuple[tuple[Mark, ...], dict[str, bytes | None]]]:
    """
    Yield the promises and the possible states of the disk, for a power cut after every step.
    """
    disk, marks, seen = Disk(), list[Mark](), set[bytes]()
    for event in trace:
        if isinstance(event, Step):
            disk.take(event)
        else:
            marks.append(event)
        for state in disk.crashes():
            known = digest(state) + len(marks).to_bytes(2, "big")
            if known not in seen:
                seen.add(known)
                yield tuple(marks), state


@attrs.frozen
class Seen:
    """
    The content of a library after a power cut.
    """

    library: LibraryStore
    ids: dict[str, str | None]
    settled: set[str]
    listed: set[str]

    @classmethod
    def of(cls, root: Path) -> Seen:
        """
        Open a library, and read its content.
        """
        library = open_library(root)
        found = library.images.list(ImageQuery(limit=100))
        return cls(
            library,
            ids={pending.turn.id: pending.response_id for pending in library.intents.pending()},
            settled={path.stem for path in Layout(Path(library.address)).turns.rglob("*.json")},
            listed={turn.images[position].id for turn, position in found},
        )

    def holds(self, mark: Mark) -> bool:
        """
        Tell whether a promise is kept.
        """
        match mark:
            case Started(session):
                return self.library.sessions.find(session).id == session
            case Moved(session, moves):
                return dict(self.library.sessions.find(session).moves) == moves
            case Sent(turn):
                return turn in self.ids or turn in self.settled
            case Noted(turn, response_id):
                return turn in self.settled or self.ids[turn] == response_id
            case Kept(image, path, data):
                file = Layout(Path(self.library.address)).root / path
                return file.read_bytes() == data and image in self.listed


def problems(root: Path, marks: tuple[Mark, ...]) -> Iterator[str]:
    """
    Yield the problems of a library after a power cut.
    """
    seen = Seen.of(root)
    yield from _halves(seen.library)
    yield from (f"broken: {mark}" for mark in marks if not seen.holds(mark))


def _halves(library: LibraryStore) -> Iterator[str]:
    """
    Yield incomplete content: records without images, sessions that do not open.
    """
    for file in Layout(Path(library.address)).turns.rglob("*.json"):
        for image in codec.read_turn(file.read_bytes(), str(file)).images:
            data = (Layout(Path(library.address)).root / image.file).read_bytes()
            if hashlib.sha256(data).hexdigest() != image.sha256:
                yield "a picture is not what its record says"
    for file in Layout(Path(library.address)).sessions.glob("*.json"):
        library.sessions.tree(library.sessions.find(file.stem))


def not_recovered(root: Path, marks: tuple[Mark, ...], life: Life) -> Iterator[str]:
    """
    Yield requests whose images cannot be fetched after a power cut, although their ids were
    recorded.
    """
    with Studio.offline(root, provider=life.provider) as studio:
        if studio.recover(timeout=0).still_pending:
            yield "a request cannot be settled"
        kept = {image.turn.id for image in studio.images.list(limit=100)}
    for mark in marks:
        if isinstance(mark, Noted) and mark.turn not in kept:
            yield "a paid image is not fetched"


def bad_states(life: Life, most: int) -> tuple[int, list[str]]:
    """
    Check the library in all states that it may have after a power cut.

    Args:
        life: The recorded steps and promises.
        most: The largest number of states to check; if there are more, a regular sample.

    Returns:
        The number of checked states, and their problems.
    """
    states = list(crashes(life.trace))
    chosen = states[:: -(-len(states) // most)]
    bad: list[str] = []
    memory = Path("/dev/shm")  # noqa: S108 - flushing takes no time there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for number, (marks, state) in enumerate(chosen):
            root = Path(folder, str(number))
            materialise(state, root)
            try:
                bad.extend(f"{number}: {text}" for text in problems(root, marks))
                bad.extend(f"{number}: {text}" for text in not_recovered(root, marks, life))
            except (ImageSessionError, OSError, LookupError) as problem:
                bad.append(f"{number}: {problem!r}")
            shutil.rmtree(root)
    return len(chosen), bad


@STATES
def test_power_cut_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """
    After a power cut at any step, with unflushed changes lost, torn, zeroed or reordered: returned
    images are there unchanged, each record has its image, each session opens at its head, and sent
    requests are known. If a request's id was recorded, its image is fetched.
    """
    life = live(tmp_path / "library", monkeypatch)
    count, bad = bad_states(life, most)
    print(f"{len(life.trace)} steps and promises, {count} states checked")  # noqa: T201 - the figure
    assert bad == []
    assert count >= 100


# --- broken twins -----------------------------------------------------------------------------


def _flushing(which: Callable[[int], bool]) -> Callable[[int], None]:
    def flush(descriptor: int) -> None:
        if which(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)

    return flush


@pytest.mark.parametrize(
    "which,found",
    [
        pytest.param(stat.S_ISREG, "FileNotFoundError", marks=pytest.mark.faults),
        (stat.S_ISDIR, "a picture is not what its record says"),
    ],
    ids=["no folders", "no files"],
)
def test_missing_flush_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: Callable[[int], bool], found: str
) -> None:
    """
    The check works: without the flush of folders, or of files, there are bad states.
    """
    for module in (atomic_write, safe_open):
        monkeypatch.setattr(module, "fsync", _flushing(which))
    _, bad = bad_states(live(tmp_path / "library", monkeypatch), 100)
    assert any(found in text for text in bad)


@pytest.mark.faults
def test_record_before_its_image_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: if a record is written before its image, there are bad states.
    """
    late: list[Callable[[], object]] = []
    write = blobs._write  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - to put it off

    def put_off(layout: Layout, turn: Turn, now: Any, picture: ReceivedImage) -> str:
        late.append(lambda: write(layout, turn, now, picture))
        names = (layout.image_file(turn, now, number, "png") for number in itertools.count(1))
        return next(name for name in names if not (layout.root / name).exists())

    settle = DiskFacts.settle

    def write_first(facts: DiskFacts, turn: Turn, lease: Lease | None = None) -> None:
        settle(facts, turn, lease)
        while late:
            late.pop()()

    monkeypatch.setattr(blobs, "_write", put_off)
    monkeypatch.setattr(DiskFacts, "settle", write_first)
    _, bad = bad_states(live(tmp_path / "library", monkeypatch), 100)
    assert any("FileNotFoundError" in text for text in bad)
