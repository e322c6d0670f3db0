"""
The extension io.modelcontextprotocol/tasks: a call that takes long is answered with a task, which
the client asks about until it is done.

https://modelcontextprotocol.io/seps/2663-tasks-extension
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any, cast

import attrs
import mcp.types as t
from mcp import MCPError
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import CallToolRequestParams, RequestParams, RequestParamsMeta
from pydantic import BaseModel, Field

_ERA = frozenset({"2026-07-28"})
_KEPT_SECONDS = 3600
_POLL_MS = 1000

log = logging.getLogger("imagesession_mcp")
Ctx = ServerRequestContext[Any, Any]


class TaskParams(RequestParams):
    """
    The parameters of `tasks/get` and its siblings; answers to questions are not read, for no tool
    of ours asks any.
    """

    task_id: str = Field(alias="taskId")


@attrs.define(eq=False)
class Task:
    """
    A call that goes on after it was answered.

    Attributes:
        id: What it is called.
        owner: Who called; nobody else finds it.
        call: The call.
        begun: When it began.
        ended: When it ended, by the monotonic clock; None while it goes on.
        changed: When what is known of it changed last.
    """

    id: str
    owner: str | None
    call: asyncio.Task[HandlerResult]
    begun: dt.datetime
    changed: dt.datetime
    ended: float | None = None

    def facts(self, kind: str) -> dict[str, Any]:
        """
        Return what the protocol tells of it.

        Args:
            kind: The type of the result that tells it: `task` or `complete`.
        """
        return {
            "resultType": kind,
            "taskId": self.id,
            "status": "working" if self.ended is None else _status(self.call),
            "createdAt": self.begun.isoformat(),
            "lastUpdatedAt": self.changed.isoformat(),
            "ttlMs": _KEPT_SECONDS * 1000,
            "pollIntervalMs": _POLL_MS,
        }

    def settle(self, _: asyncio.Task[HandlerResult]) -> None:
        """
        Note that it has ended.
        """
        self.ended = time.monotonic()
        self.changed = _now()


class Tasks(Extension):
    """
    Answers a call with a task when it is not done within a moment; only for clients that know
    tasks. The server decides, as the extension has it, by the time alone and not by the tool.

    Attributes:
        grace: Seconds within which a call is answered as always.
    """

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, grace: float = 0.5) -> None:
        self.grace = grace
        self._tasks: dict[str, Task] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """
        Serve the three methods of the extension.
        """
        handlers = {"get": self._get, "update": self._update, "cancel": self._cancel}
        return [
            MethodBinding(f"tasks/{name}", TaskParams, handler, _ERA)
            for name, handler in handlers.items()
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Ctx, call_next: CallNext
    ) -> HandlerResult:
        """
        Answer a call with its result, or with a task where that takes long.

        Args:
            params: The call.
            ctx: Where it came from.
            call_next: Carries it out.
        """
        if ctx.protocol_version not in _ERA or not _knows_tasks(ctx):
            return await call_next(ctx)
        call = asyncio.create_task(_carry_out(ctx, call_next), name=f"call of {params.name}")
        try:
            await asyncio.wait({call}, timeout=self.grace)
        except asyncio.CancelledError:
            call.cancel()
            raise
        return await call if call.done() else self._begin(call).facts("task")

    def _begin(self, call: asyncio.Task[HandlerResult]) -> Task:
        self._forget_old()
        task = Task(secrets.token_urlsafe(24), _owner(), call, _now(), _now())
        self._tasks[task.id] = task
        call.add_done_callback(task.settle)
        return task

    async def _get(self, ctx: Ctx, params: TaskParams) -> HandlerResult:
        task = self._find(ctx, params)
        return {**task.facts("complete"), **({} if task.ended is None else _outcome(task.call))}

    async def _update(self, ctx: Ctx, params: TaskParams) -> HandlerResult:
        self._find(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: Ctx, params: TaskParams) -> HandlerResult:
        self._find(ctx, params).call.cancel()
        return {"resultType": "complete"}

    def _find(self, ctx: Ctx, params: TaskParams) -> Task:
        require_client_extension(ctx, self.identifier)
        _check_header(ctx, params)
        task = self._tasks.get(params.task_id)
        if task is None or task.owner != _owner():
            raise MCPError(
                t.INVALID_PARAMS,
                "There is no such task. It may be from before the server was started anew: the "
                "pictures that it made are in list_images all the same.",
            )
        return task

    def _forget_old(self) -> None:
        now = time.monotonic()
        for task in list(self._tasks.values()):
            if task.ended is not None and now - task.ended > _KEPT_SECONDS:
                del self._tasks[task.id]


async def _carry_out(ctx: Ctx, call_next: CallNext) -> HandlerResult:
    # Whoever polls needs no handle; and there is no request any more that progress could go to.
    from imagesession_mcp.works import unhurried  # noqa: PLC0415 - loaded by now

    unhurried.set(True)
    meta = {key: value for key, value in (ctx.meta or {}).items() if key != "progress_token"}
    quiet = dataclasses.replace(ctx, meta=cast("RequestParamsMeta", meta))
    return await call_next(quiet)


def _knows_tasks(ctx: Ctx) -> bool:
    capabilities = ctx.session.client_capabilities
    return Tasks.identifier in ((capabilities and capabilities.extensions) or {})


def _check_header(ctx: Ctx, params: TaskParams) -> None:
    """
    Refuse a request whose routing header names another task, as SEP-2243 asks of servers.
    """
    headers = getattr(ctx.request, "headers", None)
    if headers is None:
        return
    if decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
        raise MCPError(t.HEADER_MISMATCH, "The header Mcp-Name does not name the task in the body.")


def _owner() -> str | None:
    token = get_access_token()
    return None if token is None else token.client_id


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _status(call: asyncio.Task[HandlerResult]) -> str:
    if call.cancelled():
        return "cancelled"
    return "failed" if call.exception() else "completed"


def _outcome(call: asyncio.Task[HandlerResult]) -> dict[str, Any]:
    """
    Return what came of a call that has ended: its result, or the protocol's error.
    """
    if call.cancelled():
        return {}
    error = call.exception()
    if isinstance(error, MCPError):
        return {"error": error.error.model_dump(by_alias=True, mode="json", exclude_none=True)}
    if error is not None:
        log.error("A task failed", exc_info=error)
        return {"error": {"code": t.INTERNAL_ERROR, "message": "Internal error"}}
    result = call.result()
    if isinstance(result, BaseModel):
        return {"result": result.model_dump(by_alias=True, mode="json", exclude_none=True)}
    return {"result": result}
