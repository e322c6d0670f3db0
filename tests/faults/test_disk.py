"""
The disk is full, read-only, missing or failing: if possible this is found before anything is paid
for, and what was paid for is never lost.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Studio
from imagesession._engine import poll
from imagesession._engine.effects import StoreCall
from imagesession._store.disk.blobs import DiskBlobs
from imagesession._store.files.atomic_write import append_line
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
    A provider that draws in no time.
    """
    return quick()


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Use a separate folder for temporary files.
    """
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


def quick(*, responses: bool = True) -> FakeOpenAI:
    """
    Make a provider that draws in no time.
    """
    return FakeOpenAI(sketcher=FixedSketcher(PICTURE, (64, 64)), responses=responses)


def posts(provider: FakeOpenAI) -> int:
    """
    Return the number of paid requests.
    """
    paid = {"/responses", "/images/generations"}
    return sum(call.method == "POST" and call.path in paid for call in provider.requests)


@attrs.define
class Disk:
    """
    A disk that fails.

    Attributes:
        root: The library on it.
        number: The system's error number.
        fails: Takes the number of earlier steps; tells whether this one fails.
        steps: The number of steps so far.
    """

    root: Path
    number: int
    fails: Choose
    steps: int = 0

    def failing(self) -> contextlib.AbstractContextManager[None]:
        """
        Let the disk fail for the duration of the block.
        """
        return Watcher(self.root, before=self._before).watching()

    def _before(self, step: Step) -> None:
        self.steps += 1
        # Removing files works when all else fails.
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
def test_failing_disk_costs_nothing(studio: Any, provider: FakeOpenAI, number: int) -> None:
    """
    If the library cannot be written, this is found before anything is sent, and afterwards there is
    nothing to recover.
    """
    with Disk(studio.library, number, always).failing(), pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 0
    assert studio.recover() == type(studio.recover())()
    assert studio.generate("a teapot").bytes == PICTURE


def put_a_file(path: Path) -> None:
    """
    Create a file in place of a folder.
    """
    path.write_bytes(b"")


def put_a_link(path: Path) -> None:
    """
    Create a link in place of a folder.
    """
    path.symlink_to(path.parent.parent, target_is_directory=True)


def put_nothing(_: Path) -> None:
    """
    Leave nothing in place of a folder, as when a disk is unmounted.
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
def test_missing_or_wrong_folder_costs_nothing(
    studio: Any, provider: FakeOpenAI, folder: str, put: Callable[[Path], None]
) -> None:
    """
    If a folder is missing, a file or a link, this is found before anything is sent, for the image's
    own folder too.
    """
    path = studio.library / folder
    away = studio.library.parent / "away"
    path.rename(away)
    put(path)
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 0
    if path.is_symlink() or path.is_file():
        path.unlink()
    away.rename(path)
    assert studio.generate("a teapot").bytes == PICTURE


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_too_many_open_files_cost_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    A process that cannot open more files gets an error before anything is sent.
    """
    descriptors: list[int] = []
    highest = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
    with limited_files(highest + 16):
        with contextlib.suppress(OSError):
            descriptors.extend(iter(lambda: os.open(os.devnull, os.O_RDONLY), None))
        try:
            with pytest.raises(StorageIOError, match="too many files"):
                studio.generate("a teapot")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
    assert posts(provider) == 0
    assert studio.generate("a teapot").bytes == PICTURE


@contextlib.contextmanager
def limited_files(most: int) -> Generator[None, None, None]:
    """
    Limit the number of files that this process may have open.
    """
    import resource  # noqa: PLC0415 - does not exist on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_requests_under_way_reserve_disk_space(
    tmp_path: Path, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The disk space of requests under way is not available to others.
    """
    studio = Studio.offline(tmp_path / "library", provider=provider)
    tries: list[str] = []

    def meanwhile(_: FakeRequest) -> None:
        with pytest.raises(StorageIOError, match="68 MB are needed"):
            studio.generate("another")
        tries.append("another")

    def free(_: object) -> Any:
        return attrs.make_class("Usage", ["free"])(66_000_000)

    monkeypatch.setattr("imagesession._store.disk.blobs.shutil.disk_usage", free)
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


# --- after the payment --------------------------------------------------------------------------


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
    Generate an image on a failing disk; yield the problems once it works again.
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
            kept = [Path(text).read_bytes() for text in error.kept]
            if PICTURE not in (*kept, *error.unsaved):
                yield "the error does not have the picture"
        recovery = studio.recover()
        images = studio.images.list()
        if recovery.still_pending or recovery.failed:
            yield f"not recovered: {recovery}"
        if len(images) != posts(provider) or any(image.bytes != PICTURE for image in images):
            yield f"{posts(provider)} paid for, {len(images)} kept"
    if files(root) != len(images):
        yield "there are files that no record names"


