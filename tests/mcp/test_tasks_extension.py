"""
Long calls are answered with a task, for clients that support tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import anyio
import httpx2
import mcp.types as t
import pytest
from mcp import Client, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, RequestParams, Result
from PIL import Image
from pydantic import Field

from imagesession import AsyncStudio
from imagesession.testing import FakeOpenAI
from imagesession_mcp import tasks_extension
from imagesession_mcp.http import build_asgi_app, build_authenticated_server
from imagesession_mcp.option_values import Principal
from imagesession_mcp.server import build_server
from imagesession_mcp.settings import HttpSettings, Settings
from imagesession_mcp.tasks_extension import TasksExtension
from tests.clock import DAY, HoldingProvider
from tests.mcp.serving import text

pytestmark = pytest.mark.anyio


class _Params(RequestParams):
    task_id: str = Field(alias="taskId")


class _TaskRequest(t.Request[_Params, str]):
    name_param: ClassVar[str | None] = "taskId"


class _Created(Result):
    result_type: Literal["task"] = "task"
    task_id: str = Field(alias="taskId")
    status: str
    ttl_ms: int = Field(alias="ttlMs")
    poll_interval_ms: int = Field(alias="pollIntervalMs")


class _TaskResult(Result):
    result_type: str = "complete"
    task_id: str | None = Field(default=None, alias="taskId")
    status: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


async def _request_task(session: Any, verb: str, task_id: str) -> _TaskResult:
    request = _TaskRequest(method=f"tasks/{verb}", params=_Params(taskId=task_id))
    payload: _TaskResult = await session.send_request(request, _TaskResult)
    return payload


class _TasksClient(ClientExtension):
    """
    A client extension that polls tasks until they are done.
    """

    identifier = TasksExtension.identifier

    def __init__(self) -> None:
        self.task_created = anyio.Event()
        self.on_working: Callable[[], None] = lambda: None
        self.created: list[str] = []
        self.statuses: list[str] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """
        Claim results of type `task`.
        """
        return [ResultClaim(result_type="task", model=_Created, resolve=self._resolve)]

    async def _resolve(self, created: _Created, context: ClaimContext) -> CallToolResult:
        self.created.append(created.task_id)
        self.task_created.set()
        while True:
            payload = await _request_task(context.session, "get", created.task_id)
            self.statuses.append(payload.status)
            if payload.status == "completed":
                return CallToolResult.model_validate(payload.result)
            if payload.status != "working":
                raise MCPError(0, str(payload.error or payload.status))
            self.on_working()
            await anyio.sleep(0.05)


@asynccontextmanager
async def _connect(
    folder: Path,
    provider: FakeOpenAI,
    extension: TasksExtension | None = None,
    **settings: Any,
) -> AsyncGenerator[tuple[Client, _TasksClient], None]:
    tasks_client = _TasksClient()
    server_settings = Settings(library=folder, offline=True, **settings)

    def open_studio(_: Settings, library: Path | str | None) -> AsyncStudio:
        return AsyncStudio.offline(library, provider=provider, retry_timeout=0)

    server = build_server(
        server_settings, open=open_studio, extensions=[extension or TasksExtension(grace=0.1)]
    )
    async with Client(server, extensions=[tasks_client]) as client:
        yield client, tasks_client


async def test_long_call_becomes_a_task(tmp_path: Path) -> None:
    """
    A call longer than the grace period becomes a task, whose outcome is the call's full result,
    not a handle, however small `wait_seconds` is.
    """
    provider = HoldingProvider()
    provider.hold()
    async with _connect(tmp_path, provider, wait_seconds=0.1) as (client, tasks_client):
        tasks_client.on_working = provider.finish
        payload = text(await client.call_tool("generate_image", {"prompt": "a kettle"}))
    assert tasks_client.statuses[0] == "working"
    assert tasks_client.statuses[-1] == "completed"
    with Image.open(payload["image_path"]) as picture:
        assert picture.size == (1024, 1024)


async def test_short_call_is_answered_with_its_result(tmp_path: Path) -> None:
    """
    A call that is done within the grace period creates no task.
    """
    async with _connect(tmp_path, FakeOpenAI(), TasksExtension(grace=20)) as (client, tasks_client):
        text(await client.call_tool("generate_image", {"prompt": "a kettle"}))
    assert tasks_client.created == []


async def test_clients_without_tasks_get_a_result(tmp_path: Path) -> None:
    """
    A client that does not support tasks gets a result or a handle, in either era.
    """
    server = build_server(
        Settings(library=tmp_path, offline=True, wait_seconds=0),
        extensions=[TasksExtension(grace=0)],
    )
    for mode in ("auto", "legacy"):
        async with Client(server, mode=mode) as client:
            payload = text(await client.call_tool("generate_image", {"prompt": "a kettle"}))
            assert payload["generation_id"]
            request = _TaskRequest(method="tasks/get", params=_Params(taskId="x"))
            with pytest.raises(MCPError) as error_info:
                await client.session.send_request(request, _TaskResult)
        expected_codes = t.MISSING_REQUIRED_CLIENT_CAPABILITY, t.METHOD_NOT_FOUND
        assert error_info.value.code == expected_codes[mode == "legacy"]


async def test_failure_completes_the_task(tmp_path: Path) -> None:
    """
    A failed generation completes its task with an error result.
    """
    provider = FakeOpenAI()
    wrong = {"message": "no", "code": "invalid_value", "param": "prompt"}
    provider.fail_next(status=400, path="/responses", error=wrong)
    async with _connect(tmp_path, provider, TasksExtension(grace=0)) as (client, tasks_client):
        result = await client.call_tool("generate_image", {"prompt": "a kettle"})
    assert tasks_client.created
    assert result.is_error
    assert text(result)["error"]


async def test_cancelled_task_keeps_its_image(tmp_path: Path) -> None:
    """
    Cancelling a task ends only the waiting, like cancelling a call: the image is billed, so it is
    finished and saved. Only cancel_generation stops it.
    """
    provider = HoldingProvider()
    provider.hold()
    async with _connect(tmp_path, provider) as (client, tasks_client):
        arguments = {"prompt": "a kettle", "request_id": "kettle"}
        async with anyio.create_task_group() as group:
            group.start_soon(_expect_cancelled, client, arguments)
            await tasks_client.task_created.wait()
            ack = await _request_task(client.session, "cancel", tasks_client.created[0])
            assert (ack.result_type, ack.task_id, ack.status) == ("complete", None, "")
        assert (
            await _request_task(client.session, "get", tasks_client.created[0])
        ).status == "cancelled"
        assert (await _request_task(client.session, "cancel", tasks_client.created[0])).status == ""
        provider.finish()
        payload = text(await client.call_tool("get_generation", {"generation_id": "kettle"}))
    assert await anyio.Path(payload["image_path"]).is_file()


async def _expect_cancelled(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(MCPError, match="cancelled"):
        await client.call_tool("generate_image", arguments)


async def test_unknown_task_is_rejected(tmp_path: Path) -> None:
    """
    An unknown id raises an error that says how to find the images.
    """
    async with _connect(tmp_path, FakeOpenAI()) as (client, _):
        for verb in ("get", "update", "cancel"):
            with pytest.raises(MCPError, match="list_images") as error_info:
                await _request_task(client.session, verb, "unknown")
            assert error_info.value.code == t.INVALID_PARAMS


async def test_tasks_expire_after_their_ttl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A task can be polled until its TTL has passed, and is removed after that.
    """
    provider = FakeOpenAI(latency=0.3)
    async with _connect(tmp_path, provider) as (client, tasks_client):
        await client.call_tool("generate_image", {"prompt": "a kettle"})
        await client.call_tool("generate_image", {"prompt": "a jug"})
        first = tasks_client.created[0]
        assert (await _request_task(client.session, "get", first)).status == "completed"
        monkeypatch.setattr(tasks_extension, "_TTL_SECONDS", 0)
        await client.call_tool("generate_image", {"prompt": "a cup"})
        with pytest.raises(MCPError, match="no such task"):
            await _request_task(client.session, "get", first)


