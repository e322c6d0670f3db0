"""
Workers are killed at random while they make queued images: all are made, and each is paid for once.

That holds over Procrastinate, which `imagesession.worker` uses, and over the plainest queue that
there is, because it comes from the idempotency key and not from the queue.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from imagesession import Studio
from imagesession._store.team.address import parse_address
from imagesession.testing import FakeOpenAI, serve
from tests import team_servers
from tests.faults.pace import HANG, Pace

pytestmark = pytest.mark.faults
JOBS, WORKERS, KILLS, CONCURRENCY = 200, 4, 12, 4
# What the provider has not shown after ten seconds, it has not got: it is on this machine.
SOON = """
import datetime as dt
from imagesession._engine import acceptance
acceptance.ACCEPTANCE_TIMEOUT = dt.timedelta(seconds=10)
"""
PROCRASTINATE = f"{SOON}import runpy; runpy.run_module('imagesession.worker', run_name='__main__')"
# An at-least-once queue: a job that was taken ten seconds ago is given out again.
PLAIN = """
import asyncio, sys
import psycopg
from imagesession import AsyncStudio
from imagesession.errors import ImageSessionError
from imagesession._store.team.address import parse_address
TAKE = '''
    UPDATE jobs SET taken = now() WHERE id = (
        SELECT id FROM jobs WHERE NOT done AND taken < now() - interval '10 seconds'
        ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1
    ) RETURNING id, prompt
'''
async def work(studio, jobs):
    while True:
        job = jobs.execute(TAKE).fetchone()
        if job is None:
            await asyncio.sleep(0.5)
            continue
        try:
            await studio.generate(job[1], idempotency_key=f"job {job[0]}")
            jobs.execute("UPDATE jobs SET done = true WHERE id = %s", job[:1])
        except ImageSessionError:
            await studio.recover(timeout=0)
async def main(library):
    with psycopg.connect(autocommit=True, **parse_address(library).connection()) as jobs:
        async with AsyncStudio(library, provider_state="conversation", quality="low") as studio:
            await asyncio.gather(*[work(studio, jobs) for _ in range(4)])
asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def library() -> Iterator[str]:
    """
    An empty library, in which what a killed worker had begun is free after five seconds.
    """
    team_servers.skip_if_missing()
    servers = team_servers.servers()
    url = servers.new_library()
    yield f"{url}&lease=5"
    servers.drop_library(url)


@contextmanager
def killed_workers(program: str, library: str, url: str) -> Generator[Callable[[], None]]:
    """
    Run workers; what this yields kills one of them, which must not have ended by itself, and starts
    another.
    """
    environment = {**os.environ, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
    chance = random.Random(18)  # noqa: S311 - to be the same every time

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, library]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    workers = [start() for _ in range(WORKERS)]

    def replace() -> None:
        which = chance.randrange(WORKERS)
        assert workers[which].poll() is None
        workers[which].kill()
        workers[which].wait()
        workers[which] = start()

    try:
        yield replace
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def make_all(
    program: str, library: str, provider: FakeOpenAI, count_done: Callable[[], int]
) -> float:
    """
    Let workers make all jobs, of which some are killed; return the seconds since they were up.
    """
    with serve(provider) as served, killed_workers(program, library, served.base_url) as kill:
        begun = time.monotonic()
        while not provider.requests:  # until the first worker is up
            assert time.monotonic() - begun < HANG
            time.sleep(0.05)
        start, killed = time.monotonic(), 0
        while (done := count_done()) < JOBS:
            if killed < KILLS and done >= killed * JOBS / (KILLS + 1):
                kill()
                killed += 1
            assert time.monotonic() - start < HANG, f"{done} of {JOBS} were made"
            time.sleep(0.25)
        assert killed == KILLS
        return time.monotonic() - start


def paid(provider: FakeOpenAI) -> int:
    """
    Return how many images were paid for.
    """
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


def test_killed_workers_make_a_queue(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    200 jobs of a second, four workers, of which twelve are killed: 200 images, 200 paid for, in at
    most three times the time that it takes at best.
    """
    provider = FakeOpenAI(latency=1.0)
    with Studio.offline(library) as studio:
        prompts = [f"fox {number}" for number in range(JOBS)]
        queue = studio.queue(prompts, name="foxes", quality="low")
        with Pace() as pace:
            seconds = make_all(PROCRASTINATE, library, provider, lambda: queue.status().made)
        images = queue.results().images
        assert sorted(image.prompt for image in images) == sorted(prompts)
        assert len({image.id for image in images}) == JOBS
        assert studio.stats().total_images == JOBS
        assert not studio.requests.pending()
    assert paid(provider) == JOBS
    ideal = JOBS / WORKERS / CONCURRENCY * pace.second
    with capsys.disabled():
        print(f"\n200 jobs, 12 kills: {seconds:.1f} s, {seconds / ideal:.1f} times the ideal")  # noqa: T201
    assert seconds <= 3 * ideal


def test_any_at_least_once_queue_is_safe(library: str) -> None:
    """
    The same over thirty lines of SELECT … SKIP LOCKED.
    """
    provider = FakeOpenAI(latency=1.0)
    with psycopg.connect(autocommit=True, **parse_address(library).connection()) as jobs:
        jobs.execute(
            "CREATE TABLE jobs (id serial, prompt text, done bool DEFAULT false, "
            "taken timestamptz DEFAULT '-infinity')"
        )
        for number in range(JOBS):
            jobs.execute("INSERT INTO jobs (prompt) VALUES (%s)", (f"fox {number}",))

        def count_done() -> int:
            row = jobs.execute("SELECT count(*) FROM jobs WHERE done").fetchone()
            assert row is not None
            return int(row[0])

        make_all(SOON + PLAIN, library, provider, count_done)
    with Studio.offline(library) as studio:
        assert studio.stats().total_images == JOBS
        assert not studio.requests.pending()
    assert paid(provider) == JOBS