def files(root: Path) -> int:
    """
    Return how many images lie in a library's folder.
    """
    return len(list((root / "general").glob("*.png")))


def count_steps(root: Path) -> int:
    """
    Return how many steps of a disk an image takes.
    """
    whole = Disk(root, 0, never)
    with Studio.offline(root, provider=quick()) as studio, whole.failing():
        studio.generate("a teapot")
    assert whole.steps >= 20
    return whole.steps


def losses(folder: Path, numbers: list[int], *ways: Callable[[int], Choose]) -> Iterator[str]:
    """
    Let the disk fail at each step of a generation; yield the problems.
    """
    steps = range(count_steps(folder / "whole"))
    cases = ((step, number, way) for step in steps for number in numbers for way in ways)
    for case, (step, number, way) in enumerate(cases):
        name = f"{way.__name__} {step}, {errno.errorcode[number]}"
        yield from (f"{name}: {loss}" for loss in _losses(folder / str(case), number, way(step)))


@pytest.mark.parametrize(
    "numbers",
    [[errno.EIO], pytest.param(NUMBERS, marks=pytest.mark.faults)],
    ids=["EIO", "each"],
)
def test_disk_failure_at_any_step_loses_nothing(tmp_path: Path, numbers: list[int]) -> None:
    """
    If the disk fails at any step, once or for good: either nothing was paid for and nothing is
    left, or the image is returned and stored, or the error says where else it is. Once the disk
    works again, recovery stores the image once.
    """
    assert list(losses(tmp_path, numbers, only, since)) == []


def interrupted(root: Path, provider: FakeOpenAI, step: int) -> Studio:
    """
    Return a studio whose disk failed from a step of a generation on, and works again.
    """
    studio = Studio.offline(root, provider=provider)
    with Disk(root, errno.EIO, since(step)).failing(), contextlib.suppress(StorageError):
        studio.generate("a teapot")
    return studio


def leaves_a_file(root: Path, step: int) -> bool:
    """
    Tell whether an image is left without a record if the disk fails from a step on.
    """
    with interrupted(root, quick(), step) as studio:
        return files(root) > len(studio.images.list())


def written_twice(folder: Path, step: int) -> Iterator[str]:
    """
    Let the disk fail at each step of the recovery by another program too; yield those after which
    an image is not stored once.
    """
    disk = Disk(folder, 0, never)
    for again in itertools.count():
        root, provider = folder / str(again), quick()
        with interrupted(root, provider, step) as studio:
            disk = Disk(root, errno.EIO, only(again))
            with (
                Studio.offline(root, provider=provider) as later,
                disk.failing(),
                contextlib.suppress(StorageError),
            ):
                later.recover()
            studio.recover()
            if not files(root) == len(studio.images.list()) == posts(provider) == 1:
                yield f"{step}, then {again}: {files(root)} files"
        if disk.steps <= again:
            return


@pytest.mark.parametrize("most", [1, pytest.param(99, marks=pytest.mark.faults)])
@pytest.mark.usefixtures("hurried")
def test_disk_that_fails_again_leaves_no_second_file(tmp_path: Path, most: int) -> None:
    """
    If the disk failed between an image and its record, and fails once more at any step while that
    is made good, the image is stored once and no other file is left.
    """
    steps = range(count_steps(tmp_path / "whole"))
    gaps = [step for step in steps if leaves_a_file(tmp_path / f"left {step}", step)]
    assert gaps
    assert [text for gap in gaps[:most] for text in written_twice(tmp_path / str(gap), gap)] == []


@contextlib.contextmanager
def full_once_asked(provider: FakeOpenAI, root: Path) -> Generator[None, None, None]:
    """
    Let the disk be full from the moment at which an image is requested.
    """
    disk = Disk(root, errno.ENOSPC, never)

    def bend(answer: FakeResponse) -> FakeResponse:
        disk.fails = always
        return answer

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=bend))
    with disk.failing():
        yield


