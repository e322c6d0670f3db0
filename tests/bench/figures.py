"""
Measure what the library promises, side by side in one run.

    python -m tests.bench.figures [NAME ...]

Ratios are printed rather than seconds, for the machine is noisy; each line says what it may be at
most. `tests/bench/test_figures.py` holds them, with `pytest --figures`.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs
import httpx2
import openai
from openai.types.responses import Response

from imagesession import AsyncStudio, Studio
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._fake_openai import sketch
from imagesession._store import codec
from imagesession.testing import AsyncFakeTransport, FakeOpenAI, tiny_image
from tests.bench.server import FixedSketcher, served


@attrs.frozen
class Figure:
    """
    One line of the table.

    Attributes:
        what: What was measured.
        value: What came out.
        most: What it may be at most.
        unit: Of both.
    """

    what: str
    value: float
    most: float
    unit: str

    def __str__(self) -> str:
        verdict = "ok" if self.value <= self.most else "TOO MUCH"
        return f"{self.what:<72} {self.value:8.3f} of {self.most:g} {self.unit}  {verdict}"


ASKED: Any = {
    "model": "gpt-6-luna",
    "input": "a teapot",
    "tools": [{"type": "image_generation"}],
    "tool_choice": {"type": "image_generation"},
}
"""
What the plain client asks.
"""
Table: TypeAlias = Mapping[str, Callable[[], Figure | Iterator[Figure]]]
"""
What measures each row of a table, by its name.
"""


def working_folder() -> tempfile.TemporaryDirectory[str]:
    """
    Make a folder to measure in.
    """
    # Beneath the working folder: /tmp may be memory, where flushing is free.
    return tempfile.TemporaryDirectory(prefix="imagesession-bench-", dir=Path.cwd())


def seconds_of(work: Callable[[], object]) -> float:
    """
    Time some work.
    """
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1e3


def generating(rounds: int = 40) -> Figure:
    """
    Compare a durable one-shot of a 3 MB PNG with the plain client writing a file, both of a
    provider that takes no time. A stream brings the picture twice, as the service's does: with its
    item, and once more with the usage at its end.
    """
    with working_folder() as folder, served((1024, 1024)) as url:
        studio = Studio(Path(folder) / "library", api_key="x", base_url=url)
        plain = openai.OpenAI(api_key="x", base_url=url)
        target = Path(folder) / "plain.png"

        def with_plain_client() -> None:
            target.write_bytes(_picture_of(cast("Response", plain.responses.create(**ASKED))))

        for warm_up in (with_plain_client, lambda: studio.generate("a teapot")):
            warm_up()
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            theirs.append(seconds_of(with_plain_client))
            ours.append(seconds_of(lambda: studio.generate("a teapot")))
        studio.close()
        plain.close()
        ratio = statistics.median(ours) / statistics.median(theirs)
        what = "generate a 3 MB PNG durably / plain client and write_bytes"
        print(f"  medians: ours {_ms(ours):.1f} ms, plain {_ms(theirs):.1f} ms")
        return Figure(what, ratio, 1.6, "x")


def request_bodies(turns: int = 50) -> Iterator[Figure]:
    """
    Weigh the requests of a long session on a model that reasons: refinements up to the fiftieth
    turn, a branch, an undo, and a turn of another program.
    """
    provider = FakeOpenAI()
    with working_folder() as folder, Studio.offline(folder, provider=provider) as studio:
        session = studio.session("A logo for a tea shop", name="bench", model="gpt-6-luna")
        for number in range(turns):
            session.generate(f"change number {number:02}", size="1536x1024")
        session.branch().generate("on a branch")
        session.undo()
        session.generate("after an undo")
        with Studio.offline(folder, provider=provider) as another:
            another.open("bench").generate("from another program")
        asked = [call for call in provider.requests if call.path == "/responses"]
        lengths = [call.length for call in asked]
        assert len(asked) == len(provider.requests) == turns + 3
    yield Figure(f"largest request body of {turns} turns and more", max(lengths), 700, "bytes")
    spread = max(lengths[1:turns]) - min(lengths[1:turns])
    yield Figure("growth of the request body from turn 2 to the last", spread, 0, "bytes")


LATE_AFTER = (2.1, 5, 7.6, 17.3, 41.7)


def lateness() -> Iterator[Figure]:
    """
    Time how long after the provider has a picture it is there, for pictures that take their time.
    """

    def late(latency: float) -> float:
        with working_folder() as folder, served((1024, 1024), 0.1, latency) as url:
            studio = Studio(folder, api_key="x", base_url=url)
            studio._connect()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - not of the request
            taken = seconds_of(lambda: studio.generate("a teapot"))
            studio.close()
            return taken - latency

    with ThreadPoolExecutor(len(LATE_AFTER)) as pool:
        for latency, seconds in zip(LATE_AFTER, pool.map(late, LATE_AFTER), strict=True):
            yield Figure(f"how late a picture of {latency} s is", seconds, 0.15, "s")


def importing(rounds: int = 15) -> Iterator[Figure]:
    """
    Time `import imagesession` against `import attrs`.
    """
    statements = ("import attrs", "import imagesession", "from imagesession import Studio")
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(rounds):
        for statement, taken in times.items():
            command = [sys.executable, "-c", statement]
            taken.append(seconds_of(lambda command=command: subprocess.run(command, check=True)))  # type: ignore[misc]
    attrs_alone, package, studio = (_ms(times[statement]) for statement in statements)
    yield Figure("import imagesession over import attrs", package - attrs_alone, 40, "ms")
    yield Figure(
        "from imagesession import Studio over import attrs", studio - attrs_alone, 150, "ms"
    )
    heavy = "openai", "PIL", "sqlite3", "mcp"
    script = f"import sys, imagesession; print(sum(n in sys.modules for n in {heavy}))"
    count = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    yield Figure(f"imported of {', '.join(heavy)}", int(count.stdout), 0, "packages")


def sketching(rounds: int = 7) -> Figure:
    """
    Time the slowest of some sketches of 1024x1024 pixels, encoding included.
    """
    prompts = (
        "Sunset over a mountain lake",
        "minimalist teapot logo",
        "a red bicycle in the rain",
        "shopping cart icon, flat",
        "fox in a snowy forest at night",
    )
    slowest = 0.0
    for prompt in prompts:
        state = sketch.start(prompt, size=(1024, 1024))
        runs = [seconds_of(partial(sketch.render, state)) for _ in range(rounds)]
        slowest = max(slowest, statistics.median(runs))
    return Figure(f"slowest of {len(prompts)} sketches", slowest * 1000, 150, "ms")


def many_at_once(count: int = 64) -> Iterator[Figure]:
    """
    Compare concurrent generations with the plain async client, which writes each picture with
    nothing flushed, in one process with the same provider; the best of three rounds each.

    In memory it is the library's own work that is measured. On a disk the making of four files
    for each picture comes to it, which takes from 0.01 to 0.8 ms each on the disks that were seen.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    for latency in (1.0, 1.3, 2.1):
        what = f"{count} at once of {latency} s / plain async client"
        if memory.is_dir():
            with tempfile.TemporaryDirectory(dir=memory) as folder:
                ratio = asyncio.run(_at_once(Path(folder), count, latency))
                yield Figure(f"{what}, library in memory", ratio, 1.15, "x")
        with working_folder() as folder:
            ratio = asyncio.run(_at_once(Path(folder), count, latency))
            yield Figure(f"{what}, library on this disk", ratio, 1.3, "x")


