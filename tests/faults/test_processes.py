"""
Eight programs use one library at the same time: nobody's change is lost, nobody is told that the
library is locked, and a budget that they share is kept.
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
from tests.faults.users import PROGRAMS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked")
AMPLE = 1e9
# Enough for the four pictures that are there, and for a few more.
CAP = 0.4


@attrs.frozen
class Use:
    """
    How a library was used.

    Attributes:
        studio: A studio that looks at it afterwards.
        reports: What each program says.
    """

    studio: Studio
    reports: tuple[dict[str, Any], ...]

    def problems(self) -> Iterator[str]:
        """
        Yield what is not as the programs believe.
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
        Tell what may be behind a wrong count: turns that share an id, or what the index lacks.
        """
        files = self.studio.library.glob(".imagesession/turns/*/*.json")
        shared = [text for text, count in Counter(file.stem for file in files).items() if count > 1]
        path = self.studio.library / ".imagesession" / "index.sqlite"
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
                yield "a branch stands elsewhere"


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
    Let eight programs use a library at the same time.

    Args:
        folder: Where it is.
        count: How many things each does.
        habit: Which things.
        cap: What they may spend together, in US dollars.
        ways: In which ways they are unlike others; see `tests.faults.users`.
        damaged: Whether the index is damaged before they begin.
    """
    provider = FakeOpenAI(sketcher=FixedSketcher(tiny_image(), (64, 64)))
    studio = Studio.offline(folder / "library", provider=provider)
    for number in range(4):
        studio.session(f"session {number}").generate("a teapot")
    if damaged:
        (studio.library / ".imagesession" / "index.sqlite").write_bytes(b"no index" * 2000)
    room = folder / "reports"
    room.mkdir()
    command = [sys.executable, "-m", "tests.faults.users", str(studio.library), str(room)]
    command += [str(count), habit, str(cap), *ways]
    # What a twin cannot keep is put where temporary files belong.
    subprocess.run(command, check=True, timeout=230, env={**os.environ, "TMPDIR": str(folder)})
    reports = tuple(json.loads(file.read_text()) for file in sorted(room.iterdir()))
    assert len(reports) == PROGRAMS
    return Use(studio, reports)


@pytest.mark.parametrize(
    "count", [40, pytest.param(1000, marks=pytest.mark.faults)], ids=["some", "many"]
)
def test_programs_do_not_get_in_each_others_way(tmp_path: Path, count: int) -> None:
    """
    Programs generate, refine, list, find, branch, undo and add up at the same time, under a
    budget: each thing succeeds and is seen by all, each branch stands where its program left it,
    and every picture is there in the end.
    """
    used = use(tmp_path, count, "mixed")
    assert list(used.problems()) == []
    assert sum(sum(report["done"].values()) for report in used.reports) == PROGRAMS * count
    assert list((tmp_path / "library" / ".imagesession" / "tmp").iterdir()) == []


def test_programs_share_a_budget(tmp_path: Path) -> None:
    """
    What all programs spend together stays within the budget, however they come together.
    """
    used = use(tmp_path, 5, "spending", cap=CAP)
    assert list(used.problems()) == []
    made = sum(len(report["made"]) for report in used.reports)
    assert made + sum(report["done"].get("too dear", 0) for report in used.reports) == PROGRAMS * 5
    assert 0 < made < PROGRAMS * 5
    assert CAP / 2 < used.studio.costs().total.dollars <= CAP


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.faults)])
def test_programs_whose_clocks_are_behind_count_every_picture(tmp_path: Path, count: int) -> None:
    """
    Where the clocks of all programs are behind what is in the library, so that time does not tell
    what they make apart, each thing succeeds, and what is listed is counted.
    """
    used = use(tmp_path, count, "mixed", ways=("behind",))
    assert list(used.problems()) == []


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_programs_that_meet_a_damaged_index_build_it_once(tmp_path: Path, times: int) -> None:
    """
    Where all of them find the index damaged at the same time, none takes away what another has
    just built.
    """
    for number in range(times):
        (tmp_path / str(number)).mkdir()
        used = use(tmp_path / str(number), 5, "mixed", damaged=True)
        assert list(used.problems()) == []


# --- twins ------------------------------------------------------------------------------------


def test_programs_without_a_lock_are_caught(tmp_path: Path) -> None:
    """
    Where nothing keeps programs from changing the same session at once, branches are lost.
    """
    used = use(tmp_path, 5, "branching", ways=("unlocked",))
    assert "a branch is lost" in set(used.problems())


def test_a_budget_without_a_lock_is_caught(tmp_path: Path) -> None:
    """
    Where nothing keeps programs from asking at once whether there is enough left, they spend more.
    """
    used = use(tmp_path, 2, "spending", cap=CAP, ways=("unlocked",))
    assert used.studio.costs().total.dollars > CAP


def test_programs_that_count_on_from_the_same_id_are_caught(tmp_path: Path) -> None:
    """
    Where programs whose clocks are behind give out one id after another, they give out the same.
    """
    used = use(tmp_path, 20, "mixed", ways=("behind", "counting"))
    assert list(used.problems()) != []
