"""
Calls are broken off at any moment: a task is cancelled, or Ctrl-C is pressed. What was asked is
found again afterwards, once, and nothing is left lying about.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from imagesession import AsyncStudio, ImageSession, Studio
from imagesession._domain.turn import ProviderState
from imagesession._runtime import interpreter
from imagesession._store.intent_leases import IntentLease, IntentLeases
from imagesession.testing import tiny_image
from tests.faults.billing import Audit, Till, audit, unsettled

pytestmark = pytest.mark.usefixtures("much_later")
AT_ONCE = 20
TIMES = pytest.mark.parametrize(
    "times", [40, pytest.param(1000, marks=pytest.mark.faults)], ids=["few", "many"]
)
Call = Callable[[], Coroutine[Any, Any, Any]]
Breaking = Callable[[Call, float], Coroutine[Any, Any, bool]]


def moments(seed: int) -> Callable[[float], float]:
    """
    Return a source of moments, the same every time.
    """
    chance = random.Random(seed)  # noqa: S311 - chance is to be the same every time, not secret
    return lambda longest: chance.uniform(0, longest)


async def cancelled(call: Call, moment: float) -> bool:
    """
    Break a call off, by its task; tell whether it came in time.
    """
    task = asyncio.create_task(call())
    await asyncio.wait({task}, timeout=moment)
    task.cancel()
    await asyncio.wait({task})
    return not task.cancelled() and task.exception() is None


async def scoped(call: Call, moment: float) -> bool:
    """
    Break a call off, by a scope of anyio around it; tell whether it came in time.
    """
    with anyio.move_on_after(moment) as scope:
        await call()
    return not scope.cancelled_caught


async def timed(call: Call, moment: float) -> bool:
    """
    Break a call off, by a timeout of asyncio around it; tell whether it came in time.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(moment):
            await call()
            return True
    return False


async def break_off(root: Path, provider: Till, times: int) -> int:
    """
    Begin many pictures, break each off at a moment of its own, and recover.

    Returns:
        How many came in time.
    """
    moment = moments(times)
    before = asyncio.all_tasks()
    async with AsyncStudio.offline(root, provider=provider) as studio:
        await studio.generate("warm up")
        gate = asyncio.Semaphore(AT_ONCE)

        async def run_one(number: int, breaking: Breaking) -> bool:
            async with gate:
                asked = lambda: studio.generate(f"teapot {number}")  # noqa: E731 - a call to break off
                return await breaking(asked, moment(0.6))

        ways = itertools.cycle((cancelled, scoped, timed))
        came = await asyncio.gather(*map(run_one, range(times), ways))
        recovery = await studio.recover(timeout=1)
        assert recovery.still_pending == {}
        assert asyncio.all_tasks() == before
    return sum(came)


def leftovers(root: Path) -> list[str]:
    """
    Return what is under way still, or lies about.
    """
    return [*unsettled(root), *map(str, (root / ".imagesession" / "tmp").iterdir())]


def no_threads_but(before: set[threading.Thread]) -> None:
    """
    Wait until the threads that were begun have ended.
    """
    end = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        gc.collect()
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)


@TIMES
@pytest.mark.usefixtures("looking_often")
def test_cancelled_calls_lose_nothing(tmp_path: Path, times: int) -> None:
    """
    However a call is cancelled and when: what the provider took on is kept, once; what it did not
    is settled; no file, task, thread or lease is left.
    """
    provider, before = Till(), set(threading.enumerate())
    came = asyncio.run(break_off(tmp_path, provider, times))
    found = audit(tmp_path, provider.billed)
    print(f"cancels {times}, came in time {came}: {found}")  # noqa: T201 - the figures
    assert 0 < came < found.kept
    assert_sound(found)
    assert found.unknown == ()
    assert leftovers(tmp_path) == []
    no_threads_but(before)


def assert_sound(found: Audit) -> None:
    """
    Check that nothing is lost, spoilt, or paid for twice.
    """
    assert (found.twice, found.lost, found.corrupt) == ((), (), ())
    assert found.kept == found.billed - len(found.unknown)


