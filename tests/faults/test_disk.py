"""
The disk is full, read-only, gone or failing: it is found out before anything is paid for where it
can be, and what was paid for is never dropped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Studio
from imagesession._domain.turn import Turn
from imagesession._engine import poll
from imagesession._engine.effects import StoreCall
from imagesession._store import codec
from imagesession._store.atomic_write import append_line
from imagesession._store.journal import Journal
from imagesession._store.repository import LibraryStore
from imagesession.errors import InvalidResponseError, StorageError, StorageIOError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.bench.server import FixedSketcher
from tests.conftest import MakeStudio
from tests.faults.steps import Step, Watcher

NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE]
PICTURE = tiny_image()
Choose = Callable[[int], bool]


@pytest.fixture
def provider() -> FakeOpenAI:
    """
    A provider that paints in no time.
    """
    return quick()


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Have temporary files in a place of their own.
    """
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


def quick(*, responses: bool = True) -> FakeOpenAI:
    """
    Make a provider that paints in no time.
    """
    return FakeOpenAI(sketcher=FixedSketcher(PICTURE, (64, 64)), responses=responses)


def posts(provider: FakeOpenAI) -> int:
    """
    Return how many requests were paid for.
    """
    paid = {"/responses", "/images/generations"}
    return sum(call.method == "POST" and call.path in paid for call in provider.requests)


@attrs.define
class Disk:
    """
    A disk that fails.

    Attributes:
        root: The library on it.
        number: The system's number of the error.
        fails: Told of how many steps were tried before; whether this one fails.
        steps: How many were tried.
    """

    root: Path
    number: int
    fails: Choose
    steps: int = 0

    def failing(self) -> contextlib.AbstractContextManager[None]:
        """
        Let it fail as long as the block lasts.
        """
        return Watcher(self.root, before=self._before).watching()

    def _before(self, step: Step) -> None:
        self.steps += 1
        # Taking names away works where all else fails.
        if step.verb != "remove" and self.fails(self.steps - 1):
            raise OSError(self.number, os.strerror(self.number), step.path)


def always(_: int) -> bool:
    """
    Choose every step.
    """
    return True


def never(_: int) -> bool:
    """
    Choose no step.
    """
    return False


# --- before anything is paid for ----------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS, ids=[errno.errorcode[item] for item in NUMBERS])
def test_a_disk_that_fails_costs_nothing(studio: Any, provider: FakeOpenAI, number: int) -> None:
    """
    A library that cannot be written is found out before anything is sent, the error says what to
    do, and afterwards there is nothing to recover.
    """
    with Disk(studio.library, number, always).failing(), pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 0
    assert studio.recover() == type(studio.recover())()
    assert studio.generate("a teapot").bytes == PICTURE


def put_a_file(path: Path) -> None:
    """
    Put a file in a folder's place.
    """
    path.write_bytes(b"")


def put_a_link(path: Path) -> None:
    """
    Put a link to elsewhere in a folder's place.
    """
    path.symlink_to(path.parent.parent, target_is_directory=True)


def put_nothing(_: Path) -> None:
    """
    Leave nothing in a folder's place, as when a disk is taken off.
    """


