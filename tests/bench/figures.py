"""
Benchmarks of the library's promises, compared side by side in one run.

    python -m tests.bench.figures [NAME ...]

Most figures are ratios rather than seconds, because machines are noisy; each line has its maximum.
`tests/bench/test_figures.py` checks them, with `pytest --figures`.
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
import pytest
from openai.types.responses import Response

from imagesession import AsyncStudio, Studio
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._fake_openai import sketch
from imagesession._store import codec
from imagesession.testing import AsyncFakeTransport, FakeOpenAI, tiny_image
from tests.bench.server import FixedSketcher, serve_fixed_images


@attrs.frozen
class Figure:
    """
    One line of the table.

    Attributes:
        label: What was measured.
        value: The measured value.
        maximum: The largest value allowed.
        unit: The unit of both.
        is_work: Whether a slower machine may take longer, as with whatever is measured in seconds.
    """

    label: str
    value: float
    maximum: float
    unit: str
    is_work: bool = attrs.field(
        default=attrs.Factory(lambda self: self.unit in {"s", "ms"}, takes_self=True)
    )

    def __str__(self) -> str:
        verdict = "ok" if self.value <= self.maximum else "TOO MUCH"
        return f"{self.label:<72} {self.value:8.3f} of {self.maximum:g} {self.unit}  {verdict}"


REQUEST: Any = {
    "model": "gpt-6-luna",
    "input": "a teapot",
    "tools": [{"type": "image_generation"}],
    "tool_choice": {"type": "image_generation"},
}
"""
The request of the plain client.
"""
_USUAL = 0.035
"""
The seconds that `import asyncio` takes on a usual machine.
"""
Table: TypeAlias = Mapping[str, Callable[[], Figure | Iterator[Figure]]]
"""
The function that measures each row of a table, by the row's name.
"""


def working_folder() -> tempfile.TemporaryDirectory[str]:
    """
    Create a temporary folder to measure in.
    """
    # In the working folder, because /tmp may be in memory, where flushing is free.
    return tempfile.TemporaryDirectory(prefix="imagesession-bench-", dir=Path.cwd())


def seconds_of(work: Callable[[], object]) -> float:
    """
    Measure the seconds that a function takes.
    """
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median_ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1e3


def generating(rounds: int = 40) -> Figure:
    """
    Compare durably generating a 3 MB PNG with the plain client writing a file, both with a provider
    without latency. A stream has the image twice, as the service's does: in its item, and in the
    final response with the usage.
    """
    with working_folder() as folder, serve_fixed_images((1024, 1024)) as url:
        studio = Studio(Path(folder) / "library", api_key="x", base_url=url)
        plain = openai.OpenAI(api_key="x", base_url=url)
        target = Path(folder) / "plain.png"

        def with_plain_client() -> None:
            target.write_bytes(_image_of(cast("Response", plain.responses.create(**REQUEST))))

        for warm_up in (with_plain_client, lambda: studio.generate("a teapot")):
            warm_up()
        ours: list[float] = []
        plain_times: list[float] = []
        for _ in range(rounds):
            plain_times.append(seconds_of(with_plain_client))
            ours.append(seconds_of(lambda: studio.generate("a teapot")))
        studio.close()
        plain.close()
        ratio = statistics.median(ours) / statistics.median(plain_times)
        label = "generate a 3 MB PNG durably / plain client and write_bytes"
        print(f"  medians: ours {_median_ms(ours):.1f} ms, plain {_median_ms(plain_times):.1f} ms")
        return Figure(label, ratio, 1.6, "x")


def request_bodies(turns: int = 50) -> Iterator[Figure]:
    """
    Measure the request sizes of a long session on a reasoning model: 50 refinements, a branch, an
    undo, and a turn of another program.
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


LATENCIES = (2.1, 5, 7.6, 17.3, 41.7)


def lateness() -> Iterator[Figure]:
    """
    Measure the delay between the provider finishing an image and its return, for slow images.
    """

    def seconds_late(latency: float) -> float:
        with working_folder() as folder, serve_fixed_images((1024, 1024), 0.1, latency) as url:
            studio = Studio(folder, api_key="x", base_url=url)
            studio._connect()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - not of the request
            elapsed = seconds_of(lambda: studio.generate("a teapot"))
            studio.close()
            return elapsed - latency

    with ThreadPoolExecutor(len(LATENCIES)) as pool:
        for latency, seconds in zip(LATENCIES, pool.map(seconds_late, LATENCIES), strict=True):
            yield Figure(f"how late a picture of {latency} s is", seconds, 0.15, "s")


