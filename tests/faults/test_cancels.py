"""
Calls are interrupted at any moment: a task is cancelled, or Ctrl-C is pressed. Recovery finds every
paid image once, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import sys
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
from imagesession._store.disk.rights import DiskLease, DiskRights
from imagesession._store.intents import IntentStore
from imagesession.testing import tiny_image
from tests.faults.billing import Audit, Till, audit, unsettled
from tests.faults.pace import HANG

pytestmark = pytest.mark.usefixtures("no_acceptance_timeout")
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
    chance = random.Random(seed)  # noqa: S311 - the same every time, not secret
    return lambda longest: chance.uniform(0, longest)


async def cancelled(call: Call, moment: float) -> bool:
    """
    Cancel a call by its task; tell whether it completed in time.
    """
    task = asyncio.create_task(call())
    await asyncio.wait({task}, timeout=moment)
    task.cancel()
    await asyncio.wait({task})
    return not task.cancelled() and task.exception() is None


async def scoped(call: Call, moment: float) -> bool:
    """
    Cancel a call by an anyio scope around it; tell whether it completed in time.
    """
    with anyio.move_on_after(moment) as scope:
        await call()
    return not scope.cancelled_caught


async def timed(call: Call, moment: float) -> bool:
    """
    Cancel a call by an asyncio timeout around it; tell whether it completed in time.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(moment):
            await call()
            return True
    return False


async def break_off(root: Path, provider: Till, times: int) -> int:
    """
    Request many images, cancel each at a random moment, and recover.

    Returns:
        The number of images that completed in time.
    """
    moment = moments(times)
    before = asyncio.all_tasks()
    async with AsyncStudio.offline(root, provider=provider) as studio:
        await studio.generate("warm up")
        start = time.monotonic()
        await asyncio.gather(*(studio.generate(f"warm up {number}") for number in range(AT_ONCE)))
        usual = time.monotonic() - start
        gate = asyncio.Semaphore(AT_ONCE)

        async def run_one(number: int, breaking: Breaking) -> bool:
            async with gate:
                call = lambda: studio.generate(f"teapot {number}")  # noqa: E731 - a call to cancel
                return await breaking(call, moment(2 * usual))

        ways = itertools.cycle((cancelled, scoped, timed))
        completed = await asyncio.gather(*map(run_one, range(times), ways))
        end = time.monotonic() + HANG
        while pending := (await studio.recover(timeout=1)).still_pending:
            assert time.monotonic() < end, pending
        assert asyncio.all_tasks() == before
    return sum(completed)


def leftovers(root: Path) -> list[str]:
    """
    Return unsettled intents and unfinished files.
    """
    return [*unsettled(root), *map(str, (root / ".imagesession" / "tmp").iterdir())]


