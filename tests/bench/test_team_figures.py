"""
What a library on PostgreSQL and S3 costs beside a folder. Run with `--figures`, on a quiet machine.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesession import Studio
from tests import team_servers

ROUNDS = 40
AT_MOST = 1.5


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
