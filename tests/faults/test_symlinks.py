"""
Another process replaces a library's folders by links to an outside folder, as fast as it can, while
images are read and written: nothing is read from outside, and nothing is written there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import attrs
import pytest

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.http import ReceivedImage
from imagesession._store.disk.blobs import DiskBlobs
from imagesession._store.disk.layout import Layout
from imagesession._store.files.safe_open import open_within
from imagesession.errors import StorageIOError
from imagesession.testing import tiny_image

OURS = tiny_image()
SECRET = b"secret"
NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
FACTS = ImageHeader(format="png", width=64, height=64, alpha=False)
TURN = Turn(
    id="0" * 26, kind="product", label="mug", prompt="a mug", options=GenerateOptions(), started=NOW
)
# Swaps the folder and its parent in turn. A folder that a writer created meanwhile is moved away.
SWAPPER = """
import itertools, os, sys
products, outside = sys.argv[1:]
folders = [products, os.path.join(products, "mug")]
numbers = itertools.count()

def insist(verb, source, target):
    while True:
        try:
            return verb(source, target)
        except OSError:
            os.rename(target, products + ".%d" % next(numbers))

print("ready", flush=True)
while True:
    for folder in folders:
        away = folder + ".away"
        os.rename(folder, away)
        insist(os.symlink, outside, folder)
        os.unlink(folder)
        insist(os.rename, away, folder)
"""
SECONDS = pytest.mark.parametrize(
    "seconds", [0.5, pytest.param(10.0, marks=pytest.mark.faults)], ids=["short", "long"]
)


@attrs.frozen
class SampleLibrary:
    """
    A library, and a folder outside of it.
    """

    layout: Layout
    outside: Path

    def escaped(self) -> list[str]:
        """
        Return the names of files that were written outside.
        """
        return [path.name for path in self.outside.rglob("session_*")]


@attrs.define
class Count:
    """
    The numbers of attempts, of successful ones, and of those that escaped from the library.
    """

    tries: int = 0
    successes: int = 0
    escapes: int = 0


@pytest.fixture
def sample(tmp_path: Path) -> SampleLibrary:
    """
    A library with an image of a product, and an outside folder with a secret under the same names.
    """
    sample = SampleLibrary(Layout(tmp_path / "library"), tmp_path / "outside")
    sample.layout.tmp.mkdir(parents=True)
    for folder, data in (
        (sample.layout.root / "products" / "mug", OURS),
        (sample.outside, SECRET),
        (sample.outside / "mug", SECRET),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.png").write_bytes(data)
    return sample


@contextlib.contextmanager
def swapping(sample: SampleLibrary) -> Generator[None, None, None]:
    """
    Let another process replace the library's folders by links and back.
    """
    command = [sys.executable, "-c", SWAPPER]
    command += [str(sample.layout.root / "products"), str(sample.outside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"ready\n"
        try:
            yield
            assert swapper.poll() is None
        finally:
            swapper.kill()


def trying(attempt: Callable[[int], bool], seconds: float) -> Iterator[Count]:
    """
    Repeat an attempt, and yield the counts after each.

    Args:
        attempt: Takes the number of earlier attempts; tells whether it escaped.
        seconds: How long to continue; longer if all attempts succeeded so far, or none.
    """
    count, start = Count(), time.monotonic()
    while True:
        passed = time.monotonic() - start
        if passed > seconds and (0 < count.successes < count.tries or passed > 20 * seconds):
            return
        with contextlib.suppress(OSError, StorageIOError):
            count.escapes += attempt(count.tries)
            count.successes += 1
        count.tries += 1
        yield count


def secret(read: Callable[[], bytes]) -> Callable[[int], bool]:
    """
    Return an attempt to read the secret.
    """

    def attempt(_: int) -> bool:
        data = read()
        assert data in {OURS, SECRET}
        return data == SECRET

    return attempt


def outside(sample: SampleLibrary, write: Callable[[int], object]) -> Callable[[int], bool]:
    """
    Return an attempt to write outside.
    """

    def attempt(number: int) -> bool:
        write(number)
        return bool(sample.escaped())

    return attempt


def put(sample: SampleLibrary, number: int) -> None:
    """
    Store an image and its sidecar, as a commit does.
    """
    now = NOW + dt.timedelta(seconds=number)
    images = DiskBlobs(sample.layout)
    images.annotate(images.put_new(TURN, now, ReceivedImage(data=OURS, facts=FACTS)), {})


def last(counts: Iterator[Count]) -> Count:
    """
    Return the final counts.
    """
    *_, count = counts
    return count


@SECONDS
@pytest.mark.parametrize("walk", [True, False], ids=["walked", "compared"])
def test_no_read_escapes(sample: SampleLibrary, seconds: float, *, walk: bool) -> None:
    """
    No read gets the secret, in either way of refusing links, while some reads succeed and some
    fail.
    """

    def read() -> bytes:
        with open_within(sample.layout.root, "products/mug/a.png", walk=walk) as descriptor:
            return os.read(descriptor, len(OURS))

    with swapping(sample):
        count = last(trying(secret(read), seconds))
    assert count.escapes == 0
    assert 0 < count.successes < count.tries


@SECONDS
def test_no_write_escapes(sample: SampleLibrary, seconds: float) -> None:
    """
    No image and no sidecar is written outside, while some writes succeed and some fail.
    """
    with swapping(sample):
        count = last(trying(outside(sample, functools.partial(put, sample)), seconds))
    assert count.escapes == 0
    assert sample.escaped() == []
    assert 0 < count.successes < count.tries


def test_plain_read_is_caught(sample: SampleLibrary) -> None:
    """
    The check works: opening the joined path gets the secret in the same time.
    """
    path = sample.layout.root / "products" / "mug" / "a.png"
    with swapping(sample):
        assert any(count.escapes for count in trying(secret(path.read_bytes), 10))


@pytest.mark.faults
def test_check_before_read_is_caught(sample: SampleLibrary) -> None:
    """
    The check works: resolving the path, and then opening it, gets the secret as well.
    """
    path = sample.layout.root / "products" / "mug" / "a.png"

    def look_and_read() -> bytes:
        if not path.resolve(strict=True).is_relative_to(sample.layout.root):
            raise PermissionError(path)
        return path.read_bytes()

    with swapping(sample):
        assert any(count.escapes for count in trying(secret(look_and_read), 10))


def test_plain_write_is_caught(sample: SampleLibrary) -> None:
    """
    The check works: writing to the joined path writes outside.
    """
    folder = sample.layout.root / "products" / "mug"

    def write(number: int) -> None:
        (folder / f"session_{number}.png").write_bytes(OURS)

    with swapping(sample):
        assert any(count.escapes for count in trying(outside(sample, write), 10))
