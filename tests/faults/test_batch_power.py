"""
After a power cut at any moment of a batch, whatever the disk has lost, a submitted batch is known
and collected, and is never submitted again.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import attrs
import pytest

from imagesession import Studio
from imagesession._engine import acceptance
from imagesession._store import batches
from imagesession._store.files import atomic_write
from imagesession.errors import ImageSessionError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.crashes import Disk, digest, materialise
from tests.faults.steps import Step, Watcher

Mark: TypeAlias = Literal["asked", "returned"]
NAME, PROMPTS = "kites", ["a red kite", "a blue kite"]
SIZE = 64, 64
STATES = pytest.mark.parametrize(
    "most", [150, pytest.param(1_000_000, marks=pytest.mark.faults)], ids=["some", "all"]
)


class Office(FakeOpenAI):
    """
    A provider that records each submission of a batch in a trace.
    """

    def __init__(self, trace: list[Step | Mark]) -> None:
        super().__init__(sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))
        self.set_batch_speed(looks=1)
        self.trace = trace

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call.
        """
        if (call.method, call.path) == ("POST", "/batches"):
            self.trace.append("asked")
        return super().handle(call)


@attrs.frozen
class Life:
    """
    The steps that a library took for a batch, and its provider.
    """

    trace: list[Step | Mark]
    provider: Office


def live(root: Path) -> Life:
    """
    Submit a batch and collect it; return the steps.
    """
    trace: list[Step | Mark] = []
    provider = Office(trace)
    with Watcher(root, after=trace.append).watching():
        studio = Studio.offline(root, provider=provider)
        studio.batches.create(PROMPTS, name=NAME).wait(progress=False)
        trace.append("returned")
    return Life(trace, provider)


def crashes(trace: list[Step | Mark]) -> Iterator[tuple[Mark | None, dict[str, bytes | None]]]:
    """
    Yield the progress and the possible states of the disk, for a power cut after every step.
    """
    disk, mark, seen = Disk(), None, set[bytes]()
    for event in trace:
        if isinstance(event, Step):
            disk.take(event)
        else:
            mark = event
        for state in disk.crashes():
            known = digest(state) + repr(mark).encode()
            if known not in seen:
                seen.add(known)
                yield mark, state


def problems(root: Path, mark: Mark | None, provider: Office) -> Iterator[str]:
    """
    Yield the problems of a library after a power cut.
    """
    with Studio.offline(root, provider=provider) as studio:
        if mark is None:
            studio.recover(timeout=0)
            # A batch whose record was written before it was sent is looked for.
            if not studio.batches.list():
                if studio.requests.pending():
                    yield "intents of a batch that was not submitted are left"
                return
            if studio.batches.get(NAME).status().provider_id is None:
                yield "a batch that was not submitted is kept"
                return
        submissions = provider.trace.count("asked")
        before = {image.prompt: image.bytes for image in studio.images.list(kind="batch")}
        if mark == "returned" and sorted(before) != sorted(PROMPTS):
            yield "a picture that was returned is missing"
        found = studio.batches.create(PROMPTS, name=NAME).wait(progress=False)
        if provider.trace.count("asked") != submissions:
            yield "the batch was submitted again"
        if not found.ok or [item.prompt for item in found.images] != PROMPTS:
            yield f"pictures are missing: {found.errors}"
        if any(image.bytes != tiny_image(size=SIZE) for image in found.images):
            yield "a picture has other bytes than were received"
        if len(studio.images.list(kind="batch")) != len(PROMPTS) or studio.requests.pending():
            yield "the batch is not settled once"


def bad_states(life: Life, most: int) -> tuple[int, list[str]]:
    """
    Check the library in all states that it may have after a power cut.

    Args:
        life: The recorded steps.
        most: The largest number of states to check; if there are more, a regular sample.

    Returns:
        The number of checked states, and their problems.
    """
    states = list(crashes(list(life.trace)))
    chosen = states[:: -(-len(states) // most)]
    bad: list[str] = []
    memory = Path("/dev/shm")  # noqa: S108 - flushing takes no time there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for number, (mark, state) in enumerate(chosen):
            root = Path(folder, str(number))
            materialise(state, root)
            try:
                bad.extend(f"{number}: {text}" for text in problems(root, mark, life.provider))
            except (ImageSessionError, OSError, LookupError) as problem:
                bad.append(f"{number}: {problem!r}")
            shutil.rmtree(root)
    return len(chosen), bad


@STATES
def test_power_cut_loses_no_batch(tmp_path: Path, most: int) -> None:
    """
    After a power cut at any step, with unflushed changes lost, torn, zeroed or reordered, the
    program runs again and gets each image of the batch once, without submitting it again. If it was
    not submitted, nothing is left of it.
    """
    count, bad = bad_states(live(tmp_path / "library"), most)
    assert bad == []
    assert count >= 80


def _flush_nothing(descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)


@pytest.mark.faults
def test_missing_flush_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: if files are not flushed, a batch is submitted again.
    """
    assert batches
    monkeypatch.setattr(atomic_write, "fsync", _flush_nothing)
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    _, bad = bad_states(live(tmp_path / "library"), 150)
    assert any("the batch was submitted again" in text for text in bad)
