"""
Calls that need a slot queue within their process, and share the slots with other processes.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesession import AsyncStudio, Studio
from imagesession._store import slots
from imagesession._store.disk.library import DiskLibrary
from imagesession._store.disk.rights import DiskLease, DiskRights
from imagesession._store.ports import Rights
from imagesession._store.slots import QueuedSlot, SlotQueue
from imagesession.testing import FakeOpenAI, tiny_image
from tests.bench.server import FixedSketcher
from tests.clock import HoldingProvider

# A child is forked while its parent holds the only slot and another call waits. It prints whether
# it gets the slot before its parent releases it, and after; and whether the slot stays held while
# the child holds it, and is free once the child has ended.
FORKING = """
import os, sys
from pathlib import Path
from imagesession._store import slots
from imagesession._store.disk.library import DiskLibrary
rights = DiskLibrary(Path(sys.argv[1])).rights
def join():
    return slots.queue("library", "slot", 1).join(rights)
held, waiting = join(), join()
assert held.try_acquire()
to_child, from_child = os.pipe(), os.pipe()
child = os.fork()
if not child:
    held.release()
    mine = join()
    early = mine.try_acquire()
    os.write(from_child[1], b"got it early" if early else b"waits")
    os.read(to_child[0], 1)
    os.write(from_child[1], b" gets it" if mine.try_acquire() else b" gets none")
    os.read(to_child[0], 1)
    os._exit(0)
def read():
    return os.read(from_child[0], 100).decode()
print(read(), end="")
waiting.release()
held.release()
os.write(to_child[1], b"x")
print(read(), end="")
print(" alone" if not join().try_acquire() else " twice", end="")
os.write(to_child[1], b"x")
os.waitpid(child, 0)
print(" free" if join().try_acquire() else " kept")
"""


@pytest.fixture
def provider() -> HoldingProvider:
    """
    A provider that takes 0.05 seconds.
    """
    provider = HoldingProvider(sketcher=FixedSketcher(tiny_image(), (64, 64)))
    provider.latency = 0.05
    return provider


@pytest.fixture
def acquired(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """
    Whether each attempt to get a slot from the library was successful.
    """
    results: list[bool] = []
    hold = DiskRights.hold

    def counting(rights: DiskRights, name: str, places: int = 1) -> DiskLease | None:
        lease = hold(rights, name, places)
        if name.startswith("slot "):
            results.append(lease is not None)
        return lease

    monkeypatch.setattr(DiskRights, "hold", counting)
    return results


def prompts(provider: FakeOpenAI) -> list[str]:
    """
    Return the prompts of the paid requests, in order.
    """
    paid = [
        call for call in provider.requests if (call.method, call.path) == ("POST", "/responses")
    ]
    return [call.body["input"][-1]["content"][-1]["text"] for call in paid]


@pytest.mark.usefixtures("looking_often")
def test_tasks_pass_slots_on_in_memory(
    tmp_path: Path, provider: FakeOpenAI, acquired: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As long as a process holds all slots, its tasks pass them on in memory: each slot's file is
    locked once.
    """
    monkeypatch.setattr(slots, "_PASS_ON_SECONDS", 600)

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider, max_concurrency=2) as studio:
            await asyncio.gather(*(studio.generate(f"x {number}") for number in range(20)))

    asyncio.run(run())
    assert acquired == [True, True]
    assert sorted(prompts(provider)) == sorted(f"x {number}" for number in range(20))


