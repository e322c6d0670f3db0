"""
The two drivers carry out the same steps in the same way, and let go of what they opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from imagesession import AsyncStudio, PartialImage, Studio
from imagesession._engine.effects import (
    EmitPartial,
    GetProviderName,
    MonotonicTime,
    NewId,
    NextEvent,
    OpenStream,
    Send,
    Sleep,
    StoreCall,
    Workflow,
)
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._runtime.interpreter import (
    WorkflowResult,
    drive_async,
    iter_workflow,
    run_workflow,
    stream_async,
)
from imagesession.testing import FakeOpenAI, FakeResponse, Fault, serve

REQUEST = HttpRequest(method="GET", path="/x")
PARTIAL = PartialImage(index=0, data=b"", format="png", width=1, height=1)


@attrs.define
class Script:
    """
    Stands for library, provider and connection at once, and remembers what was asked of it.
    """

    log: list[str] = attrs.field(factory=list[str])
    fail: bool = False
    events: tuple[bytes, ...] | None = (b"one", b"two")

    def new_id(self, _: str) -> Any:
        """
        Be a library.
        """
        self.log.append("new_id")
        return "begun"

    def commit(self) -> str:
        """
        Be a library that does something.
        """
        self.log.append("commit")
        return "kept"

    def _answer(self, what: str) -> HttpResponse:
        self.log.append(what)
        if self.fail:
            raise TransportError(sent=True, reason="gone")
        return HttpResponse(status=200)


class SyncScript(Script):
    """
    Be a connection for the sync driver.
    """

    made: Any = None

    def __call__(self) -> Any:
        """
        Connect.
        """
        return self

    def provider(self) -> str:
        """
        Name who answers.
        """
        return "somebody"

    def send(self, _: HttpRequest) -> HttpResponse:
        """
        Answer a request.
        """
        return self._answer("send")

    @contextlib.contextmanager
    def listen(self, _: HttpRequest) -> Generator[HttpResponse | Iterator[bytes], None, None]:
        """
        Answer with a stream, or with a reply.
        """
        reply = self._answer("open")
        try:
            yield reply if self.events is None else iter(self.events)
        finally:
            self.log.append("close")


class AsyncScript(Script):
    """
    Be a connection for the async driver.
    """

    made: Any = None

    def __call__(self) -> Any:
        """
        Connect.
        """
        return self

    def provider(self) -> str:
        """
        Name who answers.
        """
        return "somebody"

    async def send(self, _: HttpRequest) -> HttpResponse:
        """
        Answer a request.
        """
        return self._answer("send")

    @contextlib.asynccontextmanager
    async def listen(
        self, _: HttpRequest
    ) -> AsyncGenerator[HttpResponse | AsyncIterator[bytes], None]:
        """
        Answer with a stream, or with a reply.
        """
        reply = self._answer("open")

        async def events() -> AsyncIterator[bytes]:
            for event in self.events or ():
                yield event

        try:
            yield reply if self.events is None else events()
        finally:
            self.log.append("close")


def _commit(store: Any) -> Any:
    return store.commit()


def everything(log: list[str]) -> Workflow[list[Any]]:
    """
    Yield every kind of step, and return what answered them.
    """
    try:
        answers: list[Any] = [(yield from NewId()), (yield from GetProviderName())]
        answers.append((yield from StoreCall(_commit)))
        answers.append((yield from Send(REQUEST)).status)
        answers.append((yield from OpenStream(REQUEST)))
        answers += [(yield from NextEvent()), (yield from NextEvent()), (yield from NextEvent())]
        yield from EmitPartial(PARTIAL)
        yield from Sleep(0)
        answers.append((yield from MonotonicTime()) > 0)
        return answers
    finally:
        log.append("flow closed")


ANSWERS = ["begun", "somebody", "kept", 200, None, b"one", b"two", None, True]
LOG = ["new_id", "commit", "send", "open", "flow closed", "close"]


def test_every_step_is_carried_out() -> None:
    """
    Each step is answered by what the flow expects, and what was opened is closed.
    """
    script: Any = SyncScript()
    assert run_workflow(everything(script.log), script, script) == ANSWERS
    assert script.log == LOG


@pytest.mark.anyio
async def test_every_step_is_carried_out_async() -> None:
    """
    The async driver does the same.
    """
    script: Any = AsyncScript()
    assert await drive_async(everything(script.log), script, script) == ANSWERS
    assert script.log == LOG


def failing(log: list[str]) -> Workflow[str]:
    """
    Ask for what will not be answered, and go on from that.
    """
    for step in (Send(REQUEST), OpenStream(REQUEST)):
        with pytest.raises(TransportError):
            yield from step
    log.append("went on")
    return "done"


def test_no_reply_is_raised_into_the_flow() -> None:
    """
    That there was no answer is for the flow to judge.
    """
    script: Any = SyncScript(fail=True)
    assert run_workflow(failing(script.log), script, script) == "done"


@pytest.mark.anyio
async def test_no_reply_is_raised_into_the_flow_async() -> None:
    """
    The async driver does the same.
    """
    script: Any = AsyncScript(fail=True)
    assert await drive_async(failing(script.log), script, script) == "done"


def test_a_flow_that_is_dropped_is_closed() -> None:
    """
    Whoever stops reading a stream closes the flow and the connection with it.
    """
    script: Any = SyncScript()
    flow = everything(script.log)  # held on to, so that nobody but the driver closes it
    events = iter_workflow(flow, script, script)
    assert next(events) is PARTIAL
    events.close()
    assert script.log == [*LOG[:4], "close", "flow closed"]


@pytest.mark.anyio
async def test_a_flow_that_is_dropped_is_closed_async() -> None:
    """
    The async driver does the same.
    """
    script: Any = AsyncScript()
    flow = everything(script.log)  # held on to, so that nobody but the driver closes it
    events = stream_async(flow, script, script)
    assert await anext(events) is PARTIAL
    await events.aclose()
    assert script.log == [*LOG[:4], "close", "flow closed"]


def test_the_result_comes_last() -> None:
    """
    A stream yields the pictures on the way and then the result, once.
    """
    script: Any = SyncScript()
    *partials, done = iter_workflow(everything(script.log), script, script)
    assert partials == [PARTIAL]
    assert done == WorkflowResult(ANSWERS)


def test_a_broken_off_stream_keeps_its_intent(tmp_path: Path) -> None:
    """
    A stream that is left half read leaves its intent, with the provider's id, in the journal.
    """
    provider = FakeOpenAI(latency=0.2)
    with serve(provider) as served, Studio(tmp_path, api_key="x", base_url=served.base_url) as item:
        events = item.stream("a teapot", partial_images=3)
        assert isinstance(next(events), PartialImage)
        events.close()
        (intent,) = (tmp_path / ".imagesession" / "journal").iterdir()
        assert b"resp_" in intent.read_bytes()
        assert item.images.list() == ()
        assert item.generate("another").bytes


@pytest.mark.anyio
async def test_a_cancelled_call_keeps_its_intent(tmp_path: Path) -> None:
    """
    A call that is cancelled while the provider works leaves its intent, with the provider's id.
    """
    provider = FakeOpenAI(latency=30)
    loop, named = asyncio.get_running_loop(), asyncio.Event()

    def notice(answer: FakeResponse) -> FakeResponse:
        def parts() -> Iterator[Any]:
            for number, part in enumerate(answer.parts):
                if number == 2:  # the first event, which names the response, was heard
                    loop.call_soon_threadsafe(named.set)
                yield part

        return attrs.evolve(answer, parts=parts())

    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=notice))
    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        journal = tmp_path / ".imagesession" / "journal"
        async with anyio.create_task_group() as group:
            group.start_soon(studio.generate, "a teapot")
            await named.wait()
            group.cancel_scope.cancel()
        (intent,) = journal.iterdir()
        assert b"resp_" in intent.read_bytes()
        assert await studio.images.list() == ()
        provider.latency = 0
        assert (await studio.generate("another")).bytes


@pytest.mark.anyio
async def test_the_disk_does_not_hold_up_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While a picture is flushed to the disk, the event loop goes on.
    """
    turned = threading.Event()
    flush = os.fsync

    def slow(descriptor: int) -> None:
        assert turned.wait(10), "the event loop stood still"
        flush(descriptor)

    async with AsyncStudio.offline(tmp_path) as studio:
        await studio.generate("a teapot")
        monkeypatch.setattr(os, "fsync", slow)
        async with anyio.create_task_group() as group:
            group.start_soon(studio.generate, "another")
            await anyio.lowlevel.checkpoint()
            turned.set()
