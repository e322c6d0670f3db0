"""
Somebody swaps a library's folders for links to another place, as fast as he can, while pictures
are read and written: nothing of the other place comes in, and nothing goes there.
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
from imagesession._store import image_files
from imagesession._store.layout import Layout
from imagesession._store.safe_open import open_within
from imagesession.testing import tiny_image

OURS = tiny_image()
SECRET = b"secret"
NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
FACTS = ImageHeader(format="png", width=64, height=64, alpha=False)
TURN = Turn(
    id="0" * 26, kind="product", label="mug", prompt="a mug", options=GenerateOptions(), started=NOW
)
# Takes the folder and the one above it in turn. Where a writer made one anew meanwhile, that goes.
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
class Paths:
    """
    A library, and a place beside it that its owner did not name.
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
    How often something was tried, was not refused, and did what it must not.
    """

    tries: int = 0
    successes: int = 0
    escapes: int = 0


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """
    A library with a picture of a product, and a place that has a secret under each of its names.
    """
    paths = Paths(Layout(tmp_path / "library"), tmp_path / "outside")
    paths.layout.tmp.mkdir(parents=True)
    for folder, data in (
        (paths.layout.root / "products" / "mug", OURS),
        (paths.outside, SECRET),
        (paths.outside / "mug", SECRET),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.png").write_bytes(data)
    return paths


@contextlib.contextmanager
def swapping(paths: Paths) -> Generator[None, None, None]:
    """
    Let another process swap the library's folders for links and back.
    """
    command = [sys.executable, "-c", SWAPPER]
    command += [str(paths.layout.root / "products"), str(paths.outside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline() == b"ready\n"
        yield
        assert swapper.poll() is None
        swapper.kill()


def trying(attempt: Callable[[int], bool], seconds: float) -> Iterator[Count]:
    """
    Try something again and again, and count after each time.

    Args:
        attempt: Told how often it was tried before; whether it did what it must not.
        seconds: How long to go on; longer where it went well always, or never yet.
    """
    count, start = Count(), time.monotonic()
    while True:
        passed = time.monotonic() - start
        if passed > seconds and (0 < count.successes < count.tries or passed > 20 * seconds):
            return
        with contextlib.suppress(OSError):
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


def outside(paths: Paths, write: Callable[[int], object]) -> Callable[[int], bool]:
    """
    Return an attempt to write outside.
    """

    def attempt(number: int) -> bool:
        write(number)
        return bool(paths.escaped())

    return attempt


def put(paths: Paths, number: int) -> None:
    """
    Put a picture and its metadata into a library as a turn does.
    """
    now = NOW + dt.timedelta(seconds=number)
    image = image_files.store_image(
        paths.layout, TURN, now, ReceivedImage(data=OURS, facts=FACTS), "1" * 26
    )
    image_files.write_sidecars(paths.layout, attrs.evolve(TURN, images=(image,)), None)


def last(counts: Iterator[Count]) -> Count:
    """
    Return how it stands at the end.
    """
    *_, count = counts
    return count


@SECONDS
@pytest.mark.parametrize("walk", [True, False], ids=["walked", "compared"])
def test_nothing_outside_is_read(paths: Paths, seconds: float, *, walk: bool) -> None:
    """
    Not one read gets the secret, in whichever way links are refused, though reads succeed and
    fail as folders come and go.
    """

    def read() -> bytes:
        with open_within(paths.layout.root, "products/mug/a.png", walk=walk) as descriptor:
            return os.read(descriptor, len(OURS))

    with swapping(paths):
        count = last(trying(secret(read), seconds))
    assert count.escapes == 0
    assert 0 < count.successes < count.tries


@SECONDS
def test_nothing_is_written_outside(paths: Paths, seconds: float) -> None:
    """
    Not one picture, nor its metadata, appears outside, though writes succeed and fail.
    """
    with swapping(paths):
        count = last(trying(outside(paths, functools.partial(put, paths)), seconds))
    assert count.escapes == 0
    assert paths.escaped() == []
    assert 0 < count.successes < count.tries


def test_the_swapper_catches_a_plain_read(paths: Paths) -> None:
    """
    The harness sees what it looks for: opening the joined path gets the secret in the same time.
    """
    path = paths.layout.root / "products" / "mug" / "a.png"
    with swapping(paths):
        assert any(count.escapes for count in trying(secret(path.read_bytes), 10))


@pytest.mark.faults
def test_the_swapper_catches_a_look_before_a_read(paths: Paths) -> None:
    """
    Looking where the path leads, and then opening it, gets the secret as well.
    """
    path = paths.layout.root / "products" / "mug" / "a.png"

    def look_and_read() -> bytes:
        if not path.resolve(strict=True).is_relative_to(paths.layout.root):
            raise PermissionError(path)
        return path.read_bytes()

    with swapping(paths):
        assert any(count.escapes for count in trying(secret(look_and_read), 10))


def test_the_swapper_catches_a_plain_write(paths: Paths) -> None:
    """
    Naming a file by its joined path puts it outside.
    """
    folder = paths.layout.root / "products" / "mug"

    def write(number: int) -> None:
        (folder / f"session_{number}.png").write_bytes(OURS)

    with swapping(paths):
        assert any(count.escapes for count in trying(outside(paths, write), 10))