def _picture_of(response: Response) -> bytes:
    (item,) = (entry for entry in response.output if entry.type == "image_generation_call")
    return base64.b64decode(item.result or "")


async def _at_once(folder: Path, count: int, latency: float) -> float:
    provider = FakeOpenAI(latency=latency)
    http_client = httpx2.AsyncClient(transport=AsyncFakeTransport(provider))
    plain = openai.AsyncOpenAI(api_key="x", base_url="http://plain/v1", http_client=http_client)

    async def with_plain_client(number: int) -> None:
        response = cast("Response", await plain.responses.create(**ASKED))
        (folder / f"{number}.png").write_bytes(_picture_of(response))

    async with AsyncStudio.offline(folder / "library", provider=provider) as studio:
        await studio.generate("a teapot")
        await with_plain_client(0)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            await asyncio.gather(*map(with_plain_client, range(count)))
            between = time.perf_counter()
            await asyncio.gather(*(studio.generate("a teapot") for _ in range(count)))
            theirs.append(between - start)
            ours.append(time.perf_counter() - between)
    await plain.close()
    print(f"  best: ours {min(ours):.2f} s, plain {min(theirs):.2f} s")
    return min(ours) / min(theirs)


_PEAK = """
import re, sys
from pathlib import Path
from imagesession import Studio
url, folder, big = sys.argv[1:]
with Studio(folder, api_key="x", base_url=url) as studio:
    from imagesession._engine.http import HttpRequest
    studio._connection().send(HttpRequest(method="GET", path="/models"))
    size = 0
    if big == "yes":
        size = studio.generate("a teapot", size="3840x2160").record.bytes
status = Path("/proc/self/status").read_text()  # getrusage would count the parent's memory in
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024, size)
"""


