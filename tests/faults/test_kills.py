"""
Programs are killed at random while they generate images: every paid image is stored once.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from imagesession import Studio
from imagesession._domain.turn import Failure, ProviderState
from imagesession._store.intents import IntentStore
from imagesession.testing import FakeOpenAI, serve
from tests.faults.billing import Audit, Till, all_turns, audit, unsettled
from tests.faults.pace import HANG
from tests.faults.test_soak import TROUBLE

WORKERS = 8
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are forked and killed"),
    pytest.mark.usefixtures("no_acceptance_timeout"),
]


@attrs.frozen(kw_only=True)
class Run:
    """
    The outcome of a run.

    Attributes:
        requested: The number of requested images.
        kills: The number of killed workers.
        found: The comparison of what was paid for with what was stored.
        open: The unsettled intents.
    """

    requested: int
    kills: int
    found: Audit
    open: tuple[str, ...]


def kill_at_random(
    root: Path,
    requested: int,
    kills: int,
    *troubles: str,
    state: ProviderState = "conversation",
    workers: int = WORKERS,
    restarts: int = 0,
    faults: Mapping[str, float] | None = None,
) -> Run:
    """
    Let workers generate images, kill them at random, and recover.

    Args:
        root: The library's folder.
        requested: The number of images.
        kills: The number of kills.
        troubles: What else happens to the workers; see `nursery`.
        state: The provider's state. In a conversation nothing is lost, however late the first event
            is. Otherwise a request can be lost before its first event, so that is not delayed.
        workers: The number of programs.
        restarts: How often the provider is killed and started again.
        faults: The share of each fault of the connection.
    """
    chance = random.Random(kills)  # noqa: S311 - the same every time, not secret
    in_conversation = state == "conversation"
    provider = Till(
        lambda: chance.uniform(0.0, 0.05 * in_conversation),
        latency=0.1 if in_conversation else 0.2,
    )
    each = requested // workers
    with serve(provider) as served:
        address = served
    with Studio(root, api_key="x", base_url=address.base_url) as studio:
        for number in range(workers):
            studio.session("a tea shop", name=f"session {number}", provider_state=state)
        if faults:
            provider.inject_faults(faults, seed=kills)
        program = [sys.executable, "-m", "tests.faults.nursery"]
        arguments = [str(root), address.base_url, *map(str, (workers, each, kills)), *troubles]
        with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE) as nursery:
            for _ in range(restarts):
                with serve(provider, port=address.port):
                    time.sleep(chance.uniform(0.1, 1.0))
            with serve(provider, port=address.port):
                killed = int(nursery.communicate(timeout=HANG)[0])
                provider.inject_faults({})
                # What a killed program had just sent may arrive after the first look.
                time.sleep(0.2)
                studio.recover(timeout=2)
                time.sleep(0.2)
                end = time.monotonic() + HANG
                while pending := studio.recover(timeout=2).still_pending:
                    assert time.monotonic() < end, pending
        for session in studio.sessions.list():
            studio.open(session.id).turns()  # reads every record
    found = audit(root, provider.billed)
    print(f"{each * workers} pictures requested, {killed} kills, {restarts} restarts: {found}")  # noqa: T201 - the figures
    return Run(requested=each * workers, kills=killed, found=found, open=tuple(unsettled(root)))


@pytest.mark.parametrize(
    "requested,kills,restarts",
    [(64, 10, 0), (32, 10, 2), pytest.param(1000, 220, 44, marks=pytest.mark.faults)],
    ids=["some", "restarts", "hundreds"],
)
def test_killed_programs_lose_nothing(
    tmp_path: Path, requested: int, kills: int, restarts: int
) -> None:
    """
    Every image of an accepted request is stored once and undamaged, and all sessions open, even if
    a program was killed before it knew the provider's id; if the provider was killed too, programs
    were stopped for a while, and each has a clock that is wrong by a day back to a year ahead.
    """
    troubles = ("stopped", "astray") if restarts else ()
    run = kill_at_random(tmp_path, requested, kills, *troubles, restarts=restarts)
    # While the provider is away, nobody may be left to kill.
    assert run.kills == kills or (restarts and run.kills > 0)
    assert (run.found.twice, run.found.lost, run.found.corrupt, run.open) == ((), (), (), ())
    assert run.found.unknown == ()
    assert run.found.kept == run.found.billed
    # Each is settled with an image or with a failure; only what was not sent was requested again.
    turns = all_turns(tmp_path)
    keys = [turn.idempotency_key for turn in turns]
    assert len(set(keys)) == run.requested
    assert max(Counter(turn.idempotency_key for turn in turns if turn.images).values()) == 1
    assert restarts or len(keys) == run.requested


@pytest.mark.parametrize(
    "requested,kills,restarts",
    [(32, 6, 1), pytest.param(1000, 60, 12, marks=pytest.mark.faults)],
    ids=["some", "hundreds"],
)
def test_everything_at_once(tmp_path: Path, requested: int, kills: int, restarts: int) -> None:
    """
    While programs are killed and stopped, their clocks jump and their disks fail, and the provider
    restarts and answers badly: at the end every bill has its picture, or a sentence that says what
    became of it, nothing is billed twice, and there is no image that no record names.
    """
    run = kill_at_random(
        tmp_path, requested, kills, "stopped", "astray", "full", restarts=restarts, faults=TROUBLE
    )
    assert (run.found.twice, run.found.corrupt, run.open) == ((), (), ())
    turns = {turn.id: turn for turn in all_turns(tmp_path)}
    unexplained = [
        turn
        for turn in run.found.lost
        if turn not in turns or (turns[turn].failure or Failure(error="", message="")).message == ""
    ]
    assert unexplained == []
    assert run.found.kept > 0.9 * run.found.billed
    with Studio.offline(tmp_path) as studio:
        assert studio.doctor(repair=True).check("records").state == "ok"
    assert audit(tmp_path, Counter()).stray == ()


@pytest.mark.parametrize(
    "requested,kills",
    [
        pytest.param(64, 10, marks=pytest.mark.faults),
        pytest.param(1000, 220, marks=pytest.mark.faults),
    ],
    ids=["some", "hundreds"],
)
def test_losses_outside_of_conversations_are_rare_and_reported(
    tmp_path: Path, requested: int, kills: int
) -> None:
    """
    Outside of a conversation nothing is paid for twice. Only a request whose program is killed
    between sending and the first event is lost: it is settled as unknown and counted. For images
    that take 0.2 seconds, that is less than one in a hundred kills, if there are hundreds.
    """
    run = kill_at_random(tmp_path, requested, kills, state="responses", workers=2)
    assert run.kills == kills
    assert (run.found.twice, run.found.lost, run.found.corrupt, run.open) == ((), (), (), ())
    assert run.found.kept == run.found.billed - len(run.found.unknown)
    assert kills < 100 or len(run.found.unknown) <= kills / 100
    keys = [turn.idempotency_key for turn in all_turns(tmp_path)]
    assert len(keys) == len(set(keys)) == run.requested


@pytest.mark.faults
def test_recovery_without_the_journal_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The check works: without the journal, images are lost.
    """

    def nothing(_: IntentStore) -> tuple[()]:
        return ()

    monkeypatch.setattr(IntentStore, "pending", nothing)
    # No kill need hit the right moment: the first run that loses something is enough.
    runs = (kill_at_random(tmp_path / str(number), 16, 8, "blind") for number in range(20))
    assert any(run.found.lost and run.open for run in runs)


def test_unfinished_intent_is_removed(tmp_path: Path) -> None:
    """
    An unfinished intent is removed after an hour, because nothing was sent; not before, because its
    program may be alive.
    """
    provider = FakeOpenAI()
    with Studio.offline(tmp_path, provider=provider):
        fresh, old = (
            tmp_path / ".imagesession" / "journal" / f"{number:026}.one-shots.jsonl"
            for number in range(2)
        )
        for file in (fresh, old):
            file.write_bytes(b'{"owner": "x", "turn": {')
        then = time.time() - 4000
        os.utime(old, (then, then))
        with Studio.offline(tmp_path, provider=provider) as later:
            assert not later.recover().still_pending
    assert (fresh.exists(), old.exists()) == (True, False)
    assert provider.requests == ()
