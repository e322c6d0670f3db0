"""
Many concurrent sessions of one studio are not mixed up, none waits forever, and memory use is
bounded.
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

FETCHED_BYTES, CONNECTION_BYTES = 150_000_000, 500_000
"""
What 32 images take while they are fetched, and what each connection holds meanwhile: asyncio reads
up to 256 KB before it is paused, and the start of an event is read before it waits for its turn.
"""
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is not available"
)


def most_bytes(sessions: int) -> int:
    """
    Return by how many bytes memory may grow: the images at once do not depend on the sessions.
    """
    return FETCHED_BYTES + sessions * CONNECTION_BYTES


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """
    A provider in another process, whose images have a megabyte and contain their prompts.
    """
    with served() as where:
        yield where


def crowd(library: Path, url: str, sessions: int, *twin: str) -> dict[str, Any]:
    """
    Run many sessions in another process; return its findings.
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
    "sessions", [32, pytest.param(1000, marks=pytest.mark.faults)], ids=["some", "thousand"]
)
def test_concurrent_sessions_are_separate(tmp_path: Path, url: str, sessions: int) -> None:
    """
    Each session has its own turns and images of its own prompts; memory grows by what 32 images and
    the connections take; of a thousand, the longest wait is not much longer than the median.
    """
    found = crowd(tmp_path, url, sessions)
    assert found["mixed"] == []
    assert found["pictures"] == TURNS * sessions
    assert sessions < 1000 or found["longest"] < 4 * found["median"] + found["second"]
    assert found["growth"] < most_bytes(sessions)


@pytest.mark.faults
def test_mixed_up_sessions_are_caught(tmp_path: Path, url: str) -> None:
    """
    The check works: a broken twin whose sessions see each other's turns is caught.
    """
    assert crowd(tmp_path, url, 4, "mixed")["mixed"]


@pytest.mark.faults
def test_unlimited_fetching_is_caught(tmp_path: Path, url: str) -> None:
    """
    The check works: without a limit of concurrent fetches, memory grows with the sessions.
    """
    assert crowd(tmp_path, url, 500, "greedy")["growth"] > most_bytes(500)
