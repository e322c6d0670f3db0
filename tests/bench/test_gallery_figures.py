"""
Benchmarks of the gallery of a large library, run by `pytest --figures`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from imagesession import Studio
from imagesession._display.gallery import parts
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._fake_openai import sketch
from imagesession._store import codec
from tests.bench.figures import Figure, exceeding
from tests.display.browser import launch_browser, needs_chromium, opened

COUNT, LARGE_COUNT = 5_000, 100_000
_EDGE = 384
_TURNS_PER_SESSION = 50
_SUBJECTS = (
    "Sunset over a mountain lake",
    "minimalist teapot logo",
    "a red bicycle in the rain",
    "fox in a snowy forest at night",
    "a modern office workspace",
    "a lighthouse in a storm",
)
_WORDS = "as a poster for a travel agency, in warm evening light, with much room for a headline"


def _sketches(count: int) -> Iterator[bytes]:
    """
    Yield `count` images, each a different crop of a sketch in different colours.
    """
    sketches = (sketch.start(subject, size=(512, 512)) for subject in _SUBJECTS)
    images = [
        Image.open(io.BytesIO(sketch.render(drawn_sketch))).convert("HSV")
        for drawn_sketch in sketches
    ]
    for number in range(count):
        cut = ImageChops.offset(images[number % len(images)], number * 37 % 512, number * 11 % 512)
        hue, saturation, value = cut.crop((0, 0, _EDGE, _EDGE)).split()
        turn = Image.new("L", hue.size, number * 7 % 256)
        shifted = ImageChops.add_modulo(hue, turn)
        picture = Image.merge("HSV", (shifted, saturation, value)).convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88)
        yield buffer.getvalue()


def _fill(folder: Path, count: int, kinds: int = COUNT) -> None:
    """
    Write a library's images and records as if they had been generated in sessions of 50 turns, with
    as many different images as there are kinds.
    """
    Studio(folder).close()
    now = dt.datetime.now(dt.UTC)
    inner = folder / ".imagesession"
    sketches = list(_sketches(min(count, kinds)))
    for number in range(count):
        data = sketches[number % kinds]
        session = f"0{number // _TURNS_PER_SESSION:025}"
        if number % _TURNS_PER_SESSION == 0:
            record = SessionRecord(
                id=session,
                name=f"Posters, part {number // _TURNS_PER_SESSION + 1}",
                description="Posters for a travel agency",
                created=now,
            )
            (inner / "sessions" / f"{session}.json").write_bytes(codec.dump_session(record))
            (inner / "turns" / session).mkdir()
        subject = _SUBJECTS[number % len(_SUBJECTS)]
        image = ImageRecord(
            id=f"1{number:025}",
            file=f"general/session_{number:08}.jpg",
            format="jpeg",
            width=_EDGE,
            height=_EDGE,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            revised_prompt=f"{subject}, {_WORDS}, drawn with flat shapes and few colours.",
        )
        turn = Turn(
            id=f"0{number:025}",
            session=session,
            parent=None if number % _TURNS_PER_SESSION == 0 else f"0{number - 1:025}",
            status="completed",
            prompt=f"{subject}, {_WORDS}, number {number}",
            options=GenerateOptions(quality="high"),
            images=(image,),
            model="gpt-6-luna",
            started=now - dt.timedelta(hours=count - number),
            finished=now - dt.timedelta(hours=count - number),
        )
        (folder / image.file).write_bytes(data)
        (inner / "turns" / session / f"{turn.id}.json").write_bytes(codec.dump_turn(turn))


def _load_seconds(page: Path, rounds: int = 5) -> float:
    """
    Return the median seconds from opening the page until its first images are shown.
    """
    elapsed: list[float] = []
    with launch_browser() as browser:
        for _ in range(rounds):
            start = time.perf_counter()
            with opened(browser, page) as shown:
                first = shown.page.locator("#content img").first
                assert first.evaluate("at => at.decode().then(() => at.naturalWidth)") > 0
                elapsed.append(time.perf_counter() - start)
                assert shown.problems == []
    return sorted(elapsed)[rounds // 2]


def _measure_large() -> Iterator[Figure]:
    """
    Measure the gallery of a library so large that its turns are in parts beside the page.
    """
    with tempfile.TemporaryDirectory(prefix="imagesession-bench-", dir=Path.cwd()) as folder:
        library, page = Path(folder) / "library", Path(folder) / "page.html"
        _fill(library, LARGE_COUNT, kinds=60)
        with Studio.offline(library) as studio:
            studio.images.list(limit=1)  # the index is made when the library is opened first
            first, again = (_write_seconds(studio, page)[1] for _ in range(2))
        label = f"a gallery of {LARGE_COUNT:,} images"
        size = sum(file.stat().st_size for file in parts.folder_of(page).iterdir())
        yield Figure(f"write {label}, in processor time", first, 10, "s")
        yield Figure(f"write {label} again, in processor time", again, 2, "s")
        yield Figure(f"weigh {label}, without the images", size / 1e6, 120, "MB")
        yield Figure(f"weigh the page of {label}", page.stat().st_size / 1e6, 1, "MB")
        yield Figure(
            f"open {label} in Chromium, till pictures are seen", _load_seconds(page), 2, "s"
        )


def _write_seconds(studio: Studio, page: Path) -> tuple[float, float]:
    """
    Return the seconds of writing a gallery, and of the processor's work on it.
    """
    start, busy = time.perf_counter(), time.process_time()
    studio.gallery(page)
    return time.perf_counter() - start, time.process_time() - busy


def _measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="imagesession-bench-", dir=Path.cwd()) as folder:
        library, page = Path(folder) / "library", Path(folder) / "page.html"
        _fill(library, COUNT)
        with Studio.offline(library) as studio:
            seconds, _ = _write_seconds(studio, page)
            seconds_again, _ = _write_seconds(studio, page)
        label = f"a gallery of {COUNT:,} images"
        yield Figure(f"weigh {label}, thumbnails and all", page.stat().st_size / 1e6, 10, "MB")
        yield Figure(
            f"open {label} in Chromium, till pictures are seen", _load_seconds(page), 2, "s"
        )
        yield Figure(f"write {label} of {_EDGE}x{_EDGE}", seconds, 60, "s")
        yield Figure(f"write {label} again", seconds_again, 10, "s")


@needs_chromium
@pytest.mark.figures
def test_large_gallery_is_small_and_fast(
    capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    """
    A gallery of 5,000 images opens within 2 s and has less than 10 MB. Of one of 100,000, the page
    has less than 1 MB, opens within 2 s too, and is written in 10 s of processor time.
    """
    figures = [*_measure(), *_measure_large()]
    with capsys.disabled():
        print("", *figures, sep="\n  ")
        assert exceeding(figures, pytestconfig) == []
