"""
What a library on PostgreSQL and S3 costs beside a folder, and what more replicas bring. Run with
`--figures`, on a quiet machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesession import Studio
from tests import team_servers
from tests.bench.server import serve_fixed_images

ROUNDS = 40
AT_MOST = 1.5
REPLICAS, PICTURES, AT_LEAST = 3, 24, 2.5
_REPLICA = """
import sys
from concurrent.futures import ThreadPoolExecutor
from imagesession import Studio
library, url, count = sys.argv[1:]
with Studio(library, api_key="x", base_url=url) as studio, ThreadPoolExecutor(4) as pool:
    print("ready", flush=True)
    for _ in sys.stdin:
        list(pool.map(studio.generate, ["a teapot"] * int(count)))
        print("made", flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def _flushing() -> Iterator[None]:
    """
    Let PostgreSQL flush the disk, as a folder's library does.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(team_servers.FLUSH, "on")
        patch.setenv(team_servers.FOLDER, f"{os.environ[team_servers.FOLDER]}-flushing")
        yield


@pytest.mark.figures
def test_durable_image_beside_a_folder(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """
    A durable image takes at most one and a half times as long as in a folder.
    """
    team_servers.skip_if_missing()
    url = team_servers.servers().new_library()
    times: dict[str, list[float]] = {"folder": [], "team": []}
    with Studio.offline(tmp_path / "library") as folder, Studio.offline(url) as team:
        for number in range(ROUNDS):
            for name, studio in (("folder", folder), ("team", team)):
                started = time.perf_counter()
                studio.generate("a teapot")
                if number:
                    times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(taken) * 1000 for name, taken in times.items()}
    ratio = medians["team"] / medians["folder"]
    print(f"durable image: {medians} ms, {ratio:.2f} times")
    slack = float(pytestconfig.getoption("--figures") or 1.0)
    assert ratio <= AT_MOST * slack


@pytest.mark.figures
def test_replicas_beside_one(pytestconfig: pytest.Config) -> None:
    """
    Three replicas, each with four images of a second under way, make at least two and a half times
    as many as one.
    """
    team_servers.skip_if_missing()
    url = team_servers.servers().new_library()
    Studio.offline(url).close()
    with serve_fixed_images((1024, 1024), 0.1, 1.0) as provider:
        command = [sys.executable, "-c", _REPLICA, url, provider, str(PICTURES)]
        replicas = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(REPLICAS)
        ]
        await_line(replicas)
        rounds = [(seconds_of(replicas[:1]), seconds_of(replicas)) for _ in range(4)]
        for replica in replicas:
            replica.communicate()
    ratio = REPLICAS * statistics.median(alone / three for alone, three in rounds[1:])
    print(f"replicas: {rounds} s, {ratio:.2f} times the throughput")
    with Studio.offline(url) as studio:
        assert studio.costs().total.images == len(rounds) * (1 + REPLICAS) * PICTURES
    slack = float(pytestconfig.getoption("--figures") or 1.0)
    assert ratio >= AT_LEAST / slack


def seconds_of(replicas: list[subprocess.Popen[str]]) -> float:
    """
    Let replicas make their images; return how long they took.
    """
    started = time.perf_counter()
    for replica in replicas:
        assert replica.stdin is not None
        print(file=replica.stdin, flush=True)
    await_line(replicas)
    return time.perf_counter() - started


def await_line(replicas: list[subprocess.Popen[str]]) -> None:
    """
    Wait until each replica has written a line.
    """
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline()