@pytest.fixture
def forgetting_tracebacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Keep no tracebacks of errors in finalizers: they hold the event loop, and so its threads.
    CPython 3.11 may say of a generator of the HTTP client that it is executing, when it is
    collected.
    """
    errors: list[str] = []

    def note(raised: sys.UnraisableHookArgs) -> None:
        errors.append(str(raised.exc_value))

    monkeypatch.setattr(sys, "unraisablehook", note)
    yield
    assert set(errors) <= {"async generator already executing"}


def no_threads_but(before: set[threading.Thread]) -> None:
    """
    Wait until all threads that were started have ended.
    """
    end = time.monotonic() + HANG
    while set(threading.enumerate()) - before:
        gc.collect()
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)


@TIMES
@pytest.mark.usefixtures("looking_often", "forgetting_tracebacks")
def test_cancelled_calls_lose_nothing(tmp_path: Path, times: int) -> None:
    """
    However and whenever a call is cancelled: the image of an accepted request is stored once, other
    requests are settled, and no file, task, thread or lease is left.
    """
    provider, before = Till(), set(threading.enumerate())
    completed = asyncio.run(break_off(tmp_path, provider, times))
    found = audit(tmp_path, provider.billed)
    print(f"cancels {times}, completed {completed}: {found}")  # noqa: T201 - the figures
    assert 0 < completed < found.kept
    assert_sound(found)
    assert found.unknown == ()
    assert leftovers(tmp_path) == []
    no_threads_but(before)


def assert_sound(found: Audit) -> None:
    """
    Check that nothing is lost, damaged, or paid for twice.
    """
    assert (found.twice, found.lost, found.corrupt) == ((), (), ())
    assert found.kept == found.billed - len(found.unknown)


@pytest.mark.usefixtures("without_conversation_lookup")
@pytest.mark.usefixtures("looking_often")
def test_dropping_a_call_at_once_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: a broken twin that does not wait for a cancelled request loses images, unless
    they are looked up in their conversations.
    """

    async def drop(work: asyncio.Future[Any], seconds: float | None = None) -> None:  # noqa: ARG001 - the signature of `wait_shielded`
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
    Presses Ctrl-C once, before or after the n-th call of a function.

    Attributes:
        at: The number of earlier calls.
        before: Whether Ctrl-C is pressed before the call, or after.
        done: The calls' last arguments, the latest last.
    """

    at: int
    before: bool
    done: list[Any] = attrs.field(factory=list[Any])

    def around(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """
        Return a function that does the same, and is interrupted.
        """

        def interrupted(*arguments: Any) -> Any:
            due = len(self.done) == self.at
            if due and self.before:
                self.done.append(None)
                raise KeyboardInterrupt
            result = do(*arguments)
            self.done.append(arguments[-1])
            if due:
                raise KeyboardInterrupt
            return result

        return interrupted


def every_moment(stride: int) -> Iterator[Ctrl]:
    """
    Yield the moments at which Ctrl-C may be pressed, without end: all, or a regular sample.
    """
    for number in itertools.count(0, stride):
        yield Ctrl(number // 2, before=number % 2 == 0)


def interrupt(
    studio: Studio,
    verb: Callable[[ImageSession], object],
    target: object,
    name: str,
    stride: int = 1,
) -> Iterator[Ctrl]:
    """
    Interrupt a verb at every moment in turn, and recover each time; yield each interruption.

    Args:
        studio: The studio.
        verb: The verb to interrupt.
        target: The object that has the function.
        name: The name of the function whose calls are the moments.
        stride: Which share of the moments is tried: each, every second and so on.
    """
    session = studio.session("a tea shop")
    verb(session)
    for ctrl in every_moment(stride):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, name, ctrl.around(getattr(target, name)))
            try:
                verb(session)
            except KeyboardInterrupt:
                yield ctrl
            else:
                return
        assert studio.recover(timeout=0.2).still_pending == {}


@pytest.mark.parametrize(
    "verb,state",
    [
        ("generate", "conversation"),
        ("edit", "responses"),
        pytest.param("generate", "responses", marks=pytest.mark.faults),
        pytest.param("edit", "conversation", marks=pytest.mark.faults),
        pytest.param("stream", "conversation", marks=pytest.mark.faults),
        ("stream", "responses"),
    ],
)
@pytest.mark.usefixtures("hurried")
def test_ctrl_c_at_every_step_loses_nothing(
    tmp_path: Path, verb: str, state: ProviderState, pytestconfig: pytest.Config
) -> None:
    """
    After Ctrl-C before or after any step, the image of an accepted request is stored once, even if
    its response was not read to the end. No file, lease or thread is left. Outside of a
    conversation, a request interrupted before the first event is settled as unknown.
    """
    stride = 1 if pytestconfig.getoption("--faults") else 3
    provider, before = Till(lambda: 0.0, latency=0.0), set(threading.enumerate())
    with Studio.offline(tmp_path, provider=provider, provider_state=state) as studio:
        sync_interpreter = vars(interpreter)["_SyncInterpreter"]
        presses = list(interrupt(studio, VERBS[verb], sync_interpreter, "perform", stride))
    found = audit(tmp_path, provider.billed)
    print(f"Ctrl-C {len(presses)} times in {verb}: {found}")  # noqa: T201 - the figures
    assert len(presses) > 15 / stride
    assert_sound(found)
    assert len(found.unknown) <= (0 if state == "conversation" else len(presses) / 5)
    assert leftovers(tmp_path) == []
    no_threads_but(before)


def test_ctrl_c_before_a_later_turn_is_written_is_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Ctrl-C before the intent of a turn that continues a conversation raises what Ctrl-C raises.
    """

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    with Studio.offline(tmp_path, provider_state="conversation") as studio:
        session = studio.session("a tea shop")
        session.generate("a teapot")
        with monkeypatch.context() as patch:
            patch.setattr(IntentStore, "write", press)
            with pytest.raises(KeyboardInterrupt):
                session.generate("bluer")
        assert session.generate("bluer").path.is_file()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("hurried")
def test_ctrl_c_while_the_disk_works_loses_nothing(tmp_path: Path, verb: str) -> None:
    """
    After Ctrl-C before or after any flush to the disk, every paid image is stored.
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
def test_lease_that_does_not_expire_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The check works: if leases do not expire, a request stays under way forever.
    """

    def keep(_: DiskRights, __: DiskLease) -> None:
        return

    monkeypatch.setattr(DiskRights, "release", keep)
    provider = Till(lambda: 0.0, latency=0.0)
    sync_interpreter = vars(interpreter)["_SyncInterpreter"]
    with (
        Studio.offline(tmp_path, provider=provider) as studio,
        pytest.raises(AssertionError, match="a running program holds it"),
    ):
        list(interrupt(studio, VERBS["generate"], sync_interpreter, "perform"))
