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

from imagesession._library import shelf
from imagesession._library.beneath import open_beneath
from imagesession._library.layout import Layout
from imagesession._model.options import Options
from imagesession._model.pictures import PictureFacts
from imagesession._model.turns import Turn
from imagesession._plan.wire import Received
from imagesession.testing import tiny_image

OURS = tiny_image()
SECRET = b"secret"
NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
FACTS = PictureFacts(format="png", width=64, height=64, alpha=False)
TURN = Turn(
    id="0" * 26, kind="product", label="mug", prompt="a mug", options=Options(), started=NOW
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
class Place:
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
def place(tmp_path: Path) -> Place:
    """
    A library with a picture of a product, and a place that has a secret under each of its names.
    """
    place = Place(Layout(tmp_path / "library"), tmp_path / "outside")
    place.layout.tmp.mkdir(parents=True)
    for folder, data in (
        (place.layout.root / "products" / "mug", OURS),
        (place.outside, SECRET),
        (place.outside / "mug", SECRET),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.png").write_bytes(data)
    return place


@contextlib.contextmanager
def swapping(place: Place) -> Generator[None, None, None]:
    """
    Let another process swap the library's folders for links and back.
    """
    command = [sys.executable, "-c", SWAPPER]
    command += [str(place.layout.root / "products"), str(place.outside)]
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


def outside(place: Place, write: Callable[[int], object]) -> Callable[[int], bool]:
    """
    Return an attempt to write outside.
    """

    def attempt(number: int) -> bool:
        write(number)
        return bool(place.escaped())

    return attempt


def put(place: Place, number: int) -> None:
    """
    Put a picture and its metadata into a library as a turn does.
    """
    now = NOW + dt.timedelta(seconds=number)
    image = shelf.put(place.layout, TURN, now, Received(data=OURS, facts=FACTS), "1" * 26)
    shelf.describe(place.layout, attrs.evolve(TURN, images=(image,)), None)


def last(counts: Iterator[Count]) -> Count:
    """
    Return how it stands at the end.
    """
    *_, count = counts
    return count


@SECONDS
@pytest.mark.parametrize("walk", [True, False], ids=["walked", "compared"])
def test_nothing_outside_is_read(place: Place, seconds: float, *, walk: bool) -> None:
    """
    Not one read gets the secret, in whichever way links are refused, though reads succeed and
    fail as folders come and go.
    """

    def read() -> bytes:
        with open_beneath(place.layout.root, "products/mug/a.png", walk=walk) as descriptor:
            return os.read(descriptor, len(OURS))

    with swapping(place):
        count = last(trying(secret(read), seconds))
    assert count.escapes == 0
    assert 0 < count.successes < count.tries


@SECONDS
def test_nothing_is_written_outside(place: Place, seconds: float) -> None:
    """
    Not one picture, nor its metadata, appears outside, though writes succeed and fail.
    """
    with swapping(place):
        count = last(trying(outside(place, functools.partial(put, place)), seconds))
    assert count.escapes == 0
    assert place.escaped() == []
    assert 0 < count.successes < count.tries


def test_the_swapper_catches_a_plain_read(place: Place) -> None:
    """
    The harness sees what it looks for: opening the joined path gets the secret in the same time.
    """
    path = place.layout.root / "products" / "mug" / "a.png"
    with swapping(place):
        assert any(count.escapes for count in trying(secret(path.read_bytes), 10))


@pytest.mark.faults
def test_the_swapper_catches_a_look_before_a_read(place: Place) -> None:
    """
    Looking where the path leads, and then opening it, gets the secret as well.
    """
    path = place.layout.root / "products" / "mug" / "a.png"

    def look_and_read() -> bytes:
        if not path.resolve(strict=True).is_relative_to(place.layout.root):
            raise PermissionError(path)
        return path.read_bytes()

    with swapping(place):
        assert any(count.escapes for count in trying(secret(look_and_read), 10))


def test_the_swapper_catches_a_plain_write(place: Place) -> None:
    """
    Naming a file by its joined path puts it outside.
    """
    folder = place.layout.root / "products" / "mug"

    def write(number: int) -> None:
        (folder / f"session_{number}.png").write_bytes(OURS)

    with swapping(place):
        assert any(count.escapes for count in trying(outside(place, write), 10))