@pytest.mark.usefixtures("looks_into_no_conversation")
@pytest.mark.usefixtures("looking_often")
def test_a_call_that_is_dropped_at_once_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The harness sees what it looks for: a driver that waits for nothing loses pictures, unless they
    are looked for in their conversations.
    """

    async def drop(work: asyncio.Future[Any], seconds: float | None = None) -> None:  # noqa: ARG001 - its twin's face
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            work.cancel()
            raise

    monkeypatch.setattr(interpreter, "wait_shielded", drop)
    provider = Till(lambda: 0.3)
    with contextlib.suppress(AssertionError):
        asyncio.run(break_off(tmp_path, provider, AT_ONCE))
    found = audit(tmp_path, provider.billed)
    assert found.unknown or found.lost


# --- Ctrl-C -----------------------------------------------------------------------------------

VERBS: dict[str, Callable[[ImageSession], object]] = {
    "generate": lambda session: session.generate("a teapot"),
    "stream": lambda session: list(session.stream("a teapot", partial_images=1)),
    "edit": lambda session: session.edit("bluer", image=tiny_image(colour=(9, 9, 9))),
}


@attrs.define
class Ctrl:
    """
    Presses Ctrl-C once, before or after something is done for the n-th time.

    Attributes:
        at: How often it was done before.
        before: Whether Ctrl-C is pressed before it, or after.
        done: What was done, the latest last.
    """

    at: int
    before: bool
    done: list[Any] = attrs.field(factory=list[Any])

    def around(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """
        Return what does the same, and is interrupted.
        """

        def interrupted(*arguments: Any) -> Any:
            due = len(self.done) == self.at
            if due and self.before:
                self.done.append(None)
                raise KeyboardInterrupt
            answer = do(*arguments)
            self.done.append(arguments[-1])
            if due:
                raise KeyboardInterrupt
            return answer

        return interrupted


def every_moment() -> Iterator[Ctrl]:
    """
    Yield all moments at which Ctrl-C may be pressed, for as long as somebody asks for more.
    """
    for at in itertools.count():
        yield Ctrl(at, before=True)
        yield Ctrl(at, before=False)


def interrupt(
    studio: Studio, verb: Callable[[ImageSession], object], target: object, name: str
) -> Iterator[Ctrl]:
    """
    Interrupt a verb at every moment in turn, and recover each time; yield what was done until then.

    Args:
        studio: Where.
        verb: What is interrupted.
        target: Where the function is.
        name: The function that is called at every moment.
    """
    session = studio.session("a tea shop")
    verb(session)
    for ctrl in every_moment():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, name, ctrl.around(getattr(target, name)))
            try:
                verb(session)
            except KeyboardInterrupt:
                yield ctrl
            else:
                return
        assert studio.recover(timeout=0.2).still_pending == {}


@pytest.mark.parametrize("state", ["conversation", "responses"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("hurried")
def test_ctrl_c_at_every_step_loses_nothing(
    tmp_path: Path, verb: str, state: ProviderState
) -> None:
    """
    Ctrl-C before or after any step: what the provider took on is kept, once, even where its answer
    was not listened to any more. No file, lease or thread is left. Outside of a conversation, what
    was interrupted before the first event is said to be unknown.
    """
    provider, before = Till(lambda: 0.0, latency=0.0), set(threading.enumerate())
    with Studio.offline(tmp_path, provider=provider, provider_state=state) as studio:
        hands = vars(interpreter)["_SyncInterpreter"]
        presses = list(interrupt(studio, VERBS[verb], hands, "perform"))
    found = audit(tmp_path, provider.billed)
    print(f"Ctrl-C {len(presses)} times in {verb}: {found}")  # noqa: T201 - the figures
    assert len(presses) > 15
    assert_sound(found)
    assert len(found.unknown) <= (0 if state == "conversation" else len(presses) / 5)
    assert leftovers(tmp_path) == []
    no_threads_but(before)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("hurried")
def test_ctrl_c_while_the_disk_works_loses_nothing(tmp_path: Path, verb: str) -> None:
    """
    Ctrl-C before or after anything is flushed to the disk: all that was paid for is kept.
    """
    provider = Till(lambda: 0.0, latency=0.0)
    with Studio.offline(tmp_path, provider=provider) as studio:
        presses = list(interrupt(studio, VERBS[verb], os, "fsync"))
    found = audit(tmp_path, provider.billed)
    print(f"Ctrl-C {len(presses)} times while the disk worked for {verb}: {found}")  # noqa: T201 - the figures
    assert len(presses) > 10
    assert_sound(found)
    assert found.unknown == ()
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("hurried")
def test_a_lease_that_nobody_lets_go_of_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The harness sees what it looks for: without letting go, a picture is under way for ever.
    """

    def keep(_: IntentLeases, __: IntentLease) -> bool:
        return False

    monkeypatch.setattr(IntentLeases, "expire_lease", keep)
    provider = Till(lambda: 0.0, latency=0.0)
    hands = vars(interpreter)["_SyncInterpreter"]
    with (
        Studio.offline(tmp_path, provider=provider) as studio,
        pytest.raises(AssertionError, match="a running program is at it"),
    ):
        list(interrupt(studio, VERBS["generate"], hands, "perform"))