def importing(rounds: int = 15) -> Iterator[Figure]:
    """
    Compare `import imagesession` with `import attrs`.
    """
    statements = ("import attrs", "import imagesession", "from imagesession import Studio")
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(rounds):
        for statement, elapsed in times.items():
            command = [sys.executable, "-c", statement]
            elapsed.append(seconds_of(lambda command=command: subprocess.run(command, check=True)))  # type: ignore[misc]
    attrs_alone, package, studio = (_median_ms(times[statement]) for statement in statements)
    yield Figure("import imagesession over import attrs", package - attrs_alone, 40, "ms")
    yield Figure(
        "from imagesession import Studio over import attrs", studio - attrs_alone, 150, "ms"
    )
    heavy_packages = "openai", "PIL", "sqlite3", "mcp"
    script = f"import sys, imagesession; print(sum(n in sys.modules for n in {heavy_packages}))"
    count = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    yield Figure(f"imported of {', '.join(heavy_packages)}", int(count.stdout), 0, "packages")


def sketching(rounds: int = 7) -> Figure:
    """
    Measure the slowest of several sketches of 1024x1024 pixels, including encoding.
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
    Compare concurrent generations with the plain async client, which writes each image without
    flushing, in one process with the same provider; the best of three rounds each.

    In memory, only the library's own work is measured. On a disk, creating four files per image is
    added, which takes from 0.01 to 0.8 ms each on the disks that were tested.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a temporary folder is created in it
    for latency in (1.0, 1.3, 2.1):
        label = f"{count} at once of {latency} s / plain async client"
        if memory.is_dir():
            with tempfile.TemporaryDirectory(dir=memory) as folder:
                ratio = asyncio.run(_at_once(Path(folder), count, latency))
                yield Figure(f"{label}, library in memory", ratio, 1.15, "x")
        with working_folder() as folder:
            ratio = asyncio.run(_at_once(Path(folder), count, latency))
            yield Figure(f"{label}, library on this disk", ratio, 1.3, "x")


def _image_of(response: Response) -> bytes:
    (result,) = (entry for entry in response.output if entry.type == "image_generation_call")
    return base64.b64decode(result.result or "")


async def _at_once(folder: Path, count: int, latency: float) -> float:
    provider = FakeOpenAI(latency=latency)
    http_client = httpx2.AsyncClient(transport=AsyncFakeTransport(provider))
    plain = openai.AsyncOpenAI(api_key="x", base_url="http://plain/v1", http_client=http_client)

    async def with_plain_client(number: int) -> None:
        response = cast("Response", await plain.responses.create(**REQUEST))
        (folder / f"{number}.png").write_bytes(_image_of(response))

    async with AsyncStudio.offline(folder / "library", provider=provider) as studio:
        await studio.generate("a teapot")
        await with_plain_client(0)
        ours: list[float] = []
        plain_times: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            await asyncio.gather(*map(with_plain_client, range(count)))
            between = time.perf_counter()
            await asyncio.gather(*(studio.generate("a teapot") for _ in range(count)))
            plain_times.append(between - start)
            ours.append(time.perf_counter() - between)
    await plain.close()
    print(f"  best: ours {min(ours):.2f} s, plain {min(plain_times):.2f} s")
    return min(ours) / min(plain_times)


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
    Measure the peak memory of a large generation, beyond that of a process without any.
    """

    def peak(url: str, folder: str, big: str) -> tuple[int, int]:
        command = [sys.executable, "-c", _PEAK, url, folder, big]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return int(output[0]), int(output[1])

    with working_folder() as folder, serve_fixed_images((3840, 2160)) as url:
        idle_peak, _ = peak(url, folder, "no")
        large_peak, size = peak(url, folder, "yes")
    encoded = (size + 2) // 3 * 4
    label = f"peak memory of a 3840x2160 generation / its {encoded / 1e6:.0f} MB of base64"
    return Figure(label, (large_peak - idle_peak) / encoded, 3.5, "x")