@pytest.mark.parametrize(
    "folder,put",
    [
        (".", put_a_file),
        (".", put_nothing),
        (".imagesession", put_nothing),
        (".imagesession/journal", put_a_file),
        ("general", put_a_file),
        ("general", put_a_link),
        (".imagesession/turns/one-shots", put_a_file),
    ],
)
def test_a_folder_that_is_none_costs_nothing(
    studio: Any, provider: FakeOpenAI, folder: str, put: Callable[[Path], None]
) -> None:
    """
    Where a folder is gone, a file or a link, that is found out before anything is sent; a folder
    for the picture itself too.
    """
    position = studio.library / folder
    away = studio.library.parent / "away"
    position.rename(away)
    put(position)
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 0
    if position.is_symlink() or position.is_file():
        position.unlink()
    away.rename(position)
    assert studio.generate("a teapot").bytes == PICTURE


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_too_many_open_files_cost_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    A process that can open no more files is told so before anything is sent.
    """
    hogs: list[int] = []
    highest = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
    with limited_files(highest + 16):
        with contextlib.suppress(OSError):
            hogs.extend(iter(lambda: os.open(os.devnull, os.O_RDONLY), None))
        try:
            with pytest.raises(StorageIOError, match="too many files"):
                studio.generate("a teapot")
        finally:
            for descriptor in hogs:
                os.close(descriptor)
    assert posts(provider) == 0
    assert studio.generate("a teapot").bytes == PICTURE


@contextlib.contextmanager
def limited_files(most: int) -> Generator[None, None, None]:
    """
    Limit how many files this process may have open.
    """
    import resource  # noqa: PLC0415 - is not there on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_under_way_has_its_room(
    tmp_path: Path, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The room that pictures under way will take is not promised to others.
    """
    studio = Studio.offline(tmp_path / "library", provider=provider)
    tries: list[str] = []

    def meanwhile(_: FakeRequest) -> None:
        with pytest.raises(StorageIOError, match="68 MB are wanted"):
            studio.generate("another")
        tries.append("another")

    def free(_: object) -> Any:
        return attrs.make_class("Usage", ["free"])(66_000_000)

    monkeypatch.setattr("imagesession._store.repository.shutil.disk_usage", free)
    monkeypatch.setattr(provider, "handle", _then(provider.handle, meanwhile, tries))
    assert studio.generate("a teapot").bytes == PICTURE
    assert tries == ["another"]


def _then(
    handle: Callable[[FakeRequest], FakeResponse],
    do: Callable[[FakeRequest], None],
    done: list[str],
) -> Callable[[FakeRequest], FakeResponse]:
    def handled(call: FakeRequest) -> FakeResponse:
        if call.path == "/responses" and not done:
            do(call)
        return handle(call)

    return handled


# --- once it is paid for ------------------------------------------------------------------------


def only(number: int) -> Choose:
    """
    Choose one step.
    """
    return lambda step: step == number


def since(number: int) -> Choose:
    """
    Choose a step and all that follow.
    """
    return lambda step: step >= number


def _losses(root: Path, number: int, fails: Choose) -> Iterator[str]:
    """
    Make a picture on a disk that fails; yield what is wrong when it works again.
    """
    provider = quick()
    error: StorageError | None = None
    with Studio.offline(root, provider=provider) as studio:
        with Disk(root, number, fails).failing():
            try:
                studio.generate("a teapot")
            except StorageError as problem:
                error = problem
        if isinstance(error, StorageIOError) and posts(provider):
            reported = [Path(text).read_bytes() for text in error.kept]
            if PICTURE not in (*reported, *error.unsaved):
                yield "the error does not have the picture"
        recovery = studio.recover()
        images = studio.images.list()
        if recovery.still_pending or recovery.failed:
            yield f"what is left: {recovery}"
        if len(images) != posts(provider) or any(image.bytes != PICTURE for image in images):
            yield f"{posts(provider)} paid for, {len(images)} kept"
    if len(list((root / "general").glob("*.png"))) != len(images):
        yield "there are files that no record names"


def losses(folder: Path, numbers: list[int], *ways: Callable[[int], Choose]) -> Iterator[str]:
    """
    Let the disk fail at each step of a picture's making; yield what is wrong then.
    """
    whole = Disk(folder / "whole", 0, never)
    with Studio.offline(whole.root, provider=quick()) as studio, whole.failing():
        studio.generate("a teapot")
    assert whole.steps >= 20
    cases = (
        (step, number, way) for step in range(whole.steps) for number in numbers for way in ways
    )
    for case, (step, number, way) in enumerate(cases):
        name = f"{way.__name__} {step}, {errno.errorcode[number]}"
        yield from (f"{name}: {loss}" for loss in _losses(folder / str(case), number, way(step)))