def peak_memory() -> Figure:
    """
    Measure the memory of a large generation, over that of a process that makes none.
    """

    def peak(url: str, folder: str, big: str) -> tuple[int, int]:
        command = [sys.executable, "-c", _PEAK, url, folder, big]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return int(shown[0]), int(shown[1])

    with working_folder() as folder, served((3840, 2160)) as url:
        nothing, _ = peak(url, folder, "no")
        something, size = peak(url, folder, "yes")
    encoded = (size + 2) // 3 * 4
    what = f"peak memory of a 3840x2160 generation / its {encoded / 1e6:.0f} MB of base64"
    return Figure(what, (something - nothing) / encoded, 3.5, "x")


def opening(count: int = 100_000) -> Iterator[Figure]:
    """
    Time opening a large library and listing its first page.
    """
    with working_folder() as folder:
        _fill(Path(folder), count)
        built = seconds_of(lambda: len(Studio(folder).images.list()))
        script = (
            "import sys, time; from imagesession import Studio; start = time.perf_counter();"
            "images = Studio(sys.argv[1]).images.list();"
            "print(len(images), time.perf_counter() - start)"
        )
        command = [sys.executable, "-c", script, folder]
        runs = [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            for _ in range(7)
        ]
    assert {run[0] for run in runs} == {"50"}
    seconds = statistics.median(float(run[1]) for run in runs)
    yield Figure(f"open a library of {count:,} images, list a page", seconds * 1000, 150, "ms")
    yield Figure("build its index anew", built, 15, "s")


def _fill(folder: Path, count: int) -> None:
    """
    Write a library's records as if its pictures had been made in sessions of a hundred turns.
    """
    Studio(folder).close()
    now = dt.datetime.now(dt.UTC)
    turns = folder / ".imagesession" / "turns"
    for number in range(count):
        session = f"0{number // 100:025}"
        image = ImageRecord(
            id=f"1{number:025}",
            file=f"general/session_{number:08}.png",
            format="png",
            width=1024,
            height=1024,
            bytes=3_000_000,
            sha256="0" * 64,
            revised_prompt="A sketch of a teapot, in the style of many others before it. " * 3,
        )
        turn = Turn(
            id=f"0{number:025}",
            session=session,
            status="completed",
            prompt=f"a teapot, number {number}",
            options=GenerateOptions(quality="high"),
            images=(image,),
            started=now,
            finished=now,
        )
        file = turns / session / f"{turn.id}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(codec.dump_turn(turn))


def sessions(few: int = 100, many: int = 20_000, rounds: int = 15) -> Iterator[Figure]:
    """
    Compare what is done with sessions in a library of many with the same in a library of few.
    """
    with working_folder() as folder:
        counts = few, many
        for count in counts:
            _fill_with_sessions(Path(folder) / str(count), count)
        studios = [
            Studio.offline(Path(folder) / str(count), max_active_sessions=999) for count in counts
        ]
        verbs: dict[str, Callable[[Studio, int], object]] = {
            "make a session": lambda studio, _: studio.session("A logo for a tea shop"),
            "open a session by its name": lambda studio, number: studio.open(f"Tea {number}"),
            "list a page of sessions": lambda studio, _: studio.sessions.list(limit=50),
        }
        for what, verb in verbs.items():
            times: list[list[float]] = [[], []]
            for number in range(-1, rounds):
                for studio, taken in zip(studios, times, strict=True):
                    seconds = seconds_of(lambda: verb(studio, abs(number)))  # noqa: B023 - called at once
                    if number >= 0:  # the first builds the index
                        taken.append(seconds)
            among_few, among_many = map(_ms, times)
            print(
                f"  medians: {among_few:.2f} ms among {few:,}, {among_many:.2f} ms among {many:,}"
            )
            yield Figure(f"{what} among {many:,} / {few:,}", among_many / among_few, 2, "x")
        for studio in studios:
            studio.close()