def opening(count: int = 100_000) -> Iterator[Figure]:
    """
    Measure opening a large library and listing its first page.
    """
    with working_folder() as folder:
        _fill(Path(folder), count)
        index_seconds = seconds_of(lambda: len(Studio(folder).images.list()))
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
    yield Figure("rebuild its index", index_seconds, 15, "s")


def _fill(folder: Path, count: int) -> None:
    """
    Write a library's records as if its images had been generated in sessions of 100 turns.
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
    Compare session operations in a library with many sessions and in one with few.
    """
    with working_folder() as folder:
        counts = few, many
        for count in counts:
            _fill_with_sessions(Path(folder) / str(count), count)
        studios = [
            Studio.offline(Path(folder) / str(count), max_active_sessions=999) for count in counts
        ]
        actions: dict[str, Callable[[Studio, int], object]] = {
            "make a session": lambda studio, _: studio.session("A logo for a tea shop"),
            "open a session by its name": lambda studio, number: studio.open(f"Tea {number}"),
            "list a page of sessions": lambda studio, _: studio.sessions.list(limit=50),
        }
        for label, action in actions.items():
            times: list[list[float]] = [[], []]
            for number in range(-1, rounds):
                for studio, elapsed in zip(studios, times, strict=True):
                    seconds = seconds_of(lambda: action(studio, abs(number)))  # noqa: B023 - called at once
                    if number >= 0:  # the first builds the index
                        elapsed.append(seconds)
            few_ms, many_ms = map(_median_ms, times)
            print(f"  medians: {few_ms:.2f} ms among {few:,}, {many_ms:.2f} ms among {many:,}")
            yield Figure(f"{label} among {many:,} / {few:,}", many_ms / few_ms, 2, "x")
        for studio in studios:
            studio.close()


def _fill_with_sessions(folder: Path, count: int) -> None:
    """
    Write the records of sessions that have long been idle.
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
    Compare concurrent generations in many sessions that share few slots with the provider's own
    time.
    """
    provider = FakeOpenAI(
        latency=seconds, sketcher=FixedSketcher(tiny_image(size=(64, 64)), (64, 64))
    )

    async def run(folder: str) -> float:
        async with AsyncStudio.offline(
            folder, provider=provider, max_concurrency=slots, max_active_sessions=count
        ) as studio:
            starts = (studio.session("A logo for a tea shop") for _ in range(count))
            created = await asyncio.gather(*starts)
            start = time.perf_counter()
            await asyncio.gather(*(session.generate("a teapot") for session in created))
            return time.perf_counter() - start

    with working_folder() as folder:
        elapsed = asyncio.run(run(folder))
    ideal = count / slots * seconds
    print(f"  {elapsed:.1f} s, ideal {ideal:.1f} s")
    label = f"{count:,} sessions at once on {slots} slots of {seconds} s / ideal"
    return Figure(label, elapsed / ideal, 1.5, "x", is_work=True)


def crowding(count: int = 400) -> Figure:
    """
    Count the failures when many sessions generate at once, with the default offline provider.
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
        return sum(isinstance(result, BaseException) for result in done)

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


def measure_best(name: str, table: Table = FIGURES) -> list[Figure]:
    """
    Measure one row of a table, up to three times if a figure exceeds its maximum, and return the
    best values.
    """
    figures = measure(name, table)
    for _ in range(2):
        if any(figure.value > figure.maximum for figure in figures):
            again = zip(figures, measure(name, table), strict=True)
            figures = [min(pair, key=lambda figure: figure.value) for pair in again]
    return figures


def exceeding(figures: list[Figure], config: pytest.Config) -> list[str]:
    """
    Return the figures that exceed their maximum: by more than `--figures` allows, and for work also
    by more than this machine is slower than a usual one.
    """
    slack, slowness = float(config.getoption("--figures") or 1.0), _slowness()
    print(f"  (work takes {slowness:.1f} times as long as usual)")
    return [
        str(figure)
        for figure in figures
        if figure.value > figure.maximum * slack * (slowness if figure.is_work else 1.0)
    ]


def _slowness() -> float:
    """
    Return how many times as long this machine takes to import asyncio as one for which maxima in
    seconds are meant; at least 1.
    """

    def shortest(statement: str) -> float:
        command = [sys.executable, "-S", "-c", statement]
        return min(seconds_of(lambda: subprocess.run(command, check=True)) for _ in range(5))

    return max(1.0, (shortest("import asyncio") - shortest("pass")) / _USUAL)


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