@pytest.mark.parametrize(
    "numbers",
    [[errno.EIO], pytest.param(NUMBERS, marks=pytest.mark.faults)],
    ids=["EIO", "each"],
)
def test_a_disk_that_fails_at_any_step_loses_nothing(tmp_path: Path, numbers: list[int]) -> None:
    """
    Wherever the disk fails, once or for good: nothing was paid for and nothing is left of it, or
    the picture is returned and kept, or the error names another place where it is; and once the
    disk works again, recovering keeps it once.
    """
    assert list(losses(tmp_path, numbers, only, since)) == []


@contextlib.contextmanager
def full_once_asked(provider: FakeOpenAI, root: Path) -> Generator[None, None, None]:
    """
    Let the disk be full from the moment on at which a picture is asked for.
    """
    disk = Disk(root, errno.ENOSPC, never)

    def bend(answer: FakeResponse) -> FakeResponse:
        disk.fails = always
        return answer

    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=bend))
    with disk.failing():
        yield


def test_a_full_disk_keeps_nothing_from_being_recovered(studio: Any, provider: FakeOpenAI) -> None:
    """
    The disk is full before even the provider's id can be written: the error names where the
    picture is, and that recover() brings it in; it does, once there is room.
    """
    with full_once_asked(provider, studio.library), pytest.raises(StorageIOError) as caught:
        studio.generate("a teapot")
    (path,) = caught.value.kept
    assert Path(path).read_bytes() == PICTURE
    assert path in caught.value.message
    assert "recover()" in caught.value.message
    assert Path(path).stat().st_mode & 0o077 == 0
    (image,) = studio.recover().images
    assert image.bytes == PICTURE
    assert posts(provider) == 1


def test_a_picture_without_an_id_can_be_brought_in(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    What comes without an id, as from the Images API, can be fetched by nobody: the error names
    where it is, and it can be imported from there.
    """
    provider = quick(responses=False)
    studio = make_studio(tmp_path / "library", provider=provider)
    full = full_once_asked(provider, studio.library)
    with full, pytest.raises(StorageIOError, match=r"images\.import_file\(\)") as caught:
        studio.generate("a teapot")
    (path,) = caught.value.kept
    assert studio.images.import_file(path).bytes == PICTURE


def test_a_picture_that_can_be_put_nowhere_is_in_the_error(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where temporary files cannot be written either, the error itself holds the picture.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with full_once_asked(provider, studio.library), pytest.raises(StorageIOError) as caught:
        studio.generate("a teapot")
    assert caught.value.unsaved == (PICTURE,)
    assert str(PICTURE) not in repr(caught.value)
    assert len(studio.recover().images) == 1


def test_a_reply_that_makes_no_sense_is_kept_elsewhere(studio: Any, provider: FakeOpenAI) -> None:
    """
    A reply that was paid for and cannot be read is put elsewhere when the disk is full.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        kind = {"content-type": "application/json"}
        return FakeResponse(status=200, headers=kind, parts=iter((b"{nonsense",)))

    disk = Disk(studio.library, errno.ENOSPC, lambda step: step >= 6)
    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=instead))
    with disk.failing(), pytest.raises(InvalidResponseError, match="kept in") as caught:
        studio.generate("a teapot")
    path = caught.value.message.split("kept in ")[1].rstrip(".")
    assert Path(path).read_bytes() == b"{nonsense"


