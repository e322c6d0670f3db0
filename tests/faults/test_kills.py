"""
Programs are killed at any moment while they make pictures: what was paid for is kept, once.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from imagesession import Studio
from imagesession._domain.turn import ProviderState
from imagesession._store.intent_leases import IntentLeases
from imagesession.testing import FakeOpenAI, serve
from tests.faults.billing import Audit, Till, all_turns, audit, unsettled

WORKERS = 8
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are forked and killed"),
    pytest.mark.usefixtures("much_later"),
]


@attrs.frozen(kw_only=True)
class Run:
    """
    What became of a run.

    Attributes:
        wanted: How many pictures were wanted.
        kills: How often a worker was killed.
        found: What was paid for, held against what was kept.
        open: What is not settled.
    """

    wanted: int
    kills: int
    found: Audit
    open: tuple[str, ...]


def kill_at_random(
    root: Path,
    wanted: int,
    kills: int,
    *blind: str,
    state: ProviderState = "conversation",
    workers: int = WORKERS,
) -> Run:
    """
    Have workers make pictures, kill them at random, and recover.

    Args:
        root: The library.
        wanted: How many pictures.
        kills: How often a worker is killed.
        blind: Given, recovery does not look into the journal.
        state: What the provider keeps. In a conversation nothing is lost however long the
            provider takes for its first word; else that moment is what can be lost, so that it
            comes as it does where nothing is slow.
        workers: How many programs there are.
    """
    chance = random.Random(kills)  # noqa: S311 - chance is to be the same every time, not secret
    talks = state == "conversation"
    provider = Till(lambda: chance.uniform(0.0, 0.05 * talks), latency=0.1 if talks else 0.2)
    each = wanted // workers
    with serve(provider) as served, Studio(root, api_key="x", base_url=served.base_url) as studio:
        for number in range(workers):
            studio.session("a tea shop", name=f"session {number}", provider_state=state)
        program = [sys.executable, "-m", "tests.faults.nursery"]
        arguments = [str(root), served.base_url, *map(str, (workers, each, kills)), *blind]
        killed = int(subprocess.check_output([*program, *arguments], timeout=230))
        time.sleep(0.2)
        assert studio.recover(timeout=2).still_pending == {}
        for session in studio.sessions.list():
            studio.open(session.id).turns()  # reads every record
    found = audit(root, provider.billed)
    print(f"{each * workers} pictures wanted, {killed} kills: {found}")  # noqa: T201 - the figures
    return Run(wanted=each * workers, kills=killed, found=found, open=tuple(unsettled(root)))


@pytest.mark.parametrize(
    "wanted,kills",
    [(64, 10), pytest.param(1000, 220, marks=pytest.mark.faults)],
    ids=["some", "hundreds"],
)
def test_killed_programs_lose_nothing(tmp_path: Path, wanted: int, kills: int) -> None:
    """
    All that the provider took on is kept, once and sound, and sessions open; that holds for what
    was killed before anybody knew the provider's id of it too.
    """
    run = kill_at_random(tmp_path, wanted, kills)
    assert run.kills == kills
    assert (run.found.twice, run.found.lost, run.found.corrupt, run.open) == ((), (), (), ())
    assert run.found.unknown == ()
    assert run.found.kept == run.found.billed
    # Each was asked for once: what came of it is a picture, or an end that says why not.
    asked = [turn.idempotency_key for turn in all_turns(tmp_path)]
    assert len(asked) == len(set(asked)) == run.wanted


@pytest.mark.parametrize(
    "wanted,kills",
    [(64, 10), pytest.param(1000, 220, marks=pytest.mark.faults)],
    ids=["some", "hundreds"],
)
def test_what_is_lost_is_told_and_hardly_anything(tmp_path: Path, wanted: int, kills: int) -> None:
    """
    Outside of a conversation nothing is paid for twice. What is lost was killed in the instant
    between sending and the first event: it is said to be unknown and counted, and of pictures that
    take 0.2 seconds it is less than one in a hundred kills.
    """
    run = kill_at_random(tmp_path, wanted, kills, state="responses", workers=2)
    assert run.kills == kills
    assert (run.found.twice, run.found.lost, run.found.corrupt, run.open) == ((), (), (), ())
    assert run.found.kept == run.found.billed - len(run.found.unknown)
    assert len(run.found.unknown) <= max(1, kills / 100)
    asked = [turn.idempotency_key for turn in all_turns(tmp_path)]
    assert len(asked) == len(set(asked)) == run.wanted


def test_a_recovery_that_ignores_the_journal_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The harness sees what it looks for: without the journal, pictures are lost.
    """

    def nothing(_: IntentLeases) -> tuple[()]:
        return ()

    monkeypatch.setattr(IntentLeases, "pending", nothing)
    run = kill_at_random(tmp_path, 16, 8, "blind")
    assert run.found.lost
    assert run.open


def test_an_intent_that_was_cut_short_is_swept(tmp_path: Path) -> None:
    """
    A program that died while it wrote down what it was about to ask has asked nothing: what it
    wrote is gone after an hour, and not before, for it might be alive.
    """
    provider = FakeOpenAI()
    with Studio.offline(tmp_path, provider=provider) as studio:
        fresh, old = (
            tmp_path / ".imagesession" / "journal" / f"{number:026}.one-shots.jsonl"
            for number in range(2)
        )
        for file in (fresh, old):
            file.write_bytes(b'{"owner": "x", "turn": {')
        then = time.time() - 4000
        os.utime(old, (then, then))
        assert not studio.recover().still_pending
    assert (fresh.exists(), old.exists()) == (True, False)
    assert provider.requests == ()