def _fill_with_sessions(folder: Path, count: int) -> None:
    """
    Write the records of sessions that are long idle.
    """
    Studio(folder).close()
    created = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(count):
        record = SessionRecord(
            id=f"0{number:025}", description="A logo", name=f"Tea {number}", created=created
        )
        file = folder / ".imagesession" / "sessions" / f"{record.id}.json"
        file.write_bytes(codec.dump_session(record))


def queueing(count: int = 1000, slots: int = 64, seconds: float = 0.5) -> Figure:
    """
    Time generations in many sessions at once that share few slots, against what the provider alone
    takes.
    """
    provider = FakeOpenAI(
        latency=seconds, sketcher=FixedSketcher(tiny_image(size=(64, 64)), (64, 64))
    )

    async def run(folder: str) -> float:
        async with AsyncStudio.offline(
            folder, provider=provider, max_concurrency=slots, max_active_sessions=count
        ) as studio:
            starts = (studio.session("A logo for a tea shop") for _ in range(count))
            made = await asyncio.gather(*starts)
            start = time.perf_counter()
            await asyncio.gather(*(session.generate("a teapot") for session in made))
            return time.perf_counter() - start

    with working_folder() as folder:
        taken = asyncio.run(run(folder))
    ideal = count / slots * seconds
    print(f"  {taken:.1f} s, ideal {ideal:.1f} s")
    what = f"{count:,} sessions at once on {slots} slots of {seconds} s / ideal"
    return Figure(what, taken / ideal, 1.5, "x")


def crowding(count: int = 400) -> Figure:
    """
    Count the sessions that get no picture when many ask at once, over the offline provider as
    anybody has it.
    """

    async def run(folder: str) -> int:
        provider = FakeOpenAI(latency=0.5)
        async with AsyncStudio.offline(
            folder, provider=provider, max_active_sessions=count
        ) as studio:

            async def draw() -> None:
                session = await studio.session("A logo for a tea shop")
                await session.generate("a teapot")

            done = await asyncio.gather(*(draw() for _ in range(count)), return_exceptions=True)
        return sum(isinstance(item, BaseException) for item in done)

    with working_folder() as folder:
        failed = asyncio.run(run(folder))
    return Figure(f"{count} sessions at once over AsyncStudio.offline", failed, 0, "failures")


FIGURES: Table = {
    "generating": generating,
    "request_bodies": request_bodies,
    "lateness": lateness,
    "importing": importing,
    "sketching": sketching,
    "many_at_once": many_at_once,
    "peak_memory": peak_memory,
    "opening": opening,
    "sessions": sessions,
    "queueing": queueing,
    "crowding": crowding,
}


def measure(name: str, table: Table = FIGURES) -> list[Figure]:
    """
    Measure one row of a table, which may have several figures.
    """
    measured = table[name]()
    return [measured] if isinstance(measured, Figure) else list(measured)


def best(name: str, table: Table = FIGURES) -> list[Figure]:
    """
    Measure one row of a table; if a figure is above what it may be, up to three times, and give the
    best of each.
    """
    figures = measure(name, table)
    for _ in range(2):
        if any(figure.value > figure.most for figure in figures):
            again = zip(figures, measure(name, table), strict=True)
            figures = [min(pair, key=lambda figure: figure.value) for pair in again]
    return figures


def main(names: list[str], table: Table = FIGURES) -> None:
    """
    Print a table.
    """
    for name in names or table:
        for figure in measure(name, table):
            print(figure, flush=True)
    print(json.dumps({"python": sys.version.split()[0], "openai": openai.__version__}))


if __name__ == "__main__":
    main(sys.argv[1:])