def test_image_is_recovered_after_a_full_disk(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the disk is full before the provider's id is written, the error says where the image is, and
    that recover() fetches it; recover() does, once there is room.
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


def test_saved_image_without_an_id_can_be_imported(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image without a response id, as from the Images API, cannot be fetched again: the error says
    where it is, and it can be imported from there.
    """
    provider = quick(responses=False)
    studio = make_studio(tmp_path / "library", provider=provider)
    full = full_once_asked(provider, studio.library)
    with full, pytest.raises(StorageIOError, match=r"images\.import_file\(\)") as caught:
        studio.generate("a teapot")
    (path,) = caught.value.kept
    assert studio.images.import_file(path).bytes == PICTURE


def test_image_that_cannot_be_saved_is_in_the_error(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If temporary files cannot be written either, the error itself holds the image.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with full_once_asked(provider, studio.library), pytest.raises(StorageIOError) as caught:
        studio.generate("a teapot")
    assert caught.value.unsaved == (PICTURE,)
    assert str(PICTURE) not in repr(caught.value)
    assert len(studio.recover().images) == 1


def test_unreadable_reply_is_saved_elsewhere(studio: Any, provider: FakeOpenAI) -> None:
    """
    A paid reply that cannot be read is written elsewhere if the disk is full.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        kind = {"content-type": "application/json"}
        return FakeResponse(status=200, headers=kind, parts=iter((b"{nonsense",)))

    disk = Disk(studio.library, errno.ENOSPC, lambda _: bool(provider.requests))
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=instead))
    with disk.failing(), pytest.raises(InvalidResponseError, match="kept in") as caught:
        studio.generate("a teapot")
    path = caught.value.message.split("kept in ")[1].rstrip(".")
    assert Path(path).read_bytes() == b"{nonsense"


# --- a real disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """
    A disk of 80 MB, if this machine can mount one.
    """
    path = tmp_path / "disk"
    path.mkdir()
    command = [tool("mount"), "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(path)]
    with contextlib.suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield path
            # An open library holds a lock file there as long as it exists.
            subprocess.run([tool("umount"), "-l", str(path)], check=True)
            return
    pytest.skip("nothing can be mounted here")


def tool(name: str) -> str:
    """
    Return the path of a program of the system.
    """
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


def test_real_disk_fills_up(small_disk: Path, provider: FakeOpenAI) -> None:
    """
    On a full disk nothing is sent. If the disk fills up during a generation, the image is saved
    elsewhere, and stored in the library once there is room.
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
        provider.enqueue_fault(Fault(method="POST", path="/responses", transform=bend))
        with pytest.raises(StorageIOError) as caught:
            studio.generate("a teapot")
        assert Path(caught.value.kept[0]).read_bytes() == PICTURE
        ballast.unlink()
        (image,) = studio.recover().images
        assert image.bytes == PICTURE
        assert list((Path(studio.library) / ".imagesession" / "tmp").iterdir()) == []
        assert posts(provider) == 1


def test_real_disk_is_read_only(small_disk: Path, provider: FakeOpenAI) -> None:
    """
    On a read-only disk nothing is sent, and its images can be read.
    """
    library = small_disk / "library"
    program = "import sys, imagesession as i; s = i.Studio.offline(sys.argv[1]); s.session('x')"
    program += ".generate('a teapot'); s.images.list()"
    subprocess.run([sys.executable, "-c", program, str(library)], check=True)
    subprocess.run([tool("mount"), "-o", "remount,ro", str(small_disk)], check=True)
    with Studio.offline(library, provider=provider) as studio:
        with pytest.raises(StorageIOError):
            studio.generate("another")
        with pytest.raises(StorageIOError):
            studio.session("y")
        assert posts(provider) == 0
        (image,) = studio.images.list()
        assert image.bytes
        assert image.session().head() == image


# --- broken twins -------------------------------------------------------------------------------


def _id_or_error(turn: Any, response_id: str) -> Any:
    yield from StoreCall(lambda store: store.intents.record_response_id(turn, response_id))


def _unchanged(_: object, __: object, error: StorageError) -> StorageError:
    return error


def _nowhere(*_: object) -> None:
    return


def _append_only(lines: Mapping[Path, bytes]) -> None:
    for file, line in lines.items():
        append_line(file, line, new=True)


@pytest.mark.parametrize(
    "target,name,twin",
    [
        (poll, "record_response_id", _id_or_error),
        ("imagesession._store.turns", "save_to_fallback", _unchanged),
        (DiskBlobs, "_find_orphan_file", _nowhere),
        ("imagesession._store.disk.facts", "write_lines", _append_only),
    ],
    ids=["fails without an id", "drops the image", "stores it twice", "leaves an intent"],
)
@pytest.mark.usefixtures("hurried")
def test_losses_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, name: str, twin: object
) -> None:
    """
    The check works: it finds a call that fails because the id cannot be written, an error without
    the image, a recovery that leaves unrecorded files, and an intent of an unsent request.
    """
    if isinstance(target, str):
        monkeypatch.setattr(f"{target}.{name}", twin)
    else:
        monkeypatch.setattr(target, name, twin)
    assert any(losses(tmp_path, [errno.EIO], only, since))


def test_unchecked_folder_is_caught(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The check works: if the image's folder is not checked first, an image is paid for that cannot be
    stored.
    """
    monkeypatch.setattr(DiskBlobs, "_check_target_dirs", _nowhere)
    (studio.library / "general").rmdir()
    put_a_file(studio.library / "general")
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert posts(provider) == 1
