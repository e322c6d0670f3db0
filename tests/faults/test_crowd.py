"""
Many sessions go on at once on one studio: none gets what is another's, none waits for ever, and
memory stays within bounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.crowd import TURNS, served

MOST_BYTES = 300_000_000
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="nothing tells the most memory that was used"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """
    A provider in a process of its own, whose pictures are a megabyte and tell what was asked.
    """
    with served() as where:
        yield where


def crowd(library: Path, url: str, sessions: int, *twin: str) -> dict[str, Any]:
    """
    Run a crowd of sessions in a process of its own; return what it found.
    """
    program = [sys.executable, "-m", "tests.faults.crowd", "run"]
    output = subprocess.check_output([*program, str(library), url, str(sessions), *twin])
    found: dict[str, Any] = json.loads(output)
    print(  # noqa: T201 - the figures
        f"{sessions} sessions, {found['pictures']} pictures in {found['seconds']:.1f} s: "
        f"{found['growth'] / 1e6:.0f} MB more; waited {found['median']:.1f} s, at most "
        f"{found['longest']:.1f} s; {len(found['mixed'])} mixed up"
    )
    return found


@pytest.mark.parametrize(
    "sessions", [64, pytest.param(1000, marks=pytest.mark.faults)], ids=["some", "thousand"]
)
def test_sessions_do_not_get_in_each_others_way(tmp_path: Path, url: str, sessions: int) -> None:
    """
    Each session has its own turns and pictures, which were painted for its own prompts; the one
    that waits longest does not wait much longer than others; memory grows by 300 MB at most.
    """
    found = crowd(tmp_path, url, sessions)
    assert found["mixed"] == []
    assert found["pictures"] == TURNS * sessions
    assert found["longest"] < 4 * found["median"] + 1
    assert found["growth"] < MOST_BYTES


def test_sessions_that_are_mixed_up_are_caught(tmp_path: Path, url: str) -> None:
    """
    The harness sees what it looks for: sessions that see each other's turns are told.
    """
    assert crowd(tmp_path, url, 4, "mixed")["mixed"]


@pytest.mark.faults
def test_fetching_all_at_once_is_caught(tmp_path: Path, url: str) -> None:
    """
    Without a limit to how much is fetched at once, memory grows with the crowd.
    """
    assert crowd(tmp_path, url, 500, "greedy")["growth"] > MOST_BYTES
