"""
Eight programs use one library concurrently: no change is lost, no call fails because the library is
locked, and a shared budget is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Studio
from imagesession.testing import FakeOpenAI, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.pace import HANG
from tests.faults.users import PROGRAMS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked")
AMPLE = 1e9
# Enough for the four existing images, and for a few more.
CAP = 0.4


@attrs.frozen
class Use:
    """
    The outcome of a concurrent use.

    Attributes:
        studio: A studio that reads the library afterwards.
        reports: The programs' reports.
    """

    studio: Studio
    reports: tuple[dict[str, Any], ...]

    def problems(self) -> Iterator[str]:
        """
        Yield differences between the library and the programs' reports.
        """
        for report in self.reports:
            yield from report["problems"]
        made = [tuple(item) for report in self.reports for item in report["made"]]
        there = {
            image.id: hashlib.sha256(image.bytes).hexdigest()
            for image in self.studio.images.list(limit=1_000_000)
        }
        if [item for item in made if there.get(item[0]) != item[1]]:
            yield "a picture is lost"
        spent = self.studio.costs().total
        if spent.images != len(there):
            yield f"{spent.images} pictures are counted of {len(there)}: {self._miscount()}"
        for report in self.reports:
            yield from self._moved(report)

    def _miscount(self) -> str:
        """
        Describe possible causes of a wrong count: turns that share an id, or missing rows.
        """
        files = Path(self.studio.library).glob(".imagesession/turns/*/*.json")
        shared = [text for text, count in Counter(file.stem for file in files).items() if count > 1]
        path = Path(self.studio.library) / ".imagesession" / "index.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as index:
            verdict = index.execute("PRAGMA integrity_check").fetchall()
            alone = index.execute("SELECT turn FROM images EXCEPT SELECT id FROM turns").fetchall()
            empty = index.execute("SELECT id FROM turns WHERE images <> 1").fetchall()
        return f"ids shared {shared}, index {verdict}, images alone {alone}, turns without {empty}"

    def _moved(self, report: dict[str, Any]) -> Iterator[str]:
        for session, name in report["branches"]:
            if name not in self.studio.open(session).tree().branches():
                yield "a branch is lost"
        for session, turn in report["heads"].items():
            head = self.studio.open(session).tree().head(report["own"])
            if (None if head is None else head.id) != turn:
                yield "a branch has another head"


def use(
    folder: Path,
    count: int,
    habit: str,
    *,
    cap: float = AMPLE,
    ways: tuple[str, ...] = (),
    damaged: bool = False,
) -> Use:
    """
    Let eight programs use a library concurrently.

    Args:
        folder: The folder for the library and the reports.
        count: The number of operations of each program.
        habit: The kinds of operations.
        cap: The shared budget in US dollars.
        ways: Variants of the programs; see `tests.faults.users`.
        damaged: Whether the index is damaged before they start.
    """
    provider = FakeOpenAI(sketcher=FixedSketcher(tiny_image(), (64, 64)))
    studio = Studio.offline(folder / "library", provider=provider)
    for number in range(4):
        studio.session(f"session {number}").generate("a teapot")
    if damaged:
        (Path(studio.library) / ".imagesession" / "index.sqlite").write_bytes(b"no index" * 2000)
    room = folder / "reports"
    room.mkdir()
    command = [sys.executable, "-m", "tests.faults.users", str(studio.library), str(room)]
    command += [str(count), habit, str(cap), *ways]
    # Images that a broken twin cannot store are written to the temporary folder.
    subprocess.run(command, check=True, timeout=HANG, env={**os.environ, "TMPDIR": str(folder)})
    reports = tuple(json.loads(file.read_text()) for file in sorted(room.iterdir()))
    assert len(reports) == PROGRAMS
    return Use(studio, reports)


@pytest.mark.parametrize(
    "count", [20, pytest.param(1000, marks=pytest.mark.faults)], ids=["some", "many"]
)
def test_concurrent_programs_work_correctly(tmp_path: Path, count: int) -> None:
    """
    Programs generate, refine, list, find, branch, undo and sum costs concurrently, under a budget.
    Each operation succeeds and is visible to all, each branch has the head that its program set,
    and every image is there in the end.
    """
    used = use(tmp_path, count, "mixed")
    assert list(used.problems()) == []
    assert sum(sum(report["done"].values()) for report in used.reports) == PROGRAMS * count
    assert list((tmp_path / "library" / ".imagesession" / "tmp").iterdir()) == []


def test_programs_share_a_budget(tmp_path: Path) -> None:
    """
    The total cost of all programs stays within the budget, whatever their timing.
    """
    used = use(tmp_path, 5, "spending", cap=CAP)
    assert list(used.problems()) == []
    made = sum(len(report["made"]) for report in used.reports)
    assert (
        made + sum(report["done"].get("over budget", 0) for report in used.reports) == PROGRAMS * 5
    )
    assert 0 < made < PROGRAMS * 5
    assert CAP / 2 < used.studio.costs().total.dollars <= CAP


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.faults)])
def test_programs_with_slow_clocks_count_every_image(tmp_path: Path, count: int) -> None:
    """
    If the clocks of all programs are behind the ids in the library, so that ids cannot be based on
    time, each operation succeeds, and every listed image is counted.
    """
    used = use(tmp_path, count, "mixed", ways=("behind",))
    assert list(used.problems()) == []


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_programs_rebuild_a_damaged_index_once(tmp_path: Path, times: int) -> None:
    """
    If all programs find the index damaged at the same time, none deletes the index that another has
    just rebuilt.
    """
    for number in range(times):
        (tmp_path / str(number)).mkdir()
        used = use(tmp_path / str(number), 5, "mixed", damaged=True)
        assert list(used.problems()) == []


# --- broken twins -----------------------------------------------------------------------------


def test_missing_lock_is_caught(tmp_path: Path) -> None:
    """
    The check works: if programs change the same session without a lock, branches are lost.
    """
    used = use(tmp_path, 5, "branching", ways=("unlocked",))
    assert "a branch is lost" in set(used.problems())


@pytest.mark.faults
def test_budget_without_a_lock_is_caught(tmp_path: Path) -> None:
    """
    The check works: if programs check the budget without a lock, they exceed it.
    """
    used = use(tmp_path, 2, "spending", cap=CAP, ways=("unlocked",))
    assert used.studio.costs().total.dollars > CAP


@pytest.mark.faults
def test_consecutive_ids_are_caught(tmp_path: Path) -> None:
    """
    The check works: if programs with slow clocks make consecutive ids, they make the same ones.
    """
    used = use(tmp_path, 20, "mixed", ways=("behind", "counting"))
    assert list(used.problems()) != []