def test_threads_pass_slots_on_in_memory(
    tmp_path: Path,
    provider: FakeOpenAI,
    acquired: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Threads pass slots on as tasks do, even if each has its own studio.
    """
    monkeypatch.setattr(slots, "_PASS_ON_SECONDS", 600)

    barrier = threading.Barrier(6)
    first = SlotQueue.join

    def join_together(queue: SlotQueue, rights: Rights) -> QueuedSlot:
        call = first(queue, rights)
        barrier.wait()
        return call

    monkeypatch.setattr(SlotQueue, "join", join_together)

    def generate() -> None:
        with Studio.offline(tmp_path, provider=provider, max_concurrency=2) as studio:
            studio.generate("x")

    in_threads([generate] * 6)
    assert acquired == [True, True]
    assert len(prompts(provider)) == 6


def test_cancelled_call_leaves_the_queue(tmp_path: Path, provider: HoldingProvider) -> None:
    """
    A task that is cancelled while it waits does not keep those behind it waiting.
    """
    provider.hold()

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider, max_concurrency=1) as studio:
            calls = {
                f"x {at}": asyncio.ensure_future(studio.generate(f"x {at}")) for at in range(5)
            }
            while not prompts(provider):  # noqa: ASYNC110 - it raises no event
                await asyncio.sleep(0.005)
            (held,) = prompts(provider)
            *to_cancel, last = calls.keys() - {held}
            for prompt in to_cancel:
                calls[prompt].cancel()
            await anyio.wait_all_tasks_blocked()
            provider.finish()
            done = await asyncio.gather(*calls.values(), return_exceptions=True)
            cancelled = [isinstance(image, asyncio.CancelledError) for image in done]
            assert cancelled == [prompt in to_cancel for prompt in calls]
            assert prompts(provider) == [held, last]

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no forks there")
def test_fork_does_not_inherit_slots(tmp_path: Path) -> None:
    """
    A forked process has neither its parent's slot nor its queue, does not hold the slot after the
    parent releases it, and releases its own slot when it ends.
    """
    script = [sys.executable, "-c", FORKING, str(tmp_path / "slots")]
    output = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert output == "waits gets it alone free\n"


def test_slot_is_released_to_other_processes_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A slot is passed on within a process for a while; then another process may get it, although
    calls of this one are waiting.
    """
    here, there = SlotQueue("slot", 1), SlotQueue("slot", 1)
    mine, theirs = (DiskLibrary(tmp_path).rights for _ in range(2))
    first, second, third = (here.join(mine) for _ in range(3))
    other = there.join(theirs)
    assert first.try_acquire()
    assert not other.try_acquire()
    first.release()
    assert second.is_held
    monkeypatch.setattr(slots, "_PASS_ON_SECONDS", 0)
    second.release()
    assert not third.is_held
    assert other.try_acquire()
    assert not third.try_acquire()
    other.release()
    assert third.try_acquire()


def test_garbage_collected_call_leaves_the_queue(tmp_path: Path) -> None:
    """
    A slot or a place in the queue that is garbage-collected is free.
    """
    queue, rights = SlotQueue("slot", 1), DiskLibrary(tmp_path).rights
    first, second, third = (queue.join(rights) for _ in range(3))
    assert first.try_acquire()
    signal = third.signal()
    del second
    del first
    gc.collect()
    assert third.is_held
    assert signal.done()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "try", "release"]), st.integers(0, 1), st.integers(0, 9))
    ),
    st.integers(1, 3),
    st.sampled_from([0, 600]),
)
def test_slots_never_exceed_the_limit(
    steps: list[tuple[str, int, int]], count: int, seconds: float
) -> None:
    """
    Whatever two processes do, no more calls hold slots than there are, those of a process get them
    in the order of their arrival, and all slots are free in the end.
    """
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "_PASS_ON_SECONDS", seconds)
        queues = [SlotQueue("slot", count) for _ in range(2)]
        rights = [DiskLibrary(Path(name)).rights for _ in range(2)]
        calls: tuple[list[QueuedSlot], list[QueuedSlot]] = ([], [])
        for what, which, number in steps:
            mine = calls[which]
            if what == "join":
                mine.append(queues[which].join(rights[which]))
            elif mine and what == "try" and mine[number % len(mine)].may_try:
                mine[number % len(mine)].try_acquire()
            elif mine and what == "release":
                mine.pop(number % len(mine)).release()
            assert sum(call.is_held for each in calls for call in each) <= count
            for each in calls:
                held = [call.is_held for call in each]
                assert held == sorted(held, reverse=True)
        for call in (*calls[0], *calls[1]):
            call.release()
        again = [SlotQueue("slot", count).join(rights[0]) for _ in range(count)]
        assert all(call.try_acquire() for call in again)
