"""
Both interpreters perform the same effects in the same way, and close what they opened.
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
from imagesession._runtime.deadlines import RemainingTimeout
from imagesession._runtime.interpreter import (
    WorkflowResult,
    iter_workflow,
    iter_workflow_async,
    run_workflow,
    run_workflow_async,
)
from imagesession.testing import FakeOpenAI, FakeResponse, Fault, serve

REQUEST = HttpRequest(method="GET", path="/x")
PARTIAL = PartialImage(index=0, data=b"", format="png", width=1, height=1)


@attrs.define
class Script:
    """
    A fake library, provider and connection in one, which logs its calls.
    """

    log: list[str] = attrs.field(factory=list[str])
    fail: bool = False
    events: tuple[bytes, ...] | None = (b"one", b"two")
    deadline: RemainingTimeout = attrs.field(factory=lambda: RemainingTimeout.make(60.0))

    def new_id(self, _: str) -> Any:
        """
        Return an id, like a library.
        """
        self.log.append("new_id")
        return "begun"

    def commit(self) -> str:
        """
        Commit, like a library.
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
    A connection for the sync interpreter.
    """

    made: Any = None

    def __call__(self) -> Any:
        """
        Connect.
        """
        return self

    def provider(self) -> str:
        """
        Return the provider's name.
        """
        return "provider"

    def send(self, _: HttpRequest) -> HttpResponse:
        """
        Respond to a request.
        """
        return self._answer("send")

    @contextlib.contextmanager
    def listen(
        self, _: HttpRequest
    ) -> Generator[tuple[HttpResponse, Iterator[bytes], RemainingTimeout], None, None]:
        """
        Respond with a stream, or with a response.
        """
        reply = self._answer("open")
        try:
            opened = attrs.evolve(reply, opened=self.events is not None)
            yield opened, iter(self.events or ()), self.deadline
        finally:
            self.log.append("close")


class AsyncScript(Script):
    """
    A connection for the async interpreter.
    """

    made: Any = None

    def __call__(self) -> Any:
        """
        Connect.
        """
        return self

    def provider(self) -> str:
        """
        Return the provider's name.
        """
        return "provider"

    async def send(self, _: HttpRequest) -> HttpResponse:
        """
        Respond to a request.
        """
        return self._answer("send")

    @contextlib.asynccontextmanager
    async def listen(
        self, _: HttpRequest
    ) -> AsyncGenerator[tuple[HttpResponse, AsyncIterator[bytes], RemainingTimeout], None]:
        """
        Respond with a stream, or with a response.
        """
        reply = self._answer("open")

        async def events() -> AsyncIterator[bytes]:
            for event in self.events or ():
                yield event

        try:
            opened = attrs.evolve(reply, opened=self.events is not None)
            yield opened, events(), self.deadline
        finally:
            self.log.append("close")


def _commit(store: Any) -> Any:
    return store.commit()


def every_effect(log: list[str]) -> Workflow[list[Any]]:
    """
    Yield every kind of effect, and return their results.
    """
    try:
        answers: list[Any] = [(yield from NewId()), (yield from GetProviderName())]
        answers.append((yield from StoreCall(_commit)))
        answers.append((yield from Send(REQUEST)).status)
        answers.append((yield from OpenStream(REQUEST)).opened)
        answers += [(yield from NextEvent()), (yield from NextEvent()), (yield from NextEvent())]
        yield from EmitPartial(PARTIAL)
        yield from Sleep(0)
        answers.append((yield from MonotonicTime()) > 0)
        return answers
    finally:
        log.append("flow closed")


ANSWERS = ["begun", "provider", "kept", 200, True, b"one", b"two", None, True]
LOG = ["new_id", "commit", "send", "open", "flow closed", "close"]


def test_every_effect_is_performed() -> None:
    """
    Each effect gets the expected result, and everything that was opened is closed.
    """
    script: Any = SyncScript()
    assert run_workflow(every_effect(script.log), script, script) == ANSWERS
    assert script.log == LOG


@pytest.mark.anyio
async def test_every_effect_is_performed_async() -> None:
    """
    The async interpreter does the same.
    """
    script: Any = AsyncScript()
    assert await run_workflow_async(every_effect(script.log), script, script) == ANSWERS
    assert script.log == LOG


def failing(log: list[str]) -> Workflow[str]:
    """
    Send requests without a response, and continue.
    """
    for step in (Send(REQUEST), OpenStream(REQUEST)):
        with pytest.raises(TransportError):
            yield from step
    log.append("went on")
    return "done"


def test_transport_error_is_raised_into_the_workflow() -> None:
    """
    A missing response is raised into the workflow, which decides what to do.
    """
    script: Any = SyncScript(fail=True)
    assert run_workflow(failing(script.log), script, script) == "done"


@pytest.mark.anyio
async def test_transport_error_is_raised_into_the_workflow_async() -> None:
    """
    The async interpreter does the same.
    """
    script: Any = AsyncScript(fail=True)
    assert await run_workflow_async(failing(script.log), script, script) == "done"


def test_abandoned_workflow_is_closed() -> None:
    """
    Closing a stream early closes the workflow and the connection.
    """
    script: Any = SyncScript()
    flow = every_effect(script.log)  # referenced, so that only the interpreter closes it
    events = iter_workflow(flow, script, script)
    assert next(events) is PARTIAL
    events.close()
    assert script.log == [*LOG[:4], "close", "flow closed"]


@pytest.mark.anyio
async def test_abandoned_workflow_is_closed_async() -> None:
    """
    The async interpreter does the same.
    """
    script: Any = AsyncScript()
    flow = every_effect(script.log)  # referenced, so that only the interpreter closes it
    events = iter_workflow_async(flow, script, script)
    assert await anext(events) is PARTIAL
    await events.aclose()
    assert script.log == [*LOG[:4], "close", "flow closed"]


def test_result_follows_the_partial_images() -> None:
    """
    A workflow yields its partial images and then its result, once.
    """
    script: Any = SyncScript()
    *partials, done = iter_workflow(every_effect(script.log), script, script)
    assert partials == [PARTIAL]
    assert done == WorkflowResult(ANSWERS)


def test_abandoned_stream_keeps_its_intent(tmp_path: Path) -> None:
    """
    A stream that is closed early leaves its intent, with the provider's id, in the journal.
    """
    provider = FakeOpenAI(latency=0.2)
    with (
        serve(provider) as served,
        Studio(tmp_path, api_key="x", base_url=served.base_url) as studio,
    ):
        events = studio.stream("a teapot", partial_images=3)
        assert isinstance(next(events), PartialImage)
        events.close()
        (intent,) = (tmp_path / ".imagesession" / "journal").iterdir()
        assert b"resp_" in intent.read_bytes()
        assert studio.images.list() == ()
        assert studio.generate("another").bytes


@pytest.mark.anyio
async def test_cancelled_call_keeps_its_intent(tmp_path: Path) -> None:
    """
    A call that is cancelled while the provider works leaves its intent, with the provider's id.
    """
    provider = FakeOpenAI(latency=30)
    loop, named = asyncio.get_running_loop(), asyncio.Event()

    def notice(answer: FakeResponse) -> FakeResponse:
        def parts() -> Iterator[Any]:
            for number, part in enumerate(answer.parts):
                if number == 2:  # the first event, which has the response id, was read
                    loop.call_soon_threadsafe(named.set)
                yield part

        return attrs.evolve(answer, parts=parts())

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=notice))
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
async def test_disk_does_not_block_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While an image is flushed to the disk, the event loop continues.
    """
    turned = threading.Event()
    flush = os.fsync

    def slow(descriptor: int) -> None:
        assert turned.wait(60), "the event loop was blocked"
        flush(descriptor)

    async with AsyncStudio.offline(tmp_path) as studio:
        await studio.generate("a teapot")
        monkeypatch.setattr(os, "fsync", slow)
        async with anyio.create_task_group() as group:
            group.start_soon(studio.generate, "another")
            await anyio.lowlevel.checkpoint()
            turned.set()