async def test_tasks_belong_to_their_principal(tmp_path: Path) -> None:
    """
    Over HTTP a principal cannot find another's task, and the routing header must name the task.
    """
    principals = Principal("ann", "ann-0123456789abcdef"), Principal("bob", "bob-0123456789abcdef")
    access = HttpSettings(principals=principals)
    settings = Settings(library=tmp_path, offline=True, http=True)
    server = build_authenticated_server(settings, access, TasksExtension(grace=0))
    app = build_asgi_app(server, access)
    tasks_client = {principal.name: _TasksClient() for principal in principals}
    async with server.session_manager.run():
        for principal in principals:
            async with (
                _client_of(app, principal) as http,
                Client(
                    streamable_http_client("http://127.0.0.1:8765/mcp", http_client=http),
                    extensions=[tasks_client[principal.name]],
                ) as client,
            ):
                if principal.name == "ann":
                    await client.call_tool("generate_image", {"prompt": "a kettle"})
                    await _expect_header_checked(client, tasks_client["ann"].created[0])
                else:
                    with pytest.raises(MCPError, match="no such task"):
                        await _request_task(client.session, "get", tasks_client["ann"].created[0])


def _client_of(app: Any, principal: Principal) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {principal.token}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), headers=headers, timeout=30)


async def _expect_header_checked(client: Client, task_id: str) -> None:
    class _Unnamed(t.Request[_Params, str]):
        pass

    request = _Unnamed(method="tasks/get", params=_Params(taskId=task_id))
    with pytest.raises(MCPError) as error_info:
        await client.session.send_request(request, _TaskResult)
    assert error_info.value.code == t.HEADER_MISMATCH


async def test_abandoned_call_is_cancelled(tmp_path: Path) -> None:
    """
    A call that is cancelled within the grace period does not continue in the background.
    """
    provider = FakeOpenAI(latency=DAY)
    async with _connect(tmp_path, provider, TasksExtension(grace=DAY)) as (client, tasks_client):
        with anyio.move_on_after(0.2):
            await client.call_tool("generate_image", {"prompt": "a kettle"})
        with anyio.fail_after(60):
            while any(task.get_name().startswith("call ") for task in asyncio.all_tasks()):  # noqa: ASYNC110 - the server ends it
                await anyio.sleep(0.02)
    assert tasks_client.created == []