# --- a real disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """
    A disk of 80 MB, where this machine lets us have one.
    """
    path = tmp_path / "disk"
    path.mkdir()
    command = [_tool("mount"), "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(path)]
    with contextlib.suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield path
            # An open library holds a file there as long as anybody knows of it.
            subprocess.run([_tool("umount"), "-l", str(path)], check=True)
            return
    pytest.skip("nothing can be mounted here")


def _tool(name: str) -> str:
    return shutil.which(name) or f"/no {name}"


def fill(disk: Path) -> Path:
    """
    Fill a disk to the last byte.
    """
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (1_000_000, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast


def test_a_real_disk_fills_up(small_disk: Path, provider: FakeOpenAI) -> None:
    """
    A disk that is full costs nothing; one that fills up while a picture is made keeps it from the
    library until there is room, and from nobody else.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        fill(small_disk)
        return answer

    with Studio.offline(small_disk / "library", provider=provider) as studio:
        ballast = fill(small_disk)
        with pytest.raises(StorageIOError, match="Make room"):
            studio.generate("a teapot")
        assert posts(provider) == 0
        ballast.unlink()
        provider.enqueue_fault(Fault(method="POST", path="/responses", bend=bend))
        with pytest.raises(StorageIOError) as caught:
            studio.generate("a teapot")
        assert Path(caught.value.kept[0]).read_bytes() == PICTURE
        ballast.unlink()
        (image,) = studio.recover().images
        assert image.bytes == PICTURE
        assert list((studio.library / ".imagesession" / "tmp").iterdir()) == []
        assert posts(provider) == 1


def test_a_real_disk_is_read_only(small_disk: Path, provider: FakeOpenAI) -> None:
    """
    A disk that may only be read costs nothing, and what is on it can be read.
    """
    library = small_disk / "library"
    program = "import sys, imagesession as i; s = i.Studio.offline(sys.argv[1]); s.session('x')"
    program += ".generate('a teapot'); s.images.list()"
    subprocess.run([sys.executable, "-c", program, str(library)], check=True)
    subprocess.run([_tool("mount"), "-o", "remount,ro", str(small_disk)], check=True)
    with Studio.offline(library, provider=provider) as studio:
        with pytest.raises(StorageIOError):
            studio.generate("another")
        with pytest.raises(StorageIOError):
            studio.session("y")
        assert posts(provider) == 0
        (image,) = studio.images.list()
        assert image.bytes
        assert image.session().head() == image


# --- twins --------------------------------------------------------------------------------------


def _id_or_die(turn: Any, response_id: str) -> Any:
    yield from StoreCall(lambda store: store.record_response_id(turn, response_id))


def _as_it_was(_: object, __: object, error: StorageError) -> StorageError:
    return error


def _nowhere(*_: object) -> None:
    return


def _left_lying(journal: Journal, turn: Turn, owner: str) -> None:
    line = json.dumps({"owner": owner, "turn": codec.turn_to_dict(turn)}).encode()
    append_line(journal.layout.journal_file(turn.id, turn.session), line, new=True)


@pytest.mark.parametrize(
    "target,name,twin",
    [
        (poll, "record_response_id", _id_or_die),
        ("imagesession._store.repository", "save_to_fallback", _as_it_was),
        ("imagesession._store.image_files", "_find_orphan_file", _nowhere),
        (Journal, "append_intent", _left_lying),
    ],
    ids=["ends for an id", "drops the picture", "puts it down twice", "leaves an intent"],
)
@pytest.mark.usefixtures("hurried")
def test_what_is_lost_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, name: str, twin: object
) -> None:
    """
    The check finds a call that ends because the id cannot be written, an error that has no
    picture, a recovery that leaves files about, and an intent of what was never asked for.
    """
    if isinstance(target, str):
        monkeypatch.setattr(f"{target}.{name}", twin)
    else:
        monkeypatch.setattr(target, name, twin)
    assert any(losses(tmp_path, [errno.EIO], only, since))


def test_a_folder_that_nobody_looks_at_is_caught(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without looking at the picture's folder first, a picture is paid for that cannot be kept.
    """
    monkeypatch.setattr(LibraryStore, "_check_target_dirs", _nowhere)
    (studio.library / "general").rmdir()
    put_a_file(studio.library / "general")
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 1
